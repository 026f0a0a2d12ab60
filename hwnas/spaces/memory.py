"""Memory of the networks of a space: weights, and the peak of what lives beside them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from hwnas.arrays import IntArray
from hwnas.costs.memory import graph_steps, graph_weight_bytes, peak_live
from hwnas.ops import Graph
from hwnas.spaces.architectures import checked_rows
from hwnas.spaces.layout import Layout

__all__ = ["MemoryOf", "network_memory"]

#: Networks of a few dozen decisions: some tens of MB.
_MOST_SEEN = 65_536


def network_memory(graph: Graph) -> int:
    """Bytes of a network at fp32 and batch 1: its weights, and the most that lives at once."""
    pruned = graph.pruned()
    return graph_weight_bytes(pruned) + peak_live(graph_steps(pruned), held=(0,))


@dataclass(frozen=True, slots=True, eq=False)
class MemoryOf:
    """Memory of architectures, in bytes.

    In a chain of workloads nothing lives across one but what it reads, so that the peak is that of
    the worst workload. Elsewhere each network is looked at as a whole.

    Attributes:
        space: its name, for messages.
        layout: of the architectures.
        graph: of an architecture.
        weights, peaks: of each candidate of each slot; empty where the layout is no chain.
        seen: bytes of networks that were looked at as a whole, which takes a millisecond each; a
            search asks of the same ones again and again.
    """

    space: str
    layout: Layout
    graph: Callable[[Sequence[int]], Graph]
    weights: tuple[tuple[int, ...], ...]
    peaks: tuple[tuple[int, ...], ...]
    seen: dict[tuple[int, ...], int] = field(default_factory=dict, repr=False)

    @classmethod
    def of(
        cls, space: str, layout: Layout, graph: Callable[[Sequence[int]], Graph], input_bytes: int
    ) -> "MemoryOf":
        """The memory of a space whose networks ``graph`` makes."""
        slots = [slot.workloads for slot in layout.slots] if layout.sequential else []
        graphs = {w: w.graph().pruned() for workloads in slots for w in workloads}
        weights = {w: graph_weight_bytes(own) for w, own in graphs.items()}
        # the network's input lives all the time; the first workload reads it, beside others it is
        peaks = {w: input_bytes + peak_live(graph_steps(own)) for w, own in graphs.items()}
        first = {w: peak_live(graph_steps(graphs[w]), held=(0,)) for w in (slots or [()])[0]}
        return cls(
            space,
            layout,
            graph,
            tuple(tuple(weights[w] for w in workloads) for workloads in slots),
            tuple(
                tuple((peaks if at else first)[w] for w in workloads)
                for at, workloads in enumerate(slots)
            ),
        )

    def __call__(self, archs: npt.ArrayLike) -> IntArray:
        """Bytes (n,) of architectures (n, n_decisions).

        Raises:
            ArchitectureError: they do not belong to the space.
        """
        rows = checked_rows(archs, self.space, self.layout.decisions)
        one = self._of_chain if self.peaks else self._of_whole
        return np.array([one(arch) for arch in rows.tolist()], np.int64)

    def _of_chain(self, arch: list[int]) -> int:
        path = self.layout.path(arch)
        used = [(slot, at) for slot, at in enumerate(path) if at is not None]
        weights = sum(self.weights[slot][at] for slot, at in used)
        return weights + max(self.peaks[slot][at] for slot, at in used)

    def _of_whole(self, arch: list[int]) -> int:
        key = tuple(arch)
        known = self.seen.get(key)
        if known is None:
            known = network_memory(self.graph(arch))
            if len(self.seen) < _MOST_SEEN:
                self.seen[key] = known
        return known
