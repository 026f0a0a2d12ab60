import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import t

from hwnas.errors import OptionError
from hwnas.latency_tables import agreement, drift_tolerance


def test_the_probability_is_that_of_students_t():
    ratios = np.array([1.01, 0.99, 1.02, 1.00])
    found = agreement(np.ones(4), ratios, 0.05)
    logs = np.log(ratios)
    width = logs.std(ddof=1) * math.sqrt(5 / 4)
    low, high = ((math.log(edge) - logs.mean()) / width for edge in (0.95, 1.05))
    assert found.probability == pytest.approx(t.cdf(high, 3) - t.cdf(low, 3))
    assert found.shift == pytest.approx(float(np.exp(logs.mean())) - 1)
    assert found.verdict == "holds"


def test_the_probability_is_the_share_of_entries_that_still_hold():
    """Over devices drawn from the prior, entries never measured are within it as often as said."""
    rng = np.random.default_rng(0)
    said, held = [], []
    for _ in range(4000):
        shift, spread = rng.normal(0, 0.04), math.exp(rng.uniform(math.log(0.005), math.log(0.05)))
        ratios = np.exp(rng.normal(shift, spread, 9))
        said.append(agreement(np.ones(8), ratios[:8], 0.05).probability)
        held.append(0.95 <= ratios[8] <= 1.05)
    said, held = np.array(said), np.array(held)
    for low, high in ((0.0, 0.2), (0.2, 0.5), (0.5, 0.8), (0.8, 1.0)):
        bin_ = (said >= low) & (said <= high)
        assert held[bin_].mean() == pytest.approx(said[bin_].mean(), abs=0.06)


@pytest.mark.parametrize(
    ("ratios", "verdict", "shape"),
    [
        ([1.0, 1.01, 0.99, 1.0], "holds", True),
        ([1.2, 1.21, 1.19, 1.2], "changed", True),  # all slower alike: the shape is still true
        ([0.8, 1.2, 0.9, 1.15], "changed", False),
        ([1.03, 1.06, 1.04, 1.05], "doubtful", True),
    ],
)
def test_verdicts(ratios, verdict, shape):
    found = agreement([2.0] * 4, [2 * r for r in ratios])
    assert found.verdict == verdict
    assert (found.shape_probability > 0.9) == shape


def test_equal_entries_hold_for_certain():
    assert agreement([1.0, 2.0, 3.0], [1.0, 2.0, 3.0]).probability == pytest.approx(1)
    assert agreement([1.0, 2.0, 3.0], [2.0, 4.0, 6.0]).probability == pytest.approx(0)


def test_a_machine_that_drifts_is_given_twice_its_scatter_up_to_a_tenth(small_table):
    sessions = lambda *ms: replace(small_table, reference_sessions_ms=ms)  # noqa: E731
    assert drift_tolerance(sessions(1.0)) == 0.05
    assert drift_tolerance(sessions(1.0, 1.5)) == 0.05  # two say nothing of a scatter
    scatter = float(np.std(np.log([1.0, 1.04, 1.08]), ddof=1))
    assert drift_tolerance(sessions(1.0, 1.04, 1.08)) == pytest.approx(2 * scatter)
    assert drift_tolerance(sessions(1.0, 1.5, 2.0)) == 0.10


def test_bad_requests():
    with pytest.raises(OptionError, match="at least three entries"):
        agreement([1.0, 1.0], [1.0, 1.0])
    with pytest.raises(OptionError, match="between 0 and 1"):
        agreement([1.0] * 3, [1.0] * 3, 0.0)
