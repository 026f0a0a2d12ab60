"""Candidates evaluated together get what each gets alone, and what plain torch gives it."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from hwnas.errors import ArchitectureError, OptionError
from hwnas.spaces import SearchSpace
from hwnas.supernet import SHARINGS, Evaluator, Sharing, Supernet, make_optimizer, train_step

MakeSupernet = Callable[..., Supernet]
RNG = np.random.default_rng(0)
CALIBRATION = RNG.normal(0.5, 2, (48, 3, 32, 32)).astype(np.float32)
IMAGES = RNG.normal(0.5, 2, (100, 3, 32, 32)).astype(np.float32)
LABELS = RNG.integers(0, 10, 100)


def evaluator(supernet: Supernet, **changes: int) -> Evaluator:
    return Evaluator(supernet, CALIBRATION, IMAGES, LABELS, **{"batch": 32, **changes})


def in_plain_torch(
    space: SearchSpace, supernet: Supernet, arch: np.ndarray
) -> tuple[nn.Module, torch.Tensor]:
    """The network of an architecture, recalibrated on its own, and its logits."""
    network = space.build(arch)
    weights = supernet.weights(arch)
    network.load_state_dict({name: torch.from_numpy(value) for name, value in weights.items()})
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()
            module.momentum = None
    with torch.no_grad():
        network.train()
        for batch in torch.from_numpy(CALIBRATION).split(24):  # 48 images, at most 32 at once
            network(batch)
        return network, network.eval()(torch.from_numpy(IMAGES))


@pytest.mark.parametrize("sharing", SHARINGS)
def test_accuracies_are_those_of_plain_torch(
    small_space: SearchSpace, make_supernet: MakeSupernet, sharing: Sharing
) -> None:
    supernet = make_supernet(sharing)
    archs = small_space.sample(12, seed=0)
    got = evaluator(supernet).accuracies(archs)
    assert got.dtype == np.float64
    assert len(set(got.tolist())) > 3
    for arch, accuracy in zip(archs, got, strict=True):
        _, logits = in_plain_torch(small_space, supernet, arch)
        top = logits.topk(2).values
        certain = (top[:, 0] - top[:, 1] > 1e-3).numpy()  # rounding may decide the others
        right = logits.argmax(1).numpy() == LABELS
        assert right[certain].sum() <= round(100 * accuracy) <= right.sum() + (~certain).sum()
        assert (~certain).sum() < 5


@pytest.mark.parametrize("sharing", SHARINGS)
def test_sharing_prefixes_changes_no_bit(
    small_space: SearchSpace, make_supernet: MakeSupernet, sharing: Sharing
) -> None:
    supernet = make_supernet(sharing)
    archs = small_space.sample(18, seed=1)
    alone = evaluator(supernet)
    expected = [torch.cat(alone._alone(supernet.path(arch)).images) for arch in archs]
    accuracies = [alone.accuracy_alone(arch) for arch in archs]
    for cache_bytes in (0, 2**20, 2**30):
        shared = evaluator(supernet, cache_bytes=cache_bytes)
        for at in (*range(12), *range(9, 18)):  # the last nine find what the first twelve left
            trace, output = shared._traced(supernet.path(archs[at]))
            logits = torch.cat(trace.state(output, shared._memory).images)
            assert torch.equal(logits, expected[at])
            assert logits.std() > 0
        np.testing.assert_array_equal(shared.accuracies(archs), accuracies)


class Counting:
    """Counts how often each block of a supernet was run on a batch."""

    def __init__(self, supernet: Supernet, monkeypatch: pytest.MonkeyPatch):
        self.runs: list[tuple[int, int]] = []
        run_block = supernet.run_block

        def counted(slot: int, x: torch.Tensor, choice: int) -> torch.Tensor:
            self.runs.append((slot, choice))
            return run_block(slot, x, choice)

        monkeypatch.setattr(supernet, "run_block", counted)

    def since(self) -> int:
        """Blocks run since the last call, calibration and evaluation of one batch each."""
        runs, self.runs = self.runs, []
        return len(runs) // 2


def test_a_common_prefix_runs_once(
    small_space: SearchSpace, make_supernet: MakeSupernet, monkeypatch: pytest.MonkeyPatch
) -> None:
    supernet = make_supernet()
    counting = Counting(supernet, monkeypatch)
    together = evaluator(supernet, batch=1000)
    # stem, first, four blocks, head: 7 blocks
    together.accuracies(np.array([[0, 0, 0, 0]]))
    assert counting.since() == 7
    together.accuracies(np.array([[0, 0, 0, 1]]))  # the last block and the head
    assert counting.since() == 2
    together.accuracies(np.array([[0, 2, 1, 1], [0, 0, 0, 0], [0, 2, 1, 0]]))
    assert counting.since() == (3 + 1) + 0 + 2
    together.accuracies(np.array([[1, 0, 0, 0]]))
    assert counting.since() == 5
    together.accuracy_alone(np.array([1, 0, 0, 0]))
    assert counting.since() == 7


def test_order_of_candidates_does_not_matter(
    small_space: SearchSpace, make_supernet: MakeSupernet
) -> None:
    supernet = make_supernet()
    archs = small_space.sample(20, seed=2)
    order = np.random.default_rng(0).permutation(20)
    np.testing.assert_array_equal(
        evaluator(supernet).accuracies(archs)[order], evaluator(supernet).accuracies(archs[order])
    )


def test_the_cache_keeps_its_bound(small_space: SearchSpace, make_supernet: MakeSupernet) -> None:
    limit = 6 * 2**20
    bounded = evaluator(make_supernet(), cache_bytes=limit)
    bounded.accuracies(small_space.sample(30, seed=0))
    tensors = [
        tensor
        for state in bounded._memory.states.values()
        for tensor in (*state.calibration, *state.images)
    ]
    held = sum(4 * tensor.numel() for tensor in tensors)
    assert 0.5 * limit < held <= limit


@pytest.mark.parametrize("training", [True, False])
def test_training_goes_on_as_if_nothing_had_been_evaluated(
    small_space: SearchSpace, make_supernet: MakeSupernet, training: bool
) -> None:
    archs = small_space.sample(6, seed=0)
    labels = torch.from_numpy(LABELS[:16])
    trained = []
    for evaluating in (False, True):
        supernet = make_supernet()
        optimizer = make_optimizer(supernet)
        for arch in archs:
            train_step(supernet, optimizer, torch.from_numpy(IMAGES[:16]), labels, arch, lr=1e-3)
            if evaluating:
                supernet.train(training)
                modes = [(m.training, getattr(m, "momentum", 0)) for m in supernet.modules()]
                judge = evaluator(supernet)
                judge.accuracies(archs)
                judge.set_statistics(arch)
                after = [(m.training, getattr(m, "momentum", 0)) for m in supernet.modules()]
                assert modes == after
        trained.append(dict(supernet.named_parameters()))
    without, with_evaluation = trained
    for name, parameter in without.items():
        assert torch.equal(parameter, with_evaluation[name]), name


def test_what_was_remembered_is_dropped_when_weights_change(
    small_space: SearchSpace, make_supernet: MakeSupernet
) -> None:
    supernet = make_supernet()
    judge = evaluator(supernet)
    archs = small_space.sample(10, seed=0)
    before = judge.accuracies(archs)
    optimizer = make_optimizer(supernet)
    for arch in archs:
        labels = torch.from_numpy(LABELS)
        train_step(supernet, optimizer, torch.from_numpy(IMAGES), labels, arch, lr=3e-2)
    after = judge.accuracies(archs)
    assert not np.array_equal(before, after)
    np.testing.assert_array_equal(after, [judge.accuracy_alone(arch) for arch in archs])


@pytest.mark.parametrize("sharing", SHARINGS)
def test_statistics_go_into_the_weights(
    small_space: SearchSpace, make_supernet: MakeSupernet, sharing: Sharing
) -> None:
    supernet = make_supernet(sharing)
    judge = evaluator(supernet)
    arch = small_space.parse("k5e3-k7e6-k3e6-skip")
    stale = supernet.weights(arch)
    judge.accuracies(small_space.sample(5, seed=0))  # leaves other statistics behind
    judge.set_statistics(arch)
    weights = supernet.weights(arch)
    network, _ = in_plain_torch(small_space, supernet, arch)
    for name, expected in network.state_dict().items():
        np.testing.assert_allclose(weights[name], expected, rtol=1e-3, atol=1e-4)
        if name.endswith("running_mean"):
            assert not np.allclose(stale[name], expected, rtol=0.1)


def test_wrong_arguments(make_supernet: MakeSupernet) -> None:
    supernet = make_supernet()
    for arguments, got in (
        ((CALIBRATION[:0], IMAGES, LABELS), "got 0, 100 and 100 labels"),
        ((CALIBRATION, IMAGES[:0], LABELS[:0]), "got 48, 0 and 0 labels"),
        ((CALIBRATION, IMAGES, LABELS[:99]), "got 48, 100 and 99 labels"),
    ):
        with pytest.raises(OptionError, match=got):
            Evaluator(supernet, *arguments)
    with pytest.raises(OptionError, match="batch is at least 1, got 0"):
        evaluator(supernet, batch=0)
    with pytest.raises(ArchitectureError):
        evaluator(supernet).accuracies(np.array([[0, 0, 0]]))
