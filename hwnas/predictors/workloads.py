"""Workloads that nobody measured, from those of the same operator family that were.

Needed where a space has thousands of workloads, or other channels, sizes or strides than the table.
What is estimated is marked so: `LatencyTable.estimates`, never `LatencyTable.workloads`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from types import MappingProxyType

import numpy as np

from hwnas.arrays import FloatArray, IntArray
from hwnas.costs.counting import MACS, graph_macs, graph_params
from hwnas.errors import (
    OptionError,
    TableTargetError,
    UnknownNameError,
    WorkloadNotInTableError,
)
from hwnas.latency_tables import Estimate, LatencyTable
from hwnas.ops import Graph, Op, Workload, parse_workload
from hwnas.predictors.roofline import Roofline
from hwnas.progress import Progress, silent

__all__ = ["WorkloadRegressor", "fill_gaps"]

_NONE: Mapping[str, type[Op]] = MappingProxyType({})

_LEAST = 10
#: A family of fewer measured workloads has no model of its own.
_LEAST_OF_GROUP = 3
_FOLDS = 5
_MODELLING = "modelling workloads"
#: The call is taken off before the fit; of entries that hardly take longer, this share stays.
_LEAST_SHARE = 0.1
_BYTES = 4


@dataclass(frozen=True, slots=True)
class _Way:
    """One way to model workloads: which share a model, and whether a process corrects it."""

    name: str
    group: Callable[[Workload], str]
    process: bool


_WAYS = (
    _Way("one roofline", lambda w: "", False),
    _Way("one roofline and a Gaussian process", lambda w: "", True),
    _Way("a roofline a family", lambda w: type(w.op).__name__, False),
    _Way("a roofline and a Gaussian process a family", lambda w: type(w.op).__name__, True),
)


class WorkloadRegressor:
    """Predicts workloads from MACs, bytes, shapes and their operator's fields.

    Which way is chosen by cross-validation: shapes are left out whole, so that the error is that of
    shapes nobody measured.

    Attributes:
        way: what was chosen, in words.
        spread: root mean square of log(predicted / measured) of shapes left out.

    Args:
        table: whose measured workloads it is fitted to.
        own: operator families that do not ship, by name, such as `SearchSpace.families`.
        progress: told after every way that was tried.

    Raises:
        TableTargetError: the table has fewer than ten measured workloads.
    """

    def __init__(
        self,
        table: LatencyTable,
        own: Mapping[str, type[Op]] = _NONE,
        progress: Progress = silent,
    ):
        self.table = table
        known: list[tuple[Workload, float]] = []
        for key, entry in table.workloads.items():
            try:
                workload = parse_workload(key, own)
            except (UnknownNameError, OptionError):
                continue  # 'hwnas tables check' marks it
            ms = max(entry.latency_ms - table.call.latency_ms, _LEAST_SHARE * entry.latency_ms)
            known.append((workload, ms))
        if len(known) < _LEAST:
            raise TableTargetError(
                f"estimating workloads needs {_LEAST} measured ones in the table, got "
                f"{len(known)}: profile the device with more"
            )
        workloads = [workload for workload, _ in known]
        alone = np.array([value for _, value in known])
        self.families = {type(w.op).__name__ for w in workloads}
        self._fields = sorted({name for w in workloads for name in _fields(w)})
        rows = self._rows(workloads)
        found = {}
        for at, way in enumerate(_WAYS, start=1):
            found[way] = _left_out(way, rows, alone)
            progress(_MODELLING, at / (len(_WAYS) + 1), "")
        best = min(found, key=lambda way: found[way])
        self.way, self.spread = best.name, found[best]
        self._best = best
        self._models = _fit(best, rows, alone)
        progress(_MODELLING, 1.0, "")

    def predict(self, workloads: Sequence[Workload]) -> tuple[FloatArray, FloatArray]:
        """Milliseconds alone, the call included, (n,), and the spread of their logarithm (n,).

        The spread is at least that of shapes left out, and grows far from all measured shapes.

        Raises:
            WorkloadNotInTableError: a workload's family was not measured.
        """
        for workload in workloads:
            if type(workload.op).__name__ not in self.families:
                raise WorkloadNotInTableError(
                    f"{workload.key} cannot be estimated: the table measured no "
                    f"{type(workload.op).__name__}, only {', '.join(sorted(self.families))}; "
                    "profile a space that has some"
                )
        rows = self._rows(workloads)
        ms, spread = np.empty(len(workloads)), np.empty(len(workloads))
        for at, model, features in _members(self._best, self._models, rows):
            ms[at], spread[at] = model.predict(rows.work[at], features)
        return ms + self.table.call.latency_ms, np.maximum(spread, self.spread)

    def _rows(self, workloads: Sequence[Workload]) -> "_Rows":
        """What models see: logarithms of work and shapes, and of the operator's fields."""
        work = np.array([_graph_work(w.graph()) for w in workloads], np.float64)
        rows = []
        for w in workloads:
            known = _fields(w)
            sizes = (w.in_channels, w.out_channels, w.stride, w.height, w.width)
            family = [float(type(w.op).__name__ == name) for name in sorted(self.families)]
            rows.append([*np.log(sizes), *(known.get(n, 0.0) for n in self._fields), *family])
        features = np.concatenate([np.log(1 + work), np.array(rows)], axis=1)
        return _Rows(tuple(workloads), work, features)


@dataclass(frozen=True, slots=True, eq=False)
class _Rows:
    """Workloads as numbers.

    Attributes:
        workloads: n.
        work: MACs of dense and of depthwise convolutions, bytes moved and of weights, kernels:
            (n, 5).
        features: (n, n_features).
    """

    workloads: tuple[Workload, ...]
    work: FloatArray
    features: FloatArray

    def take(self, kept: IntArray) -> "_Rows":
        """Some of them."""
        some = tuple(self.workloads[at] for at in kept)
        return _Rows(some, self.work[kept], self.features[kept])

    def groups(self, way: _Way) -> dict[str, IntArray]:
        """Which of them share a model."""
        found: dict[str, list[int]] = {}
        for at, workload in enumerate(self.workloads):
            found.setdefault(way.group(workload), []).append(at)
        return {group: np.array(where) for group, where in found.items()}


def _fit(way: _Way, rows: _Rows, ms: FloatArray) -> dict[str, Roofline]:
    models = {}
    for group, where in rows.groups(way).items():
        if len(where) >= _LEAST_OF_GROUP:  # of fewer, the roofline of all says more
            features = rows.features[where] if way.process else np.zeros((len(where), 1))
            models[group] = Roofline.fit(rows.work[where], features, ms[where])
    if "" not in models:
        models[""] = Roofline.fit(rows.work, np.zeros((len(ms), 1)), ms)
    return models


def _members(
    way: _Way, models: dict[str, Roofline], rows: _Rows
) -> Iterator[tuple[IntArray, Roofline, FloatArray]]:
    """Which workloads a model predicts, the model, and the features it takes of them."""
    for group, where in rows.groups(way).items():
        own = group in models and way.process
        features = rows.features[where] if own else np.zeros((len(where), 1))
        yield where, models.get(group, models[""]), features


def _left_out(way: _Way, rows: _Rows, ms: FloatArray) -> float:
    """Root mean square of log(predicted / measured) over folds of whole shapes."""
    shapes = [(w.in_channels, w.out_channels, w.stride, w.height, w.width) for w in rows.workloads]
    distinct = list(dict.fromkeys(shapes))
    order = np.random.default_rng(0).permutation(len(distinct))
    fold_of = {distinct[at]: rank % _FOLDS for rank, at in enumerate(order)}
    folds = np.array([fold_of[shape] for shape in shapes])
    errors: list[float] = []
    for fold in range(_FOLDS):
        held, kept = (np.flatnonzero(at) for at in (folds == fold, folds != fold))
        if len(held) and len(kept) >= _LEAST_OF_GROUP:
            models, test = _fit(way, rows.take(kept), ms[kept]), rows.take(held)
            predicted = np.empty(len(held))
            for at, model, features in _members(way, models, test):
                predicted[at] = model.expected(test.work[at], features)
            errors += np.log(predicted / ms[held]).tolist()
    return float(np.sqrt(np.mean(np.square(errors)))) if errors else np.inf


def fill_gaps(
    table: LatencyTable,
    workloads: Iterable[Workload],
    own: Mapping[str, type[Op]] = _NONE,
    progress: Progress = silent,
) -> LatencyTable:
    """A table with estimates of those workloads that it has not measured.

    Args:
        table: that was measured.
        workloads: that are needed.
        own: operator families that do not ship, by name, such as `SearchSpace.families`.
        progress: told after every way that was tried.

    Raises:
        TableTargetError: the table has too few measured workloads.
        WorkloadNotInTableError: a workload's family was not measured.
    """
    lacking = table.missing(workloads)
    if not lacking:
        return table
    ms, spread = WorkloadRegressor(table, own, progress).predict(lacking)
    estimates = {
        w.key: Estimate(float(value), float(doubt))
        for w, value, doubt in zip(lacking, ms, spread, strict=True)
    }
    return replace(table, estimates={**table.estimates, **estimates})


def _fields(workload: Workload) -> dict[str, float]:
    return {
        f.name: float(np.log(1 + getattr(workload.op, f.name)))
        for f in fields(workload.op)  # type: ignore[arg-type]
    }


def _graph_work(graph: Graph) -> list[int]:
    grouped = moved = kernels = 0
    for node in graph.nodes[1:]:
        source = graph.shape(node.inputs[0])
        if node.groups > 1:
            grouped += MACS[node.kind](node, source)
        if node.kind not in ("batch_norm", "relu", "relu6", "zero"):
            kernels += 1
            read = sum(int(np.prod(graph.shape(i))) for i in node.inputs)
            moved += _BYTES * (read + int(np.prod(node.shape)))
    return [graph_macs(graph) - grouped, grouped, moved, _BYTES * graph_params(graph), kernels]
