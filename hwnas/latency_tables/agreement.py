"""Whether a table still holds, from a few of its entries measured again.

The model: log(now / table) of an entry is normal around a common shift with a spread of its own,
both unknown (flat prior on the shift and the logarithm of the spread). An entry that was not
measured again then differs by a Student's t variable with ``n - 1`` degrees of freedom around the
mean ratio, wider by sqrt(1 + 1/n). The probability that the table holds is the mass of that
distribution within the tolerance. A machine's own drift counts as much as a change of its software:
the number answers "may I still use these milliseconds", not "why not".
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hwnas.errors import OptionError
from hwnas.latency_tables.table import LatencyTable

__all__ = ["Agreement", "agreement", "drift_tolerance"]

_LEAST_TOLERANCE, _MOST_TOLERANCE = 0.05, 0.10
_HOLDS, _DOUBTFUL = 0.9, 0.5


@dataclass(frozen=True, slots=True)
class Agreement:
    """How entries measured again compare with the table.

    Attributes:
        count: entries measured again.
        shift: common factor of now over the table, less 1.
        spread: standard deviation of the logarithms around it.
        tolerance: relative; what still counts as the same.
        probability: that an entry not measured again is within the tolerance.
        shape_probability: the same where the common factor is taken out, as a search that only
            compares networks with each other needs.
    """

    count: int
    shift: float
    spread: float
    tolerance: float
    probability: float
    shape_probability: float

    @property
    def verdict(self) -> str:
        """``holds``, ``doubtful`` or ``changed``."""
        if self.probability >= _HOLDS:
            return "holds"
        return "doubtful" if self.probability >= _DOUBTFUL else "changed"


def agreement(
    table_ms: npt.ArrayLike, now_ms: npt.ArrayLike, tolerance: float = _LEAST_TOLERANCE
) -> Agreement:
    """Compare entries with what they take now.

    Args:
        table_ms, now_ms: (n,) latencies of the same entries.
        tolerance: relative; what still counts as the same.

    Raises:
        OptionError: fewer than three entries, or a tolerance that is not between 0 and 1.
    """
    from scipy.stats import t

    ratios = np.log(np.asarray(now_ms, np.float64) / np.asarray(table_ms, np.float64))
    n = len(ratios)
    if n < 3:
        raise OptionError(f"at least three entries say whether a table holds, got {n}")
    if not 0 < tolerance < 1:
        raise OptionError(f"a tolerance is between 0 and 1, such as 0.05, got {tolerance}")
    shift, spread = float(ratios.mean()), float(ratios.std(ddof=1))
    width = max(spread * math.sqrt(1 + 1 / n), 1e-12)
    low, high = math.log(1 - tolerance), math.log(1 + tolerance)

    def within(centre: float) -> float:
        return float(t.cdf((high - centre) / width, n - 1) - t.cdf((low - centre) / width, n - 1))

    return Agreement(n, math.expm1(shift), spread, tolerance, within(shift), within(0.0))


def drift_tolerance(table: LatencyTable) -> float:
    """What counts as the same: twice the scatter between the machine's profiles, 5 to 10 %."""
    sessions: Sequence[float] = table.reference_sessions_ms
    scatter = float(np.std(np.log(sessions), ddof=1)) if len(sessions) >= 3 else 0.0
    return min(max(_LEAST_TOLERANCE, 2 * scatter), _MOST_TOLERANCE)
