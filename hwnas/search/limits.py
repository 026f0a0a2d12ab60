"""What a search may not be asked for, since it would say nothing or never end."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from math import prod
from typing import Any

from hwnas.costs import Budget, workload_costs
from hwnas.data import (
    Dataset,
    TrainableValidation,
    augmented,
    shapes_of,
    task_of,
)
from hwnas.devices import check_exportable
from hwnas.errors import BudgetError, OptionError
from hwnas.memory import check_memory
from hwnas.progress import say
from hwnas.search.shared_settings import AugmentationSettings
from hwnas.spaces import SearchSpace
from hwnas.spaces.layout import unfollowed
from hwnas.supernet.kinds import Sharing

__all__ = [
    "check_alpha_images",
    "check_augmentation",
    "check_batch",
    "check_budgets_are_numbers",
    "check_classes",
    "check_evaluation",
    "check_fits",
    "check_gates",
    "check_task_settings",
]

_FLOAT = 4  # bytes
#: Of each weight in training: itself, its gradient, and two moments of the optimizer.
_OF_A_WEIGHT = 4
#: The default batch. Up to here, a batch may draw some images twice.
_USUAL_BATCH = 128


def check_batch(settings: Any, data: Dataset) -> None:
    """Refuse a batch that must hold most images several times over.

    Args:
        settings: whose ``batch_size`` and ``alpha_batch`` are looked at, where they have them.
        data: whose training and validation images are counted.

    Raises:
        OptionError: there are fewer images.
    """
    for name, of, count in (
        ("batch_size", "training", data.train_count),
        ("alpha_batch", "validation", getattr(data, "validation_count", None)),
    ):
        size = getattr(settings, name, 0)
        if count is not None and size > max(count, _USUAL_BATCH):
            raise OptionError(
                f"{name} is at most {max(count, _USUAL_BATCH)}, since {data.name} has {count} "
                f"{of} images, got {size}"
            )


def check_augmentation(settings: Any, data: Dataset) -> None:
    """Refuse to change training images that cannot be changed, before anything trains.

    Args:
        settings: whose ``augmentation`` is looked at, where they have one.
        data: whose images are to be changed.

    Raises:
        OptionError: see `hwnas.data.augmented`.
    """
    if isinstance(settings, AugmentationSettings):
        augmented(data, settings.augmentation)


def check_evaluation(settings: Any, data: Dataset) -> None:
    """Refuse to evaluate candidates on more images than this machine's memory holds.

    Args:
        settings: whose ``calibration_images`` and ``validation_images`` are looked at, where given.
        data: has so many at most.

    Raises:
        OptionError: they do not fit.
    """
    counts = [
        min(getattr(settings, name, None) or 0, most)
        for name, most in (
            ("calibration_images", data.train_count),
            ("validation_images", getattr(data, "validation_count", data.train_count)),
        )
    ]
    check_memory(
        _FLOAT * sum(counts) * sum(map(prod, shapes_of(data.input_shape))),
        f"{' and '.join(map(str, counts))} images to evaluate candidates on",
        "give fewer calibration_images or validation_images, or a smaller proxy_input_size",
    )


def check_classes(
    space: SearchSpace,
    data: Dataset,
    asked: int | None,
    known: tuple[str, Mapping[str, Any]] | None,
) -> None:
    """Refuse a deployed network that cannot be trained on all classes of the data.

    Where it is the table that has fewer, the data's number was taken, which is said.

    Args:
        space: the deployed one.
        data: whose classes are counted.
        asked: the number of classes that a person gave.
        known: name and arguments of the space that latencies were measured on.

    Raises:
        OptionError: there are fewer outputs than classes.
    """
    if data.classes is None or not task_of(data).has_classes:
        if space.modules is None and data.classes is None:
            raise OptionError(
                f"a network of {space.name} gives as many numbers as there are classes: give "
                f"{data.name} classes=, the numbers that its loss reads"
            )
        return
    if space.classes < data.classes:
        what = "classes are" if asked else f"the classes of the space {space.name} are"
        raise OptionError(
            f"{what} at least the {data.classes} of {data.name}, so that the deployed network can "
            f"be trained on them, got {space.classes}"
        )
    of_table = known[1].get("classes") if known and known[0] == space.name else None
    if of_table is not None and of_table < space.classes and not asked:
        say(
            f"the table has {of_table} classes and {data.name} {data.classes}: the deployed "
            f"network has {space.classes}"
        )


def check_task_settings(settings: Any, data: Dataset) -> None:
    """Refuse settings that say nothing where the data have an own loss or metric.

    Args:
        settings: whose ``label_smoothing``, ``mixup``, ``cutmix`` and ``rank_by`` are looked at,
            where they have them.
        data: whose task is looked at.

    Raises:
        OptionError: there are such.
    """
    task = task_of(data)
    default = {f.name: f.default for f in fields(settings)}.get("label_smoothing")
    if task.loss is not None and getattr(settings, "label_smoothing", None) != default:
        raise OptionError(
            f"label_smoothing is of cross-entropy, and {data.name} has a loss of its own: leave it "
            "out"
        )
    for name in ("mixup", "cutmix"):
        if task.loss is not None and getattr(settings, name, None):
            raise OptionError(
                f"{name} mixes classes, and {data.name} has a loss of its own: leave it out"
            )
    if task.is_own and getattr(settings, "rank_by", None) == "separation":
        raise OptionError(
            f"separation is how far classes are apart, and {data.name} has a loss or metric of its "
            "own: leave rank_by out"
        )


def check_fits(space: SearchSpace, proxy: SearchSpace, settings: Any) -> None:
    """Refuse networks that cannot be exported, or cannot be trained in this machine's memory.

    What is counted is less than what training takes: weights with gradients and moments, and one
    copy of what the layers of the largest network give for a batch.

    Args:
        space: the deployed one.
        proxy: what is trained.
        settings: their ``batch_size`` and ``sharing``, where they have them.

    Raises:
        OptionError: they do not fit.
    """
    check_exportable(space)
    weights, activations = _largest(proxy, getattr(settings, "sharing", "slices"))
    batch = getattr(settings, "batch_size", 1)
    check_memory(
        _FLOAT * (_OF_A_WEIGHT * weights + batch * activations),
        f"training {proxy.name} at {proxy.input_shape[-1]} pixels with {batch} images a step",
        "give a smaller proxy_width, proxy_input_size or batch_size",
    )


def check_gates(space: SearchSpace, method: str) -> None:
    """Refuse a space in which choices are not one for one the candidates of slots.

    Args:
        space: that is trained.
        method: that puts a gate on each candidate.

    Raises:
        OptionError: choices say which slots are used as well, no slot follows a decision, or
            networks are modules of their own.
    """
    if space.modules is not None:
        raise OptionError(
            f"the method {method} needs an operator for each choice, and networks of {space.name} "
            "are whole modules: search it by single paths, --method spos"
        )
    if any(slot.picks is not None for slot in space.layout.slots):
        raise OptionError(
            f"the method {method} needs an operator for each choice, and choices of {space.name} "
            "say what is read as well: search it by single paths, --method spos"
        )
    if idle := unfollowed(space.layout):
        raise OptionError(
            f"the method {method} needs slots that follow each decision, {space.name} has none for "
            f"{idle[0]}: search it by single paths, --method spos"
        )


def check_alpha_images(data: Dataset, method: str) -> None:
    """Refuse data of which a method cannot draw batches to train architecture parameters on.

    Raises:
        OptionError: the data draw no batches of validation images.
    """
    if not isinstance(data, TrainableValidation):
        raise OptionError(
            f"the method {method} trains alpha on validation images, which {data.name} does "
            "not draw: give it validation_count and validation_batch(step, size, seed)"
        )


def check_budgets_are_numbers(budgets: Sequence[Budget]) -> None:
    """Raise `BudgetError` for limits that are no finite numbers."""
    for budget in budgets:
        if not abs(budget.limit) < float("inf"):
            raise BudgetError(f"a budget is a finite number, got {budget.quantity}<={budget.limit}")


def _largest(space: SearchSpace, sharing: Sharing) -> tuple[float, float]:
    """Parameters of the weights that are shared, and numbers that the layers give for an image.

    Both are of the largest network, where its candidates share slices; where they are separate,
    the weights of all candidates count.
    """
    if not space.additive:
        archs = space.sample(20, seed=0)
        params, moved = float(space.params(archs).max()), float(space.bytes(archs).max())
        return params, max(0.0, moved / _FLOAT - params) / 2
    params = space.cost("params").maximum()[1]
    moved = space.cost("bytes").maximum()[1]
    weights = params
    if sharing == "separate":
        candidates = (w for slot in space.layout.slots for w in slot.workloads)
        weights = float(sum(workload_costs(w)["params"] for w in candidates))
    return weights, max(0.0, moved / _FLOAT - params) / 2
