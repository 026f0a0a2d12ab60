"""Devices that are not this machine, one or several."""

from collections.abc import Callable, Iterable
from concurrent.futures import Future
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

import click

from hwnas.cli.options import stacked
from hwnas.cli.output import print_json, say, show_progress
from hwnas.cli.resources import profile_plan, resolved
from hwnas.errors import HwnasError, OptionError
from hwnas.latency_tables import LatencyTable, SpaceRecord, default_path
from hwnas.progress import Progress
from hwnas.spaces import SearchSpace

if TYPE_CHECKING:
    from hwnas.profilers import AnyRuntime

__all__ = [
    "Profiled",
    "chosen_runtime",
    "far_options",
    "is_far",
    "profile_each",
    "transfer_to_file",
]

Profiled = tuple[Path, LatencyTable]

#: What only other machines need, and what a device with little time needs.
far_options = stacked(
    click.option(
        "--cores",
        default="any",
        show_default=True,
        metavar="any|big|little|0,2-3",
        help="Cores to run on (ssh, adb).",
    ),
    click.option(
        "--provider",
        type=click.Choice(["cpu", "xnnpack"]),
        default="cpu",
        show_default=True,
        help="ONNX Runtime's kernels (ssh, adb).",
    ),
    click.option(
        "--python",
        default="python3",
        show_default=True,
        metavar="PATH",
        help="The Python over there (ssh, adb).",
    ),
    click.option(
        "--samples",
        type=click.IntRange(min=5),
        metavar="N",
        help="Measure only N whole networks, and take the rest from --like.",
    ),
    click.option(
        "--like", metavar="TABLE", help="A similar device's table of this space, for --samples."
    ),
)


def is_far(device: str) -> bool:
    """Whether a device is not this machine."""
    return device == "adb" or device.startswith(("ssh://", "adb:"))


def chosen_runtime(
    device: str,
    threads: int,
    cores: str = "any",
    provider: str = "cpu",
    python: str = "python3",
    name: str | None = None,
) -> "AnyRuntime":
    """The runtime of a device of this machine, or of another one."""
    from hwnas.profilers import remote, runtime

    far = remote(device, threads, cores=cores, provider=provider, python=python)
    if far is not None:
        return far
    if (cores, provider) != ("any", "cpu"):
        raise OptionError(
            f"--cores and --provider are for ssh:// and adb devices, got them for {device}"
        )
    return runtime(device, threads, name)


def profile_each(
    devices: Iterable[str], one: Callable[[str, Progress | None], Profiled], as_json: bool
) -> None:
    """Profile several devices, those elsewhere at once; one that fails stops no other.

    Raises:
        click.exceptions.Exit: with status 1 if any failed.
    """
    from hwnas.cli.profile import described  # profile holds the command that calls this

    names = list(dict.fromkeys(devices))
    done: dict[str, Profiled | HwnasError | OSError] = {}
    with show_progress() as progress:

        def told(device: str) -> Progress:
            return lambda task, share, remark: progress(f"{device} {task}", share, remark)

        running = {name: _started(one, name, told(name)) for name in names if is_far(name)}
        for name in names:  # those of this machine take turns
            try:
                done[name] = running[name].result() if name in running else one(name, told(name))
            except (HwnasError, OSError) as problem:
                done[name] = problem
    failed = [name for name, result in done.items() if not isinstance(result, tuple)]
    if as_json:
        print_json([_document(name, done[name], described) for name in names])
    for name in names:
        result = done[name]
        if isinstance(result, tuple):
            say(f"{name}: {result[1].target}: {result[0]}")
        else:
            say(f"{name}: failed: {result}")
    say(f"{len(names) - len(failed)} of {len(names)} devices profiled")
    if failed:
        raise click.exceptions.Exit(1)


def _started(
    one: Callable[[str, Progress | None], Profiled], name: str, progress: Progress
) -> "Future[Profiled]":
    """Profile in a thread of its own, which an interrupt of the program does not wait for."""
    future: Future[Profiled] = Future()

    def work() -> None:
        try:
            future.set_result(one(name, progress))
        except BaseException as problem:
            future.set_exception(problem)

    Thread(target=work, daemon=True).start()
    return future


def _document(
    name: str,
    result: Profiled | HwnasError | OSError,
    described: Callable[[Path, LatencyTable], dict[str, Any]],
) -> dict[str, Any]:
    if isinstance(result, tuple):
        return {"device": name, **described(*result)}
    return {"device": name, "error": str(result)}


def transfer_to_file(
    space: SearchSpace,
    runtime: "AnyRuntime",
    precision: str,
    batch: int,
    count: int,
    like: str,
    *,
    out: Path | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Profiled:
    """Measure a few whole networks, and shape a table from a similar device's."""
    from hwnas.predictors.transfer import fit_transfer, transferred
    from hwnas.profilers.profile import profile_networks

    source = LatencyTable.load(resolved(like))
    lacking = source.missing(space.distinct_workloads)
    if lacking:
        raise OptionError(
            f"{like} lacks {len(lacking)} workloads of {space.name}, such as {lacking[0].key}: "
            "--like takes a table of the same space and input size"
        )
    if source.provenance.transfer is not None:
        raise OptionError(f"{like} is a transferred table itself: --like takes a measured one")
    with nullcontext(progress) if progress else show_progress() as tell:
        networks, call, reference_ms, provenance = profile_networks(
            space,
            runtime,
            count,
            precision=precision,
            batch=batch,
            plan=profile_plan(0.0),
            seed=seed,
            progress=tell,
        )
    archs = [space.parse(text) for text in networks]
    fit = fit_transfer(
        source, space, archs, [m.latency_ms for m in networks.values()], call.latency_ms
    )
    entries, record = transferred(source, fit, call)
    target = runtime.target(precision, batch)
    table = replace(
        source,
        target=target,
        space=SpaceRecord(space.name, dict(space.arguments)),
        reference_ms=reference_ms,
        reference_sessions_ms=(reference_ms,),
        call=call,
        workloads=entries,
        networks=networks,
        estimates={},  # what else the source knows is of its own device
        unmeasured={},
        kernels=None,
        provenance=replace(provenance, transfer=replace(record, networks=len(networks))),
    )
    path = default_path(target, table.space)
    path = out or path.with_name(f"{path.stem}-transferred.json")
    table.save(path)
    return path, table
