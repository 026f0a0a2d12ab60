"""How single runs spread: percentiles that are known, and those between them."""

import math

import pytest

from hwnas.latency_tables import Measurement, percentile_factor


def measured(median_ms, p10_ms, p90_ms):
    return Measurement(median_ms, 0.01, p10_ms, p90_ms, 100)


NETWORKS = [measured(10, 9, 11), measured(20, 17, 24), measured(1, 0.9, 1.15)]


def test_what_is_known_is_the_middle_network():
    assert percentile_factor(NETWORKS, 90) == pytest.approx(1.15)  # of 1.1, 1.15 and 1.2
    assert percentile_factor(NETWORKS, 10) == pytest.approx(0.9)  # of 0.9, 0.85 and 0.9
    assert percentile_factor(NETWORKS, 50) == 1.0


def test_others_are_as_if_logarithms_were_normal():
    # quantiles of the normal distribution: 1.2816 at 90 %, 2.3263 at 99 %
    expected = math.exp(math.log(1.15) * 2.3263 / 1.2816)
    assert percentile_factor(NETWORKS, 99) == pytest.approx(expected, rel=1e-4)
    factors = [percentile_factor(NETWORKS, at) for at in (1, 5, 10, 40, 50, 60, 90, 99.9)]
    assert factors == sorted(factors)
