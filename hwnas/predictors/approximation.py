"""The sum over decisions that is nearest to any predictor."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from hwnas.arrays import FloatArray, IntArray
from hwnas.costs import AdditiveCost
from hwnas.spaces import SearchSpace

__all__ = ["Approximation", "nearest_sum"]

_SAMPLES = 20_000


@dataclass(frozen=True, slots=True)
class Approximation:
    """A predictor as a sum over decisions, and how far the sum is off.

    Attributes:
        cost: in ms; its minimum, counts, samples and expectation are exact for the sum.
        relative_error: root mean square of sum / prediction - 1 over architectures it was not
            fitted to.
    """

    cost: AdditiveCost
    relative_error: float


def nearest_sum(
    predict: Callable[[IntArray], FloatArray], space: SearchSpace, *, seed: int = 0
) -> Approximation:
    """Main effects of a predictor over uniform architectures, by least squares on samples.

    For a predictor that is a sum this is the predictor itself; otherwise the nearest sum in the
    mean square, as in the analysis of variance.

    Args:
        predict: architectures (n, n_decisions) to ms (n,).
        space: whose architectures.
        seed: of the samples.
    """
    archs = space.sample(_SAMPLES, seed=seed)
    ms = predict(archs)
    sizes = space.n_choices
    starts = np.cumsum([0, *sizes[:-1]])
    fitted = slice(0, _SAMPLES // 2)
    columns = np.zeros((_SAMPLES, sum(sizes)), np.float32)
    columns[np.arange(_SAMPLES)[:, None], archs + starts] = 1
    centre = float(ms[fitted].mean())
    # centred columns and a least-norm solution: effects of a decision add up to about nothing
    shares = columns[fitted].mean(axis=0)
    effects = np.linalg.lstsq(
        (columns[fitted] - shares).astype(float), ms[fitted] - centre, rcond=1e-10
    )[0]
    fixed = centre - float(shares @ effects)
    rows = np.split(effects, starts[1:])
    # entries that are not negative, as those of measured tables
    least = [float(row.min()) for row in rows]
    cost = AdditiveCost.from_floats(
        fixed + sum(least), [row - low for row, low in zip(rows, least, strict=True)]
    )
    rest = slice(_SAMPLES // 2, None)
    error = cost(archs[rest]) / ms[rest] - 1
    return Approximation(cost, float(np.sqrt(np.mean(error**2))))
