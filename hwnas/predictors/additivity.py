"""Additivity: how far wholes are from sums of parts, and how fine the parts must be.

Least-squares models of growing detail are fitted to whole networks: a price for each operator,
for each choice of each decision, for each pair of neighbouring choices, and so on. Each predicts
networks that it was not fitted on. If a finer model predicts no better, the coarser parts add up.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise

import numpy as np
import numpy.typing as npt

from hwnas.arrays import FloatArray, IntArray
from hwnas.errors import DataError
from hwnas.predictors.report import checked_ms

__all__ = ["AdditivityReport", "GranularityError", "additivity_report"]

#: Differences of errors below this are of no use to anyone.
_NEGLIGIBLE = 0.001
_FOLDS = 10
_LEAST_NETWORKS = 4


@dataclass(frozen=True, slots=True)
class GranularityError:
    """One model of whole networks.

    Attributes:
        name: what has a price of its own.
        parameters: free parameters, of the choices that occur in these networks.
        mean_error: of ``|predicted / measured - 1|`` over held-out networks; None if fewer than
            half of them are determined by the others, since there are too few.
    """

    name: str
    parameters: int
    mean_error: float | None


@dataclass(frozen=True, slots=True)
class AdditivityReport:
    """Errors by granularity, the coarsest first.

    Attributes:
        count: networks.
        noise_floor: mean difference of two measurements of one network, if known.
        granularities: the models.
        enough: the coarsest granularity whose error is no larger than the noise floor, or not
            clearly larger than that of the best; None if no model is determined.
    """

    count: int
    noise_floor: float | None
    granularities: tuple[GranularityError, ...]
    enough: str | None


def additivity_report(
    archs: IntArray,
    measured_ms: FloatArray,
    n_choices: Sequence[int],
    counts: IntArray,
    *,
    table_ms: FloatArray | None = None,
    noise_floor: float | None = None,
    seed: int = 0,
) -> AdditivityReport:
    """Fit and compare the models.

    Args:
        archs: whole networks (n, n_decisions).
        measured_ms: their latencies (n,).
        n_choices: of each decision.
        counts: how often each network holds each operator, (n, operators).
        table_ms: sums of table entries for these networks, up to a factor, if there is a table.
        noise_floor: mean difference of two measurements of one network.
        seed: of the split into 10 parts, each predicted from the others; with 10 networks or fewer
            each is left out alone.

    Raises:
        DataError: fewer than 4 networks, latencies that are not positive, or arrays that do not
            belong together.
    """
    measured = checked_ms("measured", measured_ms)
    if not len(archs) == len(measured) == len(counts):
        raise DataError(
            f"one latency and one row of counts for each network are needed, got {len(measured)} "
            f"and {len(counts)} for {len(archs)}"
        )
    if len(archs) < _LEAST_NETWORKS:
        raise DataError(
            f"additivity is judged on {_LEAST_NETWORKS} whole networks or more, got {len(archs)}"
        )
    every = range(len(n_choices))
    groups: dict[str, list[tuple[int, ...]]] = {
        "decisions": [(d,) for d in every],
        "neighbouring pairs": list(pairwise(every)),
        "all pairs": list(combinations(every, 2)),
    }
    order = np.random.default_rng(seed).permutation(len(archs))
    folds = np.array_split(order, min(_FOLDS, len(archs)))
    models: dict[str, tuple[int, FloatArray]] = {}
    if table_ms is not None:
        sums = checked_ms("table", table_ms)
        models["table x scale"] = _held_out_errors(sums[:, None], measured, folds)
    models["operators"] = _held_out_errors(_with_constant(counts), measured, folds)
    for name, members in groups.items():
        size = _dimension(archs, members)
        if size < len(archs):
            columns = _with_constant(_one_hot(archs, n_choices, members))
            models[name] = _held_out_errors(columns, measured, folds)
        else:  # cannot be determined, and may have ten thousand columns
            models[name] = size, np.full(len(archs), np.nan)
    told = {name: held for name, (_, held) in models.items() if np.isnan(held).mean() <= 0.5}
    means = {name: float(np.nanmean(held)) for name, held in told.items()}
    found = tuple(
        GranularityError(name, size, means.get(name)) for name, (size, _) in models.items()
    )
    return AdditivityReport(len(archs), noise_floor, found, _enough(told, noise_floor))


def _with_constant(columns: npt.ArrayLike) -> FloatArray:
    """The columns and one of ones, for what every network pays."""
    parts = np.asarray(columns, np.float64)
    return np.column_stack([np.ones(len(parts)), parts])


def _dimension(archs: IntArray, groups: Sequence[tuple[int, ...]]) -> int:
    """Free parameters of a model with one price for each combination in each group."""
    used = [len(np.unique(column)) - 1 for column in archs.T]
    pairs = sum(used[group[0]] * used[group[1]] for group in groups if len(group) == 2)
    return 1 + sum(used) + pairs


def _one_hot(
    archs: IntArray, n_choices: Sequence[int], groups: Sequence[tuple[int, ...]]
) -> FloatArray:
    """One column for each combination of choices that occurs in each group of decisions."""
    blocks = [np.empty((len(archs), 0))]
    for group in groups:
        codes = np.zeros(len(archs), np.int64)
        for d in group:
            codes = codes * n_choices[d] + archs[:, d]
        blocks.append((codes[:, None] == np.unique(codes)).astype(np.float64))
    return np.concatenate(blocks, axis=1)


def _held_out_errors(
    columns: FloatArray, measured_ms: FloatArray, folds: Sequence[IntArray]
) -> tuple[int, FloatArray]:
    """Rank of a linear model, and the relative errors of each network predicted from other folds.

    Relative errors are what is minimised: each equation is divided by its latency. A network that
    has a part which the others do not determine gets NaN.
    """
    scaled = columns / measured_ms[:, None]
    errors = np.full(len(columns), np.nan)
    for held in folds:
        kept = np.setdiff1d(np.arange(len(columns)), held)
        left, sizes, right = np.linalg.svd(scaled[kept], full_matrices=False)
        rank = int((sizes > 1e-9 * sizes[0]).sum())
        weights = (left[:, :rank].T @ np.ones(len(kept))) / sizes[:rank]
        inside = scaled[held] @ right[:rank].T
        outside = scaled[held] - inside @ right[:rank]
        lost = np.linalg.norm(outside, axis=1) / np.linalg.norm(scaled[held], axis=1)
        # as many networks as parameters fit anything: the model says nothing then
        known = (lost < 1e-6) & (len(kept) > rank)
        errors[held[known]] = np.abs((inside @ weights)[known] - 1)
    return int(np.linalg.matrix_rank(scaled, rtol=1e-9)), errors


def _enough(errors: dict[str, FloatArray], noise_floor: float | None) -> str | None:
    """The coarsest model that is at the noise, or not clearly worse than the best."""
    if not errors:
        return None
    best = min(errors.values(), key=lambda values: float(np.nanmean(values)))
    for name, values in errors.items():
        if noise_floor is not None and np.nanmean(values) <= noise_floor:
            return name
        worse = values - best
        worse = worse[~np.isnan(worse)]
        spread = 2 * float(worse.std(ddof=1)) / len(worse) ** 0.5 if len(worse) > 1 else 0.0
        if len(worse) and worse.mean() <= max(_NEGLIGIBLE, spread):
            return name
    return None
