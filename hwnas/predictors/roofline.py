"""A roofline that is fitted, and a Gaussian process for what it leaves over.

A roofline (Williams et al. 2009) says what a kernel must take at least: its arithmetic at the
machine's rate, or its bytes at the memory's. Here the shares are fitted as non-negative weights,
which never turn more work into less time outside of what was measured. What real kernels take
beyond it depends on shapes smoothly, in logarithms; a Gaussian process learns that and says how
sure it is. Far from all samples it falls back to the roofline.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hwnas.arrays import FloatArray
from hwnas.errors import OptionError
from hwnas.predictors.gaussian_process import GaussianProcess

__all__ = ["Roofline"]

_LEAST = 3
#: Fewer samples than this cannot tell the shape of what the roofline leaves over.
_LEAST_PROCESS = 8
#: Parts of the samples that are left out in turn, to know how large errors are.
_PARTS = 4
#: Errors of few samples say little of how large errors are: these are added to them.
_PRIOR_ERROR, _PRIOR_COUNT = 0.3, 2
#: Standard deviation of the logarithm for each factor e that a feature lies beyond all samples: a
#: kernel of ten times the size is known to a factor of two; less where work is what is beyond.
_BEYOND, _BEYOND_WORK = 0.3, 0.1


@dataclass(frozen=True, eq=False)
class Roofline:
    """Milliseconds from work and features.

    Attributes:
        weights: ms per unit of work, (n_work + 1,), the last one per kernel.
        process: what corrects the logarithm of the roofline; None with few samples.
        spread: standard deviation of log(predicted / measured), each sample left out in turn.
        lowest, highest: of each feature among the samples, (n_features,).
        start: milliseconds that each takes whatever its work is.
        doubt: how much larger squares of errors are than the process expects, where neither it nor
            the roofline was fitted to a sample; 1 at least.
    """

    weights: FloatArray
    process: GaussianProcess | None
    spread: float
    lowest: FloatArray
    highest: FloatArray
    start: float
    doubt: float = 1.0

    @classmethod
    def fit(cls, work: npt.ArrayLike, features: npt.ArrayLike, ms: npt.ArrayLike) -> "Roofline":
        """Fit to measured kernels.

        Args:
            work: (n, n_work), not negative: MACs, bytes.
            features: (n, n_features): what efficiency may depend on, logarithms of sizes, those of
                the work first.
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
        # work that all samples have alike cannot be told from what each takes
        alike = np.where(np.ptp(w, axis=0) == 0, w[0], 0.0)
        known = x.min(axis=0), x.max(axis=0), float(_roof(weights, alike))
        if len(y) < _LEAST_PROCESS:
            return cls(weights, None, _left_out_spread(w, y), *known)
        process = GaussianProcess.fit(x, rest, smooth=True)
        spread = float(np.sqrt(np.mean(process.left_out() ** 2)))
        doubt = _unseen_square(w, x, y) / float(np.mean(process.left_out_variance()))
        return cls(weights, process, spread, *known, max(1.0, doubt))

    def predict(
        self, work: npt.ArrayLike, features: npt.ArrayLike
    ) -> tuple[FloatArray, FloatArray]:
        """Milliseconds (n,), and the standard deviation of their logarithm (n,)."""
        roof = _roof(self.weights, np.asarray(work, np.float64))
        if self.process is None:
            return roof, np.full(len(roof), self.spread)
        rows = np.asarray(features, np.float64)
        return roof * np.exp(self.process.predict(rows)), self.process.deviation(rows)

    def start_share(self, work: npt.ArrayLike) -> FloatArray:
        """Share of the milliseconds that does not depend on the work, (n,)."""
        share = self.start / _roof(self.weights, np.asarray(work, np.float64))
        return np.asarray(np.minimum(share, 1.0))

    def covariance(self, features: npt.ArrayLike) -> FloatArray:
        """Of the logarithms at features (n, n_features), (n, n).

        Without a process nothing tells how far one error goes with another: all are taken for one.
        Beyond the samples, errors grow with the distance, together.
        """
        rows = np.asarray(features, np.float64)
        if self.process is None:
            found = np.full((len(rows), len(rows)), self.spread**2)
        else:
            found = self.doubt * self.process.covariance(rows)
        share = np.full(rows.shape[1], _BEYOND)
        share[: len(self.weights) - 1] = _BEYOND_WORK  # which the roofline extrapolates
        far = (self.beyond(rows) * share).max(axis=1)
        return np.asarray(found + np.outer(far, far), np.float64)

    def beyond(self, features: npt.ArrayLike) -> FloatArray:
        """How far each feature lies outside of the samples' range, (n, n_features)."""
        rows = np.asarray(features, np.float64)
        far: FloatArray = np.maximum(rows - self.highest, self.lowest - rows)
        return np.maximum(far, 0.0)

    def expected(self, work: npt.ArrayLike, features: npt.ArrayLike) -> FloatArray:
        """The milliseconds alone, (n,), which takes less."""
        roof = _roof(self.weights, np.asarray(work, np.float64))
        if self.process is None:
            return roof
        return roof * np.exp(self.process.predict(np.asarray(features, np.float64)))


def _roof(weights: FloatArray, work: FloatArray) -> FloatArray:
    result: FloatArray = work @ weights[:-1] + weights[-1]
    return result


def _unseen_square(work: FloatArray, features: FloatArray, ms: FloatArray) -> float:
    """Mean square of log(predicted / measured); each part is predicted by what the others fit.

    To leave samples out of the process alone would flatter it: its lengths, and the roofline whose
    rest it learns, were fitted to all of them.
    """
    errors = np.empty(len(ms))
    shuffled = np.random.default_rng(0).permutation(len(ms))
    for part in np.array_split(shuffled, _PARTS):
        kept = np.setdiff1d(shuffled, part)
        rest = np.log(ms / _roof(_relative_nnls(work[kept], ms[kept]), work))
        process = GaussianProcess.fit(features[kept], rest[kept], smooth=True)
        errors[part] = process.predict(features[part]) - rest[part]
    return float(np.mean(errors**2))


def _left_out_spread(work: FloatArray, ms: FloatArray) -> float:
    """Root mean square of log(predicted / measured), each sample left out in turn."""
    squares = _PRIOR_COUNT * _PRIOR_ERROR**2
    for at in range(len(ms)):
        kept = np.arange(len(ms)) != at
        roof = _roof(_relative_nnls(work[kept], ms[kept]), work[at : at + 1])[0]
        squares += float(np.log(roof / ms[at]) ** 2)
    return float(np.sqrt(squares / (len(ms) + _PRIOR_COUNT)))


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
