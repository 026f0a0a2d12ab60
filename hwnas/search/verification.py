"""The promise of every search: what it hands back was measured, and keeps the latency budget."""

import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from hwnas.arrays import FloatArray, IntArray
from hwnas.costs import Budget, Constraint
from hwnas.errors import BudgetMissedError, InfeasibleBudgetError
from hwnas.progress import Progress, silent
from hwnas.search.run import Run
from hwnas.spaces import SearchSpace

__all__ = ["Found", "Measure", "Propose", "verify_command", "verify_proposals"]

#: Measures an ONNX model on the device: ``latency_ms``, and what else is to be logged.
Measure = Callable[[bytes, Progress], Mapping[str, Any]]
#: The best architecture (n_decisions,) within constraints and its accuracy; the second argument
#: counts the networks that were measured before. Raises ``InfeasibleBudgetError`` if there is none.
Propose = Callable[[Sequence[Constraint], int], tuple[IntArray, float]]

#: A network that misses is measured so often before it is given up: slow spells of a machine
#: outlast one measurement, and the least is what it takes without them, as in a profile.
_MEASUREMENTS = 3
#: Pauses of a search, in seconds, before a network is measured once more that took longer than the
#: prediction's interval allows: then the machine is slow, and the network need not be.
_PAUSES_S = (5, 10, 20, 40)
#: A network that missed its budget tightens the prediction's limit by as much, and this much more.
_TIGHTEN = 0.003


@dataclass(frozen=True, slots=True)
class Found:
    """Where a search ended.

    Attributes:
        architecture: (n_decisions,).
        accuracy: on the validation images, with the supernet's weights, 0 to 1.
        measured: what the device said, with ``latency_ms`` and how many ``measurements`` it is the
            least of, and ``waited_s``, the pauses before them; None where there was none to ask.
        attempts: architectures that were measured.
    """

    architecture: IntArray
    accuracy: float
    measured: Mapping[str, Any] | None
    attempts: int


def verify_command(folder: Path) -> str:
    """What measures the result of a run, on the machine that it is for."""
    return f"hwnas verify {shlex.quote(str(folder))}"


def verify_proposals(
    run: Run,
    space: SearchSpace,
    constraints: Sequence[Constraint],
    propose: Propose,
    export: Callable[[IntArray], bytes],
    measure: Measure | None,
    *,
    interval_ms: Callable[[IntArray], FloatArray] | None = None,
    max_attempts: int = 8,
    wait: Callable[[float], None] = time.sleep,
    progress: Progress = silent,
) -> Found:
    """Measure what is proposed; while it misses the latency budget, tighten the limit.

    A network that misses is measured three times, and the least counts. If that is more than its
    prediction allows, the machine is in a slow spell: the search waits for its end, for 75 s in
    all, and measures again. Then the limit on the prediction becomes what would have kept this
    network within the budget, so the same network cannot be proposed again. The last attempt is
    among those that are sure to keep the budget, where constraints say which
    (`Constraint.upper_bound`).

    Args:
        run: its log keeps measurements.
        space: of the architectures, at deployment size.
        constraints: the budgets; the one on ``latency`` is what is verified.
        propose: the best architecture within constraints.
        export: the ONNX model of an architecture, which is what is measured.
        measure: asks the device; None where it is not at hand.
        interval_ms: predicted intervals (n, 2) of architectures; None never waits.
        max_attempts: networks to measure at most.
        wait: sleeps so many seconds.
        progress: told of the measurements.

    Raises:
        BudgetMissedError: no network was found whose measured latency keeps the budget.
        InfeasibleBudgetError: nothing can be proposed within the budgets to begin with.
    """
    limit = next((c.budget.limit for c in constraints if c.budget.quantity == "latency"), np.inf)
    sure = [c.upper_bound for c in constraints if c.upper_bound is not None]
    known: dict[str, list[Mapping[str, Any]]] = {}
    for event in run.logged("measured"):
        known.setdefault(event["architecture"], []).append(event)
    pauses = iter(_PAUSES_S[len(list(run.logged("waited"))) :])
    measured_ms: list[float] = []
    while len(measured_ms) < max_attempts:
        if len(measured_ms) == max_attempts - 1:
            constraints = [*constraints, *sure]
        try:
            arch, accuracy = propose(constraints, len(measured_ms))
        except InfeasibleBudgetError:
            if not measured_ms:
                raise
            break
        if measure is None:
            return Found(arch, accuracy, None, 0)
        name = space.format(arch)
        events = known.setdefault(name, [])
        while not events or _least_ms(events) > limit:
            if len(events) >= _MEASUREMENTS:
                upper_ms = np.inf if interval_ms is None else interval_ms(arch[None])[0, 1]
                pause = next(pauses, None) if _least_ms(events) > upper_ms else None
                if pause is None:
                    break
                _wait_out(run, name, pause, wait, progress)
            run.log("measured", architecture=name, **measure(export(arch), progress))
            events.append(run.events[-1])
        measured_ms.append(_least_ms(events))
        if measured_ms[-1] <= limit:
            least = next(e for e in events if e["latency_ms"] == measured_ms[-1])
            taken = {k: v for k, v in least.items() if k not in ("event", "seconds")}
            waited = [e["pause_s"] for e in run.logged("waited") if e["architecture"] == name]
            taken |= {"measurements": len(events), "waited_s": sum(waited)}
            return Found(arch, accuracy, taken, len(measured_ms))
        constraints = _tightened(constraints, arch, measured_ms[-1] / limit)
    tried = ", ".join(f"{ms:.3g}" for ms in measured_ms)
    raise BudgetMissedError(
        f"no network kept latency<={limit:g}ms on the device: {len(measured_ms)} were measured, at "
        f"{tried} ms. Is the machine slower now than when it was profiled? Profile it again, or "
        "loosen the budget"
    )


def _least_ms(events: Sequence[Mapping[str, Any]]) -> float:
    return min(float(event["latency_ms"]) for event in events)


def _wait_out(
    run: Run, name: str, pause_s: int, wait: Callable[[float], None], progress: Progress
) -> None:
    """Pause, and log it, so that a resumed search does not start over with its patience."""
    for second in range(pause_s):
        progress("waiting for the end of a slow spell", second / pause_s, "")
        wait(1.0)
    run.log("waited", architecture=name, pause_s=pause_s)


def _tightened(
    constraints: Sequence[Constraint], arch: IntArray, overshoot: float
) -> list[Constraint]:
    """The constraints with a lower latency limit: the prediction of ``arch`` over its overshoot."""

    def tighten(constraint: Constraint) -> Constraint:
        if constraint.budget.quantity != "latency":
            return constraint
        predicted = float(constraint.values(arch[None])[0])
        limit = predicted / overshoot * (1 - _TIGHTEN)
        return replace(constraint, budget=Budget("latency", limit))

    return [tighten(constraint) for constraint in constraints]
