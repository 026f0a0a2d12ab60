"""A search space: decisions, and the networks they describe."""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from hwnas.arrays import FloatArray, IntArray
from hwnas.costs import COSTS, AdditiveCost, workload_costs
from hwnas.errors import ArchitectureError, OptionError, UnknownNameError
from hwnas.onnx_graph import Precision, Weights, to_onnx
from hwnas.ops import Graph, Op, Shape, Workload

if TYPE_CHECKING:
    from hwnas.ops.module import GraphModule

__all__ = ["Decision", "Layout", "SearchSpace", "check_sizes", "check_width_mult"]


@dataclass(frozen=True, slots=True)
class Decision:
    """One categorical choice: a choice block of a chain, an edge of a cell."""

    name: str
    choices: tuple[Op, ...]


class Layout(Protocol):
    """How the chosen operators are wired to a network: a chain of blocks, or cells."""

    @property
    def input_shape(self) -> Shape:
        """Channels, height and width of the network's input."""
        ...

    @property
    def decisions(self) -> tuple[Decision, ...]:
        """The decisions, in order."""
        ...

    @property
    def fixed_workloads(self) -> tuple[Workload, ...]:
        """The workloads that every architecture has."""
        ...

    def choice_workloads(self, decision: int, choice: int) -> tuple[Workload, ...]:
        """The workloads that one choice adds, one entry per execution."""
        ...

    def emit(self, graph: Graph, arch: Sequence[int]) -> None:
        """Add the nodes of a whole network to an empty graph."""
        ...

    def parse(self, text: str) -> list[int]:
        """The architecture of a string; raises ``ValueError`` with the reason."""
        ...

    def format(self, arch: Sequence[int]) -> str:
        """The string of an architecture."""
        ...


@dataclass(frozen=True, eq=False)
class SearchSpace:
    """Architectures as rows of integers, one index per decision, and all that follows from them.

    Attributes:
        name: the name in `hwnas.spaces.names`.
        arguments: what the space was made with; the same name and arguments give the same space.
        layout: how choices become a network.
    """

    name: str
    arguments: Mapping[str, Any]
    layout: Layout
    _costs: dict[str, AdditiveCost] = field(default_factory=dict, init=False, repr=False)

    @property
    def decisions(self) -> tuple[Decision, ...]:
        """The decisions, in order."""
        return self.layout.decisions

    @property
    def input_shape(self) -> Shape:
        """Channels, height and width of the input."""
        return self.layout.input_shape

    @cached_property
    def n_choices(self) -> tuple[int, ...]:
        """Number of choices of each decision."""
        return tuple(len(decision.choices) for decision in self.decisions)

    @property
    def size(self) -> int:
        """Number of architectures."""
        return math.prod(self.n_choices)

    @cached_property
    def identifier(self) -> str:
        """Name and a digest of the arguments: equal for equal spaces, in every process."""
        text = json.dumps(dict(self.arguments), sort_keys=True)
        return f"{self.name}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"

    def sample(self, count: int, *, seed: int | np.random.Generator) -> IntArray:
        """Uniform architectures, an int64 array (count, n_decisions)."""
        return np.random.default_rng(seed).integers(0, self.n_choices, (count, len(self.n_choices)))

    def rows(self, archs: npt.ArrayLike) -> npt.NDArray[np.integer[Any]]:
        """The architectures as an array (n, n_decisions) of the integers they came in.

        One row may come without its axis. What the integers are is not looked at; see `check`.

        Raises:
            ArchitectureError: not integers, or another number of decisions.
        """
        try:
            rows = np.asarray(archs)
        except ValueError:
            raise ArchitectureError(
                f"architectures are an integer array (n, {len(self.decisions)}), got rows of "
                "different lengths"
            ) from None
        if rows.ndim == 1:
            rows = rows[None]
        if rows.ndim != 2 or rows.dtype.kind not in "iu":
            raise ArchitectureError(
                f"architectures are an integer array (n, {len(self.decisions)}), got "
                f"{rows.dtype} of shape {np.shape(archs)}"
            )
        if rows.shape[1] != len(self.decisions):
            raise ArchitectureError(
                f"{self.name} has {len(self.decisions)} decisions, got {rows.shape[1]}: "
                "is it an architecture of another space?"
            )
        return rows

    def check(self, archs: npt.ArrayLike) -> IntArray:
        """The architectures as an int64 array (n, n_decisions); one row may come without its axis.

        Raises:
            ArchitectureError: not integers, another number of decisions, or an index out of range.
        """
        rows = self.rows(archs)
        wrong = np.argwhere((rows < 0) | (rows >= np.array(self.n_choices)))
        if len(wrong):
            at, d = (int(v) for v in wrong[0])
            raise ArchitectureError(
                f"decision {self.decisions[d].name} of {self.name} has choices 0 to "
                f"{self.n_choices[d] - 1}, got {rows[at, d]} in architecture {at}"
            )
        return rows.astype(np.int64, copy=False)

    def parse(self, text: str) -> IntArray:
        """Read what `format` printed, as an int64 array (n_decisions,).

        Raises:
            ArchitectureError: it is not an architecture of this space.
        """
        try:
            return np.array(self.layout.parse(text.strip()), np.int64)
        except ValueError as error:
            raise ArchitectureError(f"not an architecture of {self.name}: {error}") from None

    def format(self, arch: npt.ArrayLike) -> str:
        """Print one architecture."""
        return self.layout.format(self._one(arch))

    def workloads(self, arch: npt.ArrayLike) -> list[Workload]:
        """All workloads of one architecture, repeated one entry per execution."""
        chosen = [
            w for d, c in enumerate(self._one(arch)) for w in self.layout.choice_workloads(d, c)
        ]
        return [*self.layout.fixed_workloads, *chosen]

    @cached_property
    def distinct_workloads(self) -> tuple[Workload, ...]:
        """Every workload of the space that costs time, once: what a profiler measures."""
        parts = (
            workload
            for d, n in enumerate(self.n_choices)
            for c in range(n)
            for workload in self.layout.choice_workloads(d, c)
        )
        return tuple(
            dict.fromkeys(w for w in (*self.layout.fixed_workloads, *parts) if not w.op.no_op)
        )

    def graph(self, arch: npt.ArrayLike) -> Graph:
        """The nodes of one network."""
        graph = Graph(self.input_shape)
        self.layout.emit(graph, self._one(arch))
        return graph

    def build(self, arch: npt.ArrayLike) -> "GraphModule":
        """One network as a torch module: (n, channels, height, width) -> (n, classes)."""
        from hwnas.ops.module import GraphModule

        return GraphModule(self.graph(arch))

    def to_onnx(
        self,
        arch: npt.ArrayLike,
        weights: Weights | None = None,
        *,
        batch: int = 1,
        precision: Precision = "fp32",
        symmetric: bool = False,
        ranges: Mapping[str, float] | None = None,
        metadata: Mapping[str, str] | None = None,
        seed: int = 0,
    ) -> bytes:
        """One network as ONNX; ``weights`` are arrays by the names of ``build(arch).state_dict()``.

        Without weights they are drawn from ``seed``. See `hwnas.onnx_graph.to_onnx`.
        """
        about = {"space": self.name, "architecture": self.format(arch), **(metadata or {})}
        return to_onnx(
            self.graph(arch),
            weights,
            batch=batch,
            precision=precision,
            symmetric=symmetric,
            ranges=ranges,
            metadata=about,
            seed=seed,
        )

    def macs(self, archs: npt.ArrayLike) -> IntArray:
        """Multiply-accumulates of each architecture at batch 1, (n,)."""
        return self._integers("macs", archs)

    def params(self, archs: npt.ArrayLike) -> IntArray:
        """Trainable parameters of each architecture, (n,)."""
        return self._integers("params", archs)

    def bytes(self, archs: npt.ArrayLike) -> IntArray:
        """Bytes that each architecture's workloads move at fp32 and batch 1, (n,).

        See `hwnas.costs.graph_bytes`; sums that join the edges of a cell are not counted.
        """
        return self._integers("bytes", archs)

    def bitops(self, archs: npt.ArrayLike) -> IntArray:
        """MACs times bits of weights times bits of inputs of each architecture, (n,).

        See `hwnas.costs.graph_bitops`; 0 in a space that quantises nothing.
        """
        return self._integers("bitops", archs)

    @cached_property
    def quantised(self) -> bool:
        """Whether any convolution of the space has few-bit weights."""
        return any(workload_costs(w)["bitops"] > 0 for w in self.distinct_workloads)

    def cost(self, quantity: str) -> AdditiveCost:
        """An analytic cost (``macs``, ``params``, ``bytes``, ``bitops``) as a sum over decisions.

        Raises:
            UnknownNameError: there is no such cost.
        """
        if quantity not in COSTS:
            raise UnknownNameError("cost", quantity, list(COSTS))
        if not self._costs:
            known = {w: workload_costs(w) for w in self.distinct_workloads}

            def total(name: str, workloads: Sequence[Workload]) -> int:
                return sum(known[w][name] for w in workloads if not w.op.no_op)

            for name in COSTS:
                entries = [
                    [total(name, self.layout.choice_workloads(d, c)) for c in range(n)]
                    for d, n in enumerate(self.n_choices)
                ]
                self._costs[name] = AdditiveCost.from_integers(
                    total(name, self.layout.fixed_workloads), entries
                )
        return self._costs[quantity]

    def _integers(self, quantity: str, archs: npt.ArrayLike) -> IntArray:
        costs: FloatArray = self.cost(quantity)(self.check(archs))
        return np.rint(costs).astype(np.int64)

    def _one(self, arch: npt.ArrayLike) -> list[int]:
        rows = self.check(arch)
        if len(rows) != 1:
            raise ArchitectureError(f"one architecture is needed here, got {len(rows)}")
        return [int(choice) for choice in rows[0]]


def check_sizes(space: str, sizes: Mapping[str, Any]) -> None:
    """Check arguments that are whole numbers of at least 1, or lists of them.

    Raises:
        OptionError: one is not.
    """
    for name, value in sizes.items():
        values = value if isinstance(value, list) else [value]
        if not values or any(type(v) is not int or v < 1 for v in values):
            raise OptionError(f"{name} of {space} takes whole numbers of at least 1, got {value!r}")


def check_width_mult(space: str, width_mult: Any) -> None:
    """Check a factor of all widths.

    Raises:
        OptionError: it is not a finite number above 0.
    """
    if not (isinstance(width_mult, int | float) and 0 < width_mult < math.inf):
        raise OptionError(f"width_mult of {space} is a number above 0, got {width_mult!r}")
