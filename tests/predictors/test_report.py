"""Numbers of the report against arithmetic, and noise that is known."""

import math

import numpy as np
import pytest

from hwnas import spaces
from hwnas.errors import DataError
from hwnas.predictors.report import (
    noise_floor_of_errors,
    noise_floor_of_passes,
    operator_counts,
    operator_errors,
    prediction_report,
)


def test_errors_are_those_of_a_calculation_by_hand():
    report = prediction_report([10, 20, 40, 80], [10.4, 20, 36.4, 100])
    assert report.count == 4
    assert report.mean_error == pytest.approx((0.04 + 0 + 0.09 + 0.25) / 4)
    assert report.median_error == pytest.approx((0.04 + 0.09) / 2)
    assert report.worst_error == pytest.approx(0.25)
    assert (report.within_5, report.within_10) == (0.5, 0.75)
    assert report.spearman == 1.0
    assert report.bias == pytest.approx((1.04 * 0.91 * 1.25) ** 0.25 - 1)
    assert report.noise_floor is report.coverage is report.confidence is None


def test_a_common_factor_is_bias_and_no_error_of_shape():
    measured = np.array([1.0, 2.0, 5.0])
    report = prediction_report(measured, 1.1 * measured)
    assert report.bias == pytest.approx(0.1)
    assert report.mean_error == pytest.approx(0.1)
    assert report.shape_error == pytest.approx(0, abs=1e-12)


def test_ranks():
    assert prediction_report([1, 2, 3], [3, 2, 1]).spearman == pytest.approx(-1)
    # ranks 1 2 3 against 2 1 3: 1 - 6 * 2 / (3 * 8)
    assert prediction_report([1, 2, 3], [2, 1, 30]).spearman == pytest.approx(0.5)
    assert prediction_report([1, 2, 3], [2, 2, 2]).spearman is None


def test_coverage_counts_the_intervals_that_hold_the_measurement():
    ends = [[0.9, 1.1], [2.1, 2.5], [3.0, 3.5], [3.0, 4.0]]
    report = prediction_report([1, 2, 3, 4], [1, 2.3, 3.2, 3.5], interval_ms=ends, confidence=0.9)
    assert (report.coverage, report.confidence) == (0.75, 0.9)


def test_the_noise_floor_is_recovered():
    """Two measurements with errors of deviation s differ by 2 s / sqrt(pi) on average."""
    rng = np.random.default_rng(0)
    truth, deviation = rng.uniform(2, 9, 4000), 0.02
    passes = [truth * np.exp(rng.normal(0, deviation, 4000)) for _ in range(2)]
    floor = noise_floor_of_passes(*passes)
    assert floor == pytest.approx(2 * deviation / math.sqrt(math.pi), rel=0.04)
    assert noise_floor_of_errors([1.96 * deviation] * 7) == pytest.approx(floor, rel=0.04)
    perfect = prediction_report(passes[0], truth, noise_floor=floor)
    assert perfect.mean_error / floor == pytest.approx(math.sqrt(0.5), rel=0.04)
    of_means = prediction_report((passes[0] + passes[1]) / 2, truth)
    assert of_means.mean_error / floor == pytest.approx(0.5, rel=0.04)


def test_operators_that_are_predicted_otherwise_are_found(small_space):
    archs = small_space.sample(400, seed=0)
    tokens, counts = operator_counts(small_space, archs)
    assert counts.sum(axis=1).tolist() == [4] * 400
    texts = [small_space.format(arch).split("-") for arch in archs]
    assert counts.tolist() == [[text.count(token) for token in tokens] for text in texts]
    rng = np.random.default_rng(1)
    measured = rng.uniform(1, 3, 400)
    holds = counts[:, tokens.index("k5e6")] > 0
    predicted = measured * np.where(holds, 1.06, 0.99) * np.exp(rng.normal(0, 0.01, 400))
    first, *rest = operator_errors(tokens, counts, measured, predicted)
    assert first.operator == "k5e6"
    assert (first.more, first.rest) == (holds.sum(), (~holds).sum())
    assert first.clear
    assert first.difference == pytest.approx(1.06 / 0.99 - 1, abs=3 * first.standard_error)
    assert all(abs(entry.difference) < first.difference / 3 for entry in rest)


def test_operators_that_split_nothing_are_left_out(small_space):
    archs = np.repeat(small_space.sample(1, seed=0), 5, axis=0)
    tokens, counts = operator_counts(small_space, archs)
    assert operator_errors(tokens, counts, np.ones(5), np.ones(5)) == []


@pytest.mark.parametrize(
    ("measured", "predicted", "options", "says"),
    [
        ([], [], {}, "measured latencies are a list of ms, got an array of shape"),
        ([1, 2], [1], {}, "one prediction for each measurement is needed, got 1 for 2"),
        ([1, 0], [1, 1], {}, "measured latencies are positive milliseconds, got 0"),
        ([1, 1], [1, math.nan], {}, "predicted latencies are positive milliseconds, got nan"),
        ([1], [1], {"interval_ms": [1, 2], "confidence": 0.9}, r"an array \(1, 2\) with a conf"),
        ([1], [1], {"interval_ms": [[1, 2]]}, "confidence None"),
    ],
)
def test_bad_input(measured, predicted, options, says):
    with pytest.raises(DataError, match=says):
        prediction_report(measured, predicted, **options)


def test_operators_of_a_node_that_chooses_what_it_reads_are_counted() -> None:
    space = spaces.space("darts", channels=4, cells=3)
    archs = space.sample(20, seed=0)
    tokens, counts = operator_counts(space, archs)
    assert sorted(tokens) == sorted(["max3", "avg3", "skip", "sep3", "sep5", "dil3", "dil5"])
    assert counts.sum(axis=1).tolist() == [16] * 20  # two operators in each of eight nodes
    printed = [space.format(arch) for arch in archs]
    assert counts[:, tokens.index("dil3")].tolist() == [s.count("dil_conv_3x3") for s in printed]
