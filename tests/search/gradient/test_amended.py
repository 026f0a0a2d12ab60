"""The amended gradient against closed forms, and against Hessians that are written out."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional as F
from torch.profiler import ProfilerActivity, profile

from hwnas import spaces
from hwnas.ops import AvgPool, Identity, ReLUConvBN, Zero
from hwnas.search.gradient.amended import amended_gradient, hessian_product
from hwnas.spaces import SearchSpace
from hwnas.supernet import Supernet, mixed_logits

ETA = 0.3


def random(*shape, seed):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


class Bilevel:
    """Quadratic losses: ``L_train = w H w / 2 - w B alpha``, ``L_val = |w - t|^2 / 2``.

    So ``w*(alpha) = H^-1 B alpha``, ``M = -B^T`` and ``v = w - t``, all known by arithmetic.
    """

    def __init__(self, hessian):
        n = len(hessian)
        self.hessian, self.b, self.goal = hessian, random(n, 3, seed=1), random(n, seed=2)
        self.alpha = random(3, seed=3).requires_grad_()
        self.weights = self.best(self.alpha).detach().requires_grad_()

    def best(self, alpha):
        return torch.linalg.solve(self.hessian, self.b @ alpha)

    def train(self):
        w = self.weights
        return w @ self.hessian @ w / 2 - w @ self.b @ self.alpha

    def val(self):
        return (self.weights - self.goal).square().sum() / 2

    def gradient(self, **options):
        return amended_gradient(
            self.train, self.val, [self.weights], self.alpha, eta=ETA, **options
        )


def positive(n, seed):
    root = random(n, n, seed=seed)
    return root @ root.T + torch.eye(n)


@pytest.mark.parametrize("products", ["exact", "finite"])
def test_the_terms_are_those_of_equation_7(products):
    problem = Bilevel(positive(5, seed=0))
    v = problem.weights.detach() - problem.goal
    amended = problem.gradient(products=products)
    second = problem.gradient(products=products, order="second")
    exactly = {"rtol": 1e-6, "atol": 1e-9}  # of quadratic losses differences are exact, too
    wanted = ETA * problem.b.T @ problem.hessian @ v
    torch.testing.assert_close(amended.second, wanted, **exactly)
    torch.testing.assert_close(second.second, ETA * problem.b.T @ v, **exactly)
    assert (amended.first == 0).all()  # the validation loss does not hold alpha itself
    assert amended.loss == pytest.approx(v.square().sum().item() / 2)
    torch.testing.assert_close(amended.total, amended.second)


def test_where_the_hessian_is_the_identity_it_is_the_gradient_of_the_bilevel_problem():
    problem = Bilevel(torch.eye(5, dtype=torch.float64))
    alpha = problem.alpha.detach().requires_grad_()
    truth = (problem.best(alpha) - problem.goal).square().sum() / 2
    (wanted,) = torch.autograd.grad(truth, alpha)
    torch.testing.assert_close(problem.gradient().total, ETA * wanted)


def test_first_order_never_looks_at_the_training_loss():
    weights, alpha = random(4, seed=0).requires_grad_(), random(4, seed=1).requires_grad_()

    def train():
        raise AssertionError

    for options in ({"eta": 0.0}, {"eta": 1.0, "order": "first"}):
        got = amended_gradient(train, lambda: (weights * alpha).sum(), [weights], alpha, **options)
        assert torch.equal(got.first, weights.detach())
        assert torch.equal(got.total, got.first)


# A mixed supernet


@pytest.fixture(scope="module")
def small():
    """A cell of three edges and five operators, 200 weights, in double precision."""
    layout = spaces.space("nasbench201", input_size=4, classes=3, channels=2, cells=1).layout
    ops = (Zero(), Identity(), ReLUConvBN(1), ReLUConvBN(3), AvgPool(3))
    layout = replace(layout, channels=(2,), edges=((0, 1), (0, 2), (1, 2)), ops=ops)
    space = SearchSpace("triangle", {}, layout)
    start = {"initial_weights": "drawn", "batch_norms": "plain"}
    supernet = Supernet(space, sharing="separate", seed=0, **start).double().train()
    weights = [w for w in supernet.parameters() if w.requires_grad]
    assert 100 < sum(w.numel() for w in weights) < 300
    alpha = random(3, 5, seed=4).requires_grad_()

    def loss(seed):
        images, labels = random(8, 3, 4, 4, seed=seed), torch.arange(8) % 3
        return lambda: F.cross_entropy(mixed_logits(supernet, images, alpha.softmax(1)), labels)

    return loss(5), loss(6), weights, alpha


def flat(tensors):
    return torch.cat([tensor.reshape(-1) for tensor in tensors])


def written_out(train, weights, alpha):
    """H (n_weights, n_weights) and M (n_alpha, n_weights), one row of second derivatives a turn."""
    slope = flat(torch.autograd.grad(train(), weights, create_graph=True))
    rows = [torch.autograd.grad(s, [*weights, alpha], retain_graph=True) for s in slope]
    hessian = torch.stack([flat(row[:-1]) for row in rows])
    mixed = torch.stack([row[-1].reshape(-1) for row in rows]).T
    return hessian, mixed


def relative(got, expected):
    return float((got - expected).norm() / expected.norm())


def test_it_is_what_explicit_hessians_give(small):
    train, val, weights, alpha = small
    hessian, mixed = written_out(train, weights, alpha)
    *v, g1 = torch.autograd.grad(val(), [*weights, alpha])
    assert relative(hessian, hessian.T) < 1e-9
    slope = torch.autograd.grad(train(), weights, create_graph=True)
    assert relative(flat(hessian_product(slope, weights, v)), hessian @ flat(v)) < 1e-6
    amended = amended_gradient(train, val, weights, alpha, eta=ETA)
    second = amended_gradient(train, val, weights, alpha, eta=ETA, order="second")
    shape = alpha.shape
    assert relative(amended.second, -ETA * (mixed @ hessian @ flat(v)).reshape(shape)) < 1e-6
    assert relative(second.second, -ETA * (mixed @ flat(v)).reshape(shape)) < 1e-6
    assert torch.equal(amended.first, second.first)
    assert relative(amended.first, g1) < 1e-12
    # a softmax is blind to a shift of a decision's alphas
    assert amended.total.sum(1).abs().max() < 1e-9 * amended.total.abs().max()


@pytest.mark.parametrize("order", ["second", "amended"])
def test_differences_of_small_moves_are_exact_and_leave_the_weights_as_they_were(
    small, order, monkeypatch
):
    train, val, weights, alpha = small
    monkeypatch.setattr("hwnas.search.gradient.amended._MOVE", 1e-6)  # no ReLU bends on the way
    before = [w.detach().clone() for w in weights]
    exact, finite = (
        amended_gradient(train, val, weights, alpha, eta=ETA, order=order, products=products)
        for products in ("exact", "finite")
    )
    assert relative(finite.second, exact.second) < 1e-4
    assert torch.equal(finite.first, exact.first)
    assert all(torch.equal(w, b) for w, b in zip(weights, before, strict=True))
    assert all(w.grad is None for w in (*weights, alpha))


def peak_bytes(work):
    """The most that tensors take at once beyond what is there before."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
        work()
    events = [e for e in profiled.profiler.kineto_results.events() if e.name() == "[memory]"]
    events.sort(key=lambda event: event.start_ns())
    return int(np.cumsum([event.nbytes() for event in events]).max())


def test_differences_need_the_memory_of_a_training_step_and_exact_products_twice_that():
    space = spaces.space("nasbench201", input_size=12, classes=3, channels=8, cells=1)
    supernet = Supernet(space, sharing="separate", seed=0, batch_norms="plain").train()
    weights = [w for w in supernet.parameters() if w.requires_grad]
    images, labels = torch.randn(32, 3, 12, 12), torch.arange(32) % 3
    alpha = torch.zeros(6, 5, requires_grad=True)

    def loss():
        return F.cross_entropy(mixed_logits(supernet, images, alpha.softmax(1)), labels)

    def step(**options):
        return peak_bytes(lambda: amended_gradient(loss, loss, weights, alpha, **options))

    training = peak_bytes(lambda: torch.autograd.grad(loss(), weights))
    assert step(eta=0.0) < 1.1 * training
    assert step(eta=0.1, products="finite") < 1.2 * training
    assert 1.5 * training < step(eta=0.1) < 2 * training


# What section 3.4 says of the angle


def test_the_angle_to_the_exact_term_can_exceed_90_degrees():
    """Equation 8 is no proof: a matrix similar to a semi-definite one need not be one itself."""
    hessian, v = torch.diag(torch.tensor([1.0, 100.0])), torch.tensor([1.0, 1.0])
    m = torch.tensor([[1.0, -0.5]])
    exact = -m @ torch.linalg.solve(hessian, v)
    amended = -m @ hessian @ v
    assert exact.item() == pytest.approx(-0.995)
    assert amended.item() == pytest.approx(49.0)
    assert (exact * amended).sum() < 0


def test_over_all_directions_of_the_validation_gradient_the_angle_is_acute_on_average():
    """The mean of ``<g2', g2>`` over isotropic v is ``eta |M|^2``: the trace of eq. 8."""
    hessian, m = positive(6, seed=7), random(3, 6, seed=8)
    product = torch.linalg.inv(hessian) @ m.T @ m @ hessian
    v = random(200_000, 6, seed=9)
    mean = torch.einsum("ni,ij,nj->n", v, product, v).mean()
    assert torch.trace(product).item() == pytest.approx(m.square().sum().item(), rel=1e-9)
    assert mean.item() == pytest.approx(m.square().sum().item(), rel=0.1)
