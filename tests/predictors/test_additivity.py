"""Which parts add up, on devices whose truth is written here."""

import numpy as np
import pytest

from hwnas.errors import DataError
from hwnas.predictors.additivity import additivity_report
from hwnas.predictors.report import operator_counts

NAMES = ["operators", "decisions", "neighbouring pairs", "all pairs"]


@pytest.fixture(scope="module")
def sample(small_space):
    archs = np.unique(small_space.sample(500, seed=3), axis=0)
    return archs, operator_counts(small_space, archs)[1]


def judge(space, archs, counts, ms, **options):
    report = additivity_report(archs, ms, space.n_choices, counts, **options)
    assert report.count == len(archs)
    return report, {entry.name: entry for entry in report.granularities}


def prices(space, seed):
    """A price in ms for each choice of each decision."""
    rng = np.random.default_rng(seed)
    return [rng.uniform(0.1, 1.0, n) for n in space.n_choices]


def by_decision(space, archs):
    rows = prices(space, 0)
    return 2 + sum(row[column] for row, column in zip(rows, archs.T, strict=True))


def test_a_device_that_adds_up_by_operator_needs_no_more(small_space, sample):
    archs, counts = sample
    ms = 3 + counts @ np.random.default_rng(1).uniform(0.1, 1, counts.shape[1])
    report, by_name = judge(small_space, archs, counts, ms)
    assert list(by_name) == NAMES
    assert by_name["operators"].mean_error == pytest.approx(0, abs=1e-10)
    assert report.enough == "operators"
    assert by_name["operators"].parameters == 7  # their counts have the same sum everywhere


def test_a_device_that_adds_up_by_decision_has_no_error_there(small_space, sample):
    archs, counts = sample
    report, by_name = judge(small_space, archs, counts, by_decision(small_space, archs))
    assert by_name["decisions"].mean_error == pytest.approx(0, abs=1e-10)
    assert by_name["decisions"].parameters == 1 + sum(n - 1 for n in small_space.n_choices)
    assert by_name["operators"].mean_error > 0.02
    assert report.enough == "decisions"


def interacting(space, archs, pairs):
    rng = np.random.default_rng(5)
    ms = by_decision(space, archs)
    for first, second in pairs:
        gains = rng.uniform(-0.5, 0.5, (space.n_choices[first], space.n_choices[second]))
        ms = ms + gains[archs[:, first], archs[:, second]]
    return ms


def test_a_device_that_fuses_neighbours_needs_pairs(small_space, sample):
    archs, counts = sample
    ms = interacting(small_space, archs, [(0, 1), (1, 2), (2, 3)])
    report, by_name = judge(small_space, archs, counts, ms)
    assert by_name["decisions"].mean_error > 0.03
    assert by_name["neighbouring pairs"].mean_error == pytest.approx(0, abs=1e-9)
    assert report.enough == "neighbouring pairs"


def test_a_device_with_pairs_from_afar_needs_all_pairs(small_space, sample):
    archs, counts = sample
    ms = interacting(small_space, archs, [(0, 3), (0, 2)])
    report, by_name = judge(small_space, archs, counts, ms)
    assert by_name["neighbouring pairs"].mean_error > 0.02
    assert by_name["all pairs"].mean_error == pytest.approx(0, abs=1e-9)
    assert report.enough == "all pairs"


def test_what_noise_hides_is_not_asked_for(small_space, sample):
    """Interactions of 0.2 % below a noise of 2 %: finer models only fit the noise."""
    archs, counts = sample
    rng = np.random.default_rng(0)
    ms = by_decision(small_space, archs) + 0.004 * archs[:, 0] * archs[:, 1] / 30
    noisy = ms * np.exp(rng.normal(0, 0.02, len(ms)))
    report, by_name = judge(small_space, archs, counts, noisy)
    assert report.enough == "decisions"
    # E|normal| of the noise, and a little for 23 parameters from some 400 networks
    perfect = 0.02 * (2 / np.pi) ** 0.5
    assert by_name["decisions"].mean_error == pytest.approx(perfect, rel=0.15)
    assert by_name["all pairs"].mean_error > by_name["decisions"].mean_error


def test_the_noise_floor_ends_the_search(small_space, sample):
    archs, counts = sample
    ms = interacting(small_space, archs, [(0, 1)])
    report, by_name = judge(small_space, archs, counts, ms)
    coarse = by_name["decisions"].mean_error
    assert report.enough == "neighbouring pairs"
    assert judge(small_space, archs, counts, ms, noise_floor=coarse)[0].enough == "decisions"


def test_a_table_whose_sums_are_right_up_to_a_factor_is_enough(small_space, sample):
    archs, counts = sample
    ms = interacting(small_space, archs, [(0, 1), (1, 2), (0, 3)])
    report, by_name = judge(small_space, archs, counts, ms, table_ms=ms / 1.7)
    assert by_name["table x scale"].mean_error == pytest.approx(0, abs=1e-10)
    assert (by_name["table x scale"].parameters, report.enough) == (1, "table x scale")


def test_what_few_networks_do_not_determine_has_no_error(small_space, sample):
    archs, counts = (part[:12] for part in sample)
    ms = by_decision(small_space, archs)
    report, by_name = judge(small_space, archs, counts, ms, table_ms=ms * 1.02)
    assert by_name["table x scale"].mean_error == pytest.approx(0, abs=1e-10)
    assert [by_name[name].mean_error for name in NAMES[1:]] == [None] * 3
    assert report.enough == "table x scale"


def test_a_choice_that_one_network_alone_has_is_not_judged(small_space, sample):
    archs, counts = sample
    lonely = archs[:, 3] == 6
    kept = np.flatnonzero(~lonely | (np.cumsum(lonely) == 1) & lonely)
    archs, counts = archs[kept], counts[kept]
    assert (archs[:, 3] == 6).sum() == 1
    _, by_name = judge(small_space, archs, counts, by_decision(small_space, archs))
    assert by_name["decisions"].mean_error == pytest.approx(0, abs=1e-10)


@pytest.mark.parametrize(
    ("ms", "rows", "says"),
    [
        (np.ones(3), 3, "4 whole networks or more, got 3"),
        (np.ones(4), 5, "got 4 and 5 for 5"),
        (np.array([1, 2, 0, 4]), 4, "measured latencies are positive milliseconds, got 0"),
        (np.array([1, 2, np.nan, 4]), 4, "measured latencies are positive milliseconds, got nan"),
    ],
)
def test_bad_input(small_space, sample, ms, rows, says):
    archs, counts = (part[:rows] for part in sample)
    with pytest.raises(DataError, match=says):
        judge(small_space, archs, counts, ms)
