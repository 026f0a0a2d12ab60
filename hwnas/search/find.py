"""One call from a problem to a network that keeps its budgets."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from hwnas import spaces
from hwnas.costs import Budget
from hwnas.data import Dataset, InputShape, has_digest, is_image, notes_of, task_of
from hwnas.errors import OptionError
from hwnas.progress import Progress, progress_bars, say
from hwnas.search.deployment import Deployment, deploy
from hwnas.search.job import Job, Request, prepare, written_digest
from hwnas.search.precisions import precisions_of, search_precisions
from hwnas.search.problem import Problem
from hwnas.search.result import Result
from hwnas.search.runs.held import held_if_there
from hwnas.search.runs.plots import lacks_picture
from hwnas.search.runs.run import CHECKPOINT, RESULT, TABLE, Run, begun_with
from hwnas.search.runs.schema import OWN, Found, parse_of_file
from hwnas.search.runs.tensorboard import tensorboard
from hwnas.search.settings import stored
from hwnas.search.shared_settings import as_begun
from hwnas.spaces import SearchSpace
from hwnas.supernet.kinds import RankBy

__all__ = ["find", "find_blocks_then_channels", "find_network", "help_training"]


def find_network(
    space: SearchSpace | str | None,
    data: Dataset | str | tuple[Any, ...] | None,
    budgets: Sequence[Budget | str],
    *,
    method: str = "spos",
    predictor: Any = None,
    device: str = "auto",
    out: Path | str | None = None,
    seed: int = 0,
    **settings: Any,
) -> Result:
    """Search a space for the best network within hard budgets, and measure that it keeps them.

    Killed, the same call goes on where it stopped and ends with the same network; finished, it
    returns its result at once. ``hwnas search`` is this call.

    Args:
        space: the deployed space, or its name with ``input_size``, ``width_mult``, ``classes`` and
            the like among the settings; None for the predictor's own, else ``proxyless``.
        data: a `hwnas.data.Dataset`; a text that ``--data`` takes, such as ``digits``; or the
            parts ``(train, validation)`` or ``(train, validation, test)`` that
            `hwnas.data.from_batches` takes, of the classes that a given space tells apart. None
            where ``accuracies`` are looked up.
        budgets: such as ``["latency<=6ms", "macs<=330M"]``; all of them are kept.
        method: a name of `hwnas.search.methods.METHODS`, or ``FILE.py:NAME``.
        predictor: of the latency: a table or its path or name, a shipped predictor's name, a fitted
            `hwnas.LatencyRegressor` or its path, or any object with ``predict(archs)``; None for
            this machine's own table, which is measured first if there is none. One for each of
            several precisions, in a list.
        device: ``auto``, ``cpu`` or ``gpu``, where no table says it.
        out: folder of the run; by default one below ``runs`` that follows from all arguments.
        seed: of everything random.
        **settings: of the method (its ``Settings``), of every search
            (`hwnas.search.options.SearchOptions`, with ``accuracies`` and ``latencies`` of a
            tabular benchmark among them; ``precision`` may be several, ``("fp32", "int8")``, of
            which the better network is returned), and ``progress``, a `hwnas.progress.Progress`;
            by default bars are drawn in terminals and notebooks.

    Raises:
        InfeasibleBudgetError: no architecture keeps the budgets; nothing was trained.
        BudgetMissedError: no network kept the latency budget on the device.
        OptionError: an argument, setting, space, method or predictor that is not allowed.
        CheckpointError: ``out`` holds another run.
    """
    progress = settings.pop("progress", None)
    request = Request(space, data, budgets, method, predictor, device, out, seed, settings)
    return find(request, progress)


def find(request: Request, progress: Progress | None = None) -> Result:
    """`find_network` of a request; None draws bars."""
    several = precisions_of(request.settings.get("precision"))
    if len(several) == 1:
        request = replace(request, settings={**request.settings, "precision": several[0]})
    if len(several) > 1:
        with progress_bars() if progress is None else nullcontext(progress) as tell:
            return search_precisions(request, several, find, tell)
    job = prepare(request)
    bars = progress_bars() if progress is None else nullcontext(progress)
    with held_if_there(job.out), bars as tell:
        return _search(job, tell)


def find_blocks_then_channels(request: Request, progress: Progress | None = None) -> Result:
    """SPOS's pipeline on shufflenet: operators first, then the channels of those that were found.

    Each is a search of its own, in ``blocks`` and ``channels`` below ``request.out``.

    Raises:
        OptionError: blocks or channels are given already, or the space has no channels to search.
    """
    given = dict(request.settings)
    if len(precisions_of(given.get("precision"))) > 1:
        raise OptionError("--blocks-then-channels searches one precision: give one")
    if given.get("channels") or given.get("blocks") is not None:
        raise OptionError(
            "--blocks-then-channels finds the blocks and then the channels: leave those flags out"
        )
    both = replace(request, settings={**given, "channels": True})
    folder = prepare(both).out  # refused now, not after the first search
    out = Path(request.out) if request.out is not None else folder.with_name(f"{folder.name}-both")
    say("first step: operators")
    blocks = find(replace(request, out=out / "blocks"), progress).architecture
    say(f"second step: channels of {blocks}")
    settings = {**given, "channels": True, "blocks": blocks}
    return find(replace(request, out=out / "channels", settings=settings), progress)


def help_training(request: Request) -> None:
    """Take part in the training of a search that another process leads, and be silent.

    Where torchrun starts several processes, that of rank 0 calls `find`, the others this.
    """
    from hwnas.search.supernet_training import make_supernet, train_supernet
    from hwnas.supernet import UniformSampler, torchrun_workers

    job = prepare(request)
    if (job.out / RESULT).exists():
        return  # the leader only reads it
    with torchrun_workers() as workers:
        _refuse_several(job, workers.count)
        supernet = make_supernet(job.proxy, job.settings, seed=job.seed)
        paths = UniformSampler(job.proxy, seed=job.seed)  # the leader's are trained
        train_supernet(
            None, supernet, paths, job.data, job.settings, seed=job.seed, workers=workers
        )


def _search(job: Job, progress: Progress) -> Result:
    """Deploy, state the problem, and let the method search."""
    from hwnas.search.candidates.parallel import Parallel
    from hwnas.search.context import Context
    from hwnas.supernet import torchrun_workers

    options = job.options
    for note in notes_of(job.data):
        say(note)
    deployment = deploy(
        job.space,
        job.source,
        job.out / TABLE,
        options,
        device=job.device,
        verify_seconds=options.verify_seconds,
        progress=progress,
    )
    problem = Problem(
        job.space,
        job.proxy,
        job.data,
        deployment.predictor,
        job.budgets,
        deployment.measure,
        options.confidence,
        job.seed,
        job.accuracies,
    )
    _ = problem.feasible  # fails here, before there is a folder
    settings = job.method.check(problem, job.settings)
    settings = as_begun(settings, begun_with(job.out), _ranked_by(job))
    parallel = Parallel(options.workers, options.worker_backend) if options.workers else None
    with torchrun_workers() as workers, ExitStack() as until_done:
        _refuse_several(job, workers.count)
        run = until_done.enter_context(Run(job.out, _config(job, settings, deployment)))
        until_done.enter_context(tensorboard(run, options.tensorboard))
        content = run.read_json(RESULT, Found)
        if content is not None:
            parse_of_file(job.space, content["architecture"], job.out / RESULT, OWN)
            if not _lacks_its_picture_alone(run, content, workers.count):
                say(f"this search is finished; {job.out} holds its result")
                return Result(job.out, content, job.space, job.proxy)
        deployment.save(job.out)
        deployment.tell(job.out)
        say(_what(job))
        context = Context(problem, run, workers, parallel, progress)
        content = job.method.search(context, settings)
    return Result(job.out, content, job.space, job.proxy)


def _lacks_its_picture_alone(run: Run, content: Mapping[str, Any], count: int) -> bool:
    """Whether to go through a finished run again for its picture: all that took time is there."""
    kept = "accuracy" in content["looked_up"] or (run.folder / CHECKPOINT).exists()
    return count == 1 and lacks_picture(run, content) and kept


def _refuse_several(job: Job, count: int) -> None:
    """Raise `OptionError` where a method trains in one process and there are several."""
    if count > 1 and job.accuracies is not None:
        raise OptionError("nothing trains where accuracies are looked up: leave out torchrun")
    if count > 1 and not hasattr(job.settings, "micro_batches"):
        raise OptionError(f"{job.name} trains in one process: leave out torchrun")


def _ranked_by(job: Job) -> RankBy:
    """What a new search ranks its candidates by, where that is not said."""
    name = job.space.name
    if name not in spaces.SPACES or job.accuracies is not None or task_of(job.data).is_own:
        return "accuracy"
    return spaces.entry(name).rank_by


def _config(job: Job, settings: Any, deployment: Deployment) -> Mapping[str, Any]:
    """What a run must be asked again to go on."""
    return {
        **stored(settings),
        "seed": job.seed,
        "confidence": job.options.confidence,
        "method": job.name,
        "budget": [str(budget) for budget in job.budgets],
        "space": job.space.name,
        "data": job.data_spec,
        "data_digest": _written_digest(job),
        "deployed": dict(job.space.arguments),
        "trained": dict(job.proxy.arguments),
        **task_of(job.data).facts,
        "table": deployment.digest,
        **({} if job.options.missing == "error" else {"missing": job.options.missing}),
        **({} if job.accuracies is None else {"accuracies": job.accuracies.name}),
    }


def _written_digest(job: Job) -> str:
    """The digest of the data, as an earlier version of hwnas wrote it if this run is of that."""
    written = written_digest(job.out)
    return written if written and has_digest(job.data, written) else job.data.digest


def _what(job: Job) -> str:
    """What is searched, in words."""
    if job.accuracies is not None:
        return str(job.accuracies)
    return f"deployed: {_deployed(job)}, whose latency counts; trained: {_trained(job)}"


def _deployed(job: Job) -> str:
    text = f"{job.space.name} at {_size(job.space.input_shape)}"
    if task_of(job.data).has_classes and job.space.classes != job.data.classes:
        text += f" with {job.space.classes} classes (the data have {job.data.classes})"
    return text


def _size(input_shape: InputShape) -> str:
    if not is_image(input_shape):
        return f"inputs {input_shape}"
    _, height, width = input_shape
    return f"{height} pixels" if height == width else f"{height} x {width} pixels"


def _trained(job: Job) -> str:
    name = job.data.name
    if job.proxy.identifier == job.space.identifier:
        return f"the same network on {name}"
    size = _size(job.proxy.input_shape)
    return f"a proxy of width {job.options.proxy_width:g} at {size} on {name}"
