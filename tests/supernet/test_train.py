"""The train step, its schedule and its optimizers."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from hwnas.errors import OptionError
from hwnas.spaces import SearchSpace
from hwnas.supernet import (
    OPTIMIZERS,
    OptimizerKind,
    Supernet,
    UniformSampler,
    learning_rate,
    make_optimizer,
    train_step,
)

MakeSupernet = Callable[..., Supernet]


@pytest.fixture
def batch() -> tuple[torch.Tensor, torch.Tensor]:
    """Images whose class is the brightness of their left half."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(32) % 2
    images = torch.randn(32, 3, 32, 32, generator=generator)
    images[:, :, :, :16] += 2.0 * labels[:, None, None, None]
    return images, labels


def test_the_rate_rises_then_falls_linearly() -> None:
    rates = [learning_rate(step, 100, 0.5, warm_up=10) for step in range(100)]
    assert rates[0] == pytest.approx(0.5 * 1 / 10 * 100 / 100)
    assert rates[4] == pytest.approx(0.5 * 5 / 10 * 96 / 100)
    assert rates[60] == pytest.approx(0.5 * 40 / 100)
    assert rates[99] == pytest.approx(0.5 * 1 / 100)
    assert learning_rate(0, 10, 0.5, warm_up=0) == 0.5


def test_a_cosine_falls_from_the_rate_to_0() -> None:
    rates = [learning_rate(step, 100, 0.5, 10, "cosine") for step in range(101)]
    assert rates[0] == pytest.approx(0.5 / 10)
    assert rates[25] == pytest.approx(0.5 * (1 + 2**-0.5) / 2)
    assert rates[50] == pytest.approx(0.25)
    assert rates[75] == pytest.approx(0.5 * (1 - 2**-0.5) / 2)
    assert rates[100] == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_training_lowers_the_loss(
    small_space: SearchSpace, batch: tuple[torch.Tensor, torch.Tensor], kind: OptimizerKind
) -> None:
    supernet = Supernet(small_space, seed=0)
    optimizer = make_optimizer(supernet, kind)
    sampler = UniformSampler(small_space, seed=0)
    rate = {"adam": 4e-3, "sgd": 0.05}[kind]
    losses = [
        train_step(supernet, optimizer, *batch, sampler.sample(step), lr=rate) for step in range(25)
    ]
    assert losses[0] == pytest.approx(np.log(10), abs=0.3)  # ten classes, nothing known
    assert np.mean(losses[-5:]) < 0.8


def test_one_dimensional_parameters_do_not_decay(small_space: SearchSpace) -> None:
    supernet = Supernet(small_space, seed=0)
    optimizer = make_optimizer(supernet, "sgd")
    decayed, free = optimizer.param_groups
    assert decayed["weight_decay"] == 4e-5
    assert free["weight_decay"] == 0
    assert decayed["momentum"] == free["momentum"] == 0.9
    assert all(p.ndim > 1 for p in decayed["params"])
    assert all(p.ndim == 1 for p in free["params"])
    together = len(decayed["params"]) + len(free["params"])
    assert together == len(list(supernet.parameters()))
    assert make_optimizer(supernet, weight_decay=0.1).param_groups[0]["weight_decay"] == 0.1


def test_gradients_are_scaled_down_to_the_norm(
    small_space: SearchSpace,
    make_supernet: MakeSupernet,
    batch: tuple[torch.Tensor, torch.Tensor],
) -> None:
    arch = small_space.sample(1, seed=0)[0]

    def norm(max_norm: float | None) -> float:
        supernet = make_supernet()
        optimizer = make_optimizer(supernet, "sgd")
        train_step(supernet, optimizer, *batch, arch, lr=0.1, max_norm=max_norm)
        grads = [p.grad for p in supernet.parameters() if p.grad is not None]
        return float(torch.cat([g.flatten() for g in grads]).norm())

    free = norm(None)
    assert free > 0.1
    assert norm(free / 4) == pytest.approx(free / 4, rel=1e-3)
    assert norm(2 * free) == pytest.approx(free, rel=1e-5)


def test_the_loss_is_smoothed_cross_entropy(
    small_space: SearchSpace,
    make_supernet: MakeSupernet,
    batch: tuple[torch.Tensor, torch.Tensor],
) -> None:
    images, labels = batch
    arch = small_space.sample(1, seed=0)[0]
    supernet = make_supernet()
    with torch.no_grad():
        log_p = supernet(images, arch).log_softmax(1)
    right = -log_p[torch.arange(32), labels]
    expected = 0.9 * right + 0.1 * -log_p.mean(1)
    optimizer = make_optimizer(supernet)
    loss = train_step(supernet, optimizer, images, labels, arch, lr=1e-3, label_smoothing=0.1)
    assert loss == pytest.approx(expected.mean().item(), rel=1e-4)


def test_training_mode_is_set(
    small_space: SearchSpace, batch: tuple[torch.Tensor, torch.Tensor]
) -> None:
    supernet = Supernet(small_space, seed=0).eval()
    arch = small_space.sample(1, seed=0)[0]
    train_step(supernet, make_optimizer(supernet), *batch, arch, lr=1e-3)
    assert all(m.training for m in supernet.modules() if isinstance(m, nn.BatchNorm2d))


def test_unknown_optimizers_are_refused(small_space: SearchSpace) -> None:
    with pytest.raises(OptionError, match="one of adam, sgd, got 'lion'"):
        make_optimizer(Supernet(small_space, seed=0), "lion")  # type: ignore[arg-type]


def test_several_paths_a_step_move_the_weights_by_their_mean_gradient(
    small_space: SearchSpace, make_supernet: MakeSupernet
) -> None:
    archs = small_space.sample(3, seed=0)
    generator = torch.Generator().manual_seed(0)
    images, labels = torch.randn(16, 3, 32, 32, generator=generator), torch.arange(16) % 10
    expected: dict[str, torch.Tensor] = {}
    losses = []
    for arch in archs:
        supernet = make_supernet("separate")
        loss = F.cross_entropy(supernet.train()(images, arch), labels)
        loss.backward()
        losses.append(loss.item())
        for name, parameter in supernet.named_parameters():
            if parameter.grad is not None:
                expected[name] = expected.get(name, 0) + parameter.grad / 3
    supernet = make_supernet("separate")
    loss = train_step(
        supernet, make_optimizer(supernet), images, labels, archs, lr=1e-3, max_norm=None
    )
    assert loss == pytest.approx(np.mean(losses), rel=1e-5)
    for name, parameter in supernet.named_parameters():
        assert (parameter.grad is None) == (name not in expected), name
        if name in expected:
            torch.testing.assert_close(parameter.grad, expected[name], rtol=1e-3, atol=1e-5)
