import numpy as np
import pytest

from hwnas.errors import OptionError
from hwnas.predictors.roofline import Roofline


def samples(count, seed, wobble=0.0):
    """A device with a written truth: 2 ms a G of work, 5 ms a G of bytes, 3 us a kernel."""
    rng = np.random.default_rng(seed)
    work = np.exp(rng.uniform(np.log(1e4), np.log(1e8), (count, 2)))
    features = np.log(work)
    shape = 1 + wobble * np.sin(features[:, 0])
    return work, features, (2e-9 * work[:, 0] + 5e-9 * work[:, 1] + 3e-3) * shape


def test_a_linear_device_is_found_and_extrapolated():
    line = Roofline.fit(*samples(40, 0))
    assert line.weights == pytest.approx([2e-9, 5e-9, 3e-3], rel=1e-3)
    work = np.array([[1e10, 1e9]])
    ms, _ = line.predict(work, np.log(work))
    assert ms[0] == pytest.approx(2e-9 * 1e10 + 5e-9 * 1e9 + 3e-3, rel=0.02)


def test_what_the_roofline_leaves_over_is_learnt():
    work, features, ms = samples(150, 1, wobble=0.3)
    held_work, held, truth = samples(100, 2, wobble=0.3)
    line = Roofline.fit(work, features, ms)
    found, deviation = line.predict(held_work, held)
    roof = held_work @ line.weights[:-1] + line.weights[-1]
    error = np.abs(np.log(found / truth))
    assert error.mean() < 0.3 * np.abs(np.log(roof / truth)).mean()
    assert (error < 3 * deviation).mean() > 0.9
    assert line.spread == pytest.approx(np.sqrt(np.mean(error**2)), rel=1.0)


def test_few_samples_make_a_plain_roofline():
    line = Roofline.fit(*samples(5, 0))
    assert line.process is None
    assert (line.predict(*samples(3, 1)[:2])[0] > 0).all()


def test_more_work_is_never_less_time_far_away():
    work, features, ms = samples(30, 3, wobble=0.2)
    line = Roofline.fit(work, features, ms)
    far = np.array([[1e10, 1e10], [1e11, 1e11], [1e12, 1e12]])
    found, _ = line.predict(far, np.log(far))
    assert (np.diff(found) > 0).all()


def test_work_that_is_always_zero_has_no_weight():
    work, features, ms = samples(20, 4)
    work[:, 0] = 0
    line = Roofline.fit(work, features, ms)
    assert np.isfinite(line.weights).all()
    assert line.weights[0] == 0


@pytest.mark.parametrize("value", [0.0, -1.0, np.nan, np.inf])
def test_bad_latencies_are_refused(value):
    work, features, ms = samples(10, 0)
    ms[3] = value
    with pytest.raises(OptionError, match="finite and above 0"):
        Roofline.fit(work, features, ms)


def test_too_few_are_refused():
    with pytest.raises(OptionError, match="needs 3 measured kernels, got 2"):
        Roofline.fit(*samples(2, 0))


def test_beyond_the_samples_errors_grow_and_go_together():
    work, features, ms = samples(60, 5, wobble=0.2)
    line = Roofline.fit(work, features, ms)
    highest = features.max(axis=0)
    inside, near, far = features[:1], highest[None] + 1.0, highest[None] + 4.0
    rows = np.concatenate([inside, near, far, far])
    assert line.beyond(rows)[:, 0] == pytest.approx([0, 1, 4, 4])
    assert line.beyond(features.min(axis=0)[None] - 2.0)[0] == pytest.approx([2, 2])
    found = line.covariance(rows)
    variances = np.diag(found)
    assert variances[0] < variances[1] < variances[2]
    assert variances[2] - line.covariance(far)[0, 0] == pytest.approx(0)
    # two kernels of the same sizes share all but the noise of each
    assert found[2, 3] == pytest.approx(variances[2] - line.doubt * line.process.noise)
    assert abs(found[0, 2]) < 0.1 * found[2, 3]


def test_without_a_process_all_errors_are_one():
    line = Roofline.fit(*samples(4, 6, wobble=0.3))
    assert line.process is None
    assert line.covariance(samples(4, 6)[1]) == pytest.approx(np.full((4, 4), line.spread**2))


def device(count, rng):
    """Efficiency goes in steps with some of many sizes, as where vectors are filled or are not."""
    work = np.exp(rng.uniform(np.log(1e4), np.log(1e8), (count, 3)))
    sizes = rng.normal(size=(count, 8))
    steps = 1 + 0.5 * (sizes[:, 0] > 0) + 0.5 * (sizes[:, 1] * sizes[:, 2] > 0)
    ms = (work @ [2e-9, 5e-9, 1e-9] + 3e-3) * steps
    return work, np.column_stack([np.log(work), sizes]), ms


@pytest.mark.parametrize("count", [12, 16, 24])
def test_errors_of_what_was_not_measured_are_as_large_as_expected(count):
    """Mean square of errors over deviations, of kernels that neither part of a fit has seen."""
    squares = []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        line = Roofline.fit(*device(count, rng))
        work, features, truth = device(50, rng)
        errors = np.log(line.predict(work, features)[0] / truth)
        squares.append(np.mean(errors**2 / np.diag(line.covariance(features))))
    assert 0.5 < np.mean(squares) < 1.5


def test_what_does_not_depend_on_work_is_the_start():
    work = np.array([[1.0], [2], [4], [8]])
    found = Roofline.fit(work, np.log(work), 0.5 + 0.25 * work[:, 0])
    assert found.start_share([[2.0], [6]]) == pytest.approx([0.5, 0.25])


def test_work_that_all_samples_have_alike_is_part_of_the_start():
    """Every convolution is one piece: nobody can tell what a piece takes from what each takes."""
    work = np.array([[1.0, 1], [2, 1], [4, 1], [8, 1]])
    found = Roofline.fit(work, np.log(work), 0.5 + 0.25 * work[:, 0])
    shares = found.start_share([[2.0, 1], [6, 1], [0, 0]])
    assert shares == pytest.approx([0.5, 0.25, 1], rel=1e-5)
