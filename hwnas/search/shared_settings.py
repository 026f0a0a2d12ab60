"""Settings that several methods share: how a supernet is trained, how architectures are evolved."""

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Gt, Le

from hwnas.search.settings import check_fields, setting
from hwnas.supernet.kinds import OptimizerKind, Sharing

__all__ = ["EvolutionSettings", "TrainingSettings"]


@dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """How a supernet is trained, whatever the method.

    ``base_lr`` is None for the space's own; `hwnas.spaces.SpaceEntry` says which.
    """

    sharing: Sharing = setting("slices", "One kernel for all candidates of a block, or a set each.")
    steps: Annotated[int, Ge(1)] = setting(600, "Training steps of the supernet.", most=10_000_000)
    batch_size: Annotated[int, Ge(1)] = setting(
        128, "Images a training step.", flag="--train-batch", key="train_batch", most=65_536
    )
    optimizer: OptimizerKind = setting("adam", "Of the supernet's weights.")
    base_lr: Annotated[float, Gt(0)] | None = setting(
        None,
        "At the first step; falls linearly to 0  [default: 2e-3, for shufflenet 1e-2]",
        flag="--learning-rate",
        key="base_rate",
        most=1000,
    )

    def __post_init__(self) -> None:
        check_fields(self)

    @property
    def peak_lr(self) -> float:
        """The learning rate at the first step, once it is known which the space needs."""
        assert self.base_lr is not None
        return self.base_lr


@dataclass(frozen=True, kw_only=True)
class EvolutionSettings:
    """How architectures are evolved."""

    population: Annotated[int, Ge(2)] = setting(50, "Architectures a generation.", most=100_000)
    generations: Annotated[int, Ge(1)] = setting(
        20, "Generations, the first included.", most=100_000
    )
    parents: Annotated[int, Ge(1)] = setting(
        10, "Parents of the next generation.", old_flag="--top", key="top", most=100_000
    )
    mutation: Annotated[float, Gt(0), Le(1)] = setting(
        0.1, "Probability with which a decision is redrawn."
    )

    def __post_init__(self) -> None:
        check_fields(self)
