"""The models that `LatencyRegressor` chooses among: one literal list, simplest first."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np

from hwnas.arrays import FloatArray, IntArray
from hwnas.predictors.regression.boosting import fit_boosting
from hwnas.predictors.regression.gaussian import Link, fit_gaussian
from hwnas.predictors.regression.nonnegative import Prices, fit_prices
from hwnas.predictors.regression.ordered import Numbers, fit_ordered
from hwnas.predictors.regression.terms import Alike, Effects, Near, Placed, Term, Trend
from hwnas.predictors.regression.views import Batch

__all__ = [
    "CANDIDATES",
    "FEW",
    "Candidate",
    "Fitted",
    "Model",
    "Problem",
    "fit_candidates",
    "folds",
]

#: Below this many samples errors are too uncertain to choose by: all models are blended.
FEW = 40
_RIDGES = (0.01, 0.03, 0.1)
_FOLDS = 10
_BOOSTING_FOLDS = 3
_ORDERED_FOLDS = 5
#: Length scale, in standard deviations, of effects of quantities that jump (sizes of tiles).
_ROUGH = 0.15
#: From this many samples on, leaving some out does not change variances of terms noticeably.
_VARIANCES_STAY = 300
_ALIKE: tuple[Alike, ...] = ("operator", "place", "entry")

#: A fitted model: a batch to ms (n,).
Model = Callable[[Batch], FloatArray]


@dataclass(frozen=True)
class Candidate:
    """One entry of the list.

    Attributes:
        name: what reports print.
        kind: ``prices`` (non-negative least squares), ``gaussian``, ``ordered`` or ``boosting``.
        parts: keys of `Problem.terms`, or of `Problem.prices`; the candidate is tried where all of
            those that are marked with ``!`` exist, without the others that do not.
        link: what the terms add up to.
        least: samples from which on it is tried; ever larger ones for more flexible models.
    """

    name: str
    kind: Literal["prices", "gaussian", "ordered", "boosting"]
    parts: tuple[str, ...] = ()
    link: Link = "identity"
    least: int = 40


_SIMPLE = ("constant", "quantities", "quantities smooth", "quantities rough")
_QUANTITIES = (*_SIMPLE, "quantities!", "decisions operator")
_DECISIONS = (
    *_SIMPLE,
    "decisions operator!",
    "decisions place",
    "decisions entry",
    "decisions costs",
)
_PAIRS = ("pairs operator", "pairs entry")
_BLOCKS = ("blocks operator", "blocks place", "blocks entry")
_NEAR = (
    "decisions matches",
    "decisions counts",
    "decisions counts and quantities",
    "quantities operator",
    "quantities place",
    "quantities entry",
)
_LIVE = (*_SIMPLE, "live operator!", "live place", "live entry", "live costs")
_LIVE_PAIRS = ("live pairs operator", "live pairs entry")
_LIVE_NEAR = ("live matches", "live counts")

#: Five samples are enough for a model; to see how good it is, one of them is left out.
_FEWEST = 4

CANDIDATES = (
    Candidate("operator prices", "prices", ("decisions operators",), least=_FEWEST),
    Candidate("operator prices + constant", "prices", ("decisions operators +",), least=_FEWEST),
    Candidate("running operator prices", "prices", ("decisions running +",), least=_FEWEST),
    Candidate("cost prices", "prices", ("decisions costs +",), least=_FEWEST),
    Candidate("cost and operator prices", "prices", ("decisions both +",), least=_FEWEST),
    Candidate("live operator prices", "prices", ("live running +",), least=_FEWEST),
    Candidate("live cost prices", "prices", ("live costs +",), least=_FEWEST),
    Candidate("quantities and operators", "gaussian", _QUANTITIES, least=_FEWEST),
    Candidate("operators", "gaussian", ("constant", "decisions operator!"), least=20),
    Candidate("decisions", "gaussian", _DECISIONS, least=20),
    Candidate("live decisions", "gaussian", _LIVE, least=20),
    Candidate("pairs", "gaussian", (*_DECISIONS, "pairs operator!", "pairs entry!")),
    Candidate("blocks", "gaussian", (*_DECISIONS, *_BLOCKS, "blocks entry!")),
    Candidate("live pairs", "gaussian", (*_LIVE, "live pairs operator!", "live pairs entry!")),
    Candidate("interactions", "gaussian", (*_DECISIONS, *_NEAR)),
    Candidate("live interactions", "gaussian", (*_LIVE, *_LIVE_NEAR)),
    Candidate("everything", "gaussian", (*_DECISIONS, *_PAIRS, *_BLOCKS, *_NEAR)),
    Candidate("everything, live", "gaussian", (*_DECISIONS, *_LIVE, *_LIVE_PAIRS, *_LIVE_NEAR)),
    Candidate("log quantities and operators", "gaussian", _QUANTITIES, "log", least=_FEWEST),
    Candidate("log decisions", "gaussian", _DECISIONS, "log"),
    Candidate("log everything", "gaussian", (*_DECISIONS, *_PAIRS, *_BLOCKS, *_NEAR), "log"),
    Candidate("numbers in order", "ordered", least=20),
    Candidate("boosting", "boosting", least=200),
)


@dataclass(frozen=True, eq=False)
class Fitted:
    """A fitted candidate.

    Attributes:
        name: with the ridge, if there is one.
        model: fitted on all samples.
        left_out_ms: for each sample what others predict, (n,).
        again: fits to some samples only, where ``left_out_ms`` comes from a formula whose
            variances and noise saw the sample; ``None`` where models were fitted without it.
    """

    name: str
    model: Model
    left_out_ms: FloatArray
    again: Callable[[IntArray], Model] | None = None


@dataclass(frozen=True, eq=False)
class Problem:
    """Samples in random order, and what the space tells about them.

    Attributes:
        train: n architectures.
        ms: their latencies, (n,).
        costs: of each entry of ``decisions``, (size, n_costs); ``None`` without a space.
        free: which of those entries run nothing, (size,); ``None`` without a space.
        seed: for what draws random numbers.
        numbers: the columns whose values have an order; ``None`` where there are none.
    """

    train: Batch
    ms: FloatArray
    costs: FloatArray | None
    free: FloatArray | None
    seed: int
    numbers: Numbers | None = None

    @cached_property
    def terms(self) -> dict[str, tuple[Term, ...]]:
        """Terms by the names that candidates use."""
        views, q = self.train.views, self.train.numbers.shape[1]
        terms: dict[str, tuple[Term, ...]] = {"constant": (Trend(constant=True),)}
        if q:
            terms["quantities"] = (Trend(constant=False),)
            terms["quantities smooth"] = (Near("quantities"),)
            terms["quantities rough"] = (Near("quantities", reach=_ROUGH),)
        for view in views:
            for alike in _ALIKE:
                if alike != "place" or "pairs" not in view:  # too many entries for their square
                    terms[f"{view} {alike}"] = (Effects(view, alike),)
        for view in ("decisions", "live"):
            if view in views:
                terms[f"{view} matches"] = (Near("matches", view),)
                terms[f"{view} counts"] = (Near("counts", view),)
                if q:
                    terms[f"{view} counts and quantities"] = (Near("both", view, _ROUGH),)
                if self.costs is not None:
                    terms[f"{view} costs"] = (Effects(view, "costs", costs=self.costs),)
        if 0 < q <= 2 and "decisions" in views:
            for alike in _ALIKE:
                terms[f"quantities {alike}"] = tuple(
                    Effects("decisions", alike, times) for times in range(1, 2 * q + 1)
                )
        return terms

    @cached_property
    def prices(self) -> dict[str, tuple[str, FloatArray, bool]]:
        """View, features of its entries, and whether there is a fixed price, by name."""
        views = self.train.views
        if "decisions" not in views or self.train.numbers.shape[1]:
            return {}
        operators = views["decisions"].operators()
        known: dict[str, tuple[str, FloatArray, bool]] = {
            "decisions operators": ("decisions", operators, False),
            "decisions operators +": ("decisions", operators, True),
        }
        if self.costs is not None and self.free is not None:
            running = operators * (1 - self.free[:, None])
            running = running[:, running.any(axis=0)]
            both = np.concatenate([running, self.costs], axis=1)
            for view in ("decisions", "live"):
                if view in views:
                    known[f"{view} running +"] = (view, running, True)
                    known[f"{view} costs +"] = (view, self.costs, True)
                    known[f"{view} both +"] = (view, both, True)
        return known

    def take(self, rows: IntArray) -> "Problem":
        """Some of the samples."""
        return replace(self, train=self.train.take(rows), ms=self.ms[rows])

    def parts(self, candidate: Candidate) -> list[str] | None:
        """The parts that exist, or ``None`` if the candidate has no sense here."""
        n = len(self.ms)
        if n < candidate.least:
            return None
        if candidate.kind == "boosting":
            return []
        if candidate.kind == "ordered":
            return None if self.numbers is None else []
        known = set(self.prices if candidate.kind == "prices" else self.terms)
        named = [part.rstrip("!") for part in candidate.parts]
        needed = [part[:-1] for part in candidate.parts if part.endswith("!")]
        needed += named if candidate.kind == "prices" else []
        if not known.issuperset(needed):
            return None
        return [part for part in dict.fromkeys(named) if part in known]


def fit_candidates(problem: Problem) -> list[Fitted]:
    """Fit all candidates that make sense, in the order of the list."""
    fits: list[Fitted] = []
    tried: set[tuple[str, ...]] = set()
    placed: dict[Term, Placed] = {}
    for candidate in CANDIDATES:
        parts = problem.parts(candidate)
        if parts is None:
            continue
        key = (candidate.kind, candidate.link, *sorted(parts))
        if key in tried:
            continue
        tried.add(key)
        if candidate.kind == "prices":
            fits += [_prices(candidate.name, problem, *parts, ridge=ridge) for ridge in _RIDGES]
        elif candidate.kind == "gaussian":
            fits.append(_gaussian(candidate, problem, parts, placed))
        elif candidate.kind == "ordered":
            fits.append(_ordered(candidate.name, problem))
        else:
            fits.append(_boosting(candidate.name, problem))
    return fits


def folds(n: int, count: int) -> list[tuple[IntArray, IntArray]]:
    """Rows left out and rows kept, ``count`` times; the samples are in random order already."""
    rows = np.arange(n)
    left_out = [rows[start::count] for start in range(min(count, n))]
    return [(out, np.delete(rows, out)) for out in left_out]


def _prices(name: str, problem: Problem, part: str, *, ridge: float) -> Fitted:
    model = Prices(*problem.prices[part], ridge)
    features, ms = model.features(problem.train), problem.ms
    left_out = np.empty(len(ms))
    for rows, others in folds(len(ms), len(ms) if len(ms) < FEW else _FOLDS):
        fit = fit_prices(model, features[others], ms[others])
        left_out[rows] = fit(problem.train.take(rows))
    return Fitted(f"{name}, ridge {ridge:g}", fit_prices(model, features, ms), left_out)


def _gaussian(
    candidate: Candidate, problem: Problem, parts: list[str], placed: dict[Term, Placed]
) -> Fitted:
    terms = [term for part in parts for term in problem.terms[part]]
    ms = problem.ms
    model = fit_gaussian(terms, problem.train, ms, candidate.link, placed)
    theta = model.theta if len(ms) >= _VARIANCES_STAY else None

    def again(rows: IntArray) -> Model:
        return fit_gaussian(terms, problem.train.take(rows), ms[rows], candidate.link, theta=theta)

    return Fitted(candidate.name, model, model.left_out_ms, again)


def _ordered(name: str, problem: Problem) -> Fitted:
    ms, numbers, left_out = problem.ms, problem.numbers, np.empty(len(problem.ms))
    assert numbers is not None
    model = fit_ordered(numbers, problem.train, ms)
    like = model if len(ms) >= _VARIANCES_STAY else None
    # its many lengths fit the samples too well for a formula that has seen them
    for rows, others in folds(len(ms), _ORDERED_FOLDS):
        fit = fit_ordered(numbers, problem.train.take(others), ms[others], like)
        left_out[rows] = fit(problem.train.take(rows))
    return Fitted(name, model, left_out)


def _boosting(name: str, problem: Problem) -> Fitted:
    ms, left_out = problem.ms, np.empty(len(problem.ms))
    for rows, others in folds(len(ms), _BOOSTING_FOLDS):
        model = fit_boosting(problem.train.take(others), ms[others], problem.seed)
        left_out[rows] = model(problem.train.take(rows))
    return Fitted(name, fit_boosting(problem.train, ms, problem.seed), left_out)
