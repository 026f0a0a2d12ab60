"""A person's own predictor: any object with ``predict``, checked where it meets hwnas."""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from hwnas.arrays import FloatArray
from hwnas.costs import AdditiveCost, Approximation, nearest_sum
from hwnas.errors import OptionError, quoting
from hwnas.latency_tables import Target
from hwnas.predictors.intervals import check_confidence
from hwnas.predictors.protocol import predictor_name
from hwnas.spaces import SearchSpace

if TYPE_CHECKING:
    import torch

__all__ = ["OwnPredictor"]

#: Architectures on which a claim to be additive is tested.
_CLAIMED = 256


class OwnPredictor:
    """Checks what goes into an object and what comes out of it, and completes it.

    The object has ``predict(archs)``: an int64 array (n, n_decisions) to ms (n,), above 0. It may
    have ``predict_interval(archs, confidence)`` (n, 2) and ``expected(probabilities)``, which are
    offered here only if it has them; ``target``, a `Target` or words; and ``cost``, an
    `AdditiveCost`: the prediction itself where it also has ``additive = True``, else a guide. It
    may be asked in any order and with any number of rows.

    Attributes:
        source: the object.
        name: what messages call it.
        target: what its predictions are of.
        additive: whether `cost` is the prediction itself.

    Args:
        source: the object.
        space: whose architectures it predicts.
        name: for messages; the object's ``name`` or its class by default.

    Raises:
        OptionError: it has no ``predict``, or a target or cost that is none, or says that it is
            additive and is not.
    """

    #: Only where the object has it.
    predict_interval: Callable[..., FloatArray]
    #: Only where the object has it.
    expected: "Callable[[Sequence[torch.Tensor]], torch.Tensor]"

    def __init__(self, source: Any, space: SearchSpace, name: str | None = None):
        self.source = source
        self.space = space
        self.name = name or predictor_name(source)
        if isinstance(source, type):
            raise OptionError(
                f"{self.name} is a class: give an object of it, such as {source.__name__}()"
            )
        if not callable(getattr(source, "predict", None)):
            raise OptionError(
                f"a predictor is an object with predict(archs) -> ms, got {self.name} without it"
            )
        target = getattr(source, "target", None)
        if target is not None and not isinstance(target, Target | str):
            raise OptionError(
                f"the target of {self.name} is a hwnas.latency_tables.Target or words, got "
                f"{target!r}"
            )
        self.target: Target | str = target or f"not said ({self.name})"
        if callable(getattr(source, "predict_interval", None)):
            self.predict_interval = self._interval
        if callable(getattr(source, "expected", None)):
            self.expected = self._expected
        self._given_cost = self._cost_of_source()
        self.additive = bool(getattr(source, "additive", False))
        if self.additive:
            self._check_claim()

    @property
    def notes(self) -> dict[str, str]:
        """What a reader should know: the ``target``."""
        return {"target": str(self.target)}

    def predict(self, archs: npt.ArrayLike) -> FloatArray:
        """Latencies in ms, (n,), of an integer array (n, n_decisions).

        Raises:
            ArchitectureError: they do not belong to the space.
            OptionError: the object raised, or gave what is not n finite ms above 0.
        """
        rows = self.space.check(archs)
        if not len(rows):
            return np.empty(0)
        return self._numbers("predict", self.source.predict, (len(rows),), rows.copy())

    @cached_property
    def approximation(self) -> Approximation:
        """The nearest sum over decisions, and how far it is off."""
        return nearest_sum(self.predict, self.space.n_choices)

    @property
    def cost(self) -> AdditiveCost:
        """The object's own cost in ms, or the nearest sum over decisions."""
        return self.approximation.cost if self._given_cost is None else self._given_cost

    def _interval(self, archs: npt.ArrayLike, confidence: float = 0.95) -> FloatArray:
        """Interval (n, 2) in ms."""
        check_confidence(confidence)
        rows = self.space.check(archs)
        if not len(rows):
            return np.empty((0, 2))
        shape = (len(rows), 2)
        ends = self._numbers(
            "predict_interval", self.source.predict_interval, shape, rows.copy(), confidence
        )
        wrong = np.flatnonzero(ends[:, 0] > ends[:, 1])
        if len(wrong):
            low, high = ends[wrong[0]]
            raise OptionError(
                f"predict_interval of {self.name} gives the lower end first, got {low:g} and "
                f"{high:g} ms for {self.space.format(rows[wrong[0]])}"
            )
        return ends

    def _expected(self, probabilities: "Sequence[torch.Tensor]") -> "torch.Tensor":
        """Mean latency in ms, a scalar."""
        import torch

        with quoting(OptionError, f"expected of {self.name} raised"):
            mean: Any = self.source.expected(probabilities)
        if not isinstance(mean, torch.Tensor) or mean.numel() != 1 or not torch.isfinite(mean):
            raise OptionError(
                f"expected of {self.name} gives one finite ms as a scalar tensor, got {mean!r}"
            )
        return mean

    def _numbers(
        self, method: str, call: Callable[..., Any], shape: tuple[int, ...], *arguments: Any
    ) -> FloatArray:
        """What a method of the object gives, as finite numbers above 0 of a shape."""
        with quoting(OptionError, f"{method} of {self.name} raised"):
            numbers = np.asarray(call(*arguments), np.float64)
        if numbers.shape != shape:
            raise OptionError(
                f"{method} of {self.name} gives ms of shape {shape} for {shape[0]} architectures, "
                f"got shape {numbers.shape}"
            )
        wrong = np.argwhere(~(np.isfinite(numbers) & (numbers > 0)))
        if len(wrong):
            at = tuple(wrong[0])
            raise OptionError(
                f"{method} of {self.name} gives finite ms above 0, got {numbers[at]:g} for "
                f"{self.space.format(arguments[0][at[0]])}"
            )
        return numbers

    def _cost_of_source(self) -> AdditiveCost | None:
        cost = getattr(self.source, "cost", None)
        if cost is None:
            return None
        shape = tuple(len(e) for e in cost.entries) if isinstance(cost, AdditiveCost) else None
        if shape != self.space.n_choices:
            got = type(cost).__name__ if shape is None else f"{len(shape)} decisions of {shape}"
            raise OptionError(
                f"the cost of {self.name} is a hwnas.costs.AdditiveCost with the choices "
                f"{self.space.n_choices} of {self.space.name}, got {got}"
            )
        found: AdditiveCost = cost
        return found

    def _check_claim(self) -> None:
        if self._given_cost is None:
            raise OptionError(
                f"{self.name} says that it is additive, and has no cost: give it an AdditiveCost "
                "as cost, or leave additive away"
            )
        archs = self.space.sample(_CLAIMED, seed=0)
        off = np.abs(self._given_cost(archs) - self.predict(archs))
        if off.any():
            raise OptionError(
                f"{self.name} says that it is additive, but cost and predict differ by up to "
                f"{off.max():.2g} ms: let predict return cost(archs), or leave additive away"
            )
