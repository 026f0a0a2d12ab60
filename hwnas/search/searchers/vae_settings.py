"""What a person may set of the VAE; known without loading torch."""

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Gt, Le, Lt

from hwnas.search.settings import check_fields, setting
from hwnas.search.shared_settings import EvaluationSettings, PathTrainingSettings

__all__ = ["PathSettings", "VAESettings"]


@dataclass(frozen=True, kw_only=True)
class VAESettings:
    """How the VAE learns from the architectures met so far (TNAS, eq. 2)."""

    top_share: Annotated[float, Gt(0), Le(1)] = setting(
        0.25, "Share of the architectures met, the best, whose distribution the VAE learns."
    )
    kl_weight: Annotated[float, Gt(0)] = setting(
        0.3, "Weight of the VAE's divergence from its prior; 1 in eq. 2 of TNAS.", most=1000
    )
    vae_steps: Annotated[int, Ge(1)] = setting(
        100, "Training steps of the VAE each time it learns.", most=1_000_000
    )

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True, kw_only=True)
class PathSettings(VAESettings, EvaluationSettings, PathTrainingSettings):
    """How a supernet is trained on paths that a VAE learns, and what it learns them from."""

    metric_share: Annotated[float, Gt(0), Le(1)] = setting(
        0.2, "Evaluations that the VAE learns from, as a share of the training steps' work."
    )
    rounds: Annotated[int, Ge(1)] = setting(
        20, "How often the VAE learns while the supernet is trained.", most=100_000
    )
    vae_start: Annotated[float, Ge(0), Lt(1)] = setting(
        0.2, "Share of the training steps before the VAE first learns."
    )
