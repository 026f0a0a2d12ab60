"""Sums of parts corrected by few wholes: one scale, and a factor for each kind of part.

Whole networks are not the sum of what their parts take alone: layouts, caches and fusions differ,
and not for all parts alike. With ``P[i, g]`` the milliseconds of the parts of group ``g`` in
network ``i``, the whole is ``scale * sum_g (1 + delta_g) * P[i, g]``. Groups may overlap (a block
has a kernel size, an expansion, a resolution). The deltas have a normal prior around 0, the
relative errors a normal distribution, and both widths are those that make the measured wholes
likeliest (evidence: MacKay 1992; Rasmussen 2006, section 5.4). No width at all, one scale for all
parts, is kept unless a width is likelier by far.
"""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from hwnas.arrays import FloatArray
from hwnas.ops import Workload

__all__ = ["Calibration", "calibrate", "workload_groups"]

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
    whole = np.asarray(wholes, np.float64)
    base = np.asarray(sums, np.float64) / whole
    names = sorted({name for row in parts for name in row}, key=repr)
    table = np.array([[row.get(name, 0.0) for name in names] for row in parts])
    table = table.reshape(len(whole), len(names)) / whole[:, None]
    strength = _strength(base, table)
    solution, left_out = _ridge(base, table, strength)
    scale = float(solution[0])
    deltas = (float(value) / scale for value in solution[1:])
    return Calibration(
        scale,
        {} if np.isinf(strength) else dict(zip(names, deltas, strict=True)),
        float(np.sqrt(np.mean(np.log(np.maximum(1 - left_out, 1e-3)) ** 2))),
        len(whole),
    )


def _strength(base: FloatArray, table: FloatArray) -> float:
    """Variance of the errors over that of the deltas, at the greatest evidence; inf: no deltas."""
    shared = table @ table.T
    best, strength = -np.inf, np.inf
    for width in (0.0, *_WIDTHS):
        for noise in _NOISES:
            evidence = _evidence(base, width**2 * shared + noise**2 * np.eye(len(base)))
            evidence += 0.0 if width else _MARGIN
            if evidence > best:
                best, strength = evidence, (noise / width) ** 2 if width else np.inf
    return strength


def _evidence(base: FloatArray, covariance: FloatArray) -> float:
    """Log density of the wholes, the scale integrated out (Rasmussen 2006, equation 2.45)."""
    root = np.linalg.cholesky(covariance)
    ones, slope = np.linalg.solve(root, np.column_stack([np.ones(len(base)), base])).T
    rest = ones - slope * (slope @ ones) / (slope @ slope)
    result = -0.5 * (rest @ rest) - np.log(np.diag(root)).sum() - 0.5 * np.log(slope @ slope)
    return float(result)


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
