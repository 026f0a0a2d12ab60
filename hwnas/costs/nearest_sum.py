"""The sum over decisions that is nearest to any cost."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from hwnas.arrays import FloatArray, IntArray
from hwnas.costs.additive import AdditiveCost

__all__ = ["Approximation", "nearest_sum"]

_SAMPLES = 20_000


@dataclass(frozen=True, slots=True)
class Approximation:
    """A cost as a sum over decisions, and how far the sum is off.

    Attributes:
        cost: the sum; its minimum, counts, samples and expectation are exact for the sum.
        relative_error: root mean square of sum / cost - 1 over architectures it was not fitted to.
    """

    cost: AdditiveCost
    relative_error: float


def nearest_sum(
    costs_of: Callable[[IntArray], FloatArray],
    n_choices: Sequence[int],
    *,
    seed: int = 0,
    samples: int = _SAMPLES,
) -> Approximation:
    """Main effects of a cost over uniform architectures, by least squares on samples.

    For a cost that is a sum this is the cost itself; otherwise the nearest sum in the mean square,
    as in the analysis of variance.

    Args:
        costs_of: architectures (n, n_decisions) to costs (n,), such as a predictor's ``predict``.
        n_choices: of each decision.
        seed: of the samples.
        samples: how many; half of them are fitted to, half tell the error.
    """
    rng = np.random.default_rng(seed)
    archs = rng.integers(0, n_choices, (samples, len(n_choices)))
    costs = costs_of(archs)
    starts = np.cumsum([0, *n_choices[:-1]])
    fitted = slice(0, samples // 2)
    columns = np.zeros((samples, sum(n_choices)), np.float32)
    columns[np.arange(samples)[:, None], archs + starts] = 1
    centre = float(costs[fitted].mean())
    # centred columns and a least-norm solution: effects of a decision add up to about nothing
    shares = columns[fitted].mean(axis=0)
    effects = np.linalg.lstsq(
        (columns[fitted] - shares).astype(float), costs[fitted] - centre, rcond=1e-10
    )[0]
    fixed = centre - float(shares @ effects)
    rows = np.split(effects, starts[1:])
    # entries that are not negative, as those of measured tables
    least = [float(row.min()) for row in rows]
    cost = AdditiveCost.from_floats(
        fixed + sum(least), [row - low for row, low in zip(rows, least, strict=True)]
    )
    rest = np.arange(samples // 2, samples)
    rest = rest[costs[rest] > 0]
    error = cost(archs[rest]) / costs[rest] - 1
    return Approximation(cost, float(np.sqrt(np.mean(error**2))))
