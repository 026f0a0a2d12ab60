"""Supernets of spaces that are no chains: cells, and a branch that is not always there."""

from collections.abc import Callable
from functools import cache
from itertools import product

import numpy as np
import pytest
import torch
from branches import branches
from torch import nn
from torch.nn import functional as F

from hwnas import spaces
from hwnas.errors import OptionError
from hwnas.ops import Identity, Zero
from hwnas.spaces import Decision, SearchSpace
from hwnas.spaces.chain import Chain
from hwnas.supernet import (
    SHARINGS,
    Evaluator,
    Sharing,
    Supernet,
    alpha_gradient,
    make_network,
    make_optimizer,
    train_step,
)
from hwnas.testing.ops import randomise

CELLS = spaces.space("nasbench201", input_size=8, classes=3, channels=4, cells=2)
BRANCHES = branches()
TWO_INPUTS = [
    spaces.space("darts-s1", input_size=8, classes=3, channels=4, cells=3, pool_norm=True),
    spaces.space("darts", input_size=8, classes=3, channels=4, cells=3),
    spaces.space("nao", input_size=8, classes=3, channels=4, repeats=1),
]
SPACES = pytest.mark.parametrize(
    "space", [CELLS, BRANCHES, *TWO_INPUTS], ids=lambda space: space.name
)
Made = Callable[[SearchSpace, Sharing], Supernet]
SHARED = pytest.mark.parametrize("sharing", SHARINGS)


def random_supernet(space: SearchSpace, sharing: Sharing = "slices") -> Supernet:
    supernet = Supernet(space, sharing=sharing, seed=0, zero_init_residual=False)
    randomise(supernet, seed=1)
    return supernet


@pytest.fixture(scope="module")
def made() -> Made:
    """As `random_supernet`, each made once: `nao` takes seconds. No test changes its weights."""
    return cache(random_supernet)


def images(count: int = 4) -> torch.Tensor:
    return torch.randn(count, 3, 8, 8, generator=torch.Generator().manual_seed(2))


def some(space: SearchSpace) -> np.ndarray:
    """Architectures, those that take each choice everywhere among them."""
    most = min(7, max(space.n_choices))
    in_turn = [np.minimum(c, np.array(space.n_choices) - 1) for c in range(most)]
    return np.concatenate([np.array(in_turn), space.sample(6, seed=3)])


@SPACES
@SHARED
def test_a_path_is_the_network_with_the_same_weights(
    made: Made, space: SearchSpace, sharing: Sharing
) -> None:
    supernet = made(space, sharing).eval()
    for arch in some(space):
        alone = space.build(arch).eval().to(memory_format=torch.channels_last)
        weights = supernet.weights(arch)
        assert list(weights) == list(alone.state_dict()) or set(weights) == set(alone.state_dict())
        alone.load_state_dict({name: torch.from_numpy(value) for name, value in weights.items()})
        with torch.no_grad():
            assert torch.equal(supernet(images(), arch), alone(images()))


@SPACES
def test_only_the_path_gets_gradients(made: Made, space: SearchSpace) -> None:
    supernet = made(space, "separate").train()
    supernet.zero_grad()
    (arch,) = space.sample(1, seed=4)
    F.cross_entropy(supernet(images(), arch), torch.tensor([0, 1, 2, 0])).backward()
    path = supernet.path(arch)
    for slot, candidates in enumerate(supernet.candidates):
        for choice, candidate in enumerate(candidates):
            if choice != path[slot]:
                assert all(p.grad is None for p in candidate.parameters())
    assert all(p.grad is not None for p in supernet.candidates[-1][path[-1]].parameters())


def test_an_unused_slot_has_no_weights_to_inherit() -> None:
    supernet = random_supernet(BRANCHES)
    assert supernet.path([2, 0]) == [0, 2, None, 0]
    assert not any(name.startswith("branch") for name in supernet.weights([2, 0]))
    assert any(name.startswith("branch") for name in supernet.weights([0, 0]))


def test_cells_of_zeros_alone_run_and_train() -> None:
    supernet = Supernet(CELLS, seed=0)
    zeros = [CELLS.decisions[0].choices.index(Zero())] * 6
    optimizer = make_optimizer(supernet)
    y = supernet(images(), zeros)
    assert torch.isfinite(y).all()
    assert torch.equal(y, y[:1].expand(4, -1))  # nothing of the image reaches the head
    train_step(supernet, optimizer, images(), torch.tensor([0, 1, 2, 0]), np.array(zeros), lr=1e-2)


def test_a_supernet_of_cells_learns() -> None:
    supernet = Supernet(CELLS, seed=0)
    optimizer = make_optimizer(supernet)
    x, labels = images(32), torch.arange(32) % 3
    arch = np.array([3, 1, 3, 1, 3, 3])
    losses = [train_step(supernet, optimizer, x, labels, arch, lr=5e-2) for _ in range(30)]
    assert losses[-1] < 0.5 * losses[0]


@SPACES
def test_a_network_alone_begins_with_its_residuals_at_zero(space: SearchSpace) -> None:
    (arch,) = space.sample(1, seed=0)
    network = make_network(space, arch, seed=0)
    zeroed = [name for name, p in network.named_parameters() if not p.any() and "weight" in name]
    if space is CELLS:
        assert zeroed == ["reductions.0.conv_b.bn.weight", "reductions.1.conv_b.bn.weight"]
    else:
        assert zeroed == []


def test_what_joins_unused_states_has_one_set_of_weights_a_state(made: Made) -> None:
    (*_, space) = TWO_INPUTS
    slots = {slot.name: at for at, slot in enumerate(space.layout.slots)}
    for sharing in SHARINGS:
        supernet = made(space, sharing)
        block = supernet.slots[slots["cells.0.output.join"]]
        (whole,) = block.shared.values()
        assert whole.shape == (4, 7 * 4, 1, 1)  # to 4 channels, of 2 inputs and 5 nodes of 4 each
        reads = space.layout.slots[slots["cells.0.output.join"]].reads
        assert len(reads) == 48  # sets of the 6 lower states that hold not both inputs
        assert len(set(reads)) == 48
        for at in (0, 17, 47):
            (weight,) = (t for name, t in block.state(at).items() if t.ndim == 4)
            parts = weight.reshape(4, len(reads[at]), 4)
            for part, state in zip(parts.unbind(1), reads[at], strict=True):
                assert torch.equal(part, whole.reshape(4, 7, 4)[:, state])


def test_gates_need_candidates_that_are_the_choices() -> None:
    space = TWO_INPUTS[1]
    supernet = Supernet(space, seed=0)
    active = np.arange(490) < np.array(space.n_choices)[:, None]
    alpha = torch.zeros(8, 490, dtype=torch.float64)
    labels = torch.tensor([0, 1, 2, 0])
    with pytest.raises(OptionError, match="choices of darts say which slots are used as well"):
        alpha_gradient(supernet, images(), labels, np.zeros(8, np.int64), alpha, active)


# Evaluation


@SPACES
@SHARED
def test_accuracies_are_those_of_plain_torch(
    made: Made, space: SearchSpace, sharing: Sharing
) -> None:
    supernet = made(space, sharing)
    rng = np.random.default_rng(0)
    calibration, inputs = (rng.normal(size=(n, 3, 8, 8)).astype(np.float32) for n in (32, 90))
    archs = space.sample(5, seed=1)
    logits = []
    for arch in archs:
        network = space.build(arch).to(memory_format=torch.channels_last)
        weights = supernet.weights(arch)
        network.load_state_dict({name: torch.from_numpy(value) for name, value in weights.items()})
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.reset_running_stats()
                module.momentum = None
        with torch.no_grad():
            network.train()(torch.from_numpy(calibration))
            logits.append(network.eval()(torch.from_numpy(inputs)))
    labels = logits[0].argmax(1).numpy()
    evaluator = Evaluator(supernet, calibration, inputs, labels, batch=90)
    for arch, expected in zip(archs, logits, strict=True):
        got = torch.cat(evaluator._alone(supernet.path(arch)).images)
        torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-4)
    accuracies = evaluator.accuracies(archs)
    assert accuracies[0] == 1
    np.testing.assert_array_equal(accuracies, [evaluator.accuracy_alone(arch) for arch in archs])


def test_statistics_of_one_path_are_left_behind() -> None:
    supernet = random_supernet(CELLS)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 3, 8, 8)).astype(np.float32)
    evaluator = Evaluator(supernet, x, x, np.zeros(40, np.int64), batch=40)
    arch = np.array([3] * 6)
    evaluator.set_statistics(arch)
    mean = supernet.weights(arch)["stem.stem.bn.running_mean"]
    convolved = supernet.candidates[0][0].get_submodule("stem.conv")(torch.from_numpy(x))
    np.testing.assert_allclose(mean, convolved.mean((0, 2, 3)).detach().numpy(), atol=1e-5)


class EndsWithASkip(Chain):
    """The last block is used where the second one is not skipped."""

    additive = False

    def path(self, arch):
        path = super().path(arch)
        return (*path[:-2], None, path[-1]) if arch[1] == 6 else path

    def wire(self, path, x, run, add, concat):
        for slot, choice in enumerate(path):
            x = x if choice is None else run(slot, x)
        return x


def test_prefixes_with_unused_slots_are_shared_to_the_last_bit(small_space: SearchSpace) -> None:
    space = SearchSpace("ends", {}, EndsWithASkip(small_space.layout.slots))
    supernet = random_supernet(space)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 3, 32, 32)).astype(np.float32)
    evaluator = Evaluator(supernet, x[:20], x, rng.integers(0, 10, 60))
    archs = space.sample(40, seed=0)
    archs[::2, 1] = 6
    accuracies = evaluator.accuracies(archs)
    np.testing.assert_array_equal(accuracies, [evaluator.accuracy_alone(arch) for arch in archs])
    assert len(set(accuracies)) > 3
    # what is not used makes no difference
    others = np.array([[0, 6, 2, c] for c in range(7)])
    assert len(set(evaluator.accuracies(others))) == 1


# Gates


def mixture_loss(supernet, x, labels, gates):
    """Cross-entropy where each edge is the sum of all outputs, times their gates."""
    slots = supernet.space.layout.slots

    def run(at, x):
        decision = slots[at].decision
        if decision is None:
            return supernet.run_block(at, x, 0)
        return sum(g * supernet.run_block(at, x, c) for c, g in enumerate(gates[decision]))

    return F.cross_entropy(supernet.wire(supernet.path([0] * 6), x, run), labels)


@pytest.mark.parametrize("arch", [[3, 1, 2, 4, 0, 3], [0] * 6, [1] * 6])
def test_gates_of_cells_get_the_gradient_of_the_mixture(arch: list[int]) -> None:
    space = spaces.space("nasbench201", input_size=8, classes=3, channels=3, cells=1)
    supernet = Supernet(space, seed=0).double().train()
    x, labels = images().double(), torch.tensor([0, 1, 2, 0])
    alpha = torch.randn(6, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    gradient, loss = alpha_gradient(
        supernet, x, labels, np.array(arch), alpha, np.ones((6, 5), bool)
    )
    gates = F.one_hot(torch.tensor(arch), 5).double().requires_grad_()
    mixed = mixture_loss(supernet, x, labels, gates)
    assert loss == pytest.approx(mixed.item(), rel=1e-12)
    (of_gates,) = torch.autograd.grad(mixed, gates)
    p = alpha.softmax(1)
    expected = p * (of_gates - (of_gates * p).sum(1, keepdim=True))
    torch.testing.assert_close(gradient, expected, rtol=1e-9, atol=1e-12)


def test_gates_of_a_branch_that_is_not_there_get_nothing() -> None:
    supernet = random_supernet(BRANCHES).train()
    active = np.array([[True, True, True], [True, True, False]])
    labels, alpha = torch.tensor([0, 1, 2, 0]), torch.zeros(2, 3, dtype=torch.float64)
    assert Identity() in BRANCHES.decisions[0].choices
    for arch in product(range(3), range(2)):
        gradient, _ = alpha_gradient(supernet, images(), labels, np.array(arch), alpha, active)
        assert gradient[0].any()
        assert bool(gradient[1].any()) == (arch[0] != 2)
        assert gradient[1, 2] == 0


def test_a_decision_that_no_slot_follows_has_no_gates() -> None:
    class Undecided(type(BRANCHES.layout)):  # type: ignore[misc]
        @property
        def decisions(self):
            return (*super().decisions, Decision("unheard", (Identity(),)))

        def path(self, arch):
            return super().path(arch[:2])

    space = SearchSpace("undecided", {}, Undecided((3, 8, 8), 3, 4))
    supernet = Supernet(space, seed=0)
    active = np.arange(3) < np.array(space.n_choices)[:, None]
    with pytest.raises(OptionError, match="undecided has none for decision unheard"):
        alpha_gradient(
            supernet,
            images(),
            torch.tensor([0, 1, 2, 0]),
            np.array([0, 0, 0]),
            torch.zeros(3, 3, dtype=torch.float64),
            active,
        )
