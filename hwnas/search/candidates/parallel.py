"""Candidates evaluated by several processes, through joblib's backends.

Every process holds a copy of the supernet and computes with one thread, so that an accuracy does
not depend on how many processes there are, or on which of them computed it.
"""

import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import numpy as np
import numpy.typing as npt
import torch
from cloudpickle import register_pickle_by_value
from joblib import Parallel as JoblibParallel
from joblib import delayed, parallel_config
from joblib.externals.loky.process_executor import BrokenProcessPool

from hwnas.arrays import FloatArray, IntArray
from hwnas.data import Task
from hwnas.errors import MissingPackageError, OptionError, WorkerLostError
from hwnas.progress import Progress, silent
from hwnas.registry import typed_modules
from hwnas.search.candidates.evaluation import LoggedEvaluation
from hwnas.search.runs.run import Run
from hwnas.spaces import SearchSpace
from hwnas.supernet import Evaluator, Sharing, Supernet
from hwnas.supernet.kinds import RankBy

__all__ = ["BACKENDS", "Parallel", "ParallelAccuracies", "logged_evaluation"]

BACKENDS = ("loky", "dask", "ray")
#: Architectures that each process evaluates between two entries in the log.
_CHUNK = 8
#: Memory for activations that candidates share, of all processes together.
_CACHE_BYTES = 2**30


@dataclass(frozen=True, slots=True)
class Parallel:
    """How many processes, started by whom.

    Attributes:
        workers: processes.
        backend: ``loky`` (processes of this machine), or ``dask`` or ``ray`` where installed: their
            own configuration says which cluster that is.
    """

    workers: int
    backend: str = "loky"

    def __post_init__(self) -> None:
        if self.workers < 1 or self.backend not in BACKENDS:
            raise OptionError(
                f"candidates are evaluated by 1 or more workers of {', '.join(BACKENDS)}, got "
                f"{self.workers} of {self.backend!r}"
            )


def logged_evaluation(
    run: Run,
    space: SearchSpace,
    evaluator: Evaluator,
    parallel: Parallel | None,
    *,
    known: Mapping[str, float] | None = None,
    progress: Progress = silent,
) -> LoggedEvaluation:
    """Accuracies from the run's log, else from ``evaluator``, here or in several processes."""
    metric = evaluator.task.scored
    if parallel is None:
        own = evaluator.accuracies
        return LoggedEvaluation(run, space, own, progress, known=known, metric=metric)
    accuracies = ParallelAccuracies(evaluator, parallel)
    chunk = _CHUNK * parallel.workers
    return LoggedEvaluation(
        run, space, accuracies, progress, known=known, metric=metric, chunk=chunk
    )


class ParallelAccuracies:
    """Accuracies (n,) of architectures (n, n_decisions), computed by several processes.

    A process that dies, for want of memory say, is replaced once for every call; what it was doing
    is done again.

    Args:
        evaluator: what each process gets a copy of; later training does not reach the copies.
        parallel: how many.

    Raises:
        MissingPackageError: the backend is not installed.
    """

    def __init__(self, evaluator: Evaluator, parallel: Parallel):
        _register(parallel.backend)
        for module in typed_modules():  # no other process can import them by name
            register_pickle_by_value(module)
        supernet = evaluator.supernet
        state = {name: t.contiguous().numpy() for name, t in supernet.state_dict().items()}
        self._copy = _Copy(
            supernet.space,
            supernet.sharing,
            state,
            *evaluator.inputs(),
            _CACHE_BYTES // parallel.workers,
            evaluator.task,
            evaluator.rank_by,
        )
        self._key = uuid4().hex
        self._parallel = parallel

    def __call__(self, archs: IntArray) -> FloatArray:
        """Evaluate.

        Raises:
            WorkerLostError: processes died twice.
        """
        order = np.lexsort(archs.T[::-1])  # neighbours share most
        parts = [part for part in np.array_split(order, self._parallel.workers) if len(part)]
        result = np.empty(len(archs))
        for part, values in zip(parts, self._run([archs[part] for part in parts]), strict=True):
            result[part] = values
        return result

    def _run(self, parts: list[IntArray]) -> list[FloatArray]:
        tasks = [delayed(_accuracies)(self._key, self._copy, part) for part in parts]
        for last in (False, True):
            try:
                with _cluster(self._parallel):
                    return _results(tasks, self._parallel)
            except BrokenProcessPool as error:
                if last:
                    raise WorkerLostError(
                        "a process that evaluates candidates died, and died again when it was "
                        f"replaced ({error}); what was evaluated is kept. Is there too little "
                        f"memory for {self._parallel.workers} workers? Take fewer: the same "
                        "command goes on"
                    ) from None
        raise AssertionError


@dataclass(frozen=True, slots=True, eq=False)
class _Copy:
    """All that a process needs to make an evaluator of its own."""

    space: SearchSpace
    sharing: Sharing
    state: dict[str, npt.NDArray[Any]]
    calibration_images: Any
    images: Any
    labels: Any
    batch: int
    cache_bytes: int
    task: Task
    rank_by: RankBy

    def evaluator(self) -> Evaluator:
        supernet = Supernet(self.space, sharing=self.sharing, seed=0)
        # joblib hands over read-only views of a file
        supernet.load_state_dict({k: torch.from_numpy(v.copy()) for k, v in self.state.items()})
        return Evaluator(
            supernet,
            self.calibration_images,
            self.images,
            self.labels,
            task=self.task,
            rank_by=self.rank_by,
            batch=self.batch,
            cache_bytes=self.cache_bytes,
        )


#: The evaluator of this process, and whose it is.
_ready: dict[str, Evaluator] = {}


def _accuracies(key: str, copy: _Copy, archs: IntArray) -> FloatArray:
    torch.set_num_threads(1)
    if key not in _ready:
        _ready.clear()
        _ready[key] = copy.evaluator()
    return _ready[key].accuracies(archs)


def _register(backend: str) -> None:
    """Make joblib know a backend that is not its own."""
    try:
        if backend == "ray":
            from ray.util.joblib import register_ray

            register_ray()
        elif backend == "dask":
            import distributed  # noqa: F401
    except ImportError:
        name = {"ray": "ray", "dask": "distributed"}[backend]
        raise MissingPackageError(
            f"the {backend} workers need a package that is not installed: pip install {name}"
        ) from None


def _results(tasks: list[Any], parallel: Parallel) -> list[FloatArray]:
    """What the tasks give, in order."""
    if parallel.backend != "loky":
        return list(JoblibParallel(n_jobs=parallel.workers)(tasks))
    with _interrupts_held():
        results = JoblibParallel(n_jobs=parallel.workers, return_as="generator")(tasks)
    return list(results)


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Processes that are started meanwhile never see Ctrl-C: this one does, and ends them."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _cluster(parallel: Parallel) -> Iterator[None]:
    """Who runs joblib's tasks; for Dask a cluster of this machine, unless its settings name one."""
    if parallel.backend != "dask":
        with parallel_config(parallel.backend, n_jobs=parallel.workers):
            yield
        return
    import dask
    from distributed import Client, get_client

    try:
        get_client()
    except ValueError:
        address = dask.config.get("scheduler-address", None)
        options = {} if address else {"n_workers": parallel.workers, "threads_per_worker": 1}
        Client(address, **options)  # joblib and later calls find it
    with parallel_config("dask"):
        yield
