"""A cell: a directed acyclic graph whose edges are the decisions."""

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

    def live(self, codes: IntArray) -> IntArray:
        """The same architectures without dead operators, (n, n_decisions).

        An edge is live if it lies on a path of edges from the input to the output. Compiled
        runtimes drop the others, so here they become "no edge".
        """
        there = codes != np.array(self.zero)
        last = max(target for _, target in self.edges)
        reached = np.zeros((last + 1, len(codes)), bool)
        useful = np.zeros((last + 1, len(codes)), bool)
        reached[0] = useful[last] = True
        for node in range(1, last + 1):
            for edge, (source, target) in enumerate(self.edges):
                if target == node:
                    reached[node] |= there[:, edge] & reached[source]
        for node in range(last - 1, -1, -1):
            for edge, (source, target) in enumerate(self.edges):
                if source == node:
                    useful[node] |= there[:, edge] & useful[target]
        alive = np.stack([reached[s] & useful[t] for s, t in self.edges], axis=1)
        return np.where(there & alive, codes, np.array(self.zero))

    def canonical(self, codes: IntArray) -> IntArray:
        """One way to write each network, the same for all that are equal, (n, n_decisions).

        Dead operators become "no edge"; and of the orders of the inner nodes in which every edge
        still leads to a higher node, the one whose choices come first. Edges that take each other's
        place must offer the same operators in the same order.
        """
        written = self.live(codes)
        first = written
        at = {edge: position for position, edge in enumerate(self.edges)}
        last = max(target for _, target in self.edges)
        for order in permutations(range(1, last)):
            moved = np.full_like(written, np.array(self.zero))
            possible = np.ones(len(written), bool)
            place = (0, *order, last)
            for edge, (source, target) in enumerate(self.edges):
                to = at.get((place[source], place[target]))
                if to is None:
                    possible &= written[:, edge] == self.zero[edge]
                else:
                    moved[:, to] = written[:, edge]
            first = np.where((possible & _before(moved, first))[:, None], moved, first)
        return first


def _before(rows: IntArray, others: IntArray) -> BoolArray:
    """Which rows come before the others in the order of their choices."""
    differ = rows != others
    at = differ.argmax(axis=1)[:, None]
    less: BoolArray = np.take_along_axis(rows < others, at, axis=1)[:, 0]
    return less
