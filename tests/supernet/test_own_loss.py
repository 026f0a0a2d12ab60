"""An own loss stands where cross-entropy stands, in every kind of training step."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from hwnas import spaces
from hwnas.data import CLASSIFICATION, Task
from hwnas.supernet import Supernet, alpha_gradient, make_optimizer, train_step

X = torch.randn(8, 3, 8, 8, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(8) % 4
#: The same as cross-entropy, in a person's own words, and twice that.
SAME = Task(lambda outputs, targets: -outputs.log_softmax(1)[range(len(targets)), targets].mean())
TWICE = Task(lambda outputs, targets: 2 * F.cross_entropy(outputs, targets))


@pytest.fixture(scope="module")
def space():
    return spaces.space("nasbench201", input_size=8, classes=4, channels=4, cells=1)


def test_a_step_descends_the_own_loss(space) -> None:
    arch = np.ones(6, np.int64)

    def trained(task: Task) -> tuple[float, torch.Tensor]:
        supernet = Supernet(space, seed=0)
        optimizer = make_optimizer(supernet, "sgd")
        settings = {"lr": 0.1, "max_norm": None, "micro_batches": 2}
        loss = train_step(supernet, optimizer, X, LABELS, arch, task=task, **settings)
        return loss, torch.cat([p.detach().flatten() for p in supernet.parameters()])

    loss, weights = trained(CLASSIFICATION)
    same, others = trained(SAME)
    assert same == pytest.approx(loss, rel=1e-5)
    torch.testing.assert_close(others, weights)
    twice, further = trained(TWICE)
    assert twice == pytest.approx(2 * loss, rel=1e-5)
    assert not torch.allclose(further, weights, atol=1e-3)


def test_gates_get_the_gradient_of_the_own_loss(space) -> None:
    arch, active = np.ones(6, np.int64), np.ones((6, 5), bool)

    def gradient(task: Task) -> torch.Tensor:
        found = alpha_gradient(
            Supernet(space, seed=0), X, LABELS, arch, torch.zeros(6, 5), active, task
        )
        return found[0]

    torch.testing.assert_close(gradient(SAME), gradient(CLASSIFICATION))
    torch.testing.assert_close(gradient(TWICE), 2 * gradient(CLASSIFICATION))
    assert gradient(CLASSIFICATION).abs().sum() > 0
