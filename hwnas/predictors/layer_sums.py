"""The latency of whole networks as a sum over their layers, learned from whole networks alone.

What a layer takes is one unknown function of what it does (channels, kernel, positions): a Gaussian
process times a roofline, with a length for each number. A network's latency is the sum of the
function over its layers, so that every measured network says something about every layer it runs,
and networks of layers that no sample had are predicted from near ones. Sums of values of a Gaussian
process are jointly Gaussian: all follows from one matrix (Rasmussen and Williams, 2006, eq. 2.25;
lengths by the marginal likelihood, eq. 5.9).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_solve
from scipy.optimize import minimize, nnls

from hwnas.arrays import FloatArray
from hwnas.spaces.module_facts import Layer

__all__ = ["LayerSums", "left_out"]

#: Runtimes compute channels in blocks of so many, whether all are there or not.
_BLOCK = 16
_KINDS = ("conv", "depthwise", "linear", "matmul", "other")
#: Of the logarithms of lengths, the spread and the noise: where they are expected, and how surely.
_LENGTH, _SPREAD, _NOISE, _DOUBT = 1.0, math.log(0.5), math.log(0.01), 0.6
#: Share of the mean latency that layers are given by the numbers they move, whatever the fit says.
_BY_SIZE = 0.05
#: Predictions are never below this share of the lowest sample.
_LOWEST = 0.1
_STEPS = 100
#: Parts of the samples that are left out in turn.
_FOLDS = 10
#: Of the mean variance, added so that rounding leaves a covariance positive.
_JITTER = 1e-9


@dataclass(frozen=True, eq=False)
class LayerSums:
    """A fitted sum over layers; see `fit`."""

    _prices: FloatArray
    _layers: tuple[Layer, ...]
    _weights: FloatArray
    _theta: FloatArray
    _lowest_ms: float

    @classmethod
    def fit(cls, networks: Sequence[Mapping[Layer, int]], ms: FloatArray) -> "LayerSums":
        """Learn from n networks.

        Args:
            networks: the layers of each, and how often it runs them.
            ms: their latencies, (n,), above 0.
        """
        layers = tuple(dict.fromkeys(layer for network in networks for layer in network))
        counts = _counts(networks, layers)
        prices = _roofline(counts, layers, ms)
        shares = counts * (_works(layers) @ prices) / ms[:, None]
        rest = 1.0 - shares.sum(axis=1)
        apart, alike = _apart(layers, layers), _alike(layers, layers)
        theta = minimize(
            _cost,
            _expected(apart),
            (shares, rest, apart, alike),
            method="L-BFGS-B",
            jac=True,
            options={"maxiter": _STEPS},
        ).x
        covariance = shares @ _kernel(theta, apart, alike) @ shares.T
        covariance[np.diag_indices(len(ms))] += math.exp(2 * theta[-1])
        weights = shares.T @ np.linalg.solve(covariance, rest)
        return cls(prices, layers, weights, theta, _LOWEST * float(ms.min()))

    def predict(self, networks: Sequence[Mapping[Layer, int]]) -> FloatArray:
        """Latencies in ms, (n,)."""
        layers = tuple(dict.fromkeys(layer for network in networks for layer in network))
        sums = _counts(networks, layers) @ self.each(layers)
        total: FloatArray = np.maximum(sums, self._lowest_ms)
        return total

    def each(self, layers: Sequence[Layer]) -> FloatArray:
        """What one run of each layer takes, ms (n,)."""
        kernel = _kernel(self._theta, _apart(layers, self._layers), _alike(layers, self._layers))
        ms: FloatArray = (_works(layers) @ self._prices) * (1.0 + kernel @ self._weights)
        return ms


def left_out(networks: Sequence[Mapping[Layer, int]], ms: FloatArray) -> FloatArray:
    """Each of n networks predicted in ms, (n,), by what was learned without it and its fold."""
    order = np.random.default_rng(0).permutation(len(ms))
    predicted = np.empty(len(ms))
    for fold in np.array_split(order, min(_FOLDS, len(ms))):
        others = np.setdiff1d(order, fold)
        fitted = LayerSums.fit([networks[at] for at in others], ms[others])
        predicted[fold] = fitted.predict([networks[at] for at in fold])
    return predicted


def _counts(networks: Sequence[Mapping[Layer, int]], layers: Sequence[Layer]) -> FloatArray:
    """How often each network runs each layer, (n, layers)."""
    place = {layer: at for at, layer in enumerate(layers)}
    counts = np.zeros((len(networks), len(layers)))
    for row, network in enumerate(networks):
        for layer, count in network.items():
            counts[row, place[layer]] = count
    return counts


def _works(layers: Sequence[Layer]) -> FloatArray:
    """What a roofline prices, (layers, columns): calls, MACs of each kind, numbers moved."""
    columns = []
    for layer in layers:
        macs = [float(layer.macs) if layer.kind == kind else 0.0 for kind in _KINDS[:-1]]
        other = layer.kind == "other"  # one of these stands in each network
        moved = [0.0, layer.positions] if other else [layer.numbers, 0.0]
        columns.append([float(other), float(not other), *macs, *map(float, moved)])
    return np.array(columns)


def _roofline(counts: FloatArray, layers: Sequence[Layer], ms: FloatArray) -> FloatArray:
    """Prices that are not negative, by least relative squares; no layer is free."""
    works = _works(layers)
    prices, _ = nnls(counts @ works / ms[:, None], np.ones(len(ms)))
    by_size = np.array([float(works[:, at].any()) for at in range(works.shape[1])])
    totals = (counts @ works).mean(axis=0)
    least = _BY_SIZE * float(ms.mean()) * by_size / np.maximum(totals, 1e-9) / len(totals)
    result: FloatArray = prices + least
    return result


def _numbers(layers: Sequence[Layer]) -> FloatArray:
    """Logarithms of what a layer does, (layers, numbers)."""
    rows = []
    for layer in layers:
        blocks = [_BLOCK * -(-size // _BLOCK) for size in (layer.inputs, layer.outputs)]
        read = layer.positions * layer.stride
        shape = (layer.kernel, layer.positions, read, layer.stride, layer.groups)
        sizes = (layer.inputs, layer.outputs, *shape, *blocks)
        rows.append([math.log(size) for size in sizes])
    return np.array(rows)


def _apart(some: Sequence[Layer], others: Sequence[Layer]) -> FloatArray:
    """Squared distances of each number, (numbers, some, others)."""
    distances: FloatArray = (_numbers(some).T[:, :, None] - _numbers(others).T[:, None]) ** 2
    return distances


def _alike(some: Sequence[Layer], others: Sequence[Layer]) -> FloatArray:
    """1 for layers of one kind, (some, others)."""
    kinds = [np.array([_KINDS.index(layer.kind) for layer in group]) for group in (some, others)]
    alike: FloatArray = np.equal.outer(*kinds).astype(np.float64)
    return alike


def _kernel(theta: FloatArray, apart: FloatArray, alike: FloatArray) -> FloatArray:
    """Covariance of two layers' times over their rooflines."""
    far = np.tensordot(np.exp(-2 * theta[:-2]), apart, 1)
    covariance: FloatArray = math.exp(2 * theta[-2]) * alike * np.exp(-0.5 * far)
    return covariance


def _expected(apart: FloatArray) -> FloatArray:
    """Logarithms of the lengths, of the spread and of the noise, as they are expected."""
    expected: FloatArray = np.array([*[_LENGTH] * len(apart), _SPREAD, _NOISE])
    return expected


def _cost(
    theta: FloatArray, shares: FloatArray, rest: FloatArray, apart: FloatArray, alike: FloatArray
) -> tuple[float, FloatArray]:
    """The negative logarithm of the posterior of lengths, spread and noise, and its gradient."""
    n = len(rest)
    kernel = _kernel(theta, apart, alike)
    noise = math.exp(2 * theta[-1])
    covariance = shares @ kernel @ shares.T + noise * np.eye(n)
    # networks of nearly the same layers, measured without noise, are no rank of their own
    covariance += _JITTER * np.trace(covariance) / n * np.eye(n)
    factor = np.linalg.cholesky(covariance)
    inverse = cho_solve((factor, True), np.eye(n))
    alpha = inverse @ rest
    off = (theta - _expected(apart)) / _DOUBT
    value = 0.5 * rest @ alpha + np.log(np.diag(factor)).sum() + 0.5 * off @ off
    slope = inverse - np.outer(alpha, alpha)
    each = 0.5 * kernel * (shares.T @ slope @ shares)
    lengths = np.tensordot(apart, each, 2) * np.exp(-2 * theta[:-2])
    gradient = np.array([*lengths, 2 * each.sum(), noise * np.trace(slope)])
    return float(value), gradient + off / _DOUBT
