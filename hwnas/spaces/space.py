"""A search space: decisions, and the networks they describe."""

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from hwnas.arrays import BoolArray, FloatArray, IntArray
from hwnas.costs import COSTS, AdditiveCost
from hwnas.data import shown_shape
from hwnas.errors import ArchitectureError, OptionError, UnknownNameError
from hwnas.given import check_seed, check_whole
from hwnas.html_text import html_table
from hwnas.onnx_graph import Precision, Weights, random_weights, to_onnx
from hwnas.ops import FAMILIES, Graph, Op, Shape, Workload
from hwnas.spaces.architectures import checked_rows, rows_of
from hwnas.spaces.emission import emit
from hwnas.spaces.layout import Decision, Layout, Modules
from hwnas.spaces.layout_workloads import LayoutWorkloads, N
from hwnas.spaces.memory import MemoryOf
from hwnas.spaces.workload_sums import WorkloadSums

if TYPE_CHECKING:
    from torch import nn

__all__ = ["SearchSpace", "check_quantity"]

#: So many architectures at once fill the memory of any machine.
_MOST_SAMPLES = 10**9


@dataclass(frozen=True, eq=False, repr=False)
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
    _sums: dict[str, AdditiveCost] = field(default_factory=dict, init=False)

    def __repr__(self) -> str:
        told = [f"{k}={v!r}" for k, v in self.arguments.items() if isinstance(v, int | float | str)]
        more = ["..."] if len(self.arguments) > len(told[:2]) else []
        size = f"{self.size:,}" if self.size < 10**6 else f"over 10^{len(str(self.size)) - 1}"
        return (
            f"<SearchSpace {self.name}({', '.join([*told[:2], *more])}): "
            f"{len(self.decisions)} decisions, size {size}>"
        )

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        rows = [("input", shown_shape(self.input_shape))]
        for decision in self.decisions:
            tokens = ", ".join(choice.token for choice in decision.choices)
            rows.append((f"{decision.name} ({len(decision.choices)})", tokens))
        return html_table(repr(self).strip("<>"), rows)

    @property
    def decisions(self) -> tuple[Decision, ...]:
        """The decisions, in order."""
        return self.layout.decisions

    @property
    def input_shape(self) -> Shape:
        """Channels, height and width of the input."""
        return self.layout.input_shape

    @cached_property
    def classes(self) -> int:
        """Outputs of every network."""
        nodes = self.graph([0] * len(self.decisions)).nodes
        return nodes[-1].shape[0]

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
        """Uniform architectures, an int64 array (count, n_decisions).

        Raises:
            OptionError: a count or seed that is no whole number of at least 0.
        """
        rng = seed if isinstance(seed, np.random.Generator) else None
        rng = rng or np.random.default_rng(check_seed(seed))
        rows = check_whole("a number of architectures", count, 0, _MOST_SAMPLES)
        return rng.integers(0, self.n_choices, (rows, len(self.n_choices)))

    def rows(self, archs: npt.ArrayLike) -> npt.NDArray[np.integer[Any]]:
        """The architectures as an array (n, n_decisions) of the integers they came in.

        One row may come without its axis. What the integers are is not looked at; see `check`.

        Raises:
            ArchitectureError: not integers, or another number of decisions.
        """
        return rows_of(archs, self.name, len(self.decisions))

    def check(self, archs: npt.ArrayLike) -> IntArray:
        """The architectures as an int64 array (n, n_decisions); one row may come without its axis.

        Raises:
            ArchitectureError: not integers, another number of decisions, or an index out of range.
        """
        return checked_rows(archs, self.name, self.decisions)

    def canonical(self, archs: npt.ArrayLike) -> IntArray:
        """Architectures (n, n_decisions), those that describe equal networks written as one.

        A layout that knows of equal networks has a ``canonical`` of its own; without one, all
        are taken for different.
        """
        rows = self.check(archs)
        written: Callable[[IntArray], IntArray] | None = getattr(self.layout, "canonical", None)
        return rows if written is None else written(rows)

    def parse(self, text: str) -> IntArray:
        """Read what `format` printed, as an int64 array (n_decisions,).

        Raises:
            ArchitectureError: it is not an architecture of this space.
        """
        if not isinstance(text, str):
            raise ArchitectureError(f"an architecture of {self.name} is a text, got {text!r}")
        try:
            return np.array(self.layout.parse(text.strip()), np.int64)
        except ValueError as error:
            raise ArchitectureError(f"not an architecture of {self.name}: {error}") from None

    def format(self, arch: npt.ArrayLike) -> str:
        """Print one architecture."""
        return self.layout.format(self._one(arch))

    def workloads(self, arch: npt.ArrayLike) -> list[Workload]:
        """All workloads of one architecture, one entry per execution.

        First those that follow no decision, then those that follow the first decision, and so on.
        """
        return self._workloads.of(self._one(arch))

    @property
    def distinct_workloads(self) -> tuple[Workload, ...]:
        """Every workload of the space that costs time, once: what a profiler measures."""
        return self._workloads.distinct

    @cached_property
    def families(self) -> dict[str, type[Op]]:
        """The operator families of the space by name, those that ship and others.

        Raises:
            OptionError: one has the name of another that ships, whose latencies it would be given.
        """
        ops = {type(w.op) for slot in self.layout.slots for w in slot.workloads}
        for family in ops:
            if FAMILIES.get(family.__name__, family) is not family:
                raise OptionError(
                    f"{self.name} has an operator family {family.__name__} of its own, a name that "
                    "ships with hwnas and by which tables know it: name the class otherwise"
                )
        return {family.__name__: family for family in ops}

    @property
    def may_be_cut(self) -> bool:
        """Whether some architecture has no path from its input to its output; see `connected`."""
        return self.layout.cell is not None

    def connected(self, archs: npt.ArrayLike) -> BoolArray:
        """Which architectures (n, n_decisions) have a path from the input to the output, (n,).

        The others, cells of edges that are not there, give all images the same; no search
        evaluates or returns one.
        """
        rows = self.check(archs)
        cell = self.layout.cell
        return np.ones(len(rows), bool) if cell is None else cell.connected(rows)

    def live(self, archs: npt.ArrayLike) -> IntArray:
        """The architectures (n, n_decisions) without dead operators, which no runtime runs."""
        rows = self.check(archs)
        cell = self.layout.cell
        return rows if cell is None else cell.live(rows)

    def executed(self, archs: npt.ArrayLike) -> IntArray:
        """The `live` architectures (n, n_decisions), each with equal work done once.

        Of operators without weights that are equal and read the same, runtimes run one.
        """
        rows = self.check(archs)
        cell = self.layout.cell
        return rows if cell is None else cell.without_repeats(rows, self._workloads.weightless)

    @property
    def modules(self) -> Modules | None:
        """What builds whole networks, where they are a person's own modules; mostly None.

        Such a space has neither workloads nor graphs, and its networks are measured whole.
        """
        return None

    @property
    def additive(self) -> bool:
        """Whether costs are sums over decisions; see `Layout.additive`."""
        return self.layout.additive

    @property
    def fixed_workloads(self) -> tuple[Workload, ...]:
        """The workloads that every architecture has.

        Raises:
            OptionError: the space is not additive.
        """
        self._check_additive("what a choice adds depends on others, take workloads(arch)")
        return self._workloads.fixed

    def choice_workloads(self, decision: int, choice: int) -> tuple[Workload, ...]:
        """The workloads that one choice adds, one entry per execution.

        Raises:
            OptionError: the space is not additive.
        """
        self._check_additive("what a choice adds depends on others, take workloads(arch)")
        return self._workloads.of_choice(decision, choice)

    def sums_of(self, value: Callable[[Workload], N]) -> tuple[N, list[list[N]]]:
        """What a number of each workload adds up to.

        Returns:
            The sum that every architecture has, and of each decision the sum that each choice adds.

        Raises:
            OptionError: the space is not additive.
        """
        self._check_additive("what a choice adds depends on others, take workloads(arch)")
        return self._workloads.sums_of(value)

    def graph(self, arch: npt.ArrayLike) -> Graph:
        """The nodes of one network.

        Raises:
            OptionError: the layout's wiring contradicts its path.
        """
        return emit(self.layout, self.layout.path(self._one(arch)))

    def build(self, arch: npt.ArrayLike) -> "nn.Module":
        """One network as a torch module: (n, channels, height, width) -> (n, classes)."""
        from hwnas.ops.module import GraphModule

        return GraphModule(self.graph(arch))

    def drawn(self, arch: npt.ArrayLike, seed: int) -> "nn.Module":
        """One network as a torch module, with the weights that `to_onnx` draws from a seed."""
        import torch

        module = self.build(arch)
        drawn = random_weights(self.graph(arch), seed)
        weights = {name: torch.from_numpy(value) for name, value in drawn.items()}
        module.load_state_dict(weights, strict=False)  # counters of batches are no weights
        return module

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

    def memory(self, archs: npt.ArrayLike) -> IntArray:
        """Bytes of each architecture at fp32 and batch 1: weights, and the peak of live tensors.

        See `hwnas.costs.peak_live`; (n,).
        """
        return self._memory(self.rows(archs))

    @cached_property
    def _memory(self) -> MemoryOf:
        return MemoryOf.of(self.name, self.layout, self.graph, 4 * math.prod(self.input_shape))

    @cached_property
    def quantised(self) -> bool:
        """Whether any convolution of the space has few-bit weights."""
        return any(costs["bitops"] > 0 for costs in self._workloads.costs.values())

    def cost(self, quantity: str) -> AdditiveCost:
        """An analytic cost (``macs``, ``params``, ``bytes``, ``bitops``) as a sum over decisions.

        Raises:
            UnknownNameError: there is no such cost.
            OptionError: the space is not additive; see `exact`.
        """
        check_quantity(quantity)
        self._check_additive(f"{quantity} are no AdditiveCost, take exact({quantity!r})")
        if not self._sums:
            for name in COSTS:
                sums = self.sums_of(partial(self._workloads.cost, name))
                self._sums[name] = AdditiveCost.from_integers(*sums)
        return self._sums[quantity]

    def exact(self, quantity: str) -> Callable[[npt.ArrayLike], FloatArray]:
        """An analytic cost as a function of architectures (n, n_decisions) that gives floats (n,).

        It is `cost` where the space is additive, and otherwise the sum over the workloads of each
        architecture.

        Raises:
            UnknownNameError: there is no such cost.
        """
        check_quantity(quantity)
        if self.additive:
            return self.cost(quantity)
        known = self._workloads.costs
        return WorkloadSums.of(self.name, self.layout, known, 0.0, lambda w: known[w][quantity])

    @cached_property
    def _workloads(self) -> LayoutWorkloads:
        return LayoutWorkloads(self.layout)

    def _check_additive(self, what: str) -> None:
        if not self.additive:
            raise OptionError(
                f"an architecture of {self.name} does not cost a sum over its decisions: {what}"
            )

    def _integers(self, quantity: str, archs: npt.ArrayLike) -> IntArray:
        return np.rint(self.exact(quantity)(self.check(archs))).astype(np.int64)

    def _one(self, arch: npt.ArrayLike) -> list[int]:
        rows = self.check(arch)
        if len(rows) != 1:
            raise ArchitectureError(f"one architecture is needed here, got {len(rows)}")
        return [int(choice) for choice in rows[0]]


def check_quantity(quantity: str) -> None:
    """Raise `UnknownNameError` for what is no analytic cost."""
    if quantity not in COSTS:
        raise UnknownNameError("cost", quantity, list(COSTS))
