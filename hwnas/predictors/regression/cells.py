"""What a space tells about an architecture beyond its row of integers: costs, and live edges."""

import re
from dataclasses import dataclass

import numpy as np

from hwnas.arrays import FloatArray, IntArray
from hwnas.ops import Workload
from hwnas.spaces import SearchSpace

__all__ = ["Cell", "cell_of", "entry_costs", "kernels"]

#: Nodes that runtimes fold into the kernel before them, or that run nothing.
_NO_KERNEL = {"input", "batch_norm", "relu", "relu6", "zero"}


def kernels(workload: Workload) -> int:
    """Kernels that a runtime launches for a workload once activations are folded in."""
    return sum(node.kind not in _NO_KERNEL for node in workload.graph().nodes)


def entry_costs(space: SearchSpace) -> FloatArray:
    """MACs, bytes and kernels of every choice, decision after decision, (n_entries, 3).

    Each quantity is divided by its mean over decisions and choices.
    """
    launches: dict[Workload, int] = {}

    def count(decision: int, choice: int) -> int:
        total = 0
        for workload in space.layout.choice_workloads(decision, choice):
            if not workload.op.no_op:
                if workload not in launches:
                    launches[workload] = kernels(workload)
                total += launches[workload]
        return total

    columns = []
    for name in ("macs", "bytes"):
        cost = space.cost(name)
        columns.append(np.concatenate([row * cost.unit for row in cost.entries]))
    columns.append(
        np.array([count(d, c) for d, n in enumerate(space.n_choices) for c in range(n)], float)
    )
    table = np.stack(columns, axis=1).astype(float)
    return np.asarray(table / np.maximum(table.mean(axis=0), 1e-12))


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


def cell_of(space: SearchSpace) -> Cell | None:
    """The cell of a space whose decisions are named ``edge<target><source>``, else ``None``."""
    names = [re.fullmatch(r"edge(\d)(\d)", d.name) for d in space.decisions]
    zeros = [[c for c, op in enumerate(d.choices) if op.token == "none"] for d in space.decisions]
    if not names or not all(names) or not all(zeros):
        return None
    edges = tuple((int(m[2]), int(m[1])) for m in names if m is not None)
    if any(source >= target for source, target in edges):
        return None
    return Cell(edges, tuple(column[0] for column in zeros))
