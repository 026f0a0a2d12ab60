"""The promise of every search: what it hands back was measured, and keeps the latency budget."""

import math
import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from hwnas.arrays import IntArray
from hwnas.costs import Budget, Constraint
from hwnas.errors import BudgetMissedError, InfeasibleBudgetError, MeasurementError
from hwnas.progress import Progress, silent
from hwnas.search.problem import Problem
from hwnas.search.runs.run import Run

__all__ = ["Propose", "Winner", "verify_command", "verify_proposals"]

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
class Winner:
    """Where a search ended.

    Attributes:
        architecture: (n_decisions,).
        accuracy: on the validation images, with the supernet's weights, 0 to 1.
        measured: what the device said, with ``latency_ms`` and how many ``measurements`` it is the
            least of, ``waited_s``, the pauses before them, and ``clock_ms``, percentiles of its
            runs by the clock where those are known; None where there was none to ask.
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
    problem: Problem,
    propose: Propose,
    export: Callable[[IntArray], bytes],
    *,
    max_attempts: int = 8,
    wait: Callable[[float], None] = time.sleep,
    progress: Progress = silent,
) -> Winner:
    """Measure what is proposed; while it misses the latency budget, tighten the limit.

    A network that misses is measured three times, and the least counts. If that is more than its
    prediction allows, the machine is in a slow spell: the search waits for its end, for 75 s in
    all, and measures again. Then the limit on the prediction becomes what would have kept this
    network within the budget, so the same network cannot be proposed again. The last attempt is
    among those that are sure to keep the budget, where constraints say which
    (`Constraint.upper_bound`).

    Args:
        run: its log keeps measurements.
        problem: its latency budget is what is verified; without a device nothing is.
        propose: the best architecture within constraints.
        export: the ONNX model of an architecture, which is what is measured.
        max_attempts: networks to measure at most.
        wait: sleeps so many seconds.
        progress: told of the measurements.

    Raises:
        BudgetMissedError: no network was found whose measured latency keeps the budget.
        InfeasibleBudgetError: nothing can be proposed within the budgets to begin with.
    """
    limits = problem.latency_budgets
    constraints = list(problem.constraints)
    sure = [c.upper_bound for c in constraints if c.upper_bound is not None]
    known: dict[str, list[Mapping[str, Any]]] = {}
    for event in run.logged("measured"):
        known.setdefault(event["architecture"], []).append(event)
    pauses = iter(_PAUSES_S[len(list(run.logged("waited"))) :])
    tried_ms: list[float] = []
    while len(tried_ms) < max_attempts:
        if len(tried_ms) == max_attempts - 1:
            constraints = [*constraints, *sure]
        try:
            arch, accuracy = propose(constraints, len(tried_ms))
        except InfeasibleBudgetError:
            if not tried_ms:
                raise
            break
        if problem.measure is None:
            return Winner(arch, accuracy, None, 0)
        name = problem.space.format(arch)
        events = known.setdefault(name, [])
        while not any(_keeps(event, limits) for event in events):
            if len(events) >= _MEASUREMENTS:
                pause = next(pauses, None) if _is_slow(events, limits, problem, arch) else None
                if pause is None:
                    break
                _wait_out(run, name, pause, wait, progress)
            run.log("measured", architecture=name, **problem.measure(export(arch), progress))
            events.append(run.events[-1])
        least = min(events, key=lambda event: _overshoot(event, limits))
        tried_ms.append(_worst_ms(least, limits))
        if _keeps(least, limits):
            taken = {k: v for k, v in least.items() if k not in ("event", "seconds", "runs_ms")}
            waited = [e["pause_s"] for e in run.logged("waited") if e["architecture"] == name]
            taken |= {"measurements": len(events), "waited_s": sum(waited)}
            return Winner(arch, accuracy, taken | _clock(least, limits), len(tried_ms))
        constraints = _tightened(constraints, arch, least, limits)
    tried = ", ".join(f"{ms:.3g}" for ms in tried_ms)
    raise BudgetMissedError(
        f"no network kept {' and '.join(map(str, limits))} on the device: {len(tried_ms)} were "
        f"measured, at {tried} ms. Is the machine slower now than when it was profiled? Profile it "
        "again, or loosen the budget"
    )


def _upper_ms(problem: Problem, arch: IntArray) -> float:
    """The upper end of the predicted interval; infinite where the predictor gives none."""
    interval_ms = getattr(problem.predictor, "predict_interval", None)
    return math.inf if interval_ms is None else float(interval_ms(arch[None])[0, 1])


def _ms(event: Mapping[str, Any], budget: Budget) -> float:
    """What a latency budget limits, as it was measured.

    Raises:
        MeasurementError: a percentile, and a measurement without single runs.
    """
    if budget.percentile is None:
        return float(event["latency_ms"])
    if not event.get("runs_ms"):
        raise MeasurementError(
            f"the measurement tells no single runs, which {budget} needs: give a budget without @p"
        )
    return float(np.percentile(event["runs_ms"], budget.percentile))


def _keeps(event: Mapping[str, Any], limits: Sequence[Budget]) -> bool:
    return all(_ms(event, budget) <= budget.limit for budget in limits)


def _overshoot(event: Mapping[str, Any], limits: Sequence[Budget]) -> float:
    """The largest share of a limit that was measured."""
    return max((_ms(event, budget) / budget.limit for budget in limits), default=0.0)


def _worst_ms(event: Mapping[str, Any], limits: Sequence[Budget]) -> float:
    """What was measured of the limit that is missed most, or kept most narrowly."""
    worst = max(limits, key=lambda budget: _ms(event, budget) / budget.limit, default=None)
    return float(event["latency_ms"]) if worst is None else _ms(event, worst)


def _is_slow(
    events: Sequence[Mapping[str, Any]], limits: Sequence[Budget], problem: Problem, arch: IntArray
) -> bool:
    """Whether a network that misses took longer than its prediction allows, so that waiting helps.

    A percentile by the clock is not waited for: slow spells are what it is asked for.
    """
    steady_ms = min(float(event["latency_ms"]) for event in events)
    missed = any(b.percentile is None and steady_ms > b.limit for b in limits)
    return missed and steady_ms > _upper_ms(problem, arch)


def _clock(event: Mapping[str, Any], limits: Sequence[Budget]) -> dict[str, Any]:
    """Percentiles of the runs by the clock, those that are limited among them."""
    runs_ms = event.get("runs_ms")
    if not runs_ms:
        return {}
    asked = sorted({50.0, 90.0, 99.0} | {b.percentile for b in limits if b.percentile is not None})
    return {"clock_ms": {f"p{at:.12g}": float(np.percentile(runs_ms, at)) for at in asked}}


def _wait_out(
    run: Run, name: str, pause_s: int, wait: Callable[[float], None], progress: Progress
) -> None:
    """Pause, and log it, so that a resumed search does not start over with its patience."""
    for second in range(pause_s):
        progress("waiting for the end of a slow spell", second / pause_s, "")
        wait(1.0)
    run.log("waited", architecture=name, pause_s=pause_s)


def _tightened(
    constraints: Sequence[Constraint],
    arch: IntArray,
    event: Mapping[str, Any],
    limits: Sequence[Budget],
) -> list[Constraint]:
    """The constraints with lower limits: the predictions of ``arch`` over what it overshot."""

    def tighten(constraint: Constraint) -> Constraint:
        at = constraint.budget.percentile
        same = [budget for budget in limits if budget.percentile == at]
        overshoot = _overshoot(event, same)
        if constraint.budget.quantity != "latency" or overshoot <= 1:
            return constraint
        predicted = float(constraint.values(arch[None])[0])
        limit = predicted / overshoot * (1 - _TIGHTEN)
        return replace(constraint, budget=replace(constraint.budget, limit=limit))

    return [tighten(constraint) for constraint in constraints]
