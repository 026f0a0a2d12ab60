"""A roofline that is fitted, and a Gaussian process for what it leaves over.

A roofline (Williams et al. 2009) says what a kernel must take at least: its arithmetic at the
machine's rate, or its bytes at the memory's. Here the shares are fitted as non-negative weights,
which never turn more work into less time outside of what was measured. What real kernels take
beyond it depends on shapes smoothly, in logarithms; a Gaussian process learns that and says how
sure it is. Far from all samples it falls back to the roofline.
"""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hwnas.arrays import FloatArray
from hwnas.errors import OptionError

__all__ = ["Roofline"]

_LEAST = 3
#: Fewer samples than this cannot tell the shape of what the roofline leaves over.
_LEAST_PROCESS = 8
_JITTER = 1e-8


@dataclass(frozen=True, eq=False)
class Roofline:
    """Milliseconds from work and features.

    Attributes:
        weights: ms per unit of work, (n_work + 1,), the last one per kernel.
        process: what corrects the logarithm of the roofline; None with few samples.
        spread: standard deviation of log(predicted / measured), each sample left out in turn.
    """

    weights: FloatArray
    process: "_Process | None"
    spread: float

    @classmethod
    def fit(cls, work: npt.ArrayLike, features: npt.ArrayLike, ms: npt.ArrayLike) -> "Roofline":
        """Fit to measured kernels.

        Args:
            work: (n, n_work), not negative: MACs, bytes.
            features: (n, n_features): what efficiency may depend on, logarithms of sizes.
            ms: (n,), positive.

        Raises:
            OptionError: fewer than three samples, or values that are not finite or of wrong sign.
        """
        w, x, y = (np.asarray(a, np.float64) for a in (work, features, ms))
        if len(y) < _LEAST:
            raise OptionError(f"a roofline needs {_LEAST} measured kernels, got {len(y)}")
        finite = all(np.isfinite(a).all() for a in (w, x, y))
        if not (finite and (w >= 0).all() and (y > 0).all()):
            raise OptionError("latencies are finite and above 0, work is finite and not negative")
        weights = _relative_nnls(w, y)
        rest = np.log(y / _roof(weights, w))
        if len(y) < _LEAST_PROCESS:
            return cls(weights, None, float(np.std(rest, ddof=1)))
        process = _Process.fit(x, rest)
        return cls(weights, process, float(np.sqrt(np.mean(process.left_out() ** 2))))

    def predict(
        self, work: npt.ArrayLike, features: npt.ArrayLike
    ) -> tuple[FloatArray, FloatArray]:
        """Milliseconds (n,), and the standard deviation of their logarithm (n,)."""
        roof = _roof(self.weights, np.asarray(work, np.float64))
        if self.process is None:
            return roof, np.full(len(roof), self.spread)
        mean, deviation = self.process.predict(np.asarray(features, np.float64))
        return roof * np.exp(mean), deviation


def _roof(weights: FloatArray, work: FloatArray) -> FloatArray:
    result: FloatArray = work @ weights[:-1] + weights[-1]
    return result


def _relative_nnls(work: FloatArray, ms: FloatArray) -> FloatArray:
    """Non-negative weights of least squared relative error; outliers count as their deviation."""
    from scipy.optimize import nnls

    columns = np.column_stack([work, np.ones(len(ms))]) / ms[:, None]
    scale = columns.mean(axis=0)
    used = scale > 0  # work that no sample has says nothing, and weighs nothing
    rows = columns[:, used] / scale[used]
    weight = np.ones(len(ms))
    for _ in range(20):
        found = nnls(rows * weight[:, None], weight)[0]
        error = np.abs(rows @ found - 1)
        weight = np.sqrt(1 / np.maximum(error / max(np.median(error), 1e-9), 1.0))
    weights = np.zeros(len(scale))
    weights[used] = found / scale[used]
    weights[-1] = max(weights[-1], 1e-6 * float(ms.min()))  # a kernel takes more than no time
    return weights


@dataclass(frozen=True, eq=False)
class _Process:
    """A Gaussian process with one length a feature, fitted to be likely (Rasmussen 2006, ch. 5)."""

    model: Any
    centre: FloatArray
    scale: FloatArray
    kept: npt.NDArray[np.bool_]
    mean: float
    rows: FloatArray
    rest: FloatArray

    @classmethod
    def fit(cls, x: FloatArray, rest: FloatArray) -> "_Process":
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.gaussian_process import GaussianProcessRegressor
        from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel
        from threadpoolctl import threadpool_limits

        centre, scale = x.mean(axis=0), x.std(axis=0)
        kept = scale > 1e-9
        rows = (x[:, kept] - centre[kept]) / scale[kept]
        mean = float(np.median(rest))
        variance = max(float(np.var(rest)), 1e-6)
        shape = ConstantKernel(variance, (1e-6, 10.0)) * RBF(
            np.full(max(rows.shape[1], 1), 3.0), (0.3, 100.0)
        )
        kernel = shape + WhiteKernel(0.1 * variance, (1e-6, 1.0))
        model = GaussianProcessRegressor(kernel, alpha=_JITTER, random_state=0)
        if rows.shape[1] == 0:
            rows = np.zeros((len(rest), 1))
        # one thread: the matrices are small, and the fit does not depend on the number of cores
        with threadpool_limits(1), warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(rows, rest - mean)
        return cls(model, centre, scale, kept, mean, rows, rest - mean)

    def predict(self, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        rows = (x[:, self.kept] - self.centre[self.kept]) / self.scale[self.kept]
        rows = rows if rows.shape[1] else np.zeros((len(x), 1))
        mean, deviation = self.model.predict(rows, return_std=True)
        return mean + self.mean, deviation

    def left_out(self) -> FloatArray:
        """Error at each sample by the others (Rasmussen 2006, equation 5.12)."""
        covariance = self.model.kernel_(self.rows) + _JITTER * np.eye(len(self.rows))
        inverse = np.linalg.inv(covariance)
        errors: FloatArray = (inverse @ self.rest) / np.diag(inverse)
        return errors
