"""The kinds that a person chooses from by name, known without loading torch."""

from typing import Literal

__all__ = [
    "OPTIMIZERS",
    "SAMPLERS",
    "SHARINGS",
    "OptimizerKind",
    "RankBy",
    "SamplerKind",
    "Sharing",
]

#: How candidates of a slot share weights, see `hwnas.supernet.sharing`.
Sharing = Literal["slices", "separate"]
SHARINGS: tuple[Sharing, ...] = ("slices", "separate")

#: Which paths are trained, see `hwnas.supernet.samplers`.
SamplerKind = Literal["uniform", "balanced", "proportional", "constraint"]
SAMPLERS: tuple[SamplerKind, ...] = ("uniform", "balanced", "proportional", "constraint")

#: What trains weights, see `hwnas.supernet.train`.
OptimizerKind = Literal["adam", "sgd"]
OPTIMIZERS: tuple[OptimizerKind, ...] = ("adam", "sgd")

#: What candidates are ranked by: accuracy, or how far their features tell classes apart, see
#: `hwnas.supernet.separation`.
RankBy = Literal["accuracy", "separation"]
