"""Which candidates to believe: one, or a weighted combination."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import nnls

from hwnas.arrays import FloatArray
from hwnas.predictors.regression.candidates import (
    FEW,
    Fitted,
    Model,
    Problem,
    fit_candidates,
    folds,
)
from hwnas.predictors.regression.gaussian import GaussianFit
from hwnas.predictors.regression.terms import Linear, PlacedNear, Smooth

__all__ = ["Choice", "choose", "combine", "leave_out"]

#: Relative errors beyond this count as this, so that single outliers do not choose the model.
_CAP = 0.3
#: A simpler model is chosen if its error is at most this much above the lowest, relatively.
_SIMPLER = 0.02
#: Nor does a difference of this much matter, absolutely: no device is that steady.
_IMMATERIAL = 5e-4
#: How much lower the error of a combination must be, relatively, to be chosen.
_WORTH = 0.01
#: How fast weights fall with the error when few samples are blended over all models.
_SHARPNESS = 4.0
_SMALLEST_WEIGHT = 0.05
#: From so many samples on predictions are centred on the bulk of the errors; see `_centre`.
_CENTRE_FROM, _BULK, _SMALL, _COST = 200, 0.13, 0.05, 0.1
#: Parts that are left out in turn to learn the error of what was chosen, by number of samples:
#: a smaller sample loses more with each part, and is fitted faster.
_PARTS = ((20, 20), (FEW, 5), (300, 10), (10**9, 5))


@dataclass(frozen=True)
class Choice:
    """What `LatencyRegressor` compared and chose; prints as a table.

    Attributes:
        errors: mean relative error by candidate, each sample predicted from others.
        weights: of the chosen candidates, summing to 1.
        centre: their sum is multiplied by this, so that where a device is often slow for no reason
            that shows in the architecture, its usual state is predicted.
        error: of what was chosen.
        reason: why, in a sentence.
    """

    errors: Mapping[str, float]
    weights: Mapping[str, float]
    centre: float
    error: float
    reason: str

    def __str__(self) -> str:
        width = max(len(name) for name in self.errors)
        lines = [f"{'candidate':{width}}  error  weight"]
        for name, error in sorted(self.errors.items(), key=lambda item: item[1]):
            weight = self.weights.get(name)
            share = "" if weight is None else f"  {weight:6.2f}"
            lines.append(f"{name:{width}}  {error:5.1%}{share}")
        return "\n".join([*lines, self.reason])


def _error(predicted: FloatArray, ms: FloatArray) -> float:
    """Mean relative error; outliers count as ``_CAP``."""
    return float(np.minimum(np.abs(predicted / ms - 1), _CAP).mean())


def choose(fits: Sequence[Fitted], ms: FloatArray, lowest: float) -> Choice:
    """Compare candidates on samples (n,) that they predicted from others.

    Args:
        fits: in the order of preference.
        ms: the measured latencies, (n,).
        lowest: predictions below are raised to it, ms.
    """
    left_out = np.stack([np.maximum(fit.left_out_ms, lowest) for fit in fits])
    errors = np.array([_error(row, ms) for row in left_out])
    best = float(errors.min())
    if len(ms) < FEW:
        weights = _blend(errors)
        reason = f"all models weighted by their error, since {len(ms)} samples cannot tell the best"
    else:
        simplest = int(np.flatnonzero(errors <= best * (1 + _SIMPLER) + _IMMATERIAL)[0])
        weights, honest = _stack(left_out, ms)
        if honest < errors[simplest] * (1 - _WORTH) - _IMMATERIAL and np.count_nonzero(weights) > 1:
            reason = (
                f"the combination errs by {honest:.2%} on samples left out, the best single model "
                f"({fits[int(errors.argmin())].name}) by {best:.2%}"
            )
        else:
            weights = np.eye(len(fits))[simplest]
            reason = f"the simplest model within {_SIMPLER:.0%} of the lowest error, {best:.2%}"
    predicted = weights @ left_out
    centre = _centre(np.log(ms / predicted)) if len(ms) >= _CENTRE_FROM else 1.0
    return Choice(
        {fit.name: float(error) for fit, error in zip(fits, errors, strict=True)},
        {fit.name: float(w) for fit, w in zip(fits, weights, strict=True) if w > 0},
        centre,
        _error(centre * predicted, ms),
        reason,
    )


def _centre(residuals: FloatArray) -> float:
    """The factor around which most log residuals lie, by a kernel that is flat in the middle.

    Errors of a few percent count nearly alike, those beyond `_BULK` not at all; but of the small
    ones, within `_SMALL`, no more than `_COST` may be lost.
    """
    shifts = np.linspace(-_BULK / 2, _BULK / 2, 61)
    shifts = shifts[np.argsort(np.abs(shifts), kind="stable")]  # none first, so that it wins ties
    apart = np.abs(residuals[:, None] - shifts)
    bulk = np.maximum(1 - (apart / _BULK) ** 3, 0).mean(axis=0)
    small = (apart <= _SMALL).mean(axis=0)
    bulk[small < (1 - _COST) * small[0]] = -1
    return float(np.exp(shifts[bulk.argmax()]))


def _blend(errors: FloatArray) -> FloatArray:
    weights = np.exp(-_SHARPNESS * (errors / max(float(errors.min()), 1e-4) - 1))
    weights[weights < _SMALLEST_WEIGHT * weights.max()] = 0.0
    return np.asarray(weights / weights.sum())


def leave_out(
    problem: Problem, kept: Sequence[Fitted], weights: Sequence[float], lowest: float
) -> FloatArray:
    """What the chosen combination predicts for each sample when that was left out, ms (n,).

    Few samples are chosen among again without the ones left out, many only fitted again.
    """
    n = len(problem.ms)
    predicted = np.zeros(n)
    few = n < FEW
    parts = next(count for below, count in _PARTS if n < below)
    for rows, others in folds(n, parts):
        test = problem.train.take(rows)
        if few:
            part = problem.take(others)
            fits = fit_candidates(part)
            chosen = choose(fits, part.ms, lowest).weights
            for fit in fits:
                if fit.name in chosen:
                    predicted[rows] += chosen[fit.name] * np.maximum(fit.model(test), lowest)
            continue
        for fit, weight in zip(kept, weights, strict=True):
            ms = fit.left_out_ms[rows] if fit.again is None else fit.again(others)(test)
            predicted[rows] += weight * np.maximum(ms, lowest)
    return predicted


def _stack(left_out: FloatArray, ms: FloatArray) -> tuple[FloatArray, float]:
    """Weights of the best combination, and its error on samples that did not choose the weights."""
    fold = np.arange(len(ms)) % 5
    predicted = np.empty(len(ms))
    for f in range(5):
        predicted[fold == f] = (
            _weights(left_out[:, fold != f], ms[fold != f]) @ left_out[:, fold == f]
        )
    return _weights(left_out, ms), _error(predicted, ms)


def _weights(left_out: FloatArray, ms: FloatArray) -> FloatArray:
    """Non-negative weights, summing to 1, that minimise squared capped relative errors."""
    relative = np.clip(left_out / ms, 1 - _CAP, 1 + _CAP).T
    sums = np.full((1, relative.shape[1]), 100.0 * len(ms) ** 0.5)
    weights = nnls(np.concatenate([relative, sums]), np.append(np.ones(len(ms)), sums[0, 0]))[0]
    weights[weights < _SMALLEST_WEIGHT * weights.sum()] = 0.0
    return np.asarray(weights / weights.sum())


def combine(models: Sequence[Model], weights: Sequence[float]) -> list[tuple[Model, float]]:
    """Weighted models; what is linear is added up to one table, and what is alike to one term."""
    nothing = np.zeros(0)
    linear: Linear | None = None
    smooth: dict[PlacedNear, FloatArray] = {}
    rest: list[tuple[Model, float]] = []
    for model, weight in zip(models, weights, strict=True):
        whole = model
        if isinstance(whole, Linear):
            whole = GaussianFit(whole, (), "identity", nothing, nothing)
        if not (isinstance(whole, GaussianFit) and whole.link == "identity"):
            rest.append((model, weight))
            continue
        part = whole.linear.scaled(weight)
        linear = part if linear is None else linear + part
        for term in whole.smooth:
            known = smooth.get(term.near, 0.0)
            smooth[term.near] = known + weight * term.alpha
    if linear is not None:
        share = sum(weights) - sum(weight for _, weight in rest)
        terms = tuple(Smooth(near, alpha / share) for near, alpha in smooth.items())
        merged = GaussianFit(linear.scaled(1 / share), terms, "identity", nothing, nothing)
        rest.insert(0, (merged, share))
    return rest
