"""What a run logs, for TensorBoard: events become scalars, and these a file in the run's folder.

Nothing that trains or evaluates knows of it: all is told by the events of the log. The file is
written anew from the whole log whenever a run goes on, so that a kill neither doubles nor loses.
"""

import math
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from scipy.special import softmax

from hwnas.data import Metric
from hwnas.documents import inside
from hwnas.errors import MissingPackageError
from hwnas.search.runs.run import Run
from hwnas.search.runs.schema import OWN

__all__ = ["FOLDER", "Scalar", "Scalars", "require_tensorboard", "tensorboard"]

#: In the folder of a run.
FOLDER = "tensorboard"
_FILES = "events.out.tfevents.*"
#: What an event always has, or has as its step.
_FRAME = {"event", "seconds", "step"}
#: Events whose numbers are all scores.
_SCORED = {"evaluated", "evaluated aside", "tested alone", "trained alone"}
#: What is beyond is no number that anyone plots: files hold single precision.
_MOST, _MOST_STEPS = 1e38, 2**63
#: Seconds after which what was written is on the disk.
_FLUSHED = 10


@dataclass(frozen=True, slots=True)
class Scalar:
    """A number at a step.

    Attributes:
        tag: the event's kind and the fact's name: ``trained/loss``.
        value: finite.
        step: the event's own, or how many of its kind there were.
        seconds: since the run began, pauses between its sessions left out.
    """

    tag: str
    value: float
    step: int
    seconds: float


class Scalars:
    """Turns the events of a log, one after the other, into scalars.

    Every finite number of an event is one, whatever the kind, so that what a person's own method
    logs is shown as well. Accuracies, or what stands for them by an own metric, also have their
    best so far, and architecture parameters a summary. What a resumed run does again is there once.
    """

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._known: set[tuple[str, int]] = set()
        self._best = -math.inf
        self._sessions = self._seconds = 0.0

    def __call__(self, event: Mapping[str, Any]) -> list[Scalar]:
        """The scalars of the next event."""
        kind = event["event"]
        if kind == "start":
            self._sessions += self._seconds
        self._seconds = event["seconds"]
        self._counts[kind] += 1
        step = event.get("step")
        if not isinstance(step, int) or not 0 <= step < _MOST_STEPS:
            step = self._counts[kind]
        facts = {key: value for key, value in event.items() if key not in _FRAME}
        if kind == "alpha":
            facts |= _of_alphas(facts)
        if kind == "evaluated":
            self._best = facts["best"] = max(self._best, facts["accuracy"])
        if kind in _SCORED:
            facts = _by_metric(facts)
        found = []
        for name, value in facts.items():
            tag = f"{kind}/{name}"
            if _is_number(value) and (tag, step) not in self._known:
                self._known.add((tag, step))
                found.append(Scalar(tag, float(value), step, self._sessions + self._seconds))
        return found


def _is_number(value: object) -> bool:
    """Whether it is one that a file holds, which is finite; own events may hold anything."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _MOST


def _by_metric(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Scores as the metric that they are of, under its name."""
    metric = Metric.of(facts)
    names = {"accuracy": metric.name}
    return {
        names.get(name, name): metric.value(value) if _is_number(value) else value
        for name, value in facts.items()
    }


def _of_alphas(facts: Mapping[str, Any]) -> dict[str, float]:
    """Means over decisions: choices that are left, the entropy in nats, the largest probability."""
    rows = [[value for value in row if value is not None] for row in facts["alpha"]]
    shares = [softmax(row).tolist() for row in rows if row]
    told = {
        f"{name} {at}": value
        for name in ("expected", "beta")
        for at, value in enumerate(facts.get(name, ()))
    }
    if shares:
        entropies = [-sum(p * math.log(p) for p in row if p > 0) for row in shares]
        told["choices"] = sum(map(len, shares)) / len(shares)
        told["entropy"] = sum(entropies) / len(shares)
        told["largest probability"] = sum(map(max, shares)) / len(shares)
    return told


def require_tensorboard() -> None:
    """Say so at once where the optional package is lacking.

    Raises:
        MissingPackageError: TensorBoard is not installed.
    """
    try:
        import torch.utils.tensorboard  # noqa: F401
    except ImportError:
        raise MissingPackageError(
            "events for TensorBoard need its package: pip install tensorboard"
        ) from None


@contextmanager
def tensorboard(run: Run, wanted: bool) -> Iterator[None]:
    """Write what the run logged and logs from now on below its folder, where that is wanted.

    Raises:
        MissingPackageError: TensorBoard is not installed.
    """
    if not wanted:
        yield
        return
    require_tensorboard()
    from torch.utils.tensorboard import SummaryWriter

    folder = inside(run.folder, FOLDER, advice=OWN)
    for path in folder.glob(_FILES):
        path.unlink()
    began = time.time() - run.seconds
    scalars = Scalars()
    with SummaryWriter(str(folder), flush_secs=_FLUSHED) as writer:

        def write(event: Mapping[str, Any]) -> None:
            for scalar in scalars(event):
                writer.add_scalar(scalar.tag, scalar.value, scalar.step, began + scalar.seconds)

        with run.told_to(write):
            yield
