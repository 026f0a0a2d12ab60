"""The law of the betas, on a search whose gradients are known."""

import numpy as np
import pytest
import torch

from hwnas.costs import AdditiveCost, constrained_argmax
from hwnas.errors import OptionError
from hwnas.search.gradient.cost_weights import FixedWeights, PIController

DECISIONS, CHOICES = 24, 5


def searched(costs, limits, *, seed=0, taste=0.3, loudness=1.0, steps=250):
    """Adam on alpha with a noisy taste for random choices; the costs of what is chosen within."""
    weights = PIController(limits)
    generator = torch.Generator().manual_seed(seed)
    shape = (DECISIONS, CHOICES)
    wanted = taste * torch.randn(shape, generator=generator, dtype=torch.float64)
    alpha = torch.zeros(shape, dtype=torch.float64, requires_grad=True)
    adam = torch.optim.Adam([alpha], lr=0.05, betas=(0.0, 0.999))
    for step in range(1, steps + 1):
        p = alpha.softmax(1)
        noise = torch.randn(shape, generator=generator, dtype=torch.float64)
        loss = loudness * (p * (wanted + noise)).sum()
        (of_loss,) = torch.autograd.grad(loss, alpha, retain_graph=True)
        means = [cost.expected(list(p)) for cost in costs]
        of_costs = [torch.autograd.grad(mean, alpha, retain_graph=True)[0] for mean in means]
        chosen = [float(cost(p.argmax(1).numpy()[None])[0]) for cost in costs]
        norms = torch.stack([g.norm() for g in (of_loss, *of_costs)])
        betas = weights(step / steps, [mean.item() for mean in means], chosen, norms)
        alpha.grad = of_loss + sum(b * g for b, g in zip(betas, of_costs, strict=True))
        adam.step()
    arch = constrained_argmax(list(alpha.detach().log_softmax(1).numpy()), costs, limits)
    return [float(cost(arch[None])[0]) for cost in costs]


def random_cost(seed, unit=1.0):
    rng = np.random.default_rng(seed)
    return AdditiveCost.from_floats(0.0, list(unit * rng.uniform(0, 1, (DECISIONS, CHOICES))))


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("limit", [8.0, 12.0, 16.0])
def test_it_ends_just_below_the_limit_from_either_side(limit, seed):
    # a uniform choice costs 12 in the mean, so beta has to push down, hold, and push up
    (cost,) = searched([random_cost(seed)], [limit], seed=seed)
    assert 0.9 * limit <= cost <= limit


def test_the_scale_of_the_loss_and_of_the_cost_do_not_matter():
    for limit, scale, loudness in ((12.0, 1.0, 1e-3), (12e6, 1e6, 1e3)):
        (cost,) = searched([random_cost(0, scale)], [limit], loudness=loudness)
        assert 0.9 * limit <= cost <= limit


def test_of_several_limits_the_tightest_is_used_and_the_others_are_kept():
    costs = [random_cost(1), random_cost(2)]
    tight, loose = searched(costs, [10.0, 18.0])
    assert 0.9 * 10 <= tight <= 10
    assert loose <= 18
    assert 0.9 * 10 <= max(searched(costs, [10.0, 10.0])) <= 10


def test_the_law_to_the_letter():
    weights = PIController([10.0, 4.0], goal=0.5, proportional=2.0, integral=0.5, most=3.0)
    norms = torch.tensor([6.0, 2.0, 3.0], dtype=torch.float64)
    # costs of 6 and 1 against goals of 5 and 2: errors 0.2 and -0.5; at a share of 0 the means
    # count. u = 0.5 e + 2 e = 0.5 for the first, for the other nothing below 0
    assert weights(0.0, [6.0, 1.0], [99.0, 99.0], norms).tolist() == pytest.approx([0.5 * 6 / 2, 0])
    # at 0.25 half of it is the choice's: 0.5 * (2 + 4) and 0.5 * (0 + 2): errors -0.4 and -0.5;
    # the first is nearest its limit and may go below 0: integral 0.1 - 0.2, u = -0.1 - 0.8
    assert weights(0.25, [2.0, 0.0], [4.0, 2.0], norms).tolist() == pytest.approx([-0.9 * 3, 0])
    # clipped
    assert weights(1.0, [0.0, 0.0], [500.0, 0.0], norms).tolist() == pytest.approx([3.0 * 3, 0])


def test_its_state_is_all_that_it_remembers():
    norms = torch.tensor([1.0, 2.0], dtype=torch.float64)
    first, second = PIController([1.0]), PIController([1.0])
    for share in (0.1, 0.2, 0.3):
        first(share, [1.2], [0.7], norms * (1 + share))
    for name, tensor in second.state.items():
        tensor.copy_(first.state[name])
    for share in (0.4, 0.5):
        assert torch.equal(first(share, [1.1], [1.3], norms), second(share, [1.1], [1.3], norms))


def test_a_fixed_beta_is_equation_6():
    weights = FixedWeights([0.1, 0.0])
    assert weights(0.3, [1, 2], [3, 4], torch.ones(3)).tolist() == [0.1, 0.0]
    assert weights.state == {}


@pytest.mark.parametrize("value", [-0.1, float("nan"), float("inf")])
def test_a_beta_of_the_wrong_sign_is_refused(value):
    with pytest.raises(OptionError, match="dearer networks would be rewarded"):
        FixedWeights([value])


def test_an_architecture_that_cannot_run_steers_by_the_expected_cost_alone():
    """The most probable cell may have no path, and its latency is infinite."""
    steers, plain = (PIController([2.0]) for _ in range(2))
    norms = torch.ones(2, dtype=torch.float64)
    for share in (0.0, 0.3, 1.0):
        beta = steers(share, [3.0], [float("inf")], norms)
        assert torch.equal(beta, plain(share, [3.0], [3.0], norms))
        assert beta.isfinite().all()
