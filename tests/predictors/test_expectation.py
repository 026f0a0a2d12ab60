"""Sampled expectations against enumeration."""

from itertools import product

import numpy as np
import pytest
import torch

from hwnas.errors import OptionError
from hwnas.predictors import LatencyLoss, SampledExpectation

N_CHOICES = (3, 2, 4)
EVERYTHING = np.array(list(product(*map(range, N_CHOICES))))
P = [torch.tensor(row) for row in ([0.5, 0.2, 0.3], [0.9, 0.1], [0.0, 0.25, 0.5, 0.25])]


class Model:
    """A sum over decisions, and a product of neighbours where ``pairs`` is not 0."""

    def __init__(self, pairs: float):
        self.pairs = pairs

    def predict(self, archs):
        a, b, c = np.asarray(archs, float).T
        return 5 + a + 2 * b + 0.5 * c + self.pairs * (a * b - b * c)


def exact(model):
    given = [p.clone().requires_grad_() for p in P]
    joint = torch.ones(len(EVERYTHING))
    for d, p in enumerate(given):
        joint = joint * p[torch.from_numpy(EVERYTHING[:, d])]
    mean = (joint * torch.from_numpy(model.predict(EVERYTHING))).sum()
    return mean.item(), torch.autograd.grad(mean, given)


def estimate(expectation):
    given = [p.clone().requires_grad_() for p in P]
    value = expectation.expected(given)
    return value.item(), torch.autograd.grad(value, given)


def test_differences_between_choices_are_exact_for_an_additive_model():
    _, slopes = estimate(SampledExpectation(Model(0), N_CHOICES, samples=5))
    for got, prices in zip(slopes, ([0, 1, 2], [0, 2], [0, 0.5, 1, 1.5]), strict=True):
        assert (got - got[0]).tolist() == pytest.approx(prices, abs=1e-6)


def test_additive_models_are_known_to_one_sample_in_each_decision():
    mean, _ = exact(Model(0))
    value, _ = estimate(SampledExpectation(Model(0), N_CHOICES, samples=1000))
    assert value == pytest.approx(mean, abs=(2 + 2 + 1.5) * 2 / 1000)


def test_value_and_gradient_have_no_bias():
    model = Model(1.0)
    mean, slopes = exact(model)
    expectation = SampledExpectation(model, N_CHOICES, samples=4)
    values, grads = zip(*(estimate(expectation) for _ in range(600)), strict=True)

    def agrees(samples, truth):
        return abs(np.mean(samples) - truth) < 4.5 * np.std(samples) / np.sqrt(len(samples)) + 1e-6

    assert agrees(values, mean)
    for d, slope in enumerate(slopes):
        for c, truth in enumerate(slope.tolist()):
            assert agrees([float(grad[d][c]) for grad in grads], truth)


def test_a_choice_of_probability_0_is_never_drawn_and_has_a_gradient():
    seen = []

    class Watching(Model):
        def predict(self, archs):
            seen.append(archs[: 3 * 50, 2])  # the rows in which the first decision is set
            return super().predict(archs)

    _, slopes = estimate(SampledExpectation(Watching(0), N_CHOICES, samples=50))
    assert 0 not in np.concatenate(seen)
    assert slopes[2][0] < slopes[2][1]


def test_the_seed_gives_the_sequence():
    first, second, other = (SampledExpectation(Model(1), N_CHOICES, seed=s) for s in (1, 1, 2))
    assert [estimate(first)[0] for _ in range(3)] == [estimate(second)[0] for _ in range(3)]
    assert estimate(first)[0] != estimate(other)[0]


def test_the_loss_takes_it():
    joint = LatencyLoss(SampledExpectation(Model(1), N_CHOICES), "hinge", beta=1.0, target_ms=1.0)
    assert joint(torch.tensor(1.0), P).item() > 1


@pytest.mark.parametrize(
    ("probabilities", "says"),
    [
        (P[:2], "one tensor of 3, 2, 4 probabilities is needed"),
        ([P[0], P[1], P[2] * 2], "have sum 1"),
        ([P[0], torch.tensor([1.5, -0.5]), P[2]], "not negative"),
        ([P[0], P[1], P[2] * torch.nan], "have sum 1"),
    ],
)
def test_bad_probabilities(probabilities, says):
    with pytest.raises(OptionError, match=says):
        SampledExpectation(Model(0), N_CHOICES).expected(probabilities)


def test_bad_samples():
    with pytest.raises(OptionError, match="samples is a whole number of at least 1, got 0"):
        SampledExpectation(Model(0), N_CHOICES, samples=0)
