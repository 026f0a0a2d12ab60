"""Peaks of live tensors, against a naive walk over all small graphs."""

from itertools import combinations, product

import pytest

from hwnas.costs import Step, peak_live
from hwnas.costs.memory import graph_steps, graph_weight_bytes
from hwnas.ops import Graph


def naive(steps, held=()):
    """Buffers as sets: what must be in memory while each step runs."""
    readers = {i: [at for at, s in enumerate(steps) if i in s.inputs] for i in range(len(steps))}
    buffer = {}
    for at, step in enumerate(steps):
        first = step.inputs[0] if step.inputs else None
        over = (
            step.in_place
            and first not in held
            and max(readers[first]) == at
            and steps[first].size == step.size
        )
        buffer[at] = buffer[first] if over else at

    def needed(value, at):
        lives_on = not readers[value] or max(readers[value]) >= at
        return value in held or (value <= at and lives_on)

    peaks = [sum(steps[i].size for i in held)]
    for at in range(len(steps)):
        alive = {buffer[value] for value in range(len(steps)) if needed(value, at)}
        peaks.append(sum(steps[i].size for i in alive))
    return max(peaks)


def subsets(n):
    return [c for size in (1, 2) for c in combinations(range(n), size)]


def test_every_graph_of_four_steps_agrees_with_a_naive_walk():
    count = 0
    for b, c, d in product(subsets(1), subsets(2), subsets(3)):
        for sizes in ((1, 1, 1, 1), (1, 2, 2, 3), (5, 2, 5, 5)):
            for flags in product((False, True), repeat=3):
                steps = [Step(sizes[0])]
                for inputs, size, flag in zip((b, c, d), sizes[1:], flags, strict=True):
                    steps.append(Step(size, inputs, flag))
                for held in ((), (0,)):
                    assert peak_live(steps, held) == naive(steps, held), (steps, held)
                    count += 1
    assert count == 1 * 3 * 6 * 3 * 8 * 2


@pytest.mark.parametrize(
    ("steps", "peak"),
    [
        ([Step(7)], 7),
        ([Step(1), Step(10, (0,)), Step(1, (1,))], 11),  # a chain: two at a time
        ([Step(5), Step(5, (0,), True), Step(5, (1,), True)], 5),  # written over
        ([Step(5), Step(5, (0,), True), Step(5, (1, 0))], 15),  # but not what is read again
        ([Step(4), Step(8, (0,)), Step(4, (1,)), Step(4, (2, 0), True)], 16),  # a residual
        ([Step(4), Step(2, (0,), True)], 6),  # no room for another size
        ([Step(3), Step(3), Step(3)], 9),  # outputs live to the end
    ],
)
def test_peaks_by_hand(steps, peak):
    assert peak_live(steps) == peak


def test_an_input_belongs_to_its_caller():
    steps = [Step(5), Step(5, (0,), True), Step(1, (1,))]
    assert peak_live(steps) == 6
    assert peak_live(steps, held=(0,)) == 11


def test_a_block_by_hand():
    graph = Graph((8, 10, 10))
    x = graph.conv_bn(0, "expand", 24, activation="relu")
    x = graph.conv_bn(x, "depthwise", 24, kernel=3, groups=24, activation="relu")
    graph.add(graph.conv_bn(x, "project", 8), 0)
    # the input, for the sum, and the 24 channels twice; activations write over them
    assert peak_live(graph_steps(graph)) == 4 * 100 * (8 + 24 + 24)
    assert graph_weight_bytes(graph) == 4 * (8 * 24 + 24 + 24 * 9 + 24 + 24 * 8 + 8)
