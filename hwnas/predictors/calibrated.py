"""Sums of parts corrected by few wholes: one scale, and a factor for each kind of part.

Whole networks are not the sum of what their parts take alone: layouts, caches and fusions differ,
and not for all parts alike. With ``P[i, g]`` the milliseconds of the parts of group ``g`` in
network ``i``, the whole is ``scale * sum_g (1 + delta_g) * P[i, g]``. Groups may overlap (a block
has a kernel size, an expansion, a resolution). The deltas have a normal prior around 0, the
relative errors a normal distribution, and both widths are those that make the measured wholes
likeliest (evidence: MacKay 1992; Rasmussen 2006, section 5.4). No width at all, one scale for all
parts, is kept unless a width is likelier by far.
"""

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from hwnas.arrays import FloatArray
from hwnas.ops import Workload

__all__ = [
    "Calibration",
    "calibrate",
    "calibrate_by_median",
    "calibrate_without_each",
    "workload_groups",
]

#: Standard deviations of the deltas, and of a whole network's relative error, that are tried.
_WIDTHS = (0.01, 0.02, 0.04, 0.08, 0.15)
_NOISES = tuple(float(v) for v in np.geomspace(0.001, 0.2, 30))
#: How much likelier (log) deltas must make the wholes to be used.
_MARGIN = 2.0
#: A part keeps at least this share of its time, whatever few networks say.
_LEAST_FACTOR = 0.1


@dataclass(frozen=True, slots=True)
class Calibration:
    """How milliseconds alone become milliseconds within a network.

    Attributes:
        scale: of all parts.
        deltas: group -> what is added to 1; empty where one scale says it all.
        residual: root mean square of log(predicted / measured), each network left out in turn.
        count: networks it was fitted to.
    """

    scale: float
    deltas: Mapping[Hashable, float]
    residual: float
    count: int

    def factor(self, groups: Iterable[Hashable]) -> float:
        """What a part that belongs to these groups is multiplied by."""
        total = 1 + sum(self.deltas.get(group, 0.0) for group in groups)
        return self.scale * max(total, _LEAST_FACTOR)


def calibrate(
    parts: Sequence[Mapping[Hashable, float]], sums: npt.ArrayLike, wholes: npt.ArrayLike
) -> Calibration:
    """Fit scale and deltas.

    Args:
        parts: for each network its milliseconds by group; a part counts in all its groups.
        sums: (n,) ms, each part counted once.
        wholes: (n,) ms, measured, n at least 2.
    """
    names, table, _ = _table(parts)
    return _fit(names, table, np.asarray(sums, np.float64), np.asarray(wholes, np.float64))


def calibrate_by_median(sums: npt.ArrayLike, wholes: npt.ArrayLike) -> Calibration:
    """One scale, that of the median network, so that a few networks far off do not move it.

    Args:
        sums, wholes: as `calibrate`, n at least 2.
    """
    ratios = np.log(np.asarray(wholes, np.float64) / np.asarray(sums, np.float64))
    left_out = [np.median(np.delete(ratios, at)) - ratio for at, ratio in enumerate(ratios)]
    residual = float(np.sqrt(np.mean(np.square(left_out))))
    return Calibration(float(np.exp(np.median(ratios))), {}, residual, len(ratios))


def calibrate_without_each(
    parts: Sequence[Mapping[Hashable, float]], sums: npt.ArrayLike, wholes: npt.ArrayLike
) -> Iterator[Calibration]:
    """As `calibrate`, of all networks but the first, of all but the second, and so on."""
    names, table, there = _table(parts)
    base, whole = np.asarray(sums, np.float64), np.asarray(wholes, np.float64)
    for left in range(len(whole)):
        kept = np.delete(np.arange(len(whole)), left)
        columns = np.flatnonzero(there[kept].any(axis=0))
        known = [names[at] for at in columns]
        yield _fit(known, table[np.ix_(kept, columns)], base[kept], whole[kept])


def _table(parts: Sequence[Mapping[Hashable, float]]) -> tuple[list[Hashable], FloatArray, Any]:
    """Names of all groups in order, ms (n, n_groups), and which of them each network has."""
    names = sorted({name for row in parts for name in row}, key=repr)
    table = np.array([[row.get(name, 0.0) for name in names] for row in parts])
    there = np.array([[name in row for name in names] for row in parts], bool)
    shape = (len(parts), len(names))
    return names, table.reshape(shape), there.reshape(shape)


def _fit(
    names: Sequence[Hashable], table: FloatArray, sums: FloatArray, whole: FloatArray
) -> Calibration:
    """Fit to networks of which ``table`` (n, n_groups) says the ms by group."""
    base, shares = sums / whole, table / whole[:, None]
    strength = _strength(base, shares)
    solution, left_out = _ridge(base, shares, strength)
    scale = float(solution[0])
    deltas = (float(value) / scale for value in solution[1:])
    return Calibration(
        scale,
        {} if np.isinf(strength) else dict(zip(names, deltas, strict=True)),
        float(np.sqrt(np.mean(np.log(np.maximum(1 - left_out, 1e-3)) ** 2))),
        len(whole),
    )


def _strength(base: FloatArray, table: FloatArray) -> float:
    """Variance of the errors over that of the deltas, at the greatest evidence; inf: no deltas.

    The evidence is the log density of the wholes with the scale integrated out (Rasmussen 2006,
    equation 2.45). Their covariance is ``width^2 table table' + noise^2``, whose eigenvectors are
    the left singular vectors of the table for all widths and noises: one decomposition, linear in
    the number of networks, serves all.
    """
    n = len(base)
    left, sizes, _ = np.linalg.svd(table, full_matrices=False)
    grid = [(width, noise) for width in (0.0, *_WIDTHS) for noise in _NOISES]
    width, noise = np.array(grid).T
    inside = np.outer(width**2, sizes**2) + noise[:, None] ** 2  # variances along ``left``
    ones, slope = left.sum(axis=0), left.T @ base
    other_ones, other_slope = 1 - left @ ones, base - left @ slope  # what lies outside of it
    square = (slope**2 / inside).sum(axis=1) + (other_slope @ other_slope) / noise**2
    share = (slope * ones / inside).sum(axis=1) + (other_slope @ other_ones) / noise**2
    share /= square
    rest = ((ones - share[:, None] * slope) ** 2 / inside).sum(axis=1)
    rest += ((other_ones - share[:, None] * other_slope) ** 2).sum(axis=1) / noise**2
    determinant = np.log(inside).sum(axis=1) + 2 * (n - len(sizes)) * np.log(noise)
    evidence = -0.5 * (rest + determinant + np.log(square))
    evidence += np.where(width > 0, 0.0, _MARGIN)
    evidence[~(evidence > -np.inf)] = -np.inf
    best = int(evidence.argmax())
    return float((noise[best] / width[best]) ** 2) if width[best] > 0 else np.inf


def _ridge(base: FloatArray, table: FloatArray, strength: float) -> tuple[FloatArray, FloatArray]:
    """Solution (1 + n_groups,), and the relative error (n,) at each row without that row.

    The scale is not penalised. The rows' errors follow from the hat matrix: e / (1 - h).
    """
    columns = base[:, None] if np.isinf(strength) else np.column_stack([base, table])
    penalty = np.full(columns.shape[1], 0.0 if np.isinf(strength) else strength)
    penalty[0] = 0.0
    inverse = np.linalg.pinv(columns.T @ columns + np.diag(penalty))
    solution = inverse @ columns.sum(axis=0)
    leverage = np.einsum("ij,jk,ik->i", columns, inverse, columns)
    left_out: FloatArray = (1 - columns @ solution) / np.maximum(1 - leverage, 1e-6)
    return solution, left_out


def workload_groups(workload: Workload) -> tuple[Hashable, ...]:
    """What a workload shares with others: family, fields of its operator, resolution, stride."""
    family = type(workload.op).__name__
    values = [f"{f.name}={getattr(workload.op, f.name)}" for f in fields(workload.op)]  # type: ignore[arg-type]
    shape = (f"size={workload.height}", f"stride={workload.stride}")
    return (family, *(f"{family} {value}" for value in (*values, *shape)))
