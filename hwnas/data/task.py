"""What a network is to learn from a data set, and the number by which networks are compared."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hwnas.data.nested import length, parts_of
from hwnas.errors import OptionError, quoting

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["ACCURACY", "CLASSIFICATION", "Metric", "Task", "task_of"]


@dataclass(frozen=True)
class Metric:
    """By what networks are compared.

    Searches look for the largest score: the metric, with its sign turned where lower is better (as
    scikit-learn's ``neg_mean_squared_error``). All files of a run hold scores; reports print the
    metric.

    Attributes:
        name: in reports; ``accuracy`` is from 0 to 1 and printed in percent.
        lower_is_better: whether it is an error.
    """

    name: str = "accuracy"
    lower_is_better: bool = False

    @property
    def is_accuracy(self) -> bool:
        """Whether scores are accuracies, 0 to 1."""
        return self == ACCURACY

    @property
    def record(self) -> dict[str, Any] | None:
        """For the result of a run; None for accuracy."""
        told = {"name": self.name, "lower_is_better": self.lower_is_better}
        return None if self.is_accuracy else told

    @property
    def facts(self) -> dict[str, Any]:
        """For a log or a configuration, which says nothing of accuracies."""
        return {} if self.record is None else {"metric": self.record}

    @classmethod
    def of(cls, facts: Any) -> "Metric":
        """The metric of a file's content."""
        told = facts.get("metric")
        return ACCURACY if told is None else cls(told["name"], told["lower_is_better"])

    def value(self, score: Any) -> Any:
        """The metric of a score, or of an array of them."""
        return -score if self.lower_is_better else score

    def text(self, score: float, digits: int = 1) -> str:
        """What is printed of a score: a share in percent with so many digits, else the metric."""
        return f"{score:.{digits}%}" if self.is_accuracy else f"{self.value(score):.4g}"

    def plotted(self, scores: Any) -> Any:
        """What is drawn of scores: percent, else the metric."""
        return 100 * scores if self.is_accuracy else self.value(scores)

    def label(self, part: str, how: str) -> str:
        """Of an axis: ``validation accuracy with shared weights (%)``."""
        return f"{part} {self.name} {how}" + (" (%)" if self.is_accuracy else "")


ACCURACY = Metric()


@dataclass(frozen=True, eq=False)
class Task:
    """A loss and a metric; a data set of classes needs neither.

    ``outputs`` is what the network gives for a batch, ``targets`` what the data set hands out with
    it, its numbers with a fraction as float32.

    Attributes:
        loss: ``loss(outputs, targets)``, a tensor of one number, the mean of the batch, with a
            gradient; None for cross-entropy of classes.
        metric: ``metric(outputs, targets)``, a number, of which the mean of all examples is taken:
            batch by batch, weighted by their sizes. What is no such mean (an F1 score, mean average
            precision) is an object with ``reset()``, ``update(outputs, targets)`` and
            ``compute()``, as those of torchmetrics. None for the accuracy of classes.
        name: of the metric; its own by default.
        lower_is_better: whether the metric is an error.

    Raises:
        OptionError: a loss or metric that cannot be called, or a name that is none.
    """

    loss: Callable[[Any, Any], Any] | None = None
    metric: Any = None
    name: str | None = None
    lower_is_better: bool = False

    def __post_init__(self) -> None:
        for what, given in (("loss", self.loss), ("metric", self.metric)):
            if given is not None and not callable(given) and not _gathers(given):
                raise OptionError(f"a {what} is a function of (outputs, targets), got {given!r}")
        if self.metric is None and (self.lower_is_better or self.name is not None):
            raise OptionError("the name and direction of a metric go together with the metric")
        if self.name is not None and (not isinstance(self.name, str) or not self.name.strip()):
            raise OptionError(f"the name of a metric is a text, got {self.name!r}")

    @property
    def scored(self) -> Metric:
        """The metric as reports know it."""
        if self.metric is None:
            return ACCURACY
        own = getattr(self.metric, "__name__", type(self.metric).__name__)
        return Metric(self.name or own.strip("_<>").replace("_", " "), self.lower_is_better)

    @property
    def facts(self) -> dict[str, Any]:
        """For the configuration of a run, which goes on by the same task only; none of classes."""
        own = {} if self.loss is None else {"loss": _name(self.loss)}
        return own | self.scored.facts

    @property
    def is_own(self) -> bool:
        """Whether there is an own loss or an own metric."""
        return self.loss is not None or self.metric is not None

    @property
    def has_classes(self) -> bool:
        """Whether targets are classes, since loss or metric need them."""
        return self.loss is None or self.metric is None

    def loss_of(self, outputs: Any, targets: Any, label_smoothing: float = 0.0) -> "Tensor":
        """The loss of a batch.

        Args:
            outputs: of the network.
            targets: of the batch.
            label_smoothing: of cross-entropy; an own loss has none.

        Raises:
            OptionError: an own loss raises, or gives no number with a gradient.
        """
        import torch
        from torch.nn.functional import cross_entropy

        if self.loss is None:
            classes = targets if targets.is_floating_point() else targets.long()
            return cross_entropy(outputs, classes, label_smoothing=label_smoothing)
        loss = _called("loss", self.loss, outputs, targets)
        if not isinstance(loss, torch.Tensor) or loss.numel() != 1:
            raise OptionError(
                f"the loss {_name(self.loss)} gives a tensor of one number, got {_described(loss)} "
                f"for {_both(outputs, targets)}: take the mean"
            )
        if torch.is_grad_enabled() and not loss.requires_grad:
            raise OptionError(
                f"the loss {_name(self.loss)} has no gradient: make it of the outputs with torch's "
                "operations, without detach(), item(), argmax() or numpy"
            )
        return loss.reshape(())

    def score_of(self, answers: Iterable[tuple[Any, Any]]) -> float:
        """The score of what a network gives for batches, larger is better.

        Args:
            answers: outputs and targets of each batch.

        Raises:
            OptionError: an own metric raises, or gives no number.
        """
        if self.metric is None:
            right = count = 0
            for outputs, targets in answers:
                right += int((outputs.argmax(1) == targets).sum())
                count += len(targets)
            return right / count
        value = self._gathered(answers) if _gathers(self.metric) else self._mean(answers)
        metric = self.scored
        if metric.is_accuracy and not 0 <= value <= 1:
            raise OptionError(f"an accuracy is from 0 to 1, got {value:g}: scale it, or rename it")
        return float(metric.value(value))

    def _mean(self, answers: Iterable[tuple[Any, Any]]) -> float:
        total, count = 0.0, 0
        for outputs, targets in answers:
            n = length(targets)
            total += n * _number(self.metric, _called("metric", self.metric, outputs, targets))
            count += n
        return total / count

    def _gathered(self, answers: Iterable[tuple[Any, Any]]) -> float:
        self.metric.reset()
        for outputs, targets in answers:
            _called("metric", self.metric.update, outputs, targets)
        with quoting(OptionError, "the metric raises", "; it was told all batches"):
            value = self.metric.compute()
        return _number(self.metric, value)


CLASSIFICATION = Task()


def task_of(data: object) -> Task:
    """What is to be learned from a data set: its ``task``, else to tell classes apart.

    Raises:
        OptionError: its ``task`` is no `Task`.
    """
    task = getattr(data, "task", CLASSIFICATION)
    if not isinstance(task, Task):
        raise OptionError(f"the task of a data set is a hwnas.data.Task, got {task!r}")
    return task


def _gathers(metric: Any) -> bool:
    return all(callable(getattr(metric, name, None)) for name in ("reset", "update", "compute"))


def _called(what: str, function: Callable[[Any, Any], Any], outputs: Any, targets: Any) -> Any:
    """What a person's own function makes of a batch."""
    told = f"was called with {_both(outputs, targets)}"
    with quoting(OptionError, f"the {what} {_name(function)} raises", f"; it {told}"):
        return function(outputs, targets)


def _number(metric: Any, value: Any) -> float:
    try:
        number = float(value)
    except Exception:  # whatever it is
        number = math.nan
    if not math.isfinite(number):
        raise OptionError(f"the metric {_name(metric)} gives a number, got {_described(value)}")
    return number


def _name(function: Any) -> str:
    return str(getattr(function, "__name__", type(function).__name__))


def _both(outputs: Any, targets: Any) -> str:
    return f"outputs {_described(outputs)} and targets {_described(targets)}"


def _described(whole: Any) -> str:
    """Arrays by their shapes, other things by what they are."""
    return " and ".join(_part(part) for part in parts_of(whole))[:200]


def _part(part: Any) -> str:
    if isinstance(part, list):
        return f"a list of {len(part)}"
    if getattr(part, "ndim", 0):
        return f"{part.dtype} {tuple(part.shape)}"
    return repr(part.item() if hasattr(part, "item") else part)
