"""Accuracy of candidates with weights inherited from a supernet.

Batch-norm statistics gathered while other paths were trained fit no single path, so they are
recalibrated for every candidate: reset, averaged over the calibration batches in training mode,
then used in evaluation mode (Single Path One-Shot, section 3.4). Both passes run slot by slot. What
leaves a slot depends on nothing but the choices that lead to it. Candidates therefore share what
they have in common, a prefix of a chain or equal parts of a cell, with results that are equal to
the last bit.

Candidates may be ranked by how far their features tell classes apart, too: the last layer, which
all networks of a space share, fits none of them, least after a short training.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from hwnas.data import (
    CLASSIFICATION,
    Batch,
    Task,
    arrays,
    even_slices,
    joined,
    length,
    mapped,
    rows_of,
    tensors,
)
from hwnas.errors import OptionError
from hwnas.ops import Shape
from hwnas.ops.module import channels_last
from hwnas.spaces.layout import Join
from hwnas.supernet.kinds import RankBy
from hwnas.supernet.network import Supernet, concat_values, sum_values, used
from hwnas.supernet.separation import separation
from hwnas.supernet.values import Memory, Name, State, Trace, Value

__all__ = ["Evaluator"]


class Evaluator:
    """Evaluates architectures on one set of images, remembering what they share.

    The supernet is as ready to be trained afterwards as before: only running statistics change,
    which training does not read. When its weights have changed, what was remembered is dropped.

    Args:
        supernet: gives the weights.
        calibration_images: training images for the batch-norm statistics, float32
            (n, channels, height, width).
        images: what accuracies are measured on, float32 (n, channels, height, width). Networks of
            other inputs get those, and so are the calibration images.
        labels: int64 (n,), or what an own metric reads.
        task: whose score is taken for accuracy in all that is said here.
        rank_by: ``accuracy``, or ``separation`` of what the last, linear layer reads; then all that
            is said of accuracies here is said of separations, see `hwnas.supernet.separation`.
        batch: images run at once, at most, in both passes.
        cache_bytes: memory for activations that several candidates may share.

    Raises:
        OptionError: no images, not as many labels as images, a batch below 1, or separations of
            networks that do not end in a linear layer.
    """

    def __init__(
        self,
        supernet: Supernet,
        calibration_images: Any,
        images: Any,
        labels: Any,
        *,
        task: Task = CLASSIFICATION,
        rank_by: RankBy = "accuracy",
        batch: int = 256,
        cache_bytes: int = 2**30,
    ):
        counts = [length(whole) for whole in (calibration_images, images, labels)]
        if not all(counts) or counts[1] != counts[2]:
            raise OptionError(
                "an evaluator needs calibration images, images, and one label an image, got "
                f"{counts[0]}, {counts[1]} and {counts[2]} labels"
            )
        if batch < 1:
            raise OptionError(f"an evaluation batch is at least 1, got {batch}")
        self.supernet = supernet
        self._batch = batch
        self.task = task
        self._labels = _batches(labels, batch)
        self._start = State(
            channels_last(_batches(calibration_images, batch)),
            channels_last(_batches(images, batch)),
        )
        self.rank_by: RankBy = rank_by
        self._memory = Memory(cache_bytes)
        self._known: dict[Name, float] = {}
        self._weights = torch.empty(0)
        if rank_by == "separation":
            self._check_ends()

    @property
    def image_count(self) -> int:
        """Images that each accuracy is counted on."""
        return sum(length(batch) for batch in self._labels)

    def inputs(self) -> tuple[Any, Any, Any, int]:
        """What the evaluator was made with: calibration images, images, labels, batch."""
        calibration, images, labels = (
            arrays(mapped(_contiguous, joined(batches)))
            for batches in (self._start.calibration, self._start.images, self._labels)
        )
        return calibration, images, labels, self._batch

    def accuracies(self, archs: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Accuracies, 0 to 1, of architectures (n, n_decisions), as a float array (n,).

        Raises:
            ArchitectureError: they are not architectures of the supernet's space.
        """
        rows = self.supernet.space.check(archs)
        weights = _fingerprint(self.supernet)
        if not torch.equal(weights, self._weights):
            self._memory.clear()
            self._known.clear()
            self._weights = weights
        result = np.empty(len(rows))
        for at in np.lexsort(rows.T[::-1]):  # neighbours share most
            trace, output = self._traced(self.supernet.path(rows[at]))
            if output.name not in self._known:  # those that differ in dead edges only are equal
                self._known[output.name] = self._accuracy(trace.state(output, self._memory))
            result[at] = self._known[output.name]
        return result

    def accuracy_alone(self, arch: npt.ArrayLike) -> float:
        """The accuracy of one architecture, computed from the first block to the last."""
        return self._accuracy(self._alone(self.supernet.path(arch)))

    def accuracy_on(self, arch: npt.ArrayLike, batches: Iterable[Batch]) -> float:
        """The accuracy of one architecture on other images, which are looked at batch by batch."""
        self.set_statistics(arch)
        training = self.supernet.training
        self.supernet.eval()
        row = self.supernet.space.check(arch)[0]
        answers = ((self.supernet(tensors(x), row), tensors(y)) for x, y in batches)
        try:
            with torch.inference_mode():
                return self.task.score_of(answers)
        finally:
            self.supernet.train(training)

    def set_statistics(self, arch: npt.ArrayLike) -> None:
        """Leave the batch-norms of one path recalibrated, for ``supernet.weights(arch)``."""
        self._alone(self.supernet.path(arch), State(self._start.calibration, ()))

    def _check_ends(self) -> None:
        space = self.supernet.space
        if self.task.is_own:
            raise OptionError("separation is of classes, and the data have a task of their own")
        ends = [workload.graph().nodes[-1] for workload in space.layout.slots[-1].workloads]
        if space.modules is not None or any(end.kind != "linear" for end in ends):
            raise OptionError(
                f"networks of {self.supernet.space.name} do not end in a linear layer, so that it "
                "is not known what their features are: rank by accuracy"
            )

    def _alone(self, path: list[int | None], start: State | None = None) -> State:
        """Run all slots of a path, wired as the layout says."""

        def run(slot: int, state: State) -> State:
            return self._advance(state, slot, used(path[slot]))

        return self.supernet.space.layout.wire(
            tuple(path),
            start or self._start,
            run,
            lambda name, states: _joined(sum_values, states),
            lambda name, states: _joined(concat_values, states),
        )

    def _traced(self, path: list[int | None]) -> tuple[Trace, Value]:
        """The values of a path and the last of them, none of which is computed."""
        trace = Trace()

        def run(slot: int, x: Value) -> Value:
            choice = used(path[slot])
            graph = self.supernet.graph(slot, choice)
            if graph is not None and len(graph.nodes) == 1:  # an identity
                return x
            if graph is not None and graph.nodes[-1].kind == "zero":
                shape = graph.nodes[-1].shape
                return trace.value(shape, [], lambda _: self._zeros(shape), zeros=True)
            return trace.value(
                (slot, self.supernet.identity(slot, choice)),
                [x],
                lambda xs: self._advance(xs[0], slot, choice),
                depth=slot + 1,
            )

        def add(name: str, terms: Sequence[Value]) -> Value:
            # x + 0 is x to the last bit, and so nobody reads an edge behind zeros
            return join("add", sum_values, [x for x in terms if not x.zeros] or terms[:1])

        def concat(name: str, parts: Sequence[Value]) -> Value:
            return join("concat", concat_values, parts)

        def join(what: str, function: Join[Tensor], xs: Sequence[Value]) -> Value:
            if len(xs) == 1:
                return xs[0]
            depth = max(x.depth for x in xs)
            return trace.value(what, xs, lambda states: _joined(function, states), depth=depth)

        start = trace.value("images", [], lambda _: self._start)
        return trace, self.supernet.space.layout.wire(tuple(path), start, run, add, concat)

    def _zeros(self, shape: Shape) -> State:
        """Zeros of a shape (channels, height, width) for every image."""
        calibration, images = (
            tuple(
                torch.zeros(len(batch), *shape).contiguous(memory_format=torch.channels_last)
                for batch in batches
            )
            for batches in (self._start.calibration, self._start.images)
        )
        return State(calibration, images)

    @torch.inference_mode()
    def _advance(self, state: State, slot: int, choice: int) -> State:
        """Calibrate one candidate block, and run it."""
        layers = list(self.supernet.candidate(slot, choice).modules())
        norms = [layer for layer in layers if isinstance(layer, _BatchNorm)]
        before = [layer.training for layer in layers]
        momenta = [norm.momentum for norm in norms]
        for layer in layers:
            layer.training = False
        for norm in norms:
            norm.reset_running_stats()
            norm.training, norm.momentum = True, None  # None: the average over all batches
        try:
            calibration = self._run_block(state.calibration, slot, choice)
            for norm in norms:
                norm.training = False
            images = self._run_block(state.images, slot, choice)
        finally:
            for layer, training in zip(layers, before, strict=True):
                layer.training = training
            for norm, momentum in zip(norms, momenta, strict=True):
                norm.momentum = momentum
        return State(calibration, images)

    def _run_block(self, batches: tuple[Tensor, ...], slot: int, choice: int) -> tuple[Tensor, ...]:
        """What leaves a block; of the last one, for separations, what its end reads."""
        graph = self.supernet.graph(slot, choice)
        last = slot == len(self.supernet.space.layout.slots) - 1
        if self.rank_by == "accuracy" or graph is None or not last:
            return tuple(self.supernet.run_block(slot, x, choice) for x in batches)
        (end,) = graph.nodes[-1].inputs
        read: dict[int, Tensor] = {}
        features = []
        for x in batches:
            self.supernet.candidate(slot, choice)(x, see=read.__setitem__)
            features.append(read[end])
        return tuple(features)

    def _accuracy(self, state: State) -> float:
        if self.rank_by == "separation":
            return separation(torch.cat(state.images), torch.cat(self._labels).long())
        return self.task.score_of(zip(state.images, self._labels, strict=True))


def _fingerprint(module: nn.Module) -> Tensor:
    """The norm of each parameter: any training changes them, and they take milliseconds.

    Versions of tensors do not tell: fused optimizers leave them as they are.
    """
    with torch.no_grad():
        return torch.stack([p.norm() for p in module.parameters()])


@torch.inference_mode()
def _joined(join: Join[Tensor], states: Sequence[State]) -> State:
    """States joined batch by batch."""
    calibration = zip(*(state.calibration for state in states), strict=True)
    images = zip(*(state.images for state in states), strict=True)
    return State(
        tuple(join("", batches) for batches in calibration),
        tuple(join("", batches) for batches in images),
    )


def _batches(whole: Any, batch: int) -> tuple[Any, ...]:
    """Parts of nearly equal size, since each counts as much in the average of statistics."""
    made = tensors(whole)
    return tuple(rows_of(made, rows) for rows in even_slices(length(whole), batch))


def _contiguous(part: Any) -> Any:
    return part.contiguous() if isinstance(part, Tensor) else part
