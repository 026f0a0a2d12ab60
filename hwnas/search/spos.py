"""Single Path One-Shot NAS (Guo et al., ECCV 2020): train one supernet, evolve under budgets.

The three loops of the method are visible here: training single paths, evolution, and the check of
its winner on the device. Each goes on where it was killed, since all that took time is in the run's
folder: the weights in a checkpoint, accuracies and measurements in the log.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from hwnas.arrays import FloatArray, IntArray
from hwnas.costs import Constraint, FeasibleSet
from hwnas.data import ArrayDataset, batch_indices
from hwnas.progress import Progress, silent
from hwnas.search.evolution import Evolution
from hwnas.search.run import Run
from hwnas.search.searcher import Searcher
from hwnas.search.verification import Found, Measure, verify_proposals
from hwnas.spaces import SearchSpace
from hwnas.supernet import (
    SINGLE_PROCESS,
    OptimizerKind,
    PathSampler,
    Supernet,
    Workers,
    learning_rate,
    load_checkpoint,
    make_optimizer,
    save_checkpoint,
    train_step,
)

__all__ = [
    "CHECKPOINT",
    "Evaluate",
    "LoggedEvaluation",
    "evolve",
    "train_supernet",
    "verify",
]

#: Architectures (n, n_decisions) -> accuracies (n,), 0 to 1.
Evaluate = Callable[[IntArray], FloatArray]

CHECKPOINT = "supernet.safetensors"
_CHECKPOINT_EVERY = 50
#: Architectures evaluated between two entries in the log: small, so that a kill loses little.
_CHUNK = 8


def train_supernet(
    run: Run | None,
    supernet: Supernet,
    sampler: PathSampler,
    data: ArrayDataset,
    *,
    steps: int,
    batch: int,
    optimizer: OptimizerKind,
    base_rate: float,
    seed: int,
    shares: int = 1,
    workers: Workers = SINGLE_PROCESS,
    progress: Progress = silent,
) -> None:
    """Train one path a step (eq. 7); paths and batches follow from ``seed`` and the step alone.

    Args:
        run: holds the checkpoint, from which training goes on; None for a worker that does not
            lead.
        supernet: trained in place.
        sampler: which path a step trains; the leader's is used.
        data: its training images are used.
        steps, batch: how many, and images in each.
        optimizer, base_rate: see `hwnas.supernet.make_optimizer`; the rate falls linearly to 0.
        seed: of the order of the images.
        shares: of a batch, see `hwnas.supernet.train_step`.
        workers: who train together.
        progress: told after every step.

    Raises:
        OptionError: the batch does not fall into so many shares, or they not to the workers.
        WorkerLostError: another worker ended; the checkpoint is kept.
    """
    workers.own_micro_batches(shares)
    supernet.to(workers.device)
    descent = make_optimizer(supernet, optimizer)
    path = run.folder / CHECKPOINT if run else None
    step = _resumed(path, supernet, descent, workers)
    while step < steps:
        rows = batch_indices(len(data.train_labels), batch, step, seed)
        loss = train_step(
            supernet,
            descent,
            torch.from_numpy(data.to_float(data.train_images[rows])),
            torch.from_numpy(data.train_labels[rows]),
            workers.shared(sampler.sample(step)),
            lr=learning_rate(step, steps, base_rate, warm_up=min(30, steps // 10)),
            micro_batches=shares,
            workers=workers,
        )
        step += 1
        if run and path and (step % min(_CHECKPOINT_EVERY, 1 + steps // 4) == 0 or step == steps):
            save_checkpoint(path, supernet, descent, step)
            run.log("trained", step=step, loss=round(loss, 4))
        progress("training the supernet", step / steps, f"loss {loss:.2f}")
    supernet.to("cpu")


def _resumed(
    path: Path | None, supernet: Supernet, descent: torch.optim.Optimizer, workers: Workers
) -> int:
    """Load the leader's checkpoint into every worker, if there is one; returns the step."""
    content = path.read_bytes() if path and path.exists() else b""
    content = workers.shared_bytes(content)
    if not content:
        return 0
    if path:
        return load_checkpoint(path, supernet, descent)
    with TemporaryDirectory() as folder:
        copy = Path(folder) / CHECKPOINT
        copy.write_bytes(content)
        return load_checkpoint(copy, supernet, descent)


class LoggedEvaluation:
    """Evaluates, but looks up in the run's log what was evaluated before, and logs what was not.

    Args:
        run: holds the log.
        space: of the architectures.
        accuracies: evaluates what is new.
        progress: told every few architectures.
        known: what an earlier search found out, by architecture string.
        chunk: architectures evaluated between two entries in the log.

    Attributes:
        asked: architecture string -> accuracy of all that was asked for since the start, in order;
            equal in a resumed and in an undisturbed run.
    """

    def __init__(
        self,
        run: Run,
        space: SearchSpace,
        accuracies: Evaluate,
        progress: Progress = silent,
        *,
        known: Mapping[str, float] | None = None,
        chunk: int = _CHUNK,
    ):
        self.asked: dict[str, float] = {}
        self._run, self._space, self._accuracies = run, space, accuracies
        self._progress = progress
        self._chunk = chunk
        self._known = dict(known or {})
        self._known |= {e["architecture"]: float(e["accuracy"]) for e in run.logged("evaluated")}

    def __call__(self, archs: IntArray) -> FloatArray:
        """Accuracies (n,), 0 to 1, of architectures (n, n_decisions)."""
        names = [self._space.format(arch) for arch in archs]
        new = [at for at in np.lexsort(archs.T[::-1]) if names[at] not in self._known]
        for chunk in range(0, len(new), self._chunk):
            rows = new[chunk : chunk + self._chunk]
            for at, accuracy in zip(rows, self._accuracies(archs[rows]), strict=True):
                self._known[names[at]] = float(accuracy)
                self._run.log("evaluated", architecture=names[at], accuracy=float(accuracy))
            self._progress("evaluating", (chunk + len(rows)) / len(new), "")
        self.asked |= {name: self._known[name] for name in names}
        return np.array([self._known[name] for name in names])


def evolve(
    searcher: Searcher,
    evaluate: Evaluate,
    *,
    generations: int,
    population: int,
    progress: Progress = silent,
) -> None:
    """Algorithm 1: suggest, evaluate, update; ends early where the space is exhausted."""
    for generation in range(generations):
        archs = searcher.suggest(population)
        if not len(archs):
            break
        searcher.update(archs, evaluate(archs))
        best = searcher.best()[1]
        progress("evolution", (generation + 1) / generations, f"best {best:.1%}")


def verify(
    run: Run,
    space: SearchSpace,
    constraints: Sequence[Constraint],
    searcher: Evolution,
    evaluate: LoggedEvaluation,
    export: Callable[[IntArray], bytes],
    measure: Measure | None,
    *,
    interval_ms: Callable[[IntArray], FloatArray] | None = None,
    finalists: Sequence[IntArray] = (),
    population: int,
    generations: int = 3,
    max_attempts: int = 8,
    seed: int = 0,
    progress: Progress = silent,
) -> Found:
    """Measure the winner; while it misses the latency budget, search on under a tighter limit.

    See `hwnas.search.verification.verify_proposals`. What was evaluated stays known.

    Args:
        run: its log keeps measurements.
        space: of the architectures, at deployment size.
        constraints: the budgets; the one on ``latency`` is what is verified.
        searcher: the evolution that has been run.
        evaluate: accuracies; it remembers what was asked.
        export: the ONNX model of an architecture, which is what is measured.
        measure: asks the device; None where it is not at hand.
        interval_ms: predicted intervals (n, 2) of architectures; None never waits.
        finalists: architectures (n_decisions,) that are proposed first, in this order; without them
            the best of the evolution.
        population, generations: of the evolution after each miss.
        max_attempts: networks to measure at most.
        seed: of the evolution after a miss.
        progress: told of the evolution.

    Raises:
        BudgetMissedError: no network was found whose measured latency keeps the budget.
    """

    def propose(tightened: Sequence[Constraint], attempt: int) -> tuple[IntArray, float]:
        if attempt == 0 and not finalists:
            return searcher.best()
        feasible = FeasibleSet(tightened, space.format)
        for arch in finalists:
            if feasible.contains(arch[None])[0]:
                return arch, float(evaluate(arch[None])[0])
        again = Evolution(
            feasible, top=searcher.top, mutation=searcher.mutation, seed=seed + attempt
        )
        archs = np.array([space.parse(name) for name in evaluate.asked])
        again.update(archs, list(evaluate.asked.values()))
        evolve(again, evaluate, generations=generations, population=population, progress=progress)
        return again.best()

    return verify_proposals(
        run,
        space,
        constraints,
        propose,
        export,
        measure,
        interval_ms=interval_ms,
        max_attempts=max_attempts,
        progress=progress,
    )
