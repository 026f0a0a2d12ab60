"""The joint losses against arithmetic, enumeration and finite differences."""

import math
import subprocess
import sys
from fractions import Fraction
from itertools import product

import numpy as np
import pytest
import torch

from hwnas.errors import OptionError, UnknownNameError
from hwnas.predictors import LatencyLoss, load_predictor

FORMS = {
    "additive": {"beta": 0.3},
    "multiplicative": {"exponent": 0.6, "target_ms": 0.2},
    "hinge": {"beta": 2.0, "target_ms": 0.1},
}


class Const:
    """Expects the sum of all probabilities, in ms."""

    def expected(self, probabilities):
        return sum(p.double().sum() for p in probabilities)


@pytest.fixture(scope="module")
def predictor(small_table, small_space):
    return load_predictor(small_table, small_space)


def test_expectation_is_the_exact_mean_over_all_architectures(predictor, small_space):
    """Dyadic probabilities and entries: every product and sum is a floating-point number."""
    rng = np.random.default_rng(0)
    weights = [rng.multinomial(64, np.full(n, 1 / n)) for n in small_space.n_choices]
    everything = np.array(list(product(*(range(n) for n in small_space.n_choices))))
    chances = np.prod([w[c] for w, c in zip(weights, everything.T, strict=True)], axis=0)
    pairs = zip(chances.tolist(), predictor.predict(everything).tolist(), strict=True)
    mean = sum(Fraction(chance, 64**4) * Fraction(ms) for chance, ms in pairs)
    assert chances.sum() == 64**4
    for dtype in (torch.float32, torch.float64):
        got = predictor.expected([torch.tensor(w / 64, dtype=dtype) for w in weights])
        assert Fraction(got.item()) == mean


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gradient_of_the_expectation_is_the_entries(predictor, small_space, dtype):
    given = [torch.rand(n, dtype=dtype).softmax(0).requires_grad_() for n in small_space.n_choices]
    predictor.expected(given).backward()
    for p, steps in zip(given, predictor.cost.entries, strict=True):
        assert p.grad.tolist() == (steps * predictor.cost.unit).tolist()


@pytest.mark.parametrize(
    ("form", "arguments", "value"),
    [
        ("additive", {"beta": 0.5}, 2 + 0.5 * 3),
        ("additive", {"beta": 0}, 2),
        ("multiplicative", {"exponent": 0.5, "target_ms": 12}, 2 * math.sqrt(3 / 12)),
        ("multiplicative", {"exponent": 0, "target_ms": 12}, 2),
        ("hinge", {"beta": 0.5, "target_ms": 2}, 2 + 0.5 * (3 / 2 - 1)),
        ("hinge", {"beta": 0.5, "target_ms": 4}, 2),
        ("hinge", {"beta": 0.5, "target_ms": 3}, 2),
    ],
)
def test_values_are_those_of_the_formulas(form, arguments, value):
    joint = LatencyLoss(Const(), form, **arguments)
    thrice = [torch.tensor([1.0, 1.0]), torch.tensor([1.0])]
    for loss in (torch.tensor(2.0), torch.tensor([2.0, 2.0], dtype=torch.float64)):
        got = joint(loss, thrice)
        assert (got.shape, got.dtype) == (loss.shape, loss.dtype)
        assert got.flatten().tolist() == pytest.approx([value] * loss.numel(), rel=1e-7)


@pytest.mark.parametrize("form", FORMS)
def test_gradients_are_those_of_finite_differences(predictor, small_space, form):
    joint = LatencyLoss(predictor, form, **FORMS[form])
    rng = np.random.default_rng(1)
    logits = [torch.tensor(rng.normal(size=n), requires_grad=True) for n in small_space.n_choices]
    task = torch.tensor(1.7, dtype=torch.float64, requires_grad=True)

    def value():
        return joint(task, [torch.softmax(row, 0) for row in logits])

    value().backward()
    step = 1e-5
    for tensor in (task, *logits):
        flat = tensor.data.view(-1)
        for at, slope in enumerate(tensor.grad.view(-1).tolist()):
            kept = flat[at].item()
            ends = []
            for moved in (kept + step, kept - step):
                flat[at] = moved
                ends.append(value().item())
            flat[at] = kept
            assert slope == pytest.approx((ends[0] - ends[1]) / (2 * step), rel=1e-6, abs=1e-9)
    assert any(row.grad.abs().max() > 1e-4 for row in logits)


def test_a_budget_that_is_kept_does_not_pull(predictor, small_space):
    given = [torch.full((n,), 1 / n, requires_grad=True) for n in small_space.n_choices]
    reached = predictor.expected(given).item()
    for target, pulls in ((reached, False), (reached * 1.01, False), (reached * 0.99, True)):
        joint = LatencyLoss(predictor, "hinge", beta=1.0, target_ms=target)
        grads = torch.autograd.grad(joint(torch.tensor(1.0), given), given)
        assert any(bool(grad.any()) for grad in grads) == pulls


def test_descent_reaches_the_cheapest_architecture(predictor, small_space):
    logits = [torch.zeros(n, requires_grad=True) for n in small_space.n_choices]
    joint = LatencyLoss(predictor, beta=100.0)
    for _ in range(100):
        value = joint(torch.tensor(0.0), [torch.softmax(row, 0) for row in logits])
        for row, grad in zip(logits, torch.autograd.grad(value, logits), strict=True):
            row.data -= grad
    arch, least = predictor.cost.minimum()
    found = [int(row.argmax()) for row in logits]
    assert predictor.predict(found)[0] == least
    assert found == arch.tolist()


@pytest.mark.parametrize(
    ("form", "arguments", "says"),
    [
        ("additive", {}, "additive latency loss takes beta, got none"),
        ("additive", {"beta": -0.1}, "beta is a finite number of at least 0, got -0.1"),
        ("additive", {"beta": math.nan}, "beta is a finite number of at least 0, got nan"),
        ("additive", {"beta": 1, "target_ms": 6}, "takes beta, got beta and target_ms"),
        ("hinge", {"beta": 1}, "takes beta and target_ms, got beta"),
        ("hinge", {"beta": 1, "target_ms": 0}, "target_ms is a finite number above 0, got 0"),
        ("hinge", {"beta": 1, "target_ms": "6ms"}, "number above 0, got '6ms'"),
        ("hinge", {"beta": 1, "target_ms": math.inf}, "number above 0, got inf"),
        ("multiplicative", {"exponent": -0.07, "target_ms": 6}, "exponent is .* got -0.07"),
        ("multiplicative", {"beta": 1, "target_ms": 6}, "takes exponent and target_ms, got beta"),
    ],
)
def test_bad_arguments(form, arguments, says):
    with pytest.raises(OptionError, match=says):
        LatencyLoss(Const(), form, **arguments)


def test_unknown_form():
    with pytest.raises(UnknownNameError, match="'linear': choose one of additive, multiplicative"):
        LatencyLoss(Const(), "linear", beta=1.0)


def test_it_prints_what_it_does():
    assert repr(LatencyLoss(Const(), "hinge", beta=1, target_ms=6)) == (
        "LatencyLoss(hinge, beta=1, target_ms=6)"
    )


def test_predictors_do_not_import_torch_before_it_is_needed():
    code = "import sys, hwnas.predictors; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
