"""What a latency predictor is, and how what one cannot do is refused by name."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal, Protocol, overload, runtime_checkable

import numpy.typing as npt

from hwnas.arrays import FloatArray
from hwnas.costs import AdditiveCost
from hwnas.errors import OptionError
from hwnas.latency_tables import Target
from hwnas.spaces import SearchSpace

if TYPE_CHECKING:
    import torch

__all__ = [
    "GivesExpectation",
    "GivesIntervals",
    "GivesPercentiles",
    "LatencyPredictor",
    "known_interval",
    "predictor_name",
    "require",
]


@runtime_checkable
class LatencyPredictor(Protocol):
    """Predicts the latency of a space's architectures: what `hwnas.load_predictor` returns.

    Beyond this it may give intervals (`GivesIntervals`) and an expectation for a loss
    (`GivesExpectation`); ``hasattr`` says whether it does, and `require` refuses by name.
    """

    @property
    def space(self) -> SearchSpace:
        """Whose architectures it predicts."""
        ...

    @property
    def notes(self) -> Mapping[str, str]:
        """What a reader should know, the ``target`` among it."""
        ...

    @property
    def target(self) -> Target | str:
        """What predictions are of: a `Target` where this machine can be compared, else words."""
        ...

    @property
    def additive(self) -> bool:
        """Whether ``cost`` equals ``predict``, to the last digit."""
        ...

    @property
    def cost(self) -> AdditiveCost:
        """The prediction in ms as a sum over decisions; the nearest one if it is not additive."""
        ...

    def predict(self, archs: npt.ArrayLike, /) -> FloatArray:
        """Latencies in ms, (n,), of an integer array (n, n_decisions).

        Raises:
            ArchitectureError: they do not belong to the space.
        """
        ...


@runtime_checkable
class GivesIntervals(LatencyPredictor, Protocol):
    """A predictor that says how far it may be off."""

    def predict_interval(self, archs: npt.ArrayLike, confidence: float = 0.95, /) -> FloatArray:
        """Interval (n, 2) in ms that holds the measured latency with this confidence."""
        ...


@runtime_checkable
class GivesExpectation(LatencyPredictor, Protocol):
    """A predictor that can stand in a loss."""

    def expected(self, probabilities: "Sequence[torch.Tensor]", /) -> "torch.Tensor":
        """Mean latency in ms, a differentiable scalar; one tensor (n_choices,) a decision.

        A function of its argument alone, so that a resumed search repeats it.
        """
        ...


@runtime_checkable
class GivesPercentiles(LatencyPredictor, Protocol):
    """A predictor that says how single runs spread."""

    def percentile_factor(self, percentile: float, /) -> float:
        """A percentile (between 0 and 100) of runs by the clock, over the predicted latency."""
        ...


_OFFERS = {
    "percentile_factor": (
        "the spread of single runs",
        "search with a latency table (--table), which has it, or give a latency without @p",
    ),
    "predict_interval": (
        "intervals",
        "give it predict_interval(archs, confidence), or ask for no confidence",
    ),
    "expected": (
        "an expectation of the latency",
        "give it expected(probabilities), such as hwnas.predictors.sampled_expectation, or search "
        "with another method",
    ),
}


def known_interval(
    predictor: LatencyPredictor, archs: npt.ArrayLike, confidence: float = 0.95
) -> FloatArray | None:
    """The interval (n, 2) in ms; None where the predictor gives none of this confidence."""
    interval_ms = getattr(predictor, "predict_interval", None)
    if interval_ms is None:
        return None
    try:
        ends: FloatArray = interval_ms(archs, confidence)
        return ends
    except OptionError:  # too few measured networks
        return None


@overload
def require(
    predictor: LatencyPredictor, what: Literal["predict_interval"], why: str
) -> GivesIntervals: ...
@overload
def require(
    predictor: LatencyPredictor, what: Literal["expected"], why: str
) -> GivesExpectation: ...
@overload
def require(
    predictor: LatencyPredictor, what: Literal["percentile_factor"], why: str
) -> GivesPercentiles: ...
def require(predictor: LatencyPredictor, what: str, why: str) -> LatencyPredictor:
    """The predictor itself, if it offers what is needed.

    Args:
        predictor: any.
        what: the method that is needed.
        why: what needs it, as the subject of "needs": ``a confidence``, ``the method betanas``.

    Raises:
        OptionError: it does not offer that; says who needs what, and what to do.
    """
    if not hasattr(predictor, what):
        offer, remedy = _OFFERS[what]
        raise OptionError(
            f"{why} needs {offer}, which {predictor_name(predictor)} does not give: {remedy}"
        )
    return predictor


def predictor_name(predictor: object) -> str:
    """What messages call a predictor: its ``name``, or its class."""
    if isinstance(predictor, type):
        return predictor.__name__
    name = getattr(predictor, "name", None)
    return name if isinstance(name, str) and name else type(predictor).__name__
