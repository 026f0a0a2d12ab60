"""``hwnas tables report``."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich import box
from rich.table import Column, Table
from rich.text import Text

from hwnas.cli.numbers import Number, Whole
from hwnas.cli.options import own_space_option, seed_option, table_runtime_option
from hwnas.cli.output import json_option, print_json, progress_bars, say, stdout
from hwnas.cli.paths import file_type
from hwnas.cli.resources import asking_for_space, know_space
from hwnas.cli.shipped import measured_table
from hwnas.latency_tables import LatencyTable

if TYPE_CHECKING:
    from hwnas.predictors.additivity import AdditivityReport
    from hwnas.predictors.comparison import Comparison
    from hwnas.predictors.report import OperatorError, PredictionReport

__all__ = ["command"]

_MOST_OPERATORS = 8


@click.command("report")
@click.argument("table_name", metavar="FILE")
@click.option(
    "--measure",
    "count",
    type=Whole(min=4, most=100_000),
    metavar="N",
    help="Also measure N random networks here, twice, that the table has never seen.",
)
@click.option("--device", metavar="cpu|gpu", help="What to measure on  [default: the table's]")
@table_runtime_option
@click.option(
    "--confidence",
    type=Number(min=0, max=1, min_open=True, max_open=True, most=1),
    default=0.95,
    show_default=True,
    help="Confidence of the intervals.",
)
@click.option(
    "--plot",
    type=file_type(),
    metavar="FILE",
    help="Draw measured over predicted into this PNG file.",
)
@own_space_option
@seed_option("Of the random networks.")
@json_option
def command(
    table_name: str,
    count: int | None,
    device: str | None,
    runtime_name: str | None,
    confidence: float,
    plot: Path | None,
    space: str | None,
    seed: int,
    as_json: bool,
) -> None:
    """Report how far a table's predictions are from whole networks, and which parts add up.

    The table's own whole networks are each predicted from the others. Fewer than some hundred
    networks say little about parts that are finer than operators: --measure brings more.

    \b
    Examples:
      hwnas tables report my.json --plot my.png
      hwnas tables report my.json --measure 50
    """
    from hwnas.predictors.comparison import leave_out
    from hwnas.predictors.plots import plot_measured_over_predicted

    know_space(space)
    table = measured_table(table_name)
    with asking_for_space(), progress_bars() as progress:
        own = leave_out(table, confidence, progress)
    found = {"the table's own, each left out": own}
    if count is not None:
        found["measured now"] = _measured(table, count, device, runtime_name, confidence, seed)
    judged = list(found.values())[-1]
    operators, additivity = judged.operators(), judged.additivity()
    title = f"{table.space.name} on {table.target}"
    if as_json:
        print_json(
            {
                "target": asdict(table.target),
                "space": asdict(table.space),
                "predictions": {name: asdict(c.report()) for name, c in found.items()},
                "operators": [asdict(entry) for entry in operators],
                "additivity": asdict(additivity),
                "networks": [row for name, c in found.items() for row in _networks(name, c)],
                "plot": None if plot is None else str(plot),
            }
        )
    else:
        say(title)
        stdout.print(_errors({name: c.report() for name, c in found.items()}))
        stdout.print(_operators(operators))
        stdout.print(_additivity(additivity))
        stdout.print(_verdict(additivity))
    if plot is not None:  # what was measured is printed by now, whatever becomes of the picture
        plot_measured_over_predicted(plot, found, title=title)
        say(f"drawn into {plot}")


def _measured(
    table: LatencyTable,
    count: int,
    device: str | None,
    runtime_name: str | None,
    confidence: float,
    seed: int,
) -> "Comparison":
    """Random networks that the table does not hold, measured twice on its own target."""
    from hwnas import profilers
    from hwnas.devices.target import runtime_of_table
    from hwnas.devices.unseen import measure_unseen

    kind = device or table.target.kind
    name = runtime_name or runtime_of_table(table.target, kind)
    here = profilers.runtime(kind, table.target.threads, name)
    with progress_bars() as progress:
        return measure_unseen(table, here, count, confidence, seed=seed, progress=progress)


def _networks(origin: str, found: "Comparison") -> list[dict[str, object]]:
    rows = zip(
        found.archs, found.measured_ms, found.predicted_ms, found.interval_ms.tolist(), strict=True
    )
    return [
        {
            "origin": origin,
            "architecture": found.space.format(arch),
            "measured_ms": float(measured),
            "predicted_ms": float(predicted),
            "interval_ms": interval,
        }
        for arch, measured, predicted, interval in rows
    ]


def _errors(reports: Mapping[str, "PredictionReport"]) -> Table:
    rows = Table("predicted against measured", *reports, box=box.SIMPLE)
    known = list(reports.values())

    def add(name: str, values: list[str]) -> None:
        rows.add_row(name, *values)

    add("networks", [str(r.count) for r in known])
    add("mean error", [f"{r.mean_error:.2%}" for r in known])
    add("noise floor", [_share(r.noise_floor, 2) for r in known])
    add("median error", [f"{r.median_error:.2%}" for r in known])
    add("largest error", [f"{r.worst_error:.2%}" for r in known])
    add("within 5 % / 10 %", [f"{r.within_5:.0%} / {r.within_10:.0%}" for r in known])
    add("all too slow (+) or fast (-)", [f"{r.bias:+.2%}" for r in known])
    add("mean error without that", [f"{r.shape_error:.2%}" for r in known])
    add("rank correlation", ["-" if r.spearman is None else f"{r.spearman:.3f}" for r in known])
    add("intervals that hold", [f"{_share(r.coverage)} of {_share(r.confidence)}" for r in known])
    return rows


def _share(value: float | None, digits: int = 0) -> str:
    return "-" if value is None else f"{value:.{digits}%}"


def _operators(found: list["OperatorError"]) -> Table:
    rows = Table(
        "networks with more of it",
        Column("predicted slower", justify="right"),
        Column("+-", justify="right"),
        Column("networks", justify="right"),
        box=box.SIMPLE,
    )
    for entry in found[:_MOST_OPERATORS]:
        rows.add_row(
            entry.operator,
            Text(f"{entry.difference:+.1%}", "yellow" if entry.clear else ""),
            f"{2 * entry.standard_error:.1%}",
            f"{entry.more} of {entry.more + entry.rest}",
        )
    return rows


def _additivity(found: "AdditivityReport") -> Table:
    rows = Table(
        "a price for each of",
        Column("parameters", justify="right"),
        Column("error, held out", justify="right"),
        box=box.SIMPLE,
    )
    for entry in found.granularities:
        error = "too few networks" if entry.mean_error is None else f"{entry.mean_error:.2%}"
        name = Text(entry.name, "bold" if entry.name == found.enough else "")
        rows.add_row(name, str(entry.parameters), error)
    return rows


def _verdict(found: "AdditivityReport") -> str:
    if found.enough is None:
        return f"{found.count} networks do not determine any of these models: measure more"
    error = next(e.mean_error for e in found.granularities if e.name == found.enough)
    assert error is not None
    return (
        f"enough, as far as {found.count} networks tell: {found.enough}, {error:.2%} off; two "
        f"measurements of one network differ by {_share(found.noise_floor, 2)}"
    )
