"""Supernets of the spaces with groups, gates and skips that are no identity."""

import copy
from functools import cache

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from hwnas import spaces
from hwnas.ops import FBNetBlock, MobileNetV3Block, Workload
from hwnas.supernet import (
    OPTIMIZERS,
    SHARINGS,
    OptimizerKind,
    Sharing,
    Supernet,
    make_optimizer,
    train_step,
)
from hwnas.supernet.sharing import Block
from hwnas.testing.ops import randomise

FBNET = spaces.space("fbnet", input_size=16, classes=5, width_mult=0.25, head_width=16)
SPACES = pytest.mark.parametrize(
    "space",
    [
        FBNET,
        spaces.space("ofa", input_size=16, classes=5, width_mult=0.25, mid_width=16, head_width=16),
    ],
    ids=lambda space: space.name,
)


@cache
def made(space: spaces.SearchSpace, sharing: Sharing) -> Supernet:
    return Supernet(space, sharing=sharing, seed=0)


@SPACES
@pytest.mark.parametrize("sharing", SHARINGS)
def test_a_path_computes_what_the_built_network_computes(
    space: spaces.SearchSpace, sharing: Sharing
) -> None:
    supernet = copy.deepcopy(made(space, sharing)).eval()
    randomise(supernet, seed=0)
    with torch.no_grad():  # those of linear layers start small, and would hide all before them
        for parameter in supernet.parameters():
            if parameter.ndim < 3:
                parameter.normal_(0, 0.5, generator=torch.Generator().manual_seed(1))
    images = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    archs = [
        *space.sample(3, seed=1),
        np.array(space.n_choices) - 1,
        np.full(len(space.n_choices), 1),
    ]
    for arch in archs:
        network = space.build(arch).eval()
        weights = supernet.weights(arch)
        network.load_state_dict({name: torch.from_numpy(value) for name, value in weights.items()})
        with torch.no_grad():
            got, expected = supernet(images, arch), network(images)
        assert expected.std() > 0.1
        torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-5)


@SPACES
@pytest.mark.parametrize("sharing", SHARINGS)
def test_one_path_learns_and_leaves_the_others_alone(
    space: spaces.SearchSpace, sharing: Sharing
) -> None:
    supernet = copy.deepcopy(made(space, sharing))
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(10, 3, 16, 16, generator=generator)
    labels = torch.arange(10) % 5
    arch = np.full(len(space.n_choices), 1)  # in fbnet: all blocks in two groups
    optimizer = torch.optim.Adam(supernet.parameters(), 0.01)
    losses = []
    for _ in range(12):
        loss = F.cross_entropy(supernet(images, arch), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.9 * losses[0]
    for candidates, choice in zip(supernet.candidates, supernet.path(arch), strict=True):
        for at, candidate in enumerate(candidates):
            used = [parameter.grad is not None for parameter in candidate.parameters()]
            assert all(used) if at == choice else not any(used)


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_what_momentum_moves_is_as_the_docstring_says(kind: OptimizerKind) -> None:
    tokens = [op.token for op in FBNET.decisions[0].choices]
    small, large = (np.full(len(FBNET.n_choices), tokens.index(t)) for t in ("k3e6", "k5e6"))
    generator = torch.Generator().manual_seed(0)
    images, labels = torch.randn(8, 3, 16, 16, generator=generator), torch.arange(8) % 5
    for sharing in SHARINGS:
        supernet = copy.deepcopy(made(FBNET, sharing))
        optimizer = make_optimizer(supernet, kind)
        for _ in range(3):
            train_step(supernet, optimizer, images, labels, large, lr=0.01)
        before = {name: p.detach().clone() for name, p in supernet.named_parameters()}
        train_step(supernet, optimizer, images, labels, small, lr=0.01)
        moved = {name: (p.detach() - before[name]).abs() for name, p in supernet.named_parameters()}
        unused = [name for name, p in supernet.named_parameters() if p.grad is None]
        assert all(not moved[name].any() for name in unused)
        if sharing == "slices":  # the rim of a 5x5 of which the step took the middle
            name = next(n for n in moved if n.startswith("slots.1.") and "depthwise" in n)
            gradient = dict(supernet.named_parameters())[name].grad
            assert moved[name].shape[2:] == (5, 5)
            assert not gradient[..., 0, :].any()
            assert moved[name][..., 0, :].max() > 0


def test_a_convolution_in_groups_is_no_slice_of_a_dense_one() -> None:
    ops = [FBNetBlock(kernel, 1, groups) for kernel in (3, 5) for groups in (1, 2)]
    block = Block([Workload(op, 8, 8, 1, 5, 5) for op in ops], "slices")
    shapes = {name.split("/")[0]: tuple(p.shape) for name, p in block.shared.items()}
    assert shapes == {
        "expand": (8, 8, 1, 1),
        "expand_g2": (8, 4, 1, 1),
        "depthwise": (8, 1, 5, 5),
        "project": (8, 8, 1, 1),
        "project_g2": (8, 4, 1, 1),
    }


def test_the_gate_of_a_smaller_expansion_is_a_slice() -> None:
    workloads = [Workload(MobileNetV3Block(3, expand, 1, 1), 8, 8, 1, 5, 5) for expand in (3, 6)]
    block = Block(workloads, "slices")
    with torch.no_grad():
        for parameter in block.parameters():
            parameter.normal_()
    small, large = block.state(0), block.state(1)
    # 24 and 48 channels, a fourth of which rounds to 8 and to 16
    assert torch.equal(small["se.reduce.weight"], large["se.reduce.weight"][:8, :24])
    assert torch.equal(small["se.reduce.bias"], large["se.reduce.bias"][:8])
    assert torch.equal(small["se.expand.weight"], large["se.expand.weight"][:24, :8])
    assert torch.equal(small["se.expand.bias"], large["se.expand.bias"][:24])
