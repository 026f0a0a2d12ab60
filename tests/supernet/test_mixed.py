"""Mixed edges against the sum written out, and their memory against what is said of it."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch
from branches import branches
from torch.nn import functional as F

from hwnas import spaces
from hwnas.errors import OptionError
from hwnas.ops import Identity, Zero
from hwnas.spaces import Decision, SearchSpace
from hwnas.spaces.chain import Chain
from hwnas.supernet import Supernet, check_mixable, mixed_bytes, mixed_logits

CELLS = spaces.space("nasbench201", input_size=8, classes=3, channels=4, cells=2)
ZERO = CELLS.decisions[0].choices.index(Zero())


def images(count=4, size=8, dtype=torch.float64):
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(2)).to(dtype)


def random_probabilities(space):
    rows = torch.zeros(len(space.decisions), max(space.n_choices), dtype=torch.float64)
    generator = torch.Generator().manual_seed(1)
    for row, n in zip(rows, space.n_choices, strict=True):
        row[:n] = torch.randn(n, generator=generator, dtype=torch.float64).softmax(0)
    return rows.requires_grad_()


def written_out(supernet, x, probabilities):
    """Every output of every edge of the cells of NAS-Bench-201, times its probability."""
    edges = [(0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3)]
    slots = iter(range(len(supernet.candidates)))
    x = supernet.run_block(next(slots), x, 0)
    for stage in range(3):
        if stage:
            x = supernet.run_block(next(slots), x, 0)
        for _cell in range(2):
            nodes = [x, 0, 0, 0]
            for edge, (source, target) in enumerate(edges):
                at = next(slots)
                for choice in range(5):
                    output = supernet.run_block(at, nodes[source], choice)
                    nodes[target] = nodes[target] + probabilities[edge, choice] * output
            x = nodes[3]
    return supernet.run_block(next(slots), x, 0)


@pytest.mark.parametrize("sharing", ["slices", "separate"])
def test_an_edge_is_the_weighted_sum_of_all_its_operators(sharing):
    supernet = Supernet(CELLS, sharing=sharing, seed=0).double().train()
    p, labels = random_probabilities(CELLS), torch.tensor([0, 1, 2, 0])
    weights = list(supernet.parameters())
    got = mixed_logits(supernet, images(), p)
    expected = written_out(supernet, images(), p)
    torch.testing.assert_close(got, expected, rtol=1e-10, atol=1e-12)
    losses = [F.cross_entropy(logits, labels) for logits in (got, expected)]
    ours, theirs = (torch.autograd.grad(loss, [p, *weights]) for loss in losses)
    for mine, right in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, right, rtol=1e-8, atol=1e-10)
    assert (ours[0][:, ZERO] == 0).all()
    assert ours[0][:, ZERO + 1 :].all()


def test_sure_probabilities_are_a_path(small_space):
    two_inputs = spaces.space("darts-s1", input_size=8, classes=3, channels=4, cells=3)
    for space, size in ((CELLS, 8), (small_space, 32), (two_inputs, 8)):
        supernet = Supernet(space, seed=0, zero_init_residual=False).double().train()
        for arch in space.sample(3, seed=3):
            sure = F.one_hot(torch.from_numpy(arch), max(space.n_choices)).double()
            expected = supernet(images(size=size), arch)
            torch.testing.assert_close(mixed_logits(supernet, images(size=size), sure), expected)


def test_zeros_are_not_run():
    supernet = Supernet(CELLS, seed=0)
    run = []
    for slot, candidates in zip(CELLS.layout.slots, supernet.candidates, strict=True):
        for choice, candidate in enumerate(candidates):
            candidate.register_forward_hook(lambda *_, of=(slot.name, choice): run.append(of))
    mixed_logits(supernet, images(dtype=torch.float32), random_probabilities(CELLS))
    edges = [slot.name for slot in CELLS.layout.slots if slot.decision is not None]
    others = [slot.name for slot in CELLS.layout.slots if slot.decision is None]
    chosen = [choice for choice in range(5) if choice != ZERO]
    assert sorted(run) == sorted([*product(edges, chosen), *((name, 0) for name in others)])


def test_an_edge_that_can_only_be_missing_gives_zeros():
    space = SearchSpace("nothing", {}, replace(CELLS.layout, ops=(Zero(),)))
    logits = mixed_logits(Supernet(space, seed=0), images(dtype=torch.float32), torch.ones(6, 1))
    assert torch.equal(logits, logits[:1].expand(4, -1))


def saved_bytes(run):
    """Bytes of the tensors that autograd keeps for a backward pass, each storage once."""
    storages = {}

    def pack(tensor):
        storage = tensor.untyped_storage()
        storages[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        result = run()
    assert result.requires_grad
    return sum(storages.values())


@pytest.mark.parametrize("count", [32, 64])
def test_memory_is_that_of_all_candidates_outputs(count):
    supernet = Supernet(CELLS, sharing="separate", seed=0).train()
    x, p = images(count, dtype=torch.float32), random_probabilities(CELLS)
    together = saved_bytes(lambda: mixed_logits(supernet, x, p))
    parameters = 4 * sum(parameter.numel() for parameter in supernet.parameters())
    said = mixed_bytes(CELLS, count)
    assert said == 2 * mixed_bytes(CELLS, count // 2)
    assert 0.95 * said < together < 1.15 * (said + parameters)


def test_spaces_whose_candidates_cannot_all_run_are_refused(small_space):
    for name in ("nasbench201", "darts-s1", "darts-s2", "proxyless"):
        check_mixable(spaces.space(name))
    with pytest.raises(OptionError, match="in branches decisions choose otherwise what runs"):
        check_mixable(branches())
    darts = spaces.space("darts", input_size=8, channels=4)
    with pytest.raises(OptionError, match="in darts decisions choose otherwise"):
        check_mixable(darts)

    class Undecided(Chain):
        @property
        def decisions(self):
            return (*super().decisions, Decision("unheard", (Identity(),)))

        def path(self, arch):
            return super().path(arch[:-1])

    space = SearchSpace("undecided", {}, Undecided(small_space.layout.slots))
    with pytest.raises(OptionError, match="undecided has none for decision unheard"):
        check_mixable(space)


def test_a_mixture_learns():
    supernet = Supernet(CELLS, sharing="separate", seed=0, batch_norms="plain").train()
    x, labels = images(30, dtype=torch.float32), torch.arange(30) % 3
    p = torch.full((6, 5), 0.2)
    optimizer = torch.optim.SGD([w for w in supernet.parameters() if w.requires_grad], lr=0.05)
    losses = []
    for _ in range(60):
        optimizer.zero_grad()
        loss = F.cross_entropy(mixed_logits(supernet, x, p), labels)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]
    assert np.isfinite(losses).all()
