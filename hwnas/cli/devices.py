"""Devices that are not this machine, one or several."""

from collections.abc import Callable, Iterable
from concurrent.futures import Future
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

import click

from hwnas.cli.numbers import Whole
from hwnas.cli.options import stacked
from hwnas.cli.output import print_json, progress_bars, say
from hwnas.cli.profile_report import described
from hwnas.cli.shipped import measured_table
from hwnas.errors import HwnasError, OptionError
from hwnas.latency_tables import LatencyTable, table_path
from hwnas.progress import Progress

if TYPE_CHECKING:
    from hwnas.predictors import Engine
    from hwnas.profilers import AnyRuntime
    from hwnas.spaces import SearchSpace

__all__ = [
    "Profiled",
    "chosen_runtime",
    "engine_named",
    "from_table_given",
    "profile_each",
    "remote_options",
    "source_table",
]

Profiled = tuple[Path, LatencyTable]

#: Flags of other machines, and of devices that are there for minutes only.
remote_options = stacked(
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
        help="Python of the other machine (ssh, adb).",
    ),
    click.option(
        "--samples",
        type=Whole(min=5, most=100_000),
        metavar="N",
        help="Measure only N whole networks, and take the rest from --from-table.",
    ),
    click.option(
        "--from-table",
        metavar="TABLE",
        help="A similar device's table of this space, or v100-tensorrt-fp16, for --samples.",
    ),
    click.option("--like", metavar="TABLE", hidden=True, help="The earlier name of --from-table."),
)


def from_table_given(from_table: str | None, like: str | None) -> str | None:
    """The table of ``--from-table``, which was called ``--like``.

    Raises:
        click.UsageError: both name one.
    """
    if from_table is not None and like is not None:
        raise click.UsageError("--like is the earlier name of --from-table: give one of them")
    return like if from_table is None else from_table


def engine_named(similar: str, batch: int | None) -> "Engine | None":
    """The engine that a name of ``--from-table`` is; None where it is that of a table.

    Raises:
        OptionError: a precision or batch that was not measured, or two batches.
    """
    from hwnas.predictors import is_engine, parse_engine

    return parse_engine(similar, batch) if is_engine(table_path(similar)) else None


def source_table(similar: str, space: "SearchSpace", engine: "Engine | None") -> LatencyTable:
    """What ``--from-table`` names: a table, or an engine's estimates of the space."""
    if engine is None:
        return measured_table(similar)
    from hwnas.predictors import engine_table, engine_times

    return engine_table(space, engine_times(engine))


def chosen_runtime(
    device: str,
    threads: int,
    cores: str = "any",
    provider: str = "cpu",
    python: str = "python3",
    name: str | None = None,
) -> "AnyRuntime":
    """The runtime of a device of this machine, or of another one.

    Raises:
        OptionError: ``cores`` or ``provider`` of a device of this machine.
    """
    from hwnas.profilers import remote_runtime, runtime

    there = remote_runtime(device, threads, cores=cores, provider=provider, python=python)
    if there is not None:
        return there
    if (cores, provider) != ("any", "cpu"):
        raise OptionError(
            f"--cores and --provider are for ssh:// and adb devices, got them for {device}"
        )
    return runtime(device, threads, name)


def profile_each(
    devices: Iterable[str], one: Callable[[str, Progress], Profiled], as_json: bool
) -> None:
    """Profile several devices, those elsewhere at once; one that fails stops no other.

    Raises:
        click.exceptions.Exit: with status 1 if any failed.
    """
    from hwnas.profilers import names_remote_device

    names = list(dict.fromkeys(devices))
    done: dict[str, Profiled | HwnasError | OSError] = {}
    with progress_bars() as progress:

        def told(device: str) -> Progress:
            return lambda task, share, remark: progress(f"{device} {task}", share, remark)

        elsewhere = [name for name in names if names_remote_device(name)]
        running = {name: _started(one, name, told(name)) for name in elsewhere}
        for name in names:  # those of this machine take turns
            try:
                done[name] = running[name].result() if name in running else one(name, told(name))
            except (HwnasError, OSError) as problem:
                done[name] = problem
    failed = [name for name, result in done.items() if not isinstance(result, tuple)]
    if as_json:
        print_json([_document(name, done[name]) for name in names])
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
    one: Callable[[str, Progress], Profiled], name: str, progress: Progress
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


def _document(name: str, result: Profiled | HwnasError | OSError) -> dict[str, Any]:
    if isinstance(result, tuple):
        return {"device": name, **described(*result)}
    return {"device": name, "error": str(result)}
