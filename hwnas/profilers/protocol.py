"""The measuring protocol: one piece of statistics for every runtime.

Machines drift between fast and slow spells that last seconds. So the jobs are measured round-robin
in random order, runs of one fixed reference are strewn between them, and each run is divided by the
median reference of its own round. The median of these quotients times the lower quartile of
the reference is a latency. A job is finished when the confidence interval of its median is tight
enough.

Whole networks run in rounds of their own. What ran before decides what is in the cache: among
operators a network, and the reference, are faster by a tenth than where they are deployed.

The reference should resemble what the table is for: slow spells hit a network that streams its
weights from memory otherwise than a block that lives in the cache (see docs/measuring.md).

The agent that measures on other machines is written from this very file
(`hwnas.profilers.remote.bundle`), so all but `summarise` keeps to Python 3.9 and numpy.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from hwnas.errors import MeasurementError
from hwnas.latency_tables import Measurement

__all__ = [
    "NETWORK",
    "Job",
    "Plan",
    "Round",
    "Samples",
    "companies",
    "median_error",
    "run_rounds",
    "summarise",
]

#: What the names of whole networks begin with, where operators are measured beside them.
NETWORK = "network "

#: Runs a loaded model once and returns milliseconds by the runtime's best clock. A job that runs it
#: several times in a row, since one run is too short for the clock, returns the milliseconds of one
#: and says how many it ran in its attribute ``repeats``.
Job = Callable[[], float]

#: The reference runs again when the jobs since its last run took this many times as long.
_REFERENCE_EVERY = 2.0


@dataclass(frozen=True)
class Plan:
    """When to stop.

    Attributes:
        tolerance: half the width of the 95 % interval of a job's median, relative, that is tight
            enough.
        min_runs, max_runs: runs a job gets at least and at most.
        min_seconds: timed at least altogether, so that a slow spell is not all that was seen; jobs
            that are finished run on meanwhile.
        warm_up: untimed runs of each job before its first round.
        again: each run is the second in a row, so that what ran before it is forgotten.
    """

    tolerance: float = 0.01
    min_runs: int = 100
    max_runs: int = 300
    min_seconds: float = 0.0
    warm_up: int = 3
    again: bool = False


@dataclass(frozen=True)
class Round:
    """One pass over the unfinished jobs, all times in ms.

    Attributes:
        runs_ms: job -> one run.
        reference_ms: the runs of the reference between them.
        busy_ms: what the device was busy for, repeats included; None: the sum of the runs.
    """

    runs_ms: Mapping[str, float]
    reference_ms: tuple[float, ...]
    busy_ms: float | None = None


@dataclass
class Samples:
    """All rounds so far.

    Attributes:
        quotients: job -> its runs, each divided by the median reference of its round.
        reference_ms: all runs of the reference.
        among_networks_ms: those of rounds of whole networks alone.
        total_ms: time of all runs.
        runs_ms: job -> its runs by the clock, as far as they were taken in here.
    """

    quotients: dict[str, list[float]] = field(default_factory=dict)
    reference_ms: list[float] = field(default_factory=list)
    among_networks_ms: list[float] = field(default_factory=list)
    total_ms: float = 0.0
    runs_ms: dict[str, list[float]] = field(default_factory=dict)

    @property
    def steady_reference_ms(self) -> float:
        """Lower quartile of the reference runs: the device while nothing else slows it.

        Of those among whole networks, where there are such. The median is some 1 % above it on an
        idle machine, and wanders with whatever else ran.
        """
        return float(np.quantile(self.among_networks_ms or self.reference_ms, 0.25))

    def add(self, taken: Round) -> None:
        """Take in one round."""
        reference = float(np.median(taken.reference_ms))
        for key, run_ms in taken.runs_ms.items():
            self.quotients.setdefault(key, []).append(run_ms / reference)
            self.runs_ms.setdefault(key, []).append(run_ms)
        self.reference_ms.extend(taken.reference_ms)
        if taken.runs_ms and all(key.startswith(NETWORK) for key in taken.runs_ms):
            self.among_networks_ms.extend(taken.reference_ms)
        runs_ms = sum(taken.reference_ms) + sum(taken.runs_ms.values())
        self.total_ms += runs_ms if taken.busy_ms is None else taken.busy_ms

    def pending(self, jobs: Iterable[str], plan: Plan) -> list[str]:
        """The jobs that need another run; all of them while ``plan.min_seconds`` are not over."""
        if self.total_ms < 1000 * plan.min_seconds:
            return list(jobs)
        return [key for key in jobs if not self.finished(key, plan)]

    def finished(self, key: str, plan: Plan) -> bool:
        """Whether a job needs no further run."""
        quotients = self.quotients.get(key, [])
        if len(quotients) < plan.min_runs:
            return False
        return len(quotients) >= plan.max_runs or median_error(quotients) <= plan.tolerance


def run_rounds(
    jobs: Mapping[str, Job],
    reference: Job,
    samples: Samples,
    plan: Plan,
    *,
    seed: int = 0,
) -> Iterator[Round]:
    """Measure until every job is finished; each round is added to ``samples`` and yielded.

    A pass over all jobs is a round of those that are not whole networks, and one of those that are.

    Args:
        jobs: what to measure, by name.
        reference: the fixed model that every run is compared with.
        samples: earlier rounds, if any, to go on from.
        plan: when to stop.
        seed: of the order within the rounds.

    Raises:
        MeasurementError: a run took no time, or the clock went backwards.
    """
    rng = np.random.default_rng([seed, len(samples.reference_ms)])
    pending = samples.pending(jobs, plan)
    for job in (reference, *(jobs[key] for key in pending)):
        for _ in range(plan.warm_up):
            job()
    while pending:
        for company in companies(pending):
            if company:
                order = [company[at] for at in rng.permutation(len(company))]
                taken = _round({key: jobs[key] for key in order}, reference, plan.again)
                samples.add(taken)
                yield taken
        pending = samples.pending(jobs, plan)


def companies(keys: Sequence[str]) -> tuple[list[str], list[str]]:
    """Names of all but whole networks, and those of whole networks, whose rounds are apart."""
    wholes = [key for key in keys if key.startswith(NETWORK)]
    return [key for key in keys if not key.startswith(NETWORK)], wholes


def _round(jobs: Mapping[str, Job], reference: Job, again: bool) -> Round:
    """One pass over jobs in their order, the reference before, between and behind them."""

    def timed(job: Job, name: str) -> float:
        if again:
            job()
        return _timed(job, name)

    reference_ms = [timed(reference, "the reference")]
    runs_ms: dict[str, float] = {}
    since = busy = 0.0
    apart = _REFERENCE_EVERY * reference_ms[0] * _repeats(reference)
    for key, job in jobs.items():
        runs_ms[key] = timed(job, key)
        since += runs_ms[key] * _repeats(job)
        if since > apart:
            reference_ms.append(timed(reference, "the reference"))
            busy, since = busy + since, 0.0
    reference_ms.append(timed(reference, "the reference"))
    busy += since + sum(reference_ms) * _repeats(reference)
    return Round(runs_ms, tuple(reference_ms), busy)


def median_error(values: list[float]) -> float:
    """Half the width of the 95 % interval of the median, relative to it, from order statistics.

    The ranks n/2 +- 0.98 sqrt(n) bracket the median with 95 % confidence whatever the distribution.
    """
    ordered, n = np.sort(values), len(values)
    half = 0.98 * math.sqrt(n)
    low, high = max(0, math.floor(n / 2 - half)), min(n - 1, math.ceil(n / 2 + half))
    return float((ordered[high] - ordered[low]) / (ordered[(n - 1) // 2] + ordered[n // 2]))


def summarise(samples: Samples) -> dict[str, Measurement]:
    """The latency of each job, from all rounds."""
    scale = samples.steady_reference_ms
    result: dict[str, Measurement] = {}
    for key, quotients in samples.quotients.items():
        ms = scale * np.asarray(quotients, dtype=np.float64)
        low, high = (float(v) for v in np.quantile(ms, (0.1, 0.9)))
        result[key] = Measurement(
            latency_ms=float(np.median(ms)),
            relative_error=median_error(quotients),
            p10_ms=low,
            p90_ms=high,
            runs=len(quotients),
        )
    return result


def _repeats(job: Job) -> int:
    return getattr(job, "repeats", 1)


def _timed(job: Job, name: str) -> float:
    ms = job()
    if not ms > 0:
        raise MeasurementError(
            f"{name} took {ms} ms by the runtime's clock; a run takes more than zero: "
            "was the clock set during the measurement?"
        )
    return ms
