"""Sums of parts corrected by few wholes: one scale, and a factor for each kind of part.

Whole networks are not the sum of what their parts take alone: layouts, caches and fusions differ,
and not for all parts alike. With ``P[i, g]`` the milliseconds of the parts of group ``g`` in
network ``i``, the whole is ``scale * sum_g (1 + delta_g) * P[i, g]``. Groups may overlap (a block
has a kernel size, an expansion, a resolution). The deltas have a normal prior around 0 (ridge
regression on relative errors), and how strong it is, is chosen by the error at each network when it
is left out, in closed form. One scale alone is what infinite strength means, and is kept unless
the groups are surely better.
"""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from hwnas.costs.additive import FloatArray
from hwnas.ops import Workload

__all__ = ["Calibration", "calibrate", "workload_groups"]

#: Variance of the noise over that of the deltas, from almost free to one scale for all.
_STRENGTHS = (*np.logspace(-2.5, 1.5, 17), np.inf)
#: A part keeps at least this share of its time, whatever few networks say.
_LEAST_FACTOR = 0.1
#: Groups are used where the mean gain in squared error is so many times its standard error.
_SURE = 1.7


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
    fits = {strength: _ridge(base, table, strength) for strength in _STRENGTHS}
    squares = {strength: left_out**2 for strength, (_, left_out) in fits.items()}
    single = squares[np.inf]
    best = min(squares, key=lambda strength: float(squares[strength].mean()))
    gain = single - squares[best]
    if gain.mean() <= _SURE * gain.std(ddof=1) / len(gain) ** 0.5:
        best = np.inf
    solution, left_out = fits[best]
    scale = float(solution[0])
    deltas = (float(value) / scale for value in solution[1:])
    return Calibration(
        scale,
        {} if np.isinf(best) else dict(zip(names, deltas, strict=True)),
        float(np.sqrt(np.mean(np.log(np.maximum(1 - left_out, 1e-3)) ** 2))),
        len(whole),
    )


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
