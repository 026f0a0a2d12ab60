"""Settings of trainings of single networks."""

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Lt

from hwnas.errors import OptionError
from hwnas.search.settings import check_fields, setting
from hwnas.search.shared_settings import AugmentationSettings
from hwnas.supernet.kinds import OptimizerKind, Schedule

__all__ = ["Autocast", "RankSettings", "RetrainSettings"]

Autocast = Literal["none", "bf16", "fp16"]


@dataclass(frozen=True, kw_only=True)
class RetrainSettings(AugmentationSettings):
    """How one network is trained alone."""

    steps: Annotated[int, Ge(1)] = setting(1000, "Training steps.", most=10_000_000)
    batch_size: Annotated[int, Ge(2)] = setting(
        128, "Images a step.", flag="--train-batch", key="batch", most=65_536
    )
    optimizer: OptimizerKind = setting("sgd", "Optimizer of the weights.")
    base_lr: Annotated[float, Gt(0)] | None = setting(
        None,
        "At the first step; falls to 0  [default: the paper's, 0.5 at 1,024 images]",
        flag="--learning-rate",
        key="base_rate",
        most=1000,
    )
    micro_batches: Annotated[int, Ge(1)] = setting(
        1,
        "Equal parts of a batch, whose gradients are averaged: a batch that does not fit at once "
        "does in parts  [default: 1, or the workers of torchrun]",
        metavar="N",
        most=65_536,
        later=True,
    )
    schedule: Schedule = setting("linear", "How the learning rate falls.", later=True)
    lr_warm_up: Annotated[int, Ge(0)] | None = setting(
        None,
        "Steps in which the learning rate rises  [default: 30, at most a tenth of all]",
        metavar="N",
        most=10_000_000,
        later=True,
    )
    weight_decay: Annotated[float, Ge(0)] | None = setting(
        None,
        "Decay of all weights but batch-norms and biases  [default: 4e-5 for sgd, 0 for adam]",
        most=1000,
        later=True,
    )
    max_norm: Annotated[float, Ge(0)] = setting(
        5.0, "Gradients are scaled down to this norm; 0 leaves them.", most=1e6, later=True
    )
    dropout: Annotated[float, Ge(0), Lt(1)] = setting(
        0.0, "Share of what the classifier reads that is zeroed at each step.", later=True
    )
    cutout: Annotated[int, Ge(0)] = setting(
        0, "Side of the square hidden in each image; 0 for none.", most=8192, later=True
    )
    path_drop: Annotated[float, Ge(0), Lt(1)] = setting(
        0.0,
        "Share of the images for which an edge of a cell is dropped at the end; grows from 0.",
        later=True,
    )
    auxiliary: Annotated[float, Ge(0)] = setting(
        0.0,
        "Weight of the loss of a second classifier behind the second reduction (DARTS: 0.4).",
        most=100,
        later=True,
    )
    label_smoothing: Annotated[float, Ge(0), Lt(1)] = setting(
        0.1, "Share of the target that is spread over all classes."
    )
    ema: Annotated[float, Ge(0), Lt(1)] = setting(
        0.0, "Keep a running average of the weights, such as 0.998, and take that; 0 for the last."
    )
    autocast: Autocast = setting(
        "none", "Convolutions in half precision, where the processor is faster at it."
    )

    def __post_init__(self) -> None:
        check_fields(self)
        if self.batch_size % self.micro_batches or self.batch_size < 2 * self.micro_batches:
            raise OptionError(
                f"micro_batches divide a batch into equal parts of at least 2 images, got a batch "
                f"of {self.batch_size} and {self.micro_batches} parts"
            )


@dataclass(frozen=True, kw_only=True)
class RankSettings:
    """How a supernet's ranking is checked: networks that are trained alone."""

    count: Annotated[int, Ge(3)] = setting(20, "Architectures to train alone.", most=100_000)
    steps: Annotated[int, Ge(1)] = setting(400, "Training steps of each.", most=10_000_000)
    batch_size: Annotated[int, Ge(2)] = setting(
        128, "Images a step.", flag="--train-batch", key="batch", most=65_536
    )
    base_lr: Annotated[float, Gt(0)] | None = setting(
        None,
        "[default: the paper's, 0.5 at 1,024 images]",
        flag="--learning-rate",
        key="base_rate",
        most=1000,
    )
    ema: Annotated[float, Ge(0), Lt(1)] = setting(
        0.98, "Test a running average of the weights, which is less noisy."
    )

    def __post_init__(self) -> None:
        check_fields(self)
