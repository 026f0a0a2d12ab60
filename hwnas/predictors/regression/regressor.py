"""Architectures to milliseconds, by whichever model the samples themselves recommend."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils.validation import check_is_fitted, validate_data
from threadpoolctl import threadpool_limits

from hwnas import spaces
from hwnas.arrays import FloatArray, IntArray
from hwnas.errors import ArchitectureError, DataError, OptionError, PredictorFormatError
from hwnas.predictors.intervals import check_confidence
from hwnas.predictors.regression.candidates import Problem, fit_candidates
from hwnas.predictors.regression.cells import entry_costs
from hwnas.predictors.regression.choice import choose, combine, leave_out
from hwnas.predictors.regression.columns import Columns
from hwnas.predictors.regression.ordered import numbers_of
from hwnas.predictors.regression.stored import read, write
from hwnas.predictors.regression.views import Batch, views_of
from hwnas.progress import say
from hwnas.spaces import SearchSpace
from hwnas.spaces.layout import followed

__all__ = ["LatencyRegressor"]

_LEAST = 5
#: Cubic time: larger samples are thinned to this.
_MOST_ROWS = 2000
#: Rows predicted at once.
_ROWS = 2**17
#: Predictions are never below this share of the lowest latency in the sample.
_LOWEST = 0.1
#: A gap of this factor between neighbouring latencies is a change of units.
_UNITS_APART = 100
#: Fitted attributes that are stored: all that predictions, intervals and reports need.
#: Rows that a predictor must predict before it is taken from a file, beside every value.
_TRIALS = 32
_STATE = (
    "columns_",
    "views_",
    "model_",
    "chosen_",
    "report_",
    "lowest_ms_",
    "left_out_ms_",
    "scores_",
    "centre_",
    "spread_",
)


class LatencyRegressor(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Predicts latency from integer-coded architectures, from 5 to thousands of samples.

    Columns of whole numbers are categories. Values that do not count from 0 or 1 (widths, kernel
    sizes) may have an order: a model that uses it is compared with those that do not, and numbers
    that no sample had may come, up to four times below or above. Columns with other numbers, or
    with more than 16 distinct ones, are quantities (an input resolution): their effect is
    interpolated, and they may take new values. Another category that no sample had is an error;
    with few samples a column may take those of columns that choose among the same things, as
    long as its own sample can have missed them by chance.

    `fit` compares models of growing detail (``CANDIDATES`` in the file next to this one) by how
    well they predict samples they have not seen, in relative error: non-negative prices of
    operators, effects of decisions, pairs and blocks of decisions, live edges of a cell, Gaussian
    processes, gradient boosting. It takes the simplest of the best, or a combination if that is
    better; below 40 samples always a combination. More than 2000 samples are thinned at random.

    Args:
        space: a `hwnas.spaces.SearchSpace` that the rows belong to. Then every choice of the
            space may be predicted, costs (MACs, bytes, kernels) become features, and in cells of
            edges dead operators are recognised.
        categories: without a space, the values that may come, one list a column.
        random_state: seed of what is random.

    Attributes:
        chosen_: name of the chosen model, or ``combination``.
        report_: a `Choice`: errors of all candidates, weights of the chosen ones, the reason.
        left_out_ms_: for each training sample its prediction when it was left out, ms; NaN for
            those that were thinned out.
        scores_: absolute log errors of those, which intervals are made from.
        columns_: how the columns were read, a `hwnas.predictors.regression.columns.Columns`.
    """

    def __init__(
        self,
        space: SearchSpace | None = None,
        *,
        categories: Sequence[npt.ArrayLike] | None = None,
        random_state: int = 0,
    ):
        self.space = space
        self.categories = categories
        self.random_state = random_state

    def fit(self, X: npt.ArrayLike, y: npt.ArrayLike) -> "LatencyRegressor":  # noqa: N803
        """Fit on architectures (n, n_decisions) and their latencies ``y`` (n,) in ms.

        Raises:
            DataError: latencies that are not positive, or of mixed units.
            ValueError: NaN, infinity, or fewer than 5 samples (scikit-learn's own messages).
            ArchitectureError: rows that do not belong to ``space``.
            OptionError: arguments that contradict each other.
        """
        rows, ms = validate_data(
            self, X, y, dtype="numeric", y_numeric=True, ensure_min_samples=_LEAST
        )
        rows, ms = np.asarray(rows, float), np.asarray(ms, float)
        if np.any(ms <= 0):
            at = int(np.flatnonzero(ms <= 0)[0])
            raise DataError(f"latencies are positive milliseconds, got {ms[at]:g} in sample {at}")
        ordered = np.sort(ms)
        gap = int(np.argmax(ordered[1:] / ordered[:-1]))
        if ordered[gap + 1] > _UNITS_APART * ordered[gap]:
            raise DataError(
                f"latencies are all in ms, got {gap + 1} up to {ordered[gap]:g} and the others "
                f"from {ordered[gap + 1]:g} on, as if units were mixed: convert them"
            )
        columns = self._read_columns(rows)
        order = np.random.default_rng(self.random_state).permutation(len(rows))[:_MOST_ROWS]
        self.columns_ = columns
        self._measure_quantities(rows)
        codes, numbers = self._split(rows, 0)
        cell = None if self.space is None else self.space.layout.cell
        self.views_ = views_of(columns, codes[order], cell)
        problem = Problem(
            Batch(self.views_, codes[order], numbers[order], rows[order]),
            ms[order],
            None if self.space is None else entry_costs(self.space),
            None if self.space is None else _free(self.space),
            self.random_state,
            numbers_of(columns, rows),
        )
        self.lowest_ms_ = _LOWEST * float(ms.min())
        self.left_out_ms_ = np.full(len(ms), np.nan)
        # one thread: the matrices are small, and sums do not depend on the number of cores
        with threadpool_limits(1):
            fits = fit_candidates(problem)
            self.report_ = choose(fits, ms[order], self.lowest_ms_)
            kept = [fit for fit in fits if fit.name in self.report_.weights]
            weights = [self.report_.weights[fit.name] * self.report_.centre for fit in kept]
            self.left_out_ms_[order] = leave_out(problem, kept, weights, self.lowest_ms_)
        self.chosen_ = kept[0].name if len(kept) == 1 else "combination"
        self.model_ = combine([fit.model for fit in kept], weights)
        self.scores_ = np.abs(np.log(self.left_out_ms_[order] / ms[order]))
        return self

    def predict(self, X: npt.ArrayLike) -> FloatArray:  # noqa: N803
        """Latencies in ms, (n,), of architectures (n, n_decisions).

        Raises:
            ArchitectureError: a choice that the space does not have, or, without a space, one
                that was never seen in fit.
        """
        check_is_fitted(self)
        rows = validate_data(self, X, dtype="numeric", reset=False)
        total = np.zeros(len(rows))
        # of equal size, since few rows are computed more exactly than many
        parts = np.linspace(0, len(rows), -(-len(rows) // _ROWS) + 1).astype(int)
        for start, end in pairwise(parts.tolist()):
            part = np.asarray(rows[start:end], float)
            codes, numbers = self._split(part, start)
            batch = Batch(self.views_, codes, numbers, part)
            for model, weight in self.model_:
                total[start:end] += weight * np.maximum(model(batch), self.lowest_ms_)
        return total

    def score(
        self,
        X: npt.ArrayLike,  # noqa: N803
        y: npt.ArrayLike,
        sample_weight: npt.ArrayLike | None = None,
    ) -> float:
        """R^2 of the predictions, as scikit-learn has it, of the rows that can be predicted.

        Rows that hold a category which fit never saw are left out and counted in a warning: a fold
        of a cross-validation must not void it.

        Raises:
            ArchitectureError: fewer than two rows can be predicted.
        """
        check_is_fitted(self)
        rows = np.asarray(validate_data(self, X, dtype="numeric", reset=False), float)
        known = self.columns_.known(rows)
        if not known.all() and known.sum() > 1:
            say(
                f"{(~known).sum()} of {len(known)} rows hold values that fit never saw",
                warning="not scored:",
            )
            weight = None if sample_weight is None else np.asarray(sample_weight)[known]
            return float(super().score(rows[known], np.asarray(y)[known], weight))
        return float(super().score(X, y, sample_weight))

    def predict_interval(
        self,
        X: npt.ArrayLike,  # noqa: N803
        confidence: float = 0.95,
    ) -> FloatArray:
        """Intervals (n, 2) in ms that hold a measured latency with this confidence.

        From the relative errors on the training samples, each predicted from the others: the
        ``ceil((n + 1) * confidence)``-th smallest of them, as in conformal prediction (Lei et al.,
        2018), so that the share holds for finite samples, averaged over architectures.

        Raises:
            OptionError: the confidence is not between 0 and 1, or needs more samples.
        """
        low, high = self.interval_factors(confidence)
        ms = self.predict(X)
        interval = np.empty((len(ms), 2))
        np.multiply(ms, low, out=interval[:, 0])
        np.multiply(ms, high, out=interval[:, 1])
        return interval

    def interval_factors(self, confidence: float = 0.95) -> tuple[float, float]:
        """What predictions are multiplied by, to get the two ends of `predict_interval`.

        Raises:
            OptionError: the confidence is not between 0 and 1, or needs more samples.
        """
        check_is_fitted(self)
        check_confidence(confidence)
        scores = np.sort(self.scores_)
        rank = int(np.ceil((len(scores) + 1) * confidence - 1e-9))
        if rank > len(scores):
            raise OptionError(
                f"an interval of confidence {confidence:g} needs at least "
                f"{int(np.ceil(confidence / (1 - confidence) - 1e-9))} samples, got {len(scores)}: "
                f"measure more, or ask for at most {1000 * len(scores) // (len(scores) + 1) / 1000}"
            )
        spread = float(scores[rank - 1])
        return float(np.exp(-spread)), float(np.exp(spread))

    def save(self, path: str | Path, notes: Mapping[str, str] | None = None) -> None:
        """Write the fitted model to a file, whole or not at all; by convention ``.npz``.

        Args:
            path: the file.
            notes: what a reader should know, such as the device and where the samples came from.
        """
        check_is_fitted(self)
        space = self.space
        record = None if space is None else {"name": space.name, "arguments": space.arguments}
        state = {name: getattr(self, name) for name in (*_STATE, "n_features_in_")}
        content = {"space": record, "random_state": self.random_state, "notes": dict(notes or {})}
        write(Path(path), content | state)

    @classmethod
    def load(cls, path: str | Path) -> "LatencyRegressor":
        """Read what `save` wrote; nothing in the file is executed. Sets ``notes_`` as well.

        Raises:
            PredictorFormatError: the file is not a fitted predictor.
        """
        content = read(Path(path))
        try:
            record = content["space"]
            space = None if record is None else spaces.space(record["name"], **record["arguments"])
            model = cls(space, random_state=content["random_state"])
            for name in (*_STATE, "n_features_in_"):
                setattr(model, name, content[name])
            model.notes_ = content["notes"]
            model.predict(model._some_rows())
        except (
            *(LookupError, TypeError, ValueError, AttributeError),
            *(ArithmeticError, RuntimeError, MemoryError),
        ) as error:
            raise PredictorFormatError(f"{path} holds no working predictor: {error}") from None
        return model

    def _some_rows(self) -> FloatArray:
        """Rows that hold every value of every column, and others by chance."""
        most = max(map(len, self.columns_.values), default=1)
        rng = np.random.default_rng(0)
        rows = np.zeros((most + _TRIALS, self.columns_.count))
        for column, values in zip(self.columns_.chosen, self.columns_.values, strict=True):
            every = np.minimum(np.arange(most), len(values) - 1)
            drawn = rng.integers(0, len(values), _TRIALS)
            rows[:, column] = np.asarray(values)[np.concatenate([every, drawn])]
        rows[:, list(self.columns_.quantities)] = self.centre_
        return rows

    def _read_columns(self, rows: FloatArray) -> Columns:
        if self.space is None:
            return Columns.of_data(rows, self.categories)
        if not isinstance(self.space, SearchSpace):
            raise OptionError(
                f"space is a SearchSpace such as hwnas.space('nasbench201'), or None; "
                f"got {self.space!r}"
            )
        if self.categories is not None:
            raise OptionError("categories come from the space: give one of both")
        if np.any(rows != np.rint(rows)):
            raise ArchitectureError(f"architectures of {self.space.name} are whole numbers")
        self.space.check(rows.astype(np.int64))
        return Columns.of_space(self.space)

    def _measure_quantities(self, rows: FloatArray) -> None:
        numbers = rows[:, self.columns_.quantities]
        self.centre_ = numbers.mean(axis=0)
        spread = numbers.std(axis=0)
        self.spread_ = np.where(spread > 0, spread, 1.0)

    def _split(self, rows: FloatArray, first: int) -> tuple[IntArray, FloatArray]:
        """Codes of the categories and standardised quantities; errors count rows from ``first``."""
        numbers = (rows[:, self.columns_.quantities] - self.centre_) / self.spread_
        return self.columns_.codes(rows, first), numbers

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.positive_only = True
        return tags


def _free(space: SearchSpace) -> FloatArray:
    """1 for each choice that runs nothing in any slot, decision after decision."""
    slots = followed(space.layout.slots, len(space.decisions))

    def runs(decision: int, choice: int) -> bool:
        if not slots[decision]:
            return not getattr(space.decisions[decision].choices[choice], "no_op", False)
        picked = ((slot, slot.candidate(choice)) for slot in slots[decision])
        return any(at is not None and not slot.workloads[at].op.no_op for slot, at in picked)

    return np.array(
        [float(not runs(d, c)) for d, n in enumerate(space.n_choices) for c in range(n)]
    )
