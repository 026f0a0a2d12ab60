"""The kinds that a person chooses from by name, known without loading torch."""

from typing import Literal

__all__ = [
    "OPTIMIZERS",
    "SAMPLERS",
    "SHARINGS",
    "BatchNorms",
    "InitialWeights",
    "OptimizerKind",
    "RankBy",
    "SamplerKind",
    "Schedule",
    "Sharing",
]

#: How candidates of a slot share weights, see `hwnas.supernet.sharing`.
Sharing = Literal["slices", "separate"]
SHARINGS: tuple[Sharing, ...] = ("slices", "separate")

#: Which paths are trained, see `hwnas.supernet.samplers`.
SamplerKind = Literal["uniform", "balanced", "proportional", "constraint", "feasible"]
SAMPLERS: tuple[SamplerKind, ...] = (
    *("uniform", "balanced", "proportional"),
    *("constraint", "feasible"),
)

#: What trains weights, see `hwnas.supernet.train`.
OptimizerKind = Literal["adam", "sgd"]
OPTIMIZERS: tuple[OptimizerKind, ...] = ("adam", "sgd")

#: How a learning rate falls to 0, see `hwnas.supernet.train.learning_rate`.
Schedule = Literal["linear", "cosine"]

#: How the candidates of a supernet start, see `hwnas.supernet.network.Supernet`.
InitialWeights = Literal["alike", "drawn"]

#: Whether a supernet's batch-norms have a scale and a shift, see `Supernet`.
BatchNorms = Literal["affine", "plain"]

#: What candidates are ranked by: accuracy, or how far their features tell classes apart, see
#: `hwnas.supernet.separation`.
RankBy = Literal["accuracy", "separation"]
