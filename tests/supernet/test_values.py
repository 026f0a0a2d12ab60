"""What candidates have in common is computed once, and what nobody reads is not computed."""

import numpy as np
import pytest
import torch
from branches import branches

from hwnas import spaces
from hwnas.ops import Identity
from hwnas.spaces import SearchSpace
from hwnas.spaces.layout import Slot
from hwnas.supernet import Evaluator, Supernet
from hwnas.supernet.values import Memory, State, Trace, Value
from hwnas.testing.ops import randomise

CELLS = spaces.space("nasbench201", input_size=8, classes=3, channels=4, cells=1)
STACKED = spaces.space("nasbench201", input_size=8, classes=3, channels=4, cells=2)
NONE, SKIP, CONV1, CONV3, POOL = range(5)
MIB = 2**20


def random_supernet(space: SearchSpace) -> Supernet:
    supernet = Supernet(space, seed=0, zero_init_residual=False)
    randomise(supernet, seed=1)
    return supernet


def evaluator(supernet: Supernet, **changes: int) -> Evaluator:
    rng = np.random.default_rng(0)
    calibration, images = (rng.normal(size=(n, 3, 8, 8)).astype(np.float32) for n in (24, 150))
    labels = rng.integers(0, 3, 150)
    return Evaluator(supernet, calibration, images, labels, **{"batch": 1000, **changes})


def logits_of(judge: Evaluator, arch: np.ndarray) -> torch.Tensor:
    """Of one candidate, with what earlier ones left behind."""
    trace, output = judge._traced(judge.supernet.path(arch))
    return torch.cat(trace.state(output, judge._memory).images)


@pytest.mark.parametrize("space", [CELLS, STACKED, branches()], ids=["cell", "cells", "branches"])
def test_sharing_changes_no_bit(space: SearchSpace) -> None:
    supernet = random_supernet(space)
    archs = space.sample(40, seed=0)
    alone = evaluator(supernet)
    expected = [torch.cat(alone._alone(supernet.path(arch)).images) for arch in archs]
    accuracies = [alone.accuracy_alone(arch) for arch in archs]
    for cache_bytes in (0, MIB, 2**30):
        shared = evaluator(supernet, cache_bytes=cache_bytes)
        for arch, logits in zip(archs, expected, strict=True):
            assert torch.equal(logits_of(shared, arch), logits)
        np.testing.assert_array_equal(shared.accuracies(archs), accuracies)
    assert logits_of(alone, archs[0]).std() > 0


class Counting:
    """Counts the blocks of a supernet that an evaluator runs, on one batch each."""

    def __init__(self, judge: Evaluator, monkeypatch: pytest.MonkeyPatch):
        self.judge = judge
        self.runs = 0
        run_block = judge.supernet.run_block

        def counted(slot: int, x: torch.Tensor, choice: int) -> torch.Tensor:
            self.runs += 1
            return run_block(slot, x, choice)

        monkeypatch.setattr(judge.supernet, "run_block", counted)

    def of(self, *archs: list[int]) -> int:
        """Blocks run for the accuracies of some architectures."""
        before = self.runs
        self.judge.accuracies(np.array(archs))
        return (self.runs - before) // 2  # calibration and evaluation


def test_equal_parts_of_cells_run_once(monkeypatch: pytest.MonkeyPatch) -> None:
    count = Counting(evaluator(random_supernet(CELLS)), monkeypatch)
    # stem, three cells of six edges, two reductions, head
    assert count.of([CONV3] * 6) == 1 + 3 * 6 + 2 + 1
    # the last edge, and all behind the first cell
    assert count.of([CONV3] * 5 + [CONV1]) == 1 + 2 * 6 + 2 + 1
    # the first edge, and edges 21, 31 and 32, which come from it; edges 20 and 30 are there
    assert count.of([CONV1, *[CONV3] * 5]) == 4 + 2 * 6 + 2 + 1
    assert count.of([CONV3] * 6, [CONV1, *[CONV3] * 5]) == 0


def test_nothing_is_computed_that_reaches_no_output(monkeypatch: pytest.MonkeyPatch) -> None:
    judge = evaluator(random_supernet(CELLS))
    count = Counting(judge, monkeypatch)
    # edge 10 leads to node 1, from where nothing leads on: edge 30 in each cell is left
    assert count.of([CONV3, NONE, NONE, CONV1, NONE, NONE]) == 1 + 3 + 2 + 1
    for dead in (NONE, SKIP, CONV1, POOL):
        assert count.of([dead, NONE, NONE, CONV1, NONE, NONE]) == 0
    # skips are what they hand on: node 3 is node 0
    assert count.of([CONV3, NONE, NONE, SKIP, NONE, NONE]) == 2 + 1
    # what reads zeros runs, for its batch-norm has a bias: edge 32 in each cell
    assert count.of([NONE, NONE, NONE, SKIP, NONE, CONV3]) == 3 + 2 + 1
    # of cells of zeros alone the head is left
    assert count.of([NONE] * 6) == 1
    assert judge.accuracies([[NONE] * 6])[0] == judge.accuracy_alone([NONE] * 6)


def test_weights_of_slots_are_their_own() -> None:
    """Equal operators at equal inputs in two slots are two computations."""
    supernet = random_supernet(CELLS)
    judge = evaluator(supernet)
    twice = [CONV3, NONE, CONV1, CONV3, NONE, CONV1]
    trace, _ = judge._traced(supernet.path(twice))
    slots = [slot.name for slot in supernet.space.layout.slots]
    first, other = slots.index("stages.0.0.edge10"), slots.index("stages.0.0.edge30")
    depths = [value.depth for value in trace._values.values()]
    assert first + 1 in depths
    assert other + 1 in depths


def test_memory_of_cells_keeps_its_bound() -> None:
    limit = MIB
    judge = evaluator(random_supernet(STACKED), cache_bytes=limit)
    judge.accuracies(STACKED.sample(30, seed=0))
    held = sum(
        4 * tensor.numel()
        for state in judge._memory.states.values()
        for tensor in (*state.calibration, *state.images)
    )
    assert 0.5 * limit < held <= limit


def test_identities_are_not_values() -> None:
    slots: tuple[Slot, ...] = CELLS.layout.slots
    assert slots[1].workloads[SKIP].op == Identity()
    judge = evaluator(random_supernet(CELLS))
    trace, _ = judge._traced(judge.supernet.path([SKIP] * 6))
    # the images; stem, reductions and head; sums of 2, then 4 terms in each cell
    assert len(trace._values) == 1 + 4 + 3 * 2


def number(value: float) -> State:
    return State((torch.tensor([value]),), (torch.tensor([value]),))


def test_long_wirings_do_not_recurse() -> None:
    trace, memory = Trace(), Memory(0)
    value = trace.value("start", [], lambda _: number(1.0))
    for depth in range(1, 5001):
        value = trace.value(
            depth, [value], lambda xs: number(xs[0].images[0].item() + 1), depth=depth
        )
    assert trace.state(value, memory).images[0].item() == 5001
    assert not memory.states


def test_a_sum_reads_its_terms_in_their_order() -> None:
    trace = Trace()
    a, b = (trace.value(name, [], lambda _: number(0.0)) for name in "ab")
    names = {
        trace.value(what, terms, lambda _: number(0.0)).name
        for what, terms in (
            ("add", [a, b]),
            ("add", [b, a]),
            ("add", [a, a]),
            ("add", [a]),
            ("concat", [a, b]),
        )
    }
    assert len(names) == 5
    assert trace.value("add", [a, b], lambda _: number(9.0)).compute([]).images[0].item() == 0


def remembered(memory: Memory, values: list[Value]) -> list[int]:
    return [at for at, value in enumerate(values) if value.name in memory.states]


def test_old_and_deep_states_go_first() -> None:
    trace = Trace()
    values = [trace.value(d, [], lambda _: number(0.0), depth=d) for d in (1, 2, 3)]
    room = 2 * number(0.0).nbytes
    memory = Memory(room + 1)
    for value in values:
        memory.put(value, number(0.0))
    assert remembered(memory, values) == [0]  # a tenth more than needed goes, here one whole state
    # eleven candidates of age count more than one slot of depth
    memory = Memory(room + 1)
    memory.put(values[0], number(0.0))
    memory.put(values[1], number(0.0))
    for _ in range(11):
        memory.use([values[1]])
    memory.put(values[2], number(0.0))
    assert 0 not in remembered(memory, values)
