"""Gate gradients against enumeration, in double precision; and their memory."""

from itertools import product

import numpy as np
import pytest
import torch
from torch.nn import functional as F
from torch.profiler import ProfilerActivity, profile

from hwnas import spaces
from hwnas.supernet import Supernet, alpha_gradient, make_optimizer, probabilities_of, train_step

#: Two or three active choices a decision, the identity among them where there is one.
ACTIVE = ([0, 4], [1, 3, 6], [2, 5], [0, 6])


@pytest.fixture
def active(small_space):
    active = np.zeros((4, 7), bool)
    for decision, choices in enumerate(ACTIVE):
        active[decision, choices] = True
    return active


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(4, 3, 32, 32, generator=generator, dtype=torch.float64)
    return images, torch.tensor([1, 3, 0, 9])


@pytest.fixture
def alpha():
    return torch.randn(4, 7, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def mixture_loss(supernet, images, labels, gates):
    """Cross-entropy where each block is the sum of all active outputs, times their gates."""
    x = images
    for slot, place in enumerate(supernet.space.layout.slots):
        if place.decision is None:
            x = supernet.run_block(slot, x, 0)
        else:
            of = gates[place.decision]
            x = sum(g * supernet.run_block(slot, x, choice) for choice, g in of.items())
    return F.cross_entropy(x, labels)


@pytest.mark.parametrize("sharing", ["slices", "separate"])
def test_equation_4_is_what_enumeration_gives(make_supernet, active, batch, alpha, sharing):
    supernet = make_supernet(sharing).double().train()
    nudge = 1e-7
    worst = 0.0
    for arch in list(product(*ACTIVE))[::5]:
        gradient, loss = alpha_gradient(supernet, *batch, np.array(arch), alpha, active)
        with torch.no_grad():

            def at(decision=None, choice=None, by=0.0, arch=arch):
                gates = [
                    {c: float(c == arch[d]) for c in choices} for d, choices in enumerate(ACTIVE)
                ]
                if decision is not None:
                    gates[decision][choice] += by
                return mixture_loss(supernet, *batch, gates).item()

            assert loss == pytest.approx(at(), rel=1e-12)
            expected = torch.zeros_like(alpha)
            for d, choices in enumerate(ACTIVE):
                by_gate = {c: (at(d, c, nudge) - at(d, c, -nudge)) / (2 * nudge) for c in choices}
                total = sum(np.exp(alpha[d, c].item()) for c in choices)
                p = {c: np.exp(alpha[d, c].item()) / total for c in choices}
                for m in choices:
                    expected[d, m] = sum(by_gate[j] * p[j] * ((m == j) - p[m]) for j in choices)
        worst = max(worst, ((gradient - expected).norm() / expected.norm()).item())
        assert (gradient[~torch.from_numpy(active)] == 0).all()
    assert worst < 1e-6


def test_the_mean_over_all_paths_weighs_each_by_its_probability(
    make_supernet, active, batch, alpha
):
    # a linear network in the gates of one decision has the exact gradient of the expected loss;
    # here the sum over paths of P(path) * eq. 4 is compared with eq. 4 of the enumerated mixture
    supernet = make_supernet().double().train()
    rows = probabilities_of(alpha, active)
    assert torch.allclose(rows.sum(1), torch.ones(4, dtype=torch.float64))
    assert (rows[~torch.from_numpy(active)] == 0).all()
    mean, by_hand = torch.zeros_like(alpha), torch.zeros_like(alpha)
    for arch in product(*ACTIVE):
        weight = float(np.prod([rows[d, c].item() for d, c in enumerate(arch)]))
        mean += weight * alpha_gradient(supernet, *batch, np.array(arch), alpha, active)[0]
        leaf = torch.zeros(4, 7, dtype=torch.float64)
        leaf[range(4), arch] = 1.0
        leaf.requires_grad_()
        gates = [{c: leaf[d, c] for c in choices} for d, choices in enumerate(ACTIVE)]
        (of_gates,) = torch.autograd.grad(mixture_loss(supernet, *batch, gates), leaf)
        inner = (of_gates * rows).sum(1, keepdim=True)
        by_hand += weight * rows * (of_gates - inner)
    assert ((mean - by_hand).norm() / by_hand.norm()).item() < 1e-10


def test_weights_stay_and_the_pruned_are_not_run(make_supernet, active, batch, alpha, monkeypatch):
    supernet = make_supernet().double()
    before = {name: p.detach().clone() for name, p in supernet.named_parameters()}
    ran = []
    real = Supernet.run_block
    monkeypatch.setattr(
        Supernet, "run_block", lambda s, slot, x, c: ran.append((slot, c)) or real(s, slot, x, c)
    )
    arch = np.array([0, 3, 2, 6])
    alpha_gradient(supernet, *batch, arch, alpha, active)
    fixed = [(0, 0), (1, 0), (6, 0)]
    # each active choice once: the sampled one forwards, the others when their gradient is due
    assert sorted(ran) == sorted([*fixed, *((d + 2, c) for d, cs in enumerate(ACTIVE) for c in cs)])
    for name, parameter in supernet.named_parameters():
        assert torch.equal(parameter, before[name])
        assert parameter.grad is None
        assert parameter.requires_grad


def peak_bytes(work) -> int:
    """The most that was allocated at once, by the allocator's own record."""
    work()  # what is allocated once and kept is not of a step
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
        work()
    events = [e for e in profiled.profiler.kineto_results.events() if e.name() == "[memory]"]
    events.sort(key=lambda event: event.start_ns())
    return int(np.cumsum([event.nbytes() for event in events]).max())


def test_a_step_of_alpha_needs_the_memory_of_a_training_step():
    space = spaces.proxy(spaces.space("proxyless", input_size=224, classes=10), 16, 10, 0.25)
    supernet = Supernet(space, seed=0)
    optimizer = make_optimizer(supernet)
    images, labels = torch.randn(64, 3, 16, 16), torch.arange(64) % 10
    active = np.arange(7) < np.array(space.n_choices)[:, None]
    alpha = torch.zeros(active.shape, dtype=torch.float64)
    small = np.zeros(21, np.int64)  # k3e3: any other choice needs more
    first = peak_bytes(lambda: train_step(supernet, optimizer, images, labels, small, lr=1e-3))
    second = peak_bytes(lambda: alpha_gradient(supernet, images, labels, small, alpha, active))
    assert second <= 1.3 * first
    # the profile sees what it should: the batch alone is there
    assert second > images.nbytes
