"""One call from a trained supernet to networks of other budgets, or another precision."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hwnas.costs import Budget
from hwnas.data import with_data_workers
from hwnas.progress import Progress, say
from hwnas.search.candidates.parallel import Parallel
from hwnas.search.deployment import deploy
from hwnas.search.options import SearchOptions
from hwnas.search.problem import Problem
from hwnas.search.reuse import Reuse, feasible_front, search_front, search_supernet
from hwnas.search.runs.plots import lacks_picture
from hwnas.search.runs.run import RESULT, TABLE, Run, begun_with
from hwnas.search.runs.schema import Several
from hwnas.search.runs.stored import StoredRun
from hwnas.search.runs.tensorboard import require_tensorboard, tensorboard
from hwnas.search.settings import stored
from hwnas.search.shared_settings import EvolutionSettings, as_begun

__all__ = ["SupernetRequest", "find_from_supernet"]


@dataclass(frozen=True, eq=False)
class SupernetRequest:
    """What a trained supernet is searched for.

    Attributes:
        source: the run that trained it.
        budgets: one list a search; none for the whole front.
        options: of every search.
        settings: of each evolution.
        predictor: of the latency, see `hwnas.search.deployment.read_source`; None for this
            machine's own table.
        device: ``auto``, ``cpu`` or ``gpu``, where no table says it.
        out: folder of the run.
        seed: of everything random.
        front: whether the whole front of accuracy and latency is wanted.
    """

    source: StoredRun
    budgets: Sequence[Sequence[Budget]]
    options: SearchOptions
    settings: EvolutionSettings
    predictor: Any
    device: str
    out: Path
    seed: int
    front: bool = False


def find_from_supernet(request: SupernetRequest, progress: Progress) -> dict[str, Any]:
    """Search a trained supernet; killed, the same call goes on where it stopped.

    Returns:
        The content of ``result.json``.

    Raises:
        InfeasibleBudgetError: no architecture keeps one of the lists; nothing was searched.
        BudgetMissedError: the device says that a winner misses.
        OptionError: options that do not fit the table.
        CheckpointError: ``out`` holds another run, or the supernet is damaged.
    """
    source, options, out = request.source, request.options, request.out
    if options.tensorboard:
        require_tensorboard()
    data = with_data_workers(source.data(), options.data_workers)
    deployment = deploy(
        source.deployed,
        request.predictor,
        out / TABLE,
        options,
        device=request.device,
        verify_seconds=options.verify_seconds,
        progress=progress,
    )
    problems = [
        Problem(
            source.deployed,
            source.proxy,
            data,
            deployment.predictor,
            budgets,
            None if request.front else deployment.measure,
            options.confidence,
            request.seed,
        )
        for budgets in request.budgets or [[]]
    ]
    for problem in problems:  # before a folder is made
        feasible_front(problem)
    settings = as_begun(request.settings, begun_with(out))
    config = {
        **stored(settings),
        "seed": request.seed,
        "confidence": options.confidence,
        **source.identity(out),
        "budgets": [[str(budget) for budget in budgets] for budgets in request.budgets],
        "pareto": request.front,
        "table": deployment.digest,
    }
    with Run(out, config) as run, tensorboard(run, options.tensorboard):
        finished = run.read_json(RESULT, Several)
        if finished is not None and not lacks_picture(run, finished):
            say(f"this search is finished; {out} holds its result")
            return finished
        deployment.save(out)
        deployment.tell(out if request.front else out / "BUDGET")
        say(f"searching the supernet of {source.home} again; nothing is trained")
        parallel = Parallel(options.workers, options.worker_backend) if options.workers else None
        reuse = Reuse(run, source, deployment, settings, parallel, progress)
        if request.front:
            return search_front(reuse, problems[0])
        return search_supernet(reuse, problems)
