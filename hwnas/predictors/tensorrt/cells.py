"""Cells whose edges are the decisions: every network fused whole, each different one once.

Sums and activations between operators are fused, so that operators alone say too little of networks
as small as these. Cells of edges have few different ones: 9444 of `nasbench201`, dead operators
left out.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from hwnas.arrays import FloatArray
from hwnas.kernels import FusedModel, Step, Steps, fuse_steps, steps_of_graph, sum_steps
from hwnas.ops import Shape, Workload
from hwnas.predictors.tensorrt.networks import EngineTimes
from hwnas.spaces import SearchSpace

__all__ = ["FusedCells"]


@dataclass(frozen=True, slots=True)
class _Value:
    """A tensor of a network: its name, and channels, height and width."""

    name: str
    shape: Shape


@dataclass(frozen=True, slots=True)
class _Operator:
    """A workload alone: what each network that has it repeats.

    Attributes:
        steps: with the names of a graph, ``t0`` its input.
        result: the tensor that it gives; None for zeros.
        shape: of the result.
    """

    steps: tuple[Step, ...]
    result: str | None
    shape: Shape


@dataclass(frozen=True, slots=True, eq=False)
class FusedCells:
    """Milliseconds of architectures on an engine.

    Attributes:
        space: of cells of edges.
        times: of the engine.
    """

    space: SearchSpace
    times: EngineTimes
    _known: dict[tuple[int, ...], float] = field(default_factory=dict, init=False)
    _operators: dict[Workload, _Operator] = field(default_factory=dict, init=False)

    def __call__(self, archs: npt.ArrayLike) -> FloatArray:
        """Milliseconds (n,) of architectures (n, n_decisions)."""
        rows = self.space.live(archs)
        distinct, of = np.unique(rows, axis=0, return_inverse=True)
        ms = np.array([self._ms(tuple(arch)) for arch in distinct.tolist()], np.float64)
        found: FloatArray = ms[of.reshape(-1)]
        return found

    def _ms(self, arch: tuple[int, ...]) -> float:
        if arch not in self._known:
            known = self.times(self.fused(arch).kernels)
            self._known[arch] = sum(time.ms for time in known if time.ms is not None)
        return self._known[arch]

    def fused(self, arch: Sequence[int]) -> FusedModel:
        """The kernels of an architecture without dead operators, as of its graph."""
        layout = self.space.layout
        path = layout.path(arch)
        steps: list[Step] = []

        def run(at: int, x: _Value | None) -> _Value | None:
            choice = path[at]
            assert choice is not None
            operator = self._operator(layout.slots[at].workloads[choice])
            if x is None or operator.result is None:
                return None
            names = {"t0": x.name}
            for step in operator.steps:
                inputs = tuple(names[name] for name in step.inputs)
                names |= {name: f"s{at}.{name}" for name in step.outputs}
                outputs = tuple(names[name] for name in step.outputs)
                steps.append(
                    Step(
                        *(step.op, step.name, inputs, outputs, step.read, step.written),
                        *(step.constants, step.attributes),
                    )
                )
            return _Value(names[operator.result], operator.shape)

        def add(name: str, terms: Sequence[_Value | None]) -> _Value | None:
            some = [term for term in terms if term is not None]
            if len(some) < 2:
                return some[0] if some else None
            steps.extend(sum_steps(name, [term.name for term in some], (1, *some[0].shape)))
            return _Value(name, some[0].shape)

        def concat(name: str, parts: Sequence[_Value | None]) -> _Value | None:
            some = [part for part in parts if part is not None]
            if not some:
                return None
            shape = (sum(part.shape[0] for part in some), *some[0].shape[1:])
            read = tuple((1, *part.shape) for part in some)
            names = tuple(part.name for part in some)
            steps.append(Step("Concat", name, names, (name,), read, ((1, *shape),)))
            return _Value(name, shape)

        start: _Value | None = _Value("input", layout.input_shape)
        end = layout.wire(path, start, run, add, concat)
        results = frozenset() if end is None else frozenset({end.name})
        return fuse_steps(Steps(tuple(steps), results, 1, 0, 0), inside=True)

    def _operator(self, workload: Workload) -> _Operator:
        if workload not in self._operators:
            graph = workload.graph()
            last, alone = graph.nodes[-1], steps_of_graph(graph)
            (name,) = alone.results
            result = None if last.kind == "zero" else name
            self._operators[workload] = _Operator(alone.steps, result, last.shape)
        return self._operators[workload]
