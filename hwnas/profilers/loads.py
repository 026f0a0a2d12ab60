"""Models of which several loads are measured, and models too many to be loaded at once.

Where a load puts a model in memory makes it faster or slower for as long as it lies there: a block
by one percent or so, a network by half of that. More runs do not average this, more loads do.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import cycle

from hwnas.profilers.protocol import Job, Plan, Round, Samples, companies, run_rounds

__all__ = ["in_turn", "plan_of_loads", "rounds_of_loads", "rounds_of_parts"]

#: Models that are loaded at once, where thousands are measured.
_AT_ONCE = 600


@dataclass(frozen=True, slots=True)
class _InTurn:
    turns: Iterator[Job]
    repeats: int

    def __call__(self) -> float:
        return next(self.turns)()


def in_turn(loads: Sequence[Job]) -> Job:
    """A job whose runs are those of several loads of one model, one after the other."""
    return _InTurn(cycle(loads), getattr(loads[0], "repeats", 1))


def plan_of_loads(plan: Plan, loads: int) -> Plan:
    """The plan of each of several loads of a model, which share the model's runs."""
    return replace(
        plan,
        tolerance=plan.tolerance * loads**0.5,
        min_runs=-(-plan.min_runs // loads),
        max_runs=-(-plan.max_runs // loads),
    )


def rounds_of_loads(
    jobs: Mapping[str, Job],
    reference: Job,
    load: Callable[[], tuple[Mapping[str, Job], Job]],
    passes: int,
    samples: Samples,
    plan: Plan,
    *,
    seed: int = 0,
) -> Iterator[Round]:
    """As `run_rounds`, with the models loaded anew after so many passes.

    They are all loaded at once, and the old ones let go at once: a model that is loaded alone into
    what another left free has its memory in pieces, and is slower by one to two percent.

    Args:
        jobs, reference: of the first load.
        load: loads all models again.
        passes: over all jobs, that a load makes.
        samples, plan, seed: as `run_rounds`.
    """
    rounds = passes * sum(bool(company) for company in companies(list(jobs)))
    while True:
        taken = run_rounds(jobs, reference, samples, plan, seed=seed)
        yield from (one for _, one in zip(range(rounds), taken, strict=False))
        if not samples.pending(jobs, plan):
            return
        jobs, reference = load()


def rounds_of_parts(
    names: Sequence[str],
    load: Callable[[Sequence[str]], tuple[Mapping[str, Job], Job]],
    samples: Samples,
    plan: Plan,
    *,
    seed: int = 0,
    at_once: int = _AT_ONCE,
) -> Iterator[Round]:
    """As `run_rounds`, with only a part of the models loaded at any time.

    Every part takes models from all over the list, so that a slow spell does not hit one kind.

    Args:
        names: of the models.
        load: loads a part of them, and the reference.
        samples, plan, seed: as `run_rounds`.
        at_once: models of a part at most.
    """
    count = -(-len(names) // at_once)
    for first in range(count):
        part = samples.pending(names[first::count], plan)
        if part:
            yield from run_rounds(*load(part), samples, plan, seed=seed)
