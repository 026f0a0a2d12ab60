"""``hwnas show``."""

from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hwnas.cli.flags import settings_options
from hwnas.cli.numbers import Whole
from hwnas.cli.output import json_option, print_json, say
from hwnas.cli.predict_models import Asked, is_file, predict_models, shapes_of
from hwnas.cli.resources import know_space, make_predictor, make_space
from hwnas.cli.show_report import print_breakdown, print_operators, weights_of
from hwnas.errors import DataError
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
    "--batch",
    type=Whole(min=1, most=65_536),
    metavar="N",
    help="Images a run, of v100-tensorrt-fp32, -fp16 and -int8  [default: the model's, else 1]",
)
@click.option(
    "--shape",
    "shapes",
    multiple=True,
    metavar="[INPUT=]NxCxHxW",
    help="Sizes of a model's input that is dynamic, such as 1x3x224x224.",
)
@settings_options(SpaceOptions)
@json_option
def command(
    what: str,
    space: str | None,
    table: str | None,
    batch: int | None,
    shapes: tuple[str, ...],
    as_json: bool,
    **flags: Any,
) -> None:
    """Show where the milliseconds, MACs and parameters of a network go, and what would save some.

    \b
    Examples:
      hwnas show k3e3-skip-skip-... --space proxyless --table amd-epyc-1thread
      hwnas show runs/spos-proxyless-latency6ms-s0-919aea
      hwnas show model.onnx --table v100-tensorrt-fp16
    """
    said = {field.name: flags[field.name] for field in fields(SpaceOptions)}
    if shapes and not is_file(what):
        raise click.UsageError("--shape belongs to ONNX models")
    if Path(what).is_dir():
        run = _opened(Path(what), space)
        predictor = _of_run(run) if table is None else _of_table(table, run.deployed, batch)
        _show(run.deployed, run.architecture(), predictor, as_json)
    elif is_file(what):
        _show_model(what, table, batch, shapes, as_json)
    elif table is not None:
        predictor = make_predictor(table, space, batch, **said)
        _show(predictor.space, predictor.space.parse(what), predictor, as_json)
    elif space is None:
        raise click.UsageError(
            f"{what!r} is no file and no run; of an architecture give its space with --space, or "
            "a table with --table"
        )
    else:
        made = make_space(space, **said)
        _show(made, made.parse(what), None, as_json)


def _opened(folder: Path, space: str | None) -> "StoredRun":
    from hwnas.search.runs.stored import StoredRun, stored_space

    know_space(space, stored_space(folder))
    return StoredRun.open(folder)


def _of_run(run: "StoredRun") -> "LatencyPredictor | None":
    """What the run's latencies come from, where that is still there."""
    try:
        return run.predictor()
    except DataError as error:
        say(str(error))
        return None


def _of_table(table: str, space: SearchSpace, batch: int | None) -> "LatencyPredictor":
    """A table that is typed, for the space of a run."""
    from hwnas.predictors import is_engine, load_predictor, parse_engine

    source = table_path(table)
    return load_predictor(parse_engine(source, batch).name if is_engine(source) else source, space)


def _show(
    space: SearchSpace, arch: "IntArray", predictor: "LatencyPredictor | None", as_json: bool
) -> None:
    from hwnas.predictors.breakdown import breakdown

    told = breakdown(space, arch, predictor)
    notes = {} if predictor is None else dict(predictor.notes)
    if as_json:
        print_json({"space": space.name, **asdict(told), "notes": notes})
        return
    for name, note in notes.items():
        say(f"{name}: {note}")
    print_breakdown(told)
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
            {
                "kernel": kernel.key,
                "op": kernel.op,
                "macs": kernel.macs,
                "weights": weights_of(kernel),
            }
            for kernel in kernels
        ]
        print_json({"model": path, "macs": sum(row["macs"] for row in rows), "kernels": rows})
        return
    print_operators(kernels)
    say(_HOW)
