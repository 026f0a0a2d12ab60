"""One call for several precisions: a supernet, a search each, and the better network."""

from collections.abc import Callable, Sequence

from hwnas.documents import inside, read_regular
from hwnas.errors import BudgetMissedError, InfeasibleBudgetError
from hwnas.files import write_atomically
from hwnas.progress import Progress, say
from hwnas.search.candidates.verification import verify_command
from hwnas.search.from_supernet import SupernetRequest, find_from_supernet
from hwnas.search.job import Request
from hwnas.search.precisions.asked import Several, prepared
from hwnas.search.precisions.judging import Found, judged, proxy_file
from hwnas.search.result import Result
from hwnas.search.runs.run import CHECKPOINT, RESULT, TABLE, WEIGHTS, Run
from hwnas.search.runs.schema import OWN
from hwnas.search.runs.stored import StoredRun
from hwnas.search.settings import fields_of
from hwnas.search.shared_settings import EvolutionSettings

__all__ = ["search_precisions"]

_MOST_BYTES = 2**31

Search = Callable[[Request, Progress], Result]


def search_precisions(
    request: Request, precisions: Sequence[str], search: Search, progress: Progress
) -> Result:
    """Search several precisions under one budget, and return the better network.

    Each search has a folder of its own below ``request.out``, which then holds the winner's
    deliverables. Killed, the same call goes on where it stopped.

    Args:
        request: its ``predictor`` is one for each precision, in their order, or None for this
            machine's own tables.
        precisions: fp32 and others.
        search: one precision.
        progress: told all along.

    Raises:
        OptionError: a precision that the space, the device or its table does not have.
        InfeasibleBudgetError, BudgetMissedError: no precision has a network to return.
        CheckpointError: the folder holds another run.
    """
    several = prepared(request, precisions)
    found: list[Found] = []
    infeasible = 0
    for precision in several.requests:
        say(f"precision {precision}")
        try:
            result = _searched(several, precision, search, progress)
        except (InfeasibleBudgetError, BudgetMissedError) as error:
            infeasible += isinstance(error, InfeasibleBudgetError)
            found.append(Found(precision, str(error)))
        else:
            found.append(judged(several, precision, result, progress))
        if found[-1].why is not None:
            say(found[-1].why, warning=f"{precision}:")
    allowed = [one for one in found if one.why is None]
    if not allowed:
        told = "; ".join(f"{one.precision}: {one.why}" for one in found)
        kind = InfeasibleBudgetError if infeasible == len(found) else BudgetMissedError
        raise kind(f"no precision has a network to return: {told}")
    return _concluded(several, max(allowed, key=lambda one: one.rank), found)


def _searched(several: Several, precision: str, search: Search, progress: Progress) -> Result:
    """The result of one precision, by a supernet that another trained if there is one."""
    job, out = several.job, several.folder(precision)
    folders = [several.folder(name) for name in several.requests if name != precision]
    trained = [folder for folder in folders if (folder / CHECKPOINT).exists()]
    if not (several.train_alike and trained) or (out / CHECKPOINT).exists():
        return search(several.requests[precision], progress)
    settings = {f.name: getattr(job.settings, f.name) for f in fields_of(EvolutionSettings)}
    request = SupernetRequest(
        StoredRun.of(trained[0], job.space, job.proxy, job.data),
        [job.budgets],
        several.options(precision),
        EvolutionSettings(**settings),
        several.requests[precision].predictor,
        job.device,
        out,
        job.seed,
    )
    (content,) = find_from_supernet(request, progress)["budgets"]
    return Result(inside(out, content["folder"], advice=OWN), content, job.space, job.proxy)


def _concluded(several: Several, best: Found, found: Sequence[Found]) -> Result:
    """Make the folder of all the run of the winner, ``result.json`` last."""
    out, won = several.out, best.result
    assert won is not None
    files = {**won.content["files"]}
    if (won.folder / proxy_file(best.precision)).exists():
        files[f"trained proxy in {best.precision}"] = proxy_file(best.precision)
    for name in dict.fromkeys([*files.values(), WEIGHTS, TABLE]):
        path = inside(won.folder, name, advice=OWN)
        if path.exists():
            write_atomically(out / name, read_regular(path, OWN, _MOST_BYTES))
    searched = [one.result.content for one in found if one.result is not None]
    content = {
        **{name: value for name, value in won.content.items() if name != "folder"},
        "files": files,
        "verify": None if won.measured_ms is not None else verify_command(out),
        "seconds": round(sum(one["seconds"] for one in searched), 1),
        "precision": best.precision,
        "precisions": [one.record(out) for one in found],
    }
    home = StoredRun.of(won.folder, several.job.space, several.job.proxy, several.job.data)
    config = {
        **home.identity(out),
        "budget": [str(budget) for budget in several.job.budgets],
        "seed": several.job.seed,
        "precisions": [*several.requests],
    }
    with Run(out, config) as run:
        run.write_json(RESULT, content)
    return Result(out, content, several.job.space, several.job.proxy)
