"""What runs say: medians, percentiles by the clock, and intervals that know of loads."""

import math

import numpy as np
import pytest

from hwnas.devices.any_model import Comparison, Latency
from hwnas.devices.any_model.latency import compare, latency_of, relative_error
from hwnas.profilers.protocol import Round, Samples, median_error


def test_percentiles_are_of_the_clock_and_steady_is_of_the_quotients():
    samples = Samples()
    for at in range(100):
        slow = 2.0 if at >= 80 else 1.0  # a slow spell of a fifth of the time
        samples.add(Round({"a": 3.0 * slow}, (1.5 * slow, 1.5 * slow)))
    found = latency_of(["a"], samples)
    assert (found.steady_ms, found.median_ms, found.runs) == (3.0, 3.0, 100)
    assert (found.p90_ms, found.p99_ms) == (6.0, 6.0)
    assert found.steady_error == 0.0  # every run takes twice its reference


def test_runs_of_all_loads_are_one_model():
    samples = Samples()
    for ms in (1.0, 2.0, 3.0):
        samples.add(Round({"a": ms, "b": ms + 3}, (1.0,)))
    assert latency_of(["a", "b"], samples).median_ms == 3.5
    assert latency_of(["a", "b"], samples).runs == 6


def test_loads_that_differ_widen_the_interval():
    same = [[1.0, 1.01, 0.99] * 10 for _ in range(4)]
    assert relative_error(same) == median_error([run for runs in same for run in runs])
    medians = [1.0, 1.1, 1.2, 1.3]
    apart = [[m] * 40 for m in medians]
    # Student's t of three degrees of freedom at 97.5 %: 3.1824
    half = 3.1824 * np.std(medians, ddof=1) / math.sqrt(4) / 1.15
    assert relative_error(apart) == pytest.approx(half, rel=1e-4)
    assert relative_error(apart[:1]) == 0.0


def test_intervals_cover_what_loads_vary_around():
    """Loads vary by 2 %, runs by 3 %: order statistics alone would cover far less than 95 %."""
    rng = np.random.default_rng(0)
    covered = alone = 0
    for _ in range(200):
        loads = [np.exp(rng.normal(0, 0.02) + rng.normal(0, 0.03, 30)).tolist() for _ in range(4)]
        pooled = [run for runs in loads for run in runs]
        off = abs(np.median(pooled) - 1)
        covered += off <= relative_error(loads) * np.median(pooled)
        alone += off <= median_error(pooled) * np.median(pooled)
    assert covered >= 184  # 190 of 200, less two and a half standard deviations of a count
    assert alone < 160


def latency(steady_ms, error):
    return Latency(steady_ms, error, steady_ms, error, steady_ms, steady_ms, 100)


def test_two_models_are_compared_by_their_quotient():
    found = compare("a", "b", {"a": latency(10.0, 0.03), "b": latency(9.2, 0.04)})
    assert found.change == pytest.approx(-0.08)
    assert found.error == pytest.approx(0.92 * 0.05)  # 3, 4, 5
    assert found.differs
    assert not Comparison("a", "b", -0.08, 0.09).differs
