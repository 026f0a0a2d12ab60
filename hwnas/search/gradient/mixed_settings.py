"""How the weights of a mixed supernet are trained: DARTS' own values where there are any."""

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Gt, Lt

from hwnas.search.settings import setting
from hwnas.search.shared_settings import TrainingSettings
from hwnas.supernet.kinds import BatchNorms, InitialWeights, OptimizerKind, Sharing

__all__ = ["MixedSettings"]


@dataclass(frozen=True, kw_only=True)
class MixedSettings(TrainingSettings):
    """Settings of the weights; those of architecture parameters are the method's."""

    sharing: Sharing = setting(
        "separate", "Weights of their own for all operators of an edge, or one kernel."
    )
    steps: Annotated[int, Ge(1)] = setting(
        2000, "Training steps of the weights, at most.", most=10_000_000
    )
    batch_size: Annotated[int, Ge(2)] = setting(
        64, "Images a training step.", flag="--train-batch", key="train_batch", most=65_536
    )
    optimizer: OptimizerKind = setting("sgd", "Optimizer of the weights.")
    base_lr: Annotated[float, Gt(0)] | None = setting(
        0.025,
        "At the first step; falls as half a cosine to 0.",
        flag="--learning-rate",
        key="base_rate",
        most=1000,
    )
    weight_decay: Annotated[float, Ge(0)] | None = setting(
        3e-4, "Decay of all weights but batch-norms and biases.", most=1000
    )
    initial_weights: InitialWeights = setting(
        "drawn", "Operators of an edge start as they are drawn, or as one function."
    )
    batch_norms: BatchNorms = setting(
        "plain", "Batch-norms keep scale 1 and shift 0, or learn them."
    )
    cutout: Annotated[int, Ge(0)] = setting(
        0, "Side of the square hidden in each image that weights learn from; 0 for none.", most=8192
    )
    path_drop: Annotated[float, Ge(0), Lt(1)] = setting(
        0.0, "Share of the images for which an edge is dropped while weights learn."
    )
    auxiliary: Annotated[float, Ge(0)] = setting(
        0.0,
        "Weight of the loss of a second classifier behind the last reduction (DARTS: 0.4).",
        most=100,
        later=True,
    )
