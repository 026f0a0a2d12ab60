"""Latencies of whole networks as sums over layers, against written truths."""

import numpy as np
import pytest
from families import cnn_space
from scipy.optimize import check_grad

from hwnas.predictors.layer_sums import (
    LayerSums,
    _alike,
    _apart,
    _cost,
    _expected,
    left_out,
)
from hwnas.spaces.module_facts import Layer


def network(rng: np.random.Generator) -> dict[Layer, int]:
    """A stem, three convolutions of random widths and kernels, a classifier."""
    widths = [3, *rng.choice([16, 24, 32, 48], 4).tolist()]
    layers = {
        Layer("conv", widths[at], widths[at + 1], int(k) ** 2, 256 // 4**at): 1
        for at, k in enumerate(rng.choice([3, 5, 7], 4))
    }
    return layers | {Layer("linear", widths[4], 10): 1, Layer("other", positions=4096): 1}


def truth_ms(layers: dict[Layer, int]) -> float:
    """Small layers and odd channels are less efficient, and each layer costs something."""

    def layer_ms(layer: Layer) -> float:
        if layer.kind == "other":
            return 0.01
        padded = 16 * -(-layer.outputs // 16) / layer.outputs
        return 0.004 + layer.macs * padded / (4e7 * min(1.0, 0.4 + layer.inputs / 80))

    return sum(count * layer_ms(layer) for layer, count in layers.items())


def sample(count: int, seed: int) -> tuple[list[dict[Layer, int]], np.ndarray]:
    rng = np.random.default_rng(seed)
    networks = [network(rng) for _ in range(count)]
    return networks, np.array([truth_ms(n) for n in networks])


def test_a_sum_of_curved_layers_is_learned_from_forty_networks() -> None:
    networks, ms = sample(40, seed=0)
    others, wanted = sample(200, seed=1)
    errors = np.abs(LayerSums.fit(networks, ms).predict(others) / wanted - 1)
    assert errors.mean() < 0.03


def test_what_is_left_out_tells_how_far_new_ones_are_off() -> None:
    networks, ms = sample(40, seed=0)
    noisy = ms * np.exp(np.random.default_rng(2).normal(0, 0.02, 40))
    scores = np.sort(np.abs(np.log(left_out(networks, noisy) / noisy)))
    others, wanted = sample(200, seed=1)
    measured = wanted * np.exp(np.random.default_rng(3).normal(0, 0.02, 200))
    off = np.abs(np.log(LayerSums.fit(networks, noisy).predict(others) / measured))
    assert 0.8 <= (off <= scores[36]).mean() <= 1.0
    assert scores[36] < 0.12


def test_a_roofline_alone_is_found_exactly() -> None:
    networks, _ = sample(30, seed=0)
    ms = np.array([0.1 + 1e-8 * sum(layer.macs for layer in n) for n in networks])
    others, _ = sample(50, seed=1)
    wanted = np.array([0.1 + 1e-8 * sum(layer.macs for layer in n) for n in others])
    assert LayerSums.fit(networks, ms).predict(others) == pytest.approx(wanted, rel=0.01)


def test_twice_the_layer_is_twice_its_time() -> None:
    networks, ms = sample(20, seed=0)
    fitted = LayerSums.fit(networks, ms)
    layer, call = Layer("conv", 16, 32, 9, 64), Layer("other", positions=4096)
    none, one, two = fitted.predict([{call: 1}, {layer: 1, call: 1}, {layer: 2, call: 1}])
    assert two - one == pytest.approx(one - none)


def test_the_gradient_is_that_of_the_cost() -> None:
    networks, _ = sample(12, seed=0)
    layers = list(dict.fromkeys(layer for n in networks for layer in n))
    rng = np.random.default_rng(0)
    shares, rest = rng.random((12, len(layers))) / len(layers), rng.normal(0, 0.1, 12)
    apart, alike = _apart(layers, layers), _alike(layers, layers)
    told = (shares, rest, apart, alike)
    theta = _expected(apart) + rng.normal(0, 0.3, len(apart) + 2)
    off = check_grad(lambda t: _cost(t, *told)[0], lambda t: _cost(t, *told)[1], theta)
    assert off < 1e-5 * np.linalg.norm(_cost(theta, *told)[1])


def test_the_layers_of_a_module() -> None:
    space = cnn_space()
    layers = space.layout.facts([0, 0, 1, 1]).layers
    assert layers == {
        Layer("conv", 3, 8, 25, 16, stride=4): 1,
        Layer("conv", 8, 12, 25, 4, stride=4): 1,
        Layer("linear", 12, 10, 1, 1): 1,
        # batch-norms and ReLUs of both stages, and the mean
        Layer("other", positions=2 * (8 * 16 + 12 * 4) + 12): 1,
    }
    assert sum(layer.macs for layer in layers) == space.macs([0, 0, 1, 1])[0]
