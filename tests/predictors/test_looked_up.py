"""Looked-up latencies: exact where there is a row, with the noise that twins show."""

import math
from itertools import product

import numpy as np
import pytest
import torch

from hwnas import spaces
from hwnas.errors import ArchitectureError, DataError, OptionError
from hwnas.predictors import GivesIntervals, LookedUpLatency, UnknownLatency, load_predictor
from hwnas.spaces.tabulated import ArchitectureTable
from hwnas.testing import check_predictor

SPACE = spaces.space("nasbench201")
EVERY = np.array(list(product(range(5), repeat=6)))
CANONICAL = SPACE.layout.cell.canonical(EVERY)
TRUTH = 2 + SPACE.macs(CANONICAL) / 1e7 + CANONICAL[:, 2] * CANONICAL[:, 5] / 4
NOISE = 0.05


def measured(seed):
    """Each network measured once more."""
    return TRUTH * np.exp(NOISE * np.random.default_rng(seed).normal(size=len(TRUTH)))


@pytest.fixture(scope="module")
def predictor():
    return LookedUpLatency(ArchitectureTable(SPACE, EVERY, measured(0), "device.csv:ms"))


def test_conforms(predictor):
    check_predictor(predictor, SPACE)


def test_it_is_the_table_and_is_kept_as_it_is(predictor):
    assert np.array_equal(predictor.predict(EVERY[::7]), measured(0)[::7])
    assert load_predictor(predictor, SPACE) is predictor
    assert predictor.target == "device.csv:ms, looked up"


@pytest.mark.parametrize("confidence", [0.5, 0.9])
def test_intervals_hold_a_second_measurement_as_often_as_they_say(predictor, confidence):
    low, high = predictor.predict_interval(EVERY, confidence).T
    again = measured(1)
    held = np.mean((low <= again) & (again <= high))
    # the share of a quantile of 1,500 twins has a deviation of 1.3 points at most
    assert held == pytest.approx(confidence, abs=0.04)


def test_the_interval_is_the_difference_of_two_measurements_of_this_noise(predictor):
    # the median of |a - b| for normals of deviation s is 0.6745 s sqrt(2)
    assert math.log(predictor.interval_factor(0.5)) == pytest.approx(
        0.6745 * NOISE * math.sqrt(2), rel=0.1
    )


def test_without_twins_there_is_no_interval():
    proxyless = spaces.space("proxyless", input_size=8)
    archs = np.unique(proxyless.sample(50, seed=0), axis=0)
    alone = LookedUpLatency(ArchitectureTable(proxyless, archs, np.ones(len(archs))))
    few = LookedUpLatency(ArchitectureTable(SPACE, EVERY[:30], np.ones(30)))
    for predictor in (alone, few):
        assert not isinstance(predictor, GivesIntervals)


def test_a_confidence_needs_twins_enough():
    rows = np.flatnonzero(EVERY[:, 2] == 0)[:400]
    few = LookedUpLatency(ArchitectureTable(SPACE, EVERY[rows], measured(0)[rows], "few"))
    assert 20 <= len(few.twins) < 200
    with pytest.raises(OptionError, match=r"too few for a confidence of 0.999"):
        few.predict_interval(EVERY[rows], 0.999)


def test_the_guide_is_the_nearest_sum_of_the_rows_alone():
    additive = 3.0 + EVERY @ np.arange(1.0, 7.0)
    rows = np.random.default_rng(0).choice(len(EVERY), 300, replace=False)
    predictor = LookedUpLatency(ArchitectureTable(SPACE, EVERY[rows], additive[rows]))
    assert predictor.cost(EVERY) == pytest.approx(additive, rel=1e-4)


def test_what_has_no_row_is_not_made_up(predictor):
    part = LookedUpLatency(ArchitectureTable(SPACE, EVERY[:100], np.ones(100), "part"))
    with pytest.raises(ArchitectureError, match="part has no row of"):
        part.predict(EVERY[99:101])
    with pytest.raises(DataError, match=r"latencies are ms above 0, got 0 of .* in zero"):
        LookedUpLatency(ArchitectureTable(SPACE, EVERY[:2], [1.0, 0.0], "zero"))


def test_unknown_latencies_are_no_numbers():
    unknown = UnknownLatency(SPACE)
    assert np.isnan(unknown.predict(EVERY[:3])).all()
    with pytest.raises(OptionError, match="no latencies are known here"):
        _ = unknown.cost


def test_the_expectation_of_a_whole_table_is_that_of_enumeration(predictor):
    rng = np.random.default_rng(3)
    rows = [torch.from_numpy(rng.dirichlet(np.full(5, 0.2))) for _ in range(6)]
    weights = np.prod([row.numpy()[EVERY[:, at]] for at, row in enumerate(rows)], axis=0)
    expected = float(predictor.expected(rows))
    assert expected == pytest.approx(float(weights @ measured(0)), rel=0.03)


def test_a_table_that_lacks_rows_expects_nothing():
    assert not hasattr(LookedUpLatency(ArchitectureTable(SPACE, EVERY[1:], TRUTH[1:])), "expected")
