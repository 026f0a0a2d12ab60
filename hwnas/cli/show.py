"""``hwnas show``."""

from collections.abc import Set
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hwnas.cli.flags import settings_options
from hwnas.cli.options import engine_batch_option, shape_option, shapes_of, typed_options
from hwnas.cli.output import json_option, print_json, say
from hwnas.cli.predict_models import Asked, is_file, predict_models
from hwnas.cli.resources import know_space, make_predictor, make_space, named_source
from hwnas.cli.show_report import print_breakdown, print_operators, weights_of
from hwnas.latency_tables import table_path
from hwnas.search.options import SpaceOptions
from hwnas.spaces import SearchSpace

if TYPE_CHECKING:
    from hwnas.arrays import IntArray
    from hwnas.predictors import LatencyPredictor
    from hwnas.search.runs.stored import StoredRun

__all__ = ["command"]

_HOW = (
    "no latency is shown: give a table with --table, one of 'hwnas tables list', or measure this "
    "machine with 'hwnas profile'"
)
#: Kernels of a model that are printed one by one.
_COSTLIEST = 12
#: What is typed of a space.
_SIZES = {field.name for field in fields(SpaceOptions)}


@click.command("show")
@click.argument("what", metavar="ARCH|RUN|MODEL.onnx")
@click.option(
    "--space",
    metavar="NAME",
    help="Space of the architecture, see 'hwnas profile --help'; your own as FILE.py:NAME  "
    "[default: the table's, or the run's]",
)
@click.option(
    "--table",
    metavar="FILE",
    help="Latency table or predictor, a file or a name of 'hwnas tables list'  [default: the "
    "run's; of others no latency is shown]",
)
@click.option(
    "--latencies",
    metavar="FILE.csv[.gz]:COLUMN",
    help="Look latencies in ms up in a column of a table of architectures.",
)
@engine_batch_option
@shape_option
@settings_options(SpaceOptions)
@json_option
def command(
    what: str,
    space: str | None,
    table: str | None,
    latencies: str | None,
    batch: int | None,
    shapes: tuple[str, ...],
    as_json: bool,
    **flags: Any,
) -> None:
    """Show where a network's milliseconds, MACs and parameters go, and what would save some.

    \b
    Examples:
      hwnas show k3e3-skip-skip-... --space proxyless --table amd-epyc-1thread
      hwnas show runs/spos-proxyless-latency6ms-s0-919aea
      hwnas show model.onnx --table v100-tensorrt-fp16
    """
    if table is not None and latencies is not None:
        raise click.UsageError("latencies are of --latencies or of --table: leave one of them out")
    if batch is not None and table is None:
        raise click.UsageError("--batch is of engines such as v100-tensorrt-fp16: give --table")
    if shapes and (not is_file(what) or Path(what).is_dir()):
        raise click.UsageError("--shape belongs to ONNX models")
    if not is_file(what):
        said = {name: flags[name] for name in _SIZES}
        if table is None:
            made = _typed_space(what, space, said)
            predictor = None if latencies is None else _looked_up(latencies, made)
        else:
            predictor = make_predictor(table, space, batch, **said)
            made = predictor.space
        _show(made, made.parse(what), predictor, {}, as_json)
    elif Path(what).is_dir():
        _refuse_typed(_SIZES, "architectures: a run has its own")
        _show_run(Path(what), space, table, latencies, batch, as_json)
    elif latencies is not None:
        raise click.UsageError("--latencies belongs to architectures")
    else:
        _refuse_typed({"space", *_SIZES}, "architectures")
        _show_model(what, table, batch, shapes, as_json)


def _refuse_typed(names: Set[str], whose: str) -> None:
    """Refuse flags that say nothing of what is shown."""
    for name, flag in typed_options().items():
        if name in names:
            raise click.UsageError(f"{flag} belongs to {whose}")


def _typed_space(what: str, space: str | None, said: dict[str, Any]) -> SearchSpace:
    if space is None:
        raise click.UsageError(
            f"{what!r} is no file and no run; of an architecture give its space with --space, or "
            "a table with --table"
        )
    return make_space(space, **said)


def _looked_up(latencies: str, space: SearchSpace) -> "LatencyPredictor":
    from hwnas.predictors import LookedUpLatency
    from hwnas.spaces.tabulated import read_tables

    return LookedUpLatency(*read_tables(space, [latencies]))


def _show_run(
    folder: Path,
    space: str | None,
    table: str | None,
    latencies: str | None,
    batch: int | None,
    as_json: bool,
) -> None:
    """The network that a search found, by the run's own table where none is typed."""
    from hwnas.search.runs.network import read_result
    from hwnas.search.runs.stored import StoredRun, stored_space

    know_space(space, stored_space(folder))
    run = StoredRun.open(folder)
    arch = run.architecture()
    predictor = _predictor(run, table, batch)
    if latencies is not None:
        predictor = _looked_up(latencies, run.deployed)
    _show(run.deployed, arch, predictor, read_result(folder), as_json)


def _predictor(run: "StoredRun", table: str | None, batch: int | None) -> "LatencyPredictor | None":
    """Of the table that is typed, or of the run's own; None where it keeps none."""
    from hwnas.predictors import load_predictor
    from hwnas.search.runs.run import TABLE

    if table is None:
        kept = (run.folder / TABLE).exists()
        return load_predictor(run.table(), run.deployed) if kept else None
    return load_predictor(named_source(table, batch), run.deployed)


def _show(
    space: SearchSpace,
    arch: "IntArray",
    predictor: "LatencyPredictor | None",
    result: dict[str, Any],
    as_json: bool,
) -> None:
    """Print one network; of a search, with what its result says of the latency."""
    from hwnas.predictors.breakdown import breakdown
    from hwnas.search.result import latency_summary

    told = breakdown(space, arch, predictor)
    notes = {} if predictor is None else dict(predictor.notes)
    if as_json:
        found = {key: result.get(key) for key in ("predicted_ms", "measured_ms") if result}
        print_json(
            {"space": space.name, **asdict(told), "notes": notes}
            | ({"result": found} if found else {})
        )
        return
    for name, note in notes.items():
        say(f"{name}: {note}")
    print_breakdown(told)
    if result:
        for label, text in latency_summary(result):
            say(f"the run's result: {label} {text}")
    if told.predicted_ms is None:
        say(_HOW)


def _show_model(
    path: str, table: str | None, batch: int | None, shapes: tuple[str, ...], as_json: bool
) -> None:
    from hwnas.kernels import exported_kernels

    if table is not None:
        asked = Asked(table_path(table), 0.95, shapes, False, batch, False)
        predict_models([path], asked, as_json, _COSTLIEST)
        return
    kernels = exported_kernels(path, shapes_of(shapes))
    if as_json:
        rows = [
            {"kernel": k.key, "op": k.op, "macs": k.macs, "weights": weights_of(k)} for k in kernels
        ]
        print_json({"model": path, "macs": sum(k.macs for k in kernels), "kernels": rows})
        return
    print_operators(kernels)
    say(_HOW)
