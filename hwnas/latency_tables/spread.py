"""How single runs spread around a latency, as the whole networks of a table tell."""

import math
from collections.abc import Iterable
from statistics import NormalDist, median

from hwnas.latency_tables.table import Measurement

__all__ = ["percentile_factor"]


def percentile_factor(networks: Iterable[Measurement], percentile: float) -> float:
    """A percentile of runs over the median run: the middle one of several networks.

    Measurements hold the 10th and 90th percentile; others are taken from the nearer of the two as
    if logarithms of runs were normal on either side of the median.

    Args:
        networks: at least one.
        percentile: between 0 and 100.
    """
    side, known = (90.0, "p90_ms") if percentile >= 50 else (10.0, "p10_ms")
    ratio = median(getattr(one, known) / one.latency_ms for one in networks)
    normal = NormalDist()
    steps = normal.inv_cdf(percentile / 100) / normal.inv_cdf(side / 100)
    return math.exp(steps * math.log(ratio))
