"""A cell: a directed acyclic graph whose edges are the decisions."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np

from hwnas.arrays import BoolArray, IntArray

__all__ = ["Cell"]


@dataclass(frozen=True)
class Cell:
    """A cell whose decisions are the edges of a directed acyclic graph.

    Attributes:
        edges: (source, target) node of each decision; node 0 is the input, the highest the output.
        zero: for each decision, the index of the choice that means "no edge".
    """

    edges: tuple[tuple[int, int], ...]
    zero: tuple[int, ...]

    @property
    def chains(self) -> tuple[tuple[int, int], ...]:
        """Pairs of decisions of which the second starts where the first ends."""
        return tuple(
            (first, second)
            for first, (_, target) in enumerate(self.edges)
            for second, (source, _) in enumerate(self.edges)
            if source == target
        )

    def connected(self, codes: IntArray) -> BoolArray:
        """Which of architectures (n, n_decisions) have a path of edges from input to output."""
        there: BoolArray = (self.live(codes) != np.array(self.zero)).any(axis=1)
        return there

    def canonical(self, codes: IntArray) -> IntArray:
        """The same networks in one notation, (n, n_decisions): twins become equal.

        Twins differ in the order of the inner nodes alone; dead operators stay. Of all orders whose
        edges lead from lower nodes to higher ones, the one with the smallest choices is taken.
        """
        last = max(target for _, target in self.edges)
        zero, place = np.array(self.zero), {edge: at for at, edge in enumerate(self.edges)}
        first = np.array(codes)
        for order in permutations(range(1, last)):
            node = (0, *order, last)
            moved = [place.get((node[source], node[target])) for source, target in self.edges]
            fits = np.ones(len(codes), bool)
            other = np.repeat(zero[None], len(codes), axis=0)
            for edge, to in enumerate(moved):
                if to is None:
                    fits &= codes[:, edge] == zero[edge]
                else:
                    other[:, to] = codes[:, edge]
            smaller = fits & _before(other, first)
            first[smaller] = other[smaller]
        return first

    def live(self, codes: IntArray) -> IntArray:
        """The same architectures without dead operators, (n, n_decisions).

        An edge is live if it lies on a path of edges from the input to the output. Compiled
        runtimes drop the others, so here they become "no edge".
        """
        leading = self.leading(codes)
        there = leading != np.array(self.zero)
        reached = np.zeros((1 + max(target for _, target in self.edges), len(codes)), bool)
        reached[0] = True
        for node in range(1, len(reached)):
            for edge, (source, target) in enumerate(self.edges):
                if target == node:
                    reached[node] |= there[:, edge] & reached[source]
        alive = np.stack([reached[source] for source, _ in self.edges], axis=1)
        return np.where(there & alive, codes, np.array(self.zero))

    def without_repeats(self, codes: IntArray, plain: Sequence[BoolArray]) -> IntArray:
        """The live architectures with equal work done once, (n, n_decisions).

        Two edges of one source that have the same operator, without weights, give the same:
        runtimes run it once, so here the later becomes "no edge".

        Args:
            codes: (n, n_decisions); a choice means the same operator on all edges.
            plain: for each decision which of its choices have no weights, (n_choices,).
        """
        live = self.live(codes)
        once = live.copy()
        for later, (source, _) in enumerate(self.edges):
            for first in range(later):
                if self.edges[first][0] == source:
                    again = (live[:, first] == live[:, later]) & plain[later][live[:, later]]
                    once[again, later] = self.zero[later]
        return once

    def leading(self, codes: IntArray) -> IntArray:
        """The same architectures without operators that lead nowhere, (n, n_decisions).

        What leads to the output and reads zeros stays.
        """
        there = codes != np.array(self.zero)
        useful = np.zeros((1 + max(target for _, target in self.edges), len(codes)), bool)
        useful[-1] = True
        for node in range(len(useful) - 2, -1, -1):
            for edge, (source, target) in enumerate(self.edges):
                if source == node:
                    useful[node] |= there[:, edge] & useful[target]
        leads = np.stack([useful[target] for _, target in self.edges], axis=1)
        return np.where(there & leads, codes, np.array(self.zero))


def _before(rows: IntArray, others: IntArray) -> BoolArray:
    """Which of (n, n_decisions) rows stand before those of others in the order of a dictionary."""
    differ = rows != others
    first = (np.arange(len(rows)), differ.argmax(axis=1))
    before: BoolArray = differ.any(axis=1) & (rows[first] < others[first])
    return before
