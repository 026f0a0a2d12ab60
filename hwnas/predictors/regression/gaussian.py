"""Gaussian processes that are sums of terms, fitted by their own marginal likelihood.

Each term is one granularity at which latency may vary; its variance is estimated, so that a term
that the data do not ask for vanishes, and effects are shrunk as far as the sample is small. With
linear terms only this is ridge regression with learned penalties. Leave-one-out predictions come in
closed form (Rasmussen and Williams, 2006, equations 5.8 and 5.12).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.linalg import lapack
from scipy.optimize import minimize

from hwnas.arrays import FloatArray
from hwnas.predictors.regression.terms import Linear, Placed, Smooth, Term
from hwnas.predictors.regression.views import Batch

__all__ = ["GaussianFit", "Link", "fit_gaussian"]

#: What the terms of a process add up to: ms, or log ms.
Link = Literal["identity", "log"]

#: Samples that variances are estimated on; more change them little and cost their cube.
_ESTIMATE_ON = 300
#: Degrees of freedom of the noise: outliers weigh less (Student's t, by reweighting).
_FREEDOM = 4.0
_ROBUST_FROM = 40
#: Standard deviation of a normal distribution over its median absolute value.
_SIGMA = 1.4826
#: Where log variances of terms and noise start, and a faint pull towards there.
_START, _NOISE_START, _PULL = -4.0, -6.0, 0.02
#: A smooth term whose spread is below this share of the errors' is left out: it would cost time.
_NEGLIGIBLE = 0.03


@dataclass(frozen=True, eq=False)
class GaussianFit:
    """A fitted process.

    Attributes:
        linear: all linear terms, in ms or log ms.
        smooth: the other terms.
        link: what the terms add up to.
        left_out_ms: prediction of each training sample from the others, (n,).
        theta: log variances of the terms and of the noise.
    """

    linear: Linear
    smooth: tuple[Smooth, ...]
    link: Link
    left_out_ms: FloatArray
    theta: FloatArray

    def __call__(self, batch: Batch) -> FloatArray:
        """Predictions in ms, (n,)."""
        total = self.linear(batch)
        for term in self.smooth:
            total += term(batch)
        return np.exp(np.minimum(total, 700.0)) if self.link == "log" else total


def fit_gaussian(
    terms: Sequence[Term],
    train: Batch,
    ms: FloatArray,
    link: Link,
    placed: dict[Term, Placed] | None = None,
    theta: FloatArray | None = None,
) -> GaussianFit:
    """Fit a sum of terms to latencies by relative error.

    Under the identity link the noise of a sample is in proportion to its latency, so that
    relative errors count while effects still add up in ms.

    Args:
        terms: their variances are estimated.
        train: n architectures, in random order.
        ms: their latencies (n,), positive.
        link: what the terms add up to.
        placed: terms on ``train`` so far, to share what several fits need; new ones are added.
        theta: log variances that are known already; estimated if not.
    """
    n = len(train)
    known = {} if placed is None else placed
    for term in terms:
        if term not in known:
            known[term] = term.on(train)
    matrices = [known[term].covariance for term in terms]
    if link == "log":
        centre = float(np.log(ms).mean())
        weight, target = np.ones(n), np.log(ms) - centre
    else:
        centre = float(ms.mean())
        weight, target = centre / ms, 1 - centre / ms
    few = slice(0, min(n, _ESTIMATE_ON))
    part = [np.ascontiguousarray(k[few, few]) for k in matrices]
    noise = np.ones(n)
    fixed = theta is not None
    rounds = 1 if n < _ROBUST_FROM else 3
    for turn in range(rounds):
        if not fixed:
            theta = _estimate(part, target[few], weight[few], noise[few], theta)
        assert theta is not None
        scale = np.exp(theta)
        total = sum(s * k for s, k in zip(scale[:-1], matrices, strict=True))
        assert isinstance(total, np.ndarray)
        total = total * weight[:, None] * weight
        total[np.diag_indices(n)] += scale[-1] * noise
        inverse = _inverse(total)
        alpha = inverse @ target
        spread = 1 / np.diag(inverse)
        residual = alpha * spread
        if turn + 1 < rounds:
            score = residual**2 / np.maximum(spread - scale[-1] * (noise - 1), 0.5 * scale[-1])
            score /= max(_SIGMA**2 * float(np.median(score)), 1e-12)
            noise = (_FREEDOM + score) / (_FREEDOM + 1)
    left_out = target - residual
    alpha = alpha * weight
    factor, offset = (1.0, centre) if link == "log" else (centre, centre)
    errors = _SIGMA * float(np.median(np.abs(residual / weight)))  # without the outliers
    linear = Linear(offset, {}, np.zeros(0))
    smooth = []
    for term, s, matrix in zip(terms, scale[:-1], matrices, strict=True):
        part_of = known[term].predictor(alpha)
        if isinstance(part_of, Linear):
            linear = linear + part_of.scaled(float(s) * factor)
            continue
        values = s * (matrix @ alpha)
        if float(values.std()) > _NEGLIGIBLE * errors:
            smooth.append(part_of.scaled(float(s) * factor))
        else:
            linear = linear.scaled(1.0, factor * float(values.mean()))
    left_out_ms = np.exp(centre + left_out) if link == "log" else centre + left_out * ms
    return GaussianFit(linear, tuple(smooth), link, left_out_ms, np.log(scale))


def _inverse(matrix: FloatArray) -> FloatArray:
    """Inverse of a symmetric positive definite matrix, with as much jitter as it takes."""
    for jitter in (0.0, 1e-10, 1e-8, 1e-6, 1e-4):
        shifted = matrix + jitter * np.trace(matrix) / len(matrix) * np.eye(len(matrix))
        lower, failed = lapack.dpotrf(shifted, lower=1, clean=1)
        if not failed:
            inverse, _ = lapack.dpotri(lower, lower=1)
            return np.asarray(np.tril(inverse) + np.tril(inverse, -1).T)
    raise np.linalg.LinAlgError("the covariance of the samples is not positive definite")


def _estimate(
    matrices: Sequence[FloatArray],
    target: FloatArray,
    weight: FloatArray,
    noise: FloatArray,
    start: FloatArray | None,
) -> FloatArray:
    """Log variances of the terms and of the noise at the maximum of the marginal likelihood.

    Samples are weighted by ``weight``, and further by ``noise`` so that it becomes uniform.
    """
    by = weight / np.sqrt(noise)
    scaled = [k * by[:, None] * by for k in matrices]
    values = target / np.sqrt(noise)
    n, count = len(values), len(scaled)
    middle = np.append(np.full(count, _START), _NOISE_START)

    def loss(theta: FloatArray) -> tuple[float, FloatArray]:
        scale = np.exp(theta)
        total = np.eye(n) * scale[-1]
        for s, k in zip(scale[:-1], scaled, strict=True):
            total += s * k
        lower, failed = lapack.dpotrf(total, lower=1, clean=1, overwrite_a=1)
        if failed:
            return 1e10, np.zeros_like(theta)
        alpha, _ = lapack.dpotrs(lower, values, lower=1)
        value = 0.5 * float(values @ alpha) + float(np.log(np.diag(lower)).sum())
        inverse, _ = lapack.dpotri(lower, lower=1)
        slope = np.tril(inverse) + np.tril(inverse, -1).T - np.outer(alpha, alpha)
        gradient = [s * np.vdot(slope, k) for s, k in zip(scale[:-1], scaled, strict=True)]
        gradient.append(scale[-1] * np.trace(slope))
        away = theta - middle
        return (
            value + _PULL * float(away @ away),
            0.5 * np.array(gradient) + 2 * _PULL * away,
        )

    bounds = [(-14.0, 5.0)] * count + [(-14.0, 0.0)]
    found = minimize(
        loss,
        middle if start is None else start,
        jac=True,
        method="L-BFGS-B",
        bounds=bounds,
        options={"maxiter": 40 if start is None else 10},
    )
    return np.asarray(found.x)
