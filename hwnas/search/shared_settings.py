"""Settings that methods share: how a supernet is trained and evaluated, and evolution."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal, TypeVar

from annotated_types import Ge, Gt, Le, Lt

from hwnas.data import Augmentation
from hwnas.errors import OptionError
from hwnas.search.settings import check_fields, setting
from hwnas.supernet.kinds import (
    BatchNorms,
    InitialWeights,
    OptimizerKind,
    RankBy,
    Schedule,
    Sharing,
)

__all__ = [
    "BEGINS_WITH",
    "VAE_NEIGHBOUR_SHARE",
    "AugmentationSettings",
    "EvaluationSettings",
    "EvolutionSettings",
    "PathTrainingSettings",
    "TrainingSettings",
    "as_begun",
]

S = TypeVar("S")

#: Of what the searchers of the VAE and of the maps propose, unless another share is given.
VAE_NEIGHBOUR_SHARE, MAP_NEIGHBOUR_SHARE = 0.3, 0.2
#: Searcher -> the settings that it begins with, and their values, unless others are given. Earlier
#: versions had 0, and did not write them.
BEGINS_WITH: dict[str, dict[str, float]] = {
    "vae": {"neighbour_share": VAE_NEIGHBOUR_SHARE},
    "nao": {"neighbour_share": MAP_NEIGHBOUR_SHARE, "ranked_draws": 1000},
}


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
    optimizer: OptimizerKind = setting("adam", "Optimizer of the supernet's weights.")
    base_lr: Annotated[float, Gt(0)] | None = setting(
        None,
        "At the first step; falls linearly to 0  [default: 2e-3; shufflenet and nao 1e-2]",
        flag="--learning-rate",
        key="base_rate",
        most=1000,
    )
    label_smoothing: Annotated[float, Ge(0), Lt(1)] = setting(
        0.0, "Share of the target that is spread over all classes.", later=True
    )
    weight_decay: Annotated[float, Ge(0)] | None = setting(
        None,
        "Decay of all weights but batch-norms and biases  [default: 0 for adam, 4e-5 for sgd]",
        most=1000,
        later=True,
    )
    max_norm: Annotated[float, Ge(0)] = setting(
        5.0, "Gradients are scaled down to this norm; 0 leaves them.", most=1e6, later=True
    )
    initial_weights: InitialWeights = setting(
        "alike",
        "Candidates of a block start as one function and residual branches at zero, or all as they "
        "are drawn.",
        later=True,
    )
    batch_norms: BatchNorms = setting(
        "affine",
        "Scale and shift of the supernet's batch-norms are trained, or left out.",
        later=True,
    )

    def __post_init__(self) -> None:
        check_fields(self)

    @property
    def peak_lr(self) -> float:
        """The learning rate at the first step, once it is known which the space needs."""
        assert self.base_lr is not None
        return self.base_lr


@dataclass(frozen=True, kw_only=True)
class AugmentationSettings:
    """How training images are changed at random, so that fewer of them teach as much."""

    random_crop: Annotated[float, Gt(0), Le(1)] = setting(
        1.0,
        "Cut out at least this share of each image's area, such as 0.08; 1 takes the middle.",
        later=True,
    )
    flip: Annotated[float, Ge(0), Le(1)] = setting(
        0.0, "Probability with which an image is mirrored left to right, such as 0.5.", later=True
    )
    colour: Annotated[float, Ge(0), Lt(1)] = setting(
        0.0,
        "Change brightness, contrast and saturation by up to this share, such as 0.4.",
        later=True,
    )
    mixup: Annotated[float, Ge(0)] = setting(
        0.0, "Blend images in pairs; alpha of mixup, such as 0.2; 0 for none.", most=100, later=True
    )
    cutmix: Annotated[float, Ge(0)] = setting(
        0.0,
        "Paste a part of one image into another; alpha of CutMix, such as 1; 0 for none.",
        most=100,
        later=True,
    )
    plain_end: Annotated[float, Ge(0), Le(1)] = setting(
        0.0, "Share of the steps, at the end, without mixup and CutMix.", later=True
    )

    @property
    def augmentation(self) -> Augmentation:
        """What happens to each image alone."""
        return Augmentation(random_crop=self.random_crop, flip=self.flip, colour=self.colour)


@dataclass(frozen=True, kw_only=True)
class PathTrainingSettings(AugmentationSettings, TrainingSettings):
    """How a supernet is trained path by path."""

    lr_schedule: Schedule = setting(
        "linear", "How the learning rate falls.", flag="--schedule", later=True
    )
    lr_warm_up: Annotated[int, Ge(0)] | None = setting(
        None,
        "Steps in which the learning rate rises  [default: 30, at most a tenth of all]",
        metavar="N",
        most=10_000_000,
        later=True,
    )
    autocast: Literal["none", "bf16"] = setting(
        "none", "Layers in half precision, where the processor is faster at it.", later=True
    )


@dataclass(frozen=True, kw_only=True)
class EvaluationSettings:
    """On which images candidates are evaluated with the supernet's weights, and by what.

    None is what `hwnas.search.candidates.evaluation` takes by itself: accuracy, too, which is not
    written, since earlier versions knew nothing else.
    """

    calibration_images: Annotated[int, Ge(2)] | None = setting(
        None,
        "Training images that recalibrate batch-norm for each candidate  [default: 512]",
        metavar="N",
        most=10_000_000,
        later=True,
    )
    validation_images: Annotated[int, Ge(1)] | None = setting(
        None,
        "Validation images that rank candidates, at most  [default: 1000]",
        metavar="N",
        most=10_000_000,
        later=True,
    )
    rank_by: RankBy | None = setting(
        None,
        "Accuracy, or separation: how far the features that the last layer reads tell classes "
        "apart, which says more of a supernet that was trained for minutes  [default: accuracy; "
        "nasbench201 separation]",
        later=True,
    )

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True, kw_only=True)
class EvolutionSettings:
    """How architectures are evolved.

    A ``neighbour_share`` or ``ranked_draws`` of None is 0; `as_begun` puts in what a search begins
    with.
    """

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
    searcher: Literal["evolution", "random", "trees", "nao", "vae"] = setting(
        "evolution",
        "What proposes architectures: evolution, uniform draws, extra trees on the decisions, the "
        "learned map of Balanced NAO, or the VAE of TNAS.",
        later=True,
    )
    largest_of: Annotated[int, Ge(1)] = setting(
        1,
        "Of this many children within the budgets, suggest the one of most MACs.",
        metavar="N",
        most=1000,
        later=True,
    )
    neighbour_share: Annotated[float, Ge(0), Le(1)] | None = setting(
        None,
        "Of --searcher trees, nao and vae: share of what is proposed that differs from the best in "
        f"one decision, drawn by chance  [default: {VAE_NEIGHBOUR_SHARE:g} for vae, "
        f"{MAP_NEIGHBOUR_SHARE:g} for nao, 0 for trees]",
        later=True,
    )
    ranked_draws: Annotated[int, Ge(0)] | None = setting(
        None,
        "Of --searcher nao: uniform draws that its maps rank beside what they propose, since a "
        "budget leaves them little that is new  [default: 1000]",
        most=1_000_000,
        later=True,
    )

    def __post_init__(self) -> None:
        check_fields(self)
        if self.ranked_draws and self.searcher != "nao":
            raise OptionError(
                f"ranked_draws are of --searcher nao, got {self.ranked_draws} for {self.searcher}: "
                "name it, or leave them out"
            )
        if self.neighbour_share and self.searcher in ("evolution", "random"):
            raise OptionError(
                f"neighbour_share is of --searcher trees, nao and vae, got {self.neighbour_share:g}"
                f" for {self.searcher}: name one of these, or leave it out"
            )


def as_begun(settings: S, config: Mapping[str, Any] | None, rank_by: RankBy = "accuracy") -> S:
    """Settings with what a run was begun with, or begins with, where that is no constant.

    Args:
        settings: as they were asked for.
        config: what `hwnas.search.runs.run.begun_with` read; None for a run that begins.
        rank_by: what a run begins to rank by; for searchers see `BEGINS_WITH`.
    """
    if not isinstance(settings, EvaluationSettings | EvolutionSettings):
        return settings
    put_in: dict[str, Any] = {}
    if isinstance(settings, EvaluationSettings):
        ranked = settings.rank_by or (rank_by if config is None else config.get("rank_by"))
        put_in["rank_by"] = None if ranked == "accuracy" else ranked
    if isinstance(settings, EvolutionSettings):
        for name, value in BEGINS_WITH.get(settings.searcher, {}).items():
            begun, asked = value if config is None else config.get(name), getattr(settings, name)
            if asked is None or not (asked or begun):  # 0 and none are one
                put_in[name] = begun
    changed = {name: value for name, value in put_in.items() if value != getattr(settings, name)}
    return replace(settings, **changed) if changed else settings
