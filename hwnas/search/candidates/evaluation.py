"""Accuracies of candidates with shared weights: which images, and what was evaluated before."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from hwnas.arrays import FloatArray, IntArray
from hwnas.data import ACCURACY, Batch, Dataset, Metric, first_examples, task_of, tensors
from hwnas.progress import Progress, silent
from hwnas.search.runs.run import Run
from hwnas.search.runs.stored import StoredRun
from hwnas.search.settings import restored
from hwnas.search.shared_settings import EvaluationSettings
from hwnas.spaces import SearchSpace
from hwnas.supernet import Evaluator, Supernet

__all__ = [
    "Evaluate",
    "Evaluation",
    "LoggedEvaluation",
    "calibration_images",
    "stored_evaluator",
    "tested_accuracy",
    "validation_evaluator",
    "validation_images",
]

#: Architectures (n, n_decisions) -> accuracies (n,), 0 to 1; scores where the data have an own
#: metric, and so wherever accuracies are said here.
Evaluate = Callable[[IntArray], FloatArray]

#: Images that recalibrate batch-norm, and at most as many that an evaluation looks at, where
#: settings do not say it.
_CALIBRATION_IMAGES = 512
_VALIDATION_IMAGES = 1000
#: Architectures evaluated between two entries in the log: small, so that a kill loses little.
_CHUNK = 8


def calibration_images(data: Dataset, count: int | None = None) -> Any:
    """The training images that recalibrate batch-norm for every candidate, as tensors."""
    return tensors(data.calibration(count or _CALIBRATION_IMAGES))


def validation_evaluator(
    supernet: Supernet, data: Dataset, settings: EvaluationSettings | None = None
) -> Evaluator:
    """What ranks candidates: the supernet on the first validation images, 1,000 by default.

    Args:
        supernet: trained.
        data: its validation images are looked at, training images recalibrate.
        settings: how many of them, and by what candidates are ranked.
    """
    settings = settings or EvaluationSettings()
    return Evaluator(
        supernet,
        calibration_images(data, settings.calibration_images),
        *validation_images(data, settings),
        task=task_of(data),
        rank_by=settings.rank_by or "accuracy",
    )


def validation_images(data: Dataset, settings: EvaluationSettings) -> Batch:
    """The images that candidates are ranked on, and their targets, as tensors."""
    return first_examples(data.validation(), settings.validation_images or _VALIDATION_IMAGES)


def stored_evaluator(source: StoredRun, data: Dataset) -> Evaluator:
    """The same of a run's supernet, as the run itself ranked its candidates."""
    settings = restored(EvaluationSettings, source.config)
    return validation_evaluator(source.supernet(), data, settings)


def tested_accuracy(validation: Evaluator, data: Dataset, arch: IntArray) -> float:
    """The accuracy, 0 to 1, of one architecture on the test images, batch by batch.

    Args:
        validation: holds the supernet and the images that recalibrate it.
        data: its test images are looked at.
        arch: (n_decisions,).
    """
    return validation.accuracy_on(arch, data.test())


class LoggedEvaluation:
    """Evaluates, but looks up in the run's log what was evaluated before, and logs what was not.

    Args:
        run: holds the log.
        space: of the architectures.
        accuracies: evaluates what is new.
        progress: told every few architectures.
        known: what an earlier search found out, by architecture string.
        metric: what the numbers are.
        chunk: architectures evaluated between two entries in the log.

    Attributes:
        metric: what the numbers are.
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
        metric: Metric = ACCURACY,
        chunk: int = _CHUNK,
    ):
        self.asked: dict[str, float] = {}
        self._run, self._space, self._accuracies = run, space, accuracies
        self._progress, self.metric = progress, metric
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
                told = {"architecture": names[at], "accuracy": float(accuracy)}
                self._run.log("evaluated", **told, **self.metric.facts)
            self._progress("evaluating", (chunk + len(rows)) / len(new), "")
        self.asked |= {name: self._known[name] for name in names}
        return np.array([self._known[name] for name in names])

    def aside(self, arch: IntArray) -> float:
        """The accuracy of one architecture (n_decisions,) that is no part of the search.

        It is compared with what the search found, and neither asked nor known afterwards, so that
        no search depends on it.
        """
        name = self._space.format(arch)
        if name in self._known:
            return self._known[name]
        logged = [e for e in self._run.logged("evaluated aside") if e["architecture"] == name]
        if logged:
            return float(logged[-1]["accuracy"])
        accuracy = float(self._accuracies(arch[None])[0])
        told = {"architecture": name, "accuracy": accuracy}
        self._run.log("evaluated aside", **told, **self.metric.facts)
        return accuracy

    @property
    def history(self) -> tuple[IntArray, FloatArray]:
        """All that was asked for, (n, n_decisions), and the accuracies (n,)."""
        rows = [self._space.parse(name) for name in self.asked]
        archs = np.array(rows, np.int64).reshape(len(rows), len(self._space.decisions))
        return archs, np.array(list(self.asked.values()))


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The candidates of a search.

    Attributes:
        validation: the trained supernet on the validation images; None where accuracies are looked
            up, and no network is trained.
        accuracies: of architectures, by the run's log, or by ``validation`` or a table.
    """

    validation: Evaluator | None
    accuracies: LoggedEvaluation
