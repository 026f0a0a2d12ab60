"""Rounds of models that are all loaded anew now and then.

Where a load puts a model in memory makes it faster or slower for as long as it lies there: a block
by one percent or so, a network by half of that. More runs do not average this, more loads do. They
are all loaded at once, and the old ones let go at once: a model that is loaded alone into what
another left free has its memory in pieces, and is slower by one to two percent.
"""

from collections.abc import Callable, Iterator, Mapping

from hwnas.profilers.protocol import Job, Plan, Round, Samples, companies, run_rounds

__all__ = ["rounds_of_loads"]


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
