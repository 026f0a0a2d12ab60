"""Where a network's milliseconds go: part by part, and what other choices would change."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from hwnas.arrays import FloatArray, IntArray
from hwnas.errors import HwnasError, OptionError
from hwnas.predictors.intervals import NORMAL_95
from hwnas.predictors.protocol import LatencyPredictor, known_interval, predictor_name
from hwnas.predictors.shares import Key, Shares, Source, shares_of
from hwnas.spaces import SearchSpace

__all__ = ["Alternative", "Breakdown", "Part", "breakdown"]


@dataclass(frozen=True, slots=True)
class Alternative:
    """Another choice of a decision, and what it alone would change.

    Attributes:
        choice: its token.
        ms_change: of the predicted latency; None where that is not known.
        macs_change, params_change: of the whole network.
    """

    choice: str
    ms_change: float | None
    macs_change: int
    params_change: int


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a network.

    Attributes:
        name: of the decision, or of what is fixed.
        choice: the token that is chosen; empty where nothing is.
        ms: its share of the prediction; None where it has none of its own.
        low_ms, high_ms: 95 % interval of the same, by the table's entries alone; None where they
            say none. How far sums of entries are off is in `Breakdown.interval_ms`.
        macs, params: None where they are not known part by part.
        source: of ``ms``: ``measured`` alone, scaled as whole networks say; ``estimated`` from
            other measurements, all or some of it; or ``modelled`` from whole networks.
        alternatives: all others that give another network, those that save most first.
    """

    name: str
    choice: str = ""
    ms: float | None = None
    low_ms: float | None = None
    high_ms: float | None = None
    macs: int | None = None
    params: int | None = None
    source: Source = ""
    alternatives: tuple[Alternative, ...] = ()


@dataclass(frozen=True, slots=True)
class Breakdown:
    """Where a network's milliseconds, MACs and parameters go.

    Attributes:
        architecture: as its space prints it.
        predicted_ms: None without a predictor, and where no latency is known.
        interval_ms: 95 % interval of the whole; None where the predictor gives none.
        macs, params: of the whole network.
        parts: in the order in which they first run. Their ``ms`` add up to ``predicted_ms``, and so
            do MACs and parameters, where they are not None.
        note: what the parts' milliseconds are, where they are no entries of a table.
    """

    architecture: str
    predicted_ms: float | None
    interval_ms: tuple[float, float] | None
    macs: int
    params: int
    parts: tuple[Part, ...]
    note: str = ""


def breakdown(
    space: SearchSpace, arch: npt.ArrayLike, predictor: LatencyPredictor | None = None
) -> Breakdown:
    """Take a network's latency, MACs and parameters apart.

    Args:
        space: of the architecture.
        arch: one architecture, (n_decisions,).
        predictor: of the same space, see `load_predictor`; without one there are no milliseconds.

    Raises:
        ArchitectureError: the architecture is none of the space, or the predictor does not know it.
        OptionError: the predictor is of another space; or one of the two is none.
    """
    if not isinstance(space, SearchSpace):
        raise OptionError(f"a breakdown is of a space that hwnas.space(NAME) makes, got {space!r}")
    origin = space if predictor is None else getattr(predictor, "space", None)
    if not isinstance(origin, SearchSpace):
        raise OptionError(f"a breakdown reads what load_predictor makes, got {predictor!r}")
    if origin.identifier != space.identifier:
        raise OptionError(
            f"{predictor_name(predictor)} predicts {origin.identifier}, got an "
            f"architecture of {space.identifier}: load the predictor for this space"
        )
    (row,) = space.check(arch)
    ms = math.nan if predictor is None else float(predictor.predict(row[None])[0])
    known = predictor if math.isfinite(ms) else None
    macs, params = int(space.macs(row)[0]), int(space.params(row)[0])
    shares = shares_of(space, row, known)
    others = _alternatives(space, row, known)
    parts = [_part(space, row, key, shares, others) for key in _order(shares, len(row))]
    rest = _rest(parts, shares, None if known is None else ms, macs, params)
    interval = None if known is None else known_interval(known, row[None])
    return Breakdown(
        space.format(row),
        None if known is None else ms,
        None if interval is None else (float(interval[0, 0]), float(interval[0, 1])),
        macs,
        params,
        (*parts, *rest),
        shares.note,
    )


def _order(shares: Shares, decisions: int) -> list[Key]:
    """All parts; decisions without one of their own, as of modules, come first."""
    without = [d for d in range(decisions) if d not in shares.costs]
    return [*without, *shares.costs]


def _part(
    space: SearchSpace,
    row: IntArray,
    key: Key,
    shares: Shares,
    others: Mapping[Key, tuple[Alternative, ...]],
) -> Part:
    name, choice = str(key), ""
    if isinstance(key, int):
        decision = space.decisions[key]
        name, choice = decision.name, decision.choices[row[key]].token
    macs, params = shares.costs.get(key, (None, None))
    part = Part(name, choice, macs=macs, params=params, alternatives=others.get(key, ()))
    time = shares.times.get(key)
    if time is None:
        return part
    part = replace(part, ms=time.ms, source=time.source)
    if time.spread_ms is None:
        return part
    either_ms = NORMAL_95 * time.spread_ms
    return replace(part, low_ms=max(time.ms - either_ms, 0.0), high_ms=time.ms + either_ms)


def _rest(
    parts: Sequence[Part], shares: Shares, ms: float | None, macs: int, params: int
) -> list[Part]:
    """What no part has."""
    left_ms = None if ms is None else ms - sum(part.ms or 0.0 for part in parts)
    left_macs = macs - sum(part.macs or 0 for part in parts)
    known = [part.params for part in parts if part.params is not None]
    left_params = params - sum(known) if known else None
    if left_ms is None and not left_macs and not left_params:
        return []
    source: Source = "" if left_ms is None else "modelled"
    return [Part(shares.rest, "", left_ms, None, None, left_macs, left_params, source)]


def _alternatives(
    space: SearchSpace, row: IntArray, predictor: LatencyPredictor | None
) -> dict[Key, tuple[Alternative, ...]]:
    """By decision, all choices that give another network which has a path to its output."""
    counts = enumerate(space.n_choices)
    pairs = np.array([(d, c) for d, n in counts for c in range(n) if c != row[d]], np.int64)
    pairs = pairs.reshape(-1, 2)
    rows = np.repeat(row[None], len(pairs), axis=0)
    rows[np.arange(len(pairs)), pairs[:, 0]] = pairs[:, 1]
    differ = (space.canonical(rows) != space.canonical(row)).any(axis=1) & space.connected(rows)
    rows, pairs = rows[differ], pairs[differ]
    changes = zip(
        pairs.tolist(),
        _changes_ms(predictor, row, rows),
        space.macs(rows) - space.macs(row),
        space.params(rows) - space.params(row),
        strict=True,
    )
    found: dict[Key, list[Alternative]] = {}
    for (d, choice), ms, macs, params in changes:
        token = space.decisions[d].choices[choice].token
        found.setdefault(d, []).append(
            Alternative(token, None if math.isnan(ms) else float(ms), int(macs), int(params))
        )
    return {key: tuple(sorted(rows, key=_saving)) for key, rows in found.items()}


def _saving(alternative: Alternative) -> tuple[bool, float, int]:
    """By milliseconds, then by MACs; those of which nothing is known come last."""
    ms = alternative.ms_change
    return ms is None, ms or 0.0, alternative.macs_change


def _changes_ms(predictor: LatencyPredictor | None, row: IntArray, rows: IntArray) -> FloatArray:
    """What each of rows (n, n_decisions) takes more than one row; nan where that is not known."""
    if predictor is None or not len(rows):
        return np.full(len(rows), math.nan)
    own = predictor.predict(row[None])
    try:
        return predictor.predict(rows) - own
    except HwnasError:  # of some nothing is known
        return np.array([_change_ms(predictor, other) - own[0] for other in rows])


def _change_ms(predictor: LatencyPredictor, row: IntArray) -> float:
    try:
        return float(predictor.predict(row[None])[0])
    except HwnasError:
        return math.nan
