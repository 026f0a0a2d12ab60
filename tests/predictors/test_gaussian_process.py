import numpy as np
import pytest
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel

from hwnas.predictors import gaussian_process
from hwnas.predictors.gaussian_process import GaussianProcess


def samples(n, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.uniform(0, 3, (n, 3))
    x[:, 2] = 1.0  # a feature that never changes
    return x, np.sin(x[:, 0]) + 0.1 * x[:, 1] + 0.01 * rng.standard_normal(n)


def of_scikit_learn(process, x, values):
    kernel = ConstantKernel(process.variance) * RBF(process.lengths)
    model = GaussianProcessRegressor(
        kernel + WhiteKernel(process.noise), alpha=1e-8, optimizer=None
    )
    rows = (x - process.centre)[:, process.kept] / process.scale[process.kept]
    return model.fit(rows, values - process.mean), rows


def test_predictions_are_those_of_scikit_learn():
    process = GaussianProcess.fit(*samples(80))
    model, _ = of_scikit_learn(process, *samples(80))
    held = samples(30, seed=1)[0]
    rows = (held - process.centre)[:, process.kept] / process.scale[process.kept]
    mean, deviation = model.predict(rows, return_std=True)
    assert process.predict(held) == pytest.approx(mean + process.mean, rel=1e-6)
    assert process.deviation(held) == pytest.approx(deviation, rel=1e-4)


def test_covariances_are_those_of_scikit_learn():
    process = GaussianProcess.fit(*samples(80))
    model, _ = of_scikit_learn(process, *samples(80))
    held = samples(9, seed=1)[0]
    rows = (held - process.centre)[:, process.kept] / process.scale[process.kept]
    _, covariance = model.predict(rows, return_cov=True)
    assert process.covariance(held) == pytest.approx(covariance, rel=1e-4, abs=1e-8)
    assert np.diag(process.covariance(held)) == pytest.approx(process.deviation(held) ** 2)


def test_the_variance_of_a_sample_left_out_is_that_of_a_process_without_it():
    x, values = samples(30)
    process = GaussianProcess.fit(x, values)
    for at in (0, 7, 29):
        kept = np.arange(30) != at
        others = GaussianProcess.fit(x[kept], values[kept], like=process)
        expected = others.deviation(x[at : at + 1])[0] ** 2
        assert process.left_out_variance()[at] == pytest.approx(expected, rel=1e-3)


def test_no_other_lengths_are_likelier():
    x, values = samples(60)
    process = GaussianProcess.fit(x, values)
    model, _ = of_scikit_learn(process, x, values)
    theta = model.kernel_.theta
    best = model.log_marginal_likelihood(theta)
    for step in 0.2 * np.vstack([np.eye(len(theta)), -np.eye(len(theta))]):
        moved = theta + step
        inside = np.all((moved >= model.kernel_.bounds[:, 0]) & (moved <= np.log(100)))
        if inside:
            assert model.log_marginal_likelihood(moved) < best + 1e-3


def test_errors_left_out_are_those_of_fits_without_the_sample():
    x, values = samples(20)
    process = GaussianProcess.fit(x, values)
    for at, error in enumerate(process.left_out()):
        kept = np.delete(np.arange(20), at)
        model, rows = of_scikit_learn(process, x, values)
        model.fit(rows[kept], values[kept] - process.mean)
        assert values[at] - process.mean - model.predict(rows[at : at + 1])[0] == pytest.approx(
            error, abs=1e-6
        )


def test_constant_features_leave_the_mean():
    values = np.array([1.0, 1.1, 0.9, 1.0, 1.2, 0.8, 1.05, 0.95])
    process = GaussianProcess.fit(np.zeros((8, 1)), values)
    assert process.predict(np.ones((2, 1))) == pytest.approx([1.0, 1.0], abs=0.05)


def test_very_many_samples_are_thinned(monkeypatch):
    monkeypatch.setattr(gaussian_process, "_MOST", 120)
    monkeypatch.setattr(gaussian_process, "_ESTIMATE_ON", 60)
    x, values = samples(2000)
    process = GaussianProcess.fit(x, values)
    assert len(process.weights) == 120
    assert np.abs(process.predict(x) - values).mean() < 0.02
    again = GaussianProcess.fit(x, values)
    np.testing.assert_array_equal(again.weights, process.weights)


def test_few_rows_at_once_change_nothing(monkeypatch):
    x, values = samples(40)
    process = GaussianProcess.fit(x, values)
    whole = process.predict(x), process.deviation(x)
    monkeypatch.setattr(gaussian_process, "_ROWS", 7)
    np.testing.assert_allclose(process.predict(x), whole[0], rtol=1e-12)
    np.testing.assert_allclose(process.deviation(x), whole[1], rtol=1e-9)
