"""A Gaussian process with one length a feature, fitted to be likely (Rasmussen 2006, chapter 5).

Covariances are ``variance * exp(-|(x - y) / length|^2 / 2)``, and independent noise. The gradient
of the likelihood needs no array of n x n x features: with ``M`` the elementwise product of the
covariance and the slope, the one of a feature's length is ``2 (r . x^2 - x' M x)``, where ``r`` are
the sums of the rows of ``M``.
"""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_solve, lapack, solve_triangular
from scipy.optimize import minimize
from threadpoolctl import threadpool_limits

from hwnas.arrays import BoolArray, FloatArray

__all__ = ["GaussianProcess"]

_JITTER = 1e-8
#: Samples that lengths and noise are estimated on, and samples that predictions are drawn from.
#: More change little, and cost their cube.
_ESTIMATE_ON, _MOST = 300, 1000
#: Rows predicted at once.
_ROWS = 4096
#: Bounds of the variance, of each length (in standard deviations of the feature), of the noise.
_BOUNDS = ((1e-6, 10.0), (0.3, 100.0), (1e-6, 1.0))
_FIRST_LENGTH, _FIRST_NOISE = 3.0, 0.1
#: Of a smooth process: the median of the density of lengths, and the least noise (of a logarithm:
#: 3 %).
_EXPECTED_LENGTH, _LEAST_NOISE = 5.0, 1e-3


@dataclass(frozen=True, eq=False)
class GaussianProcess:
    """A fitted process.

    Attributes:
        centre, scale: of the features, (n_features,).
        kept: which features vary at all, (n_features,).
        variance, noise: of the function, and of each value beside it.
        lengths: of the features that are kept.
        mean: the values' median, which predictions fall back to.
        rows: (n, n_kept), the features of the samples in units of the lengths.
        lower: (n, n), the Cholesky factor of their covariance.
        weights: (n,), the inverse covariance times the values.
    """

    centre: FloatArray
    scale: FloatArray
    kept: BoolArray
    variance: float
    noise: float
    lengths: FloatArray
    mean: float
    rows: FloatArray
    lower: FloatArray
    weights: FloatArray

    @classmethod
    def fit(
        cls,
        x: FloatArray,
        values: FloatArray,
        like: "GaussianProcess | None" = None,
        *,
        smooth: bool = False,
    ) -> "GaussianProcess":
        """Fit to values (n,) at features (n, n_features); of very many, to some drawn at random.

        Args:
            x, values: the samples.
            like: a process whose units, variance, lengths and noise are taken over.
            smooth: expect long lengths and some noise, for few samples of many features: the
                likeliest lengths alone would often make an island of each sample.
        """
        x, values = _some(x, values, _MOST)
        if like is None:
            centre, scale = x.mean(axis=0), x.std(axis=0)
            kept = scale > 1e-9
        else:
            centre, scale, kept = like.centre, like.scale, like.kept
        rows = (x[:, kept] - centre[kept]) / scale[kept]
        mean = float(np.median(values))
        # one thread: the matrices are small, and the fit does not depend on the number of cores
        with threadpool_limits(1):
            if like is None:
                theta = _likeliest(*_some(rows, values - mean, _ESTIMATE_ON), smooth)
                variance, noise = float(np.exp(theta[0])), float(np.exp(theta[-1]))
                lengths = np.asarray(np.exp(theta[1:-1]))
            else:
                variance, noise, lengths = like.variance, like.noise, like.lengths
            scaled = rows / lengths
            covariance = variance * _alike(scaled, scaled)
            covariance[np.diag_indices(len(covariance))] = variance + noise + _JITTER
            lower = np.asarray(np.linalg.cholesky(covariance), np.float64)
            weights = cho_solve((lower, True), values - mean)
        return cls(
            centre,
            scale,
            kept,
            variance,
            noise,
            lengths,
            mean,
            scaled,
            lower,
            weights,
        )

    def predict(self, x: FloatArray) -> FloatArray:
        """Expected values (n,) at features (n, n_features)."""
        found = np.empty(len(x))
        for start in range(0, len(x), _ROWS):
            part = slice(start, start + _ROWS)
            found[part] = self._covariance(x[part]) @ self.weights + self.mean
        return found

    def deviation(self, x: FloatArray) -> FloatArray:
        """Standard deviations (n,) of values at features (n, n_features), the noise included."""
        found = np.empty(len(x))
        for start in range(0, len(x), _ROWS):
            part = slice(start, start + _ROWS)
            half = solve_triangular(self.lower, self._covariance(x[part]).T, lower=True)
            left = self.variance + self.noise - (half**2).sum(axis=0)
            found[part] = np.sqrt(np.maximum(left, 0.0))
        return found

    def covariance(self, x: FloatArray) -> FloatArray:
        """Of values at features (n, n_features), (n, n); the noise is each value's own."""
        rows = self._units(x)
        half = solve_triangular(self.lower, self._covariance(x).T, lower=True)
        found: FloatArray = self.variance * _alike(rows, rows) - half.T @ half
        found[np.diag_indices(len(found))] += self.noise
        return found

    def left_out(self) -> FloatArray:
        """Error at each sample by the others (Rasmussen 2006, equation 5.12)."""
        return self.weights * self.left_out_variance()

    def left_out_variance(self) -> FloatArray:
        """What the square of that error is expected to be (Rasmussen 2006, equation 5.12)."""
        half = solve_triangular(self.lower, np.eye(len(self.lower)), lower=True)
        variance: FloatArray = 1 / (half**2).sum(axis=0)
        return variance

    def _covariance(self, x: FloatArray) -> FloatArray:
        return self.variance * _alike(self._units(x), self.rows)

    def _units(self, x: FloatArray) -> FloatArray:
        rows = (x[:, self.kept] - self.centre[self.kept]) / self.scale[self.kept]
        return np.asarray(rows / self.lengths, np.float64)


def _some(x: FloatArray, values: FloatArray, most: int) -> tuple[FloatArray, FloatArray]:
    """At most ``most`` of the samples, drawn at random but always the same."""
    if len(values) <= most:
        return x, values
    drawn = np.sort(np.random.default_rng(0).choice(len(values), most, replace=False))
    return x[drawn], values[drawn]


def _alike(first: FloatArray, second: FloatArray) -> FloatArray:
    """``exp(-distance^2 / 2)``, (n, m), of rows (n, k) and (m, k)."""
    exponent = first @ second.T
    exponent -= 0.5 * (first**2).sum(axis=1)[:, None]
    exponent -= 0.5 * (second**2).sum(axis=1)
    np.minimum(exponent, 0.0, out=exponent)
    result: FloatArray = np.exp(exponent, out=exponent)
    return result


def _likeliest(rows: FloatArray, values: FloatArray, smooth: bool) -> FloatArray:
    """Logarithms of variance, lengths and noise at the maximum of the marginal likelihood.

    If ``smooth``, times a log-normal density of each length.
    """
    spread = max(float(np.var(values)), 1e-6)
    first = [spread, *[_FIRST_LENGTH] * rows.shape[1], _FIRST_NOISE * spread]
    bounds = [_BOUNDS[0], *[_BOUNDS[1]] * rows.shape[1], _BOUNDS[2]]

    def loss(theta: FloatArray) -> tuple[float, FloatArray]:
        variance, noise = np.exp(theta[0]), np.exp(theta[-1])
        scaled = rows / np.exp(theta[1:-1])
        shape = variance * _alike(scaled, scaled)
        total = shape.copy()
        total[np.diag_indices(len(total))] = variance + noise + _JITTER
        lower, failed = lapack.dpotrf(total, lower=1, clean=1, overwrite_a=1)
        if failed:
            return 1e10, np.zeros_like(theta)
        alpha, _ = lapack.dpotrs(lower, values, lower=1)
        loss = 0.5 * float(values @ alpha) + float(np.log(np.diag(lower)).sum())
        half, _ = lapack.dpotri(lower, lower=1)
        inverse = np.tril(half) + np.tril(half, -1).T
        slope = np.outer(alpha, alpha) - inverse
        moved = slope * shape
        by_length = 2 * (moved.sum(axis=1) @ scaled**2 - ((moved @ scaled) * scaled).sum(axis=0))
        gradient = -0.5 * np.array([moved.sum(), *by_length, noise * np.trace(slope)])
        if smooth:
            far = theta[1:-1] - np.log(_EXPECTED_LENGTH)
            loss += 0.5 * float(far @ far)
            gradient[1:-1] += far
        return loss, gradient

    limits = np.log(bounds)
    if smooth:
        limits[-1, 0] = np.log(_LEAST_NOISE)
    start = np.clip(np.log(first), limits[:, 0], limits[:, 1])
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=limits)
    return np.asarray(found.x)
