"""``hwnas tables``."""

import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from rich import box
from rich.table import Column, Table
from rich.text import Text

from hwnas.cli.options import table_space_options
from hwnas.cli.output import json_option, print_json, progress_bars, say, stdout
from hwnas.cli.paths import file_type
from hwnas.cli.shipped import described, measured_table, shipped_predictor, show_shipped
from hwnas.cli.tables_check import command as check
from hwnas.cli.tables_report import command as report
from hwnas.devices import filled
from hwnas.latency_tables import (
    LatencyTable,
    all_tables,
    tables_folder,
)
from hwnas.search.options import SpaceOptions

__all__ = ["command"]

#: Standard deviations to each side that hold 80 % of a normal distribution.
_SURE = 1.2816


@click.group("tables")
def command() -> None:
    """List, show, check and judge latency tables.

    \b
    Example:
      hwnas tables list
    """


command.add_command(check)
command.add_command(report)


@command.command("list")
@json_option
def list_tables(as_json: bool) -> None:
    """List your tables and those that ship, and the predictors made of others' measurements.

    \b
    Example:
      hwnas tables list --json
    """
    from hwnas.latency_tables.published import shipped_notes

    found, predictors = list(all_tables()), list(shipped_notes())
    if as_json:
        print_json(
            [
                {
                    "name": name,
                    "path": str(path),
                    **(
                        {
                            "target": asdict(table.target),
                            "space": asdict(table.space),
                            "transferred": table.provenance.transfer is not None,
                        }
                        if isinstance(table, LatencyTable)
                        else {"error": str(table)}
                    ),
                }
                for name, path, table in found
            ]
            + [described(known) for known in predictors]
        )
        return
    rows = Table(Column("table", overflow="fold"), "made (UTC)", box=box.SIMPLE)
    for name, _, table in found:
        if isinstance(table, LatencyTable):
            about = str(table.target)
            about += f", {len(table.estimates)} estimated" if table.estimates else ""
            about += ", transferred" if table.provenance.transfer else ""
            made = table.provenance.created_utc[:10]
            rows.add_row(Text.assemble(name, "\n", (about, "dim")), made)
        else:
            rows.add_row(Text.assemble(name, "\n", (str(table), "red")))
    for known in predictors:
        about = f"{known.target}; {known.samples}; {known.held_out}; {known.source}"
        rows.add_row(Text.assemble(known.name, "\n", (about, "dim")), "predictor")
    stdout.print(rows)
    say(f"your tables are in {tables_folder()}; make one with 'hwnas profile'")
    say("predictors are of cards that others measured; nothing of them was measured by hwnas")


@command.command("show")
@click.argument("table_name", metavar="FILE")
@json_option
def show(table_name: str, as_json: bool) -> None:
    """Show one table: every workload, its latency and how well it is known.

    Of a predictor that ships, what it was made of and how far it is off.

    \b
    Examples:
      hwnas tables show my.json
      hwnas tables show v100-tensorrt-fp16
    """
    known = shipped_predictor(table_name)
    if known is not None:
        show_shipped(known, as_json)
        return
    table = measured_table(table_name)
    if as_json:
        click.echo(table.to_json(), nl=False)
        return
    say(f"{table.target}; space {table.space.name} {table.space.arguments}")
    rows = Table("ms", "+-", "80 % of the runs", "runs", "workload or network", box=box.SIMPLE)
    sections = [table.workloads, table.networks]
    if table.kernels is not None:
        wholes = table.kernels.networks.items()
        sections += [table.kernels.entries, {name: net.measurement for name, net in wholes}]
        say(f"{len(table.kernels.entries)} kernels alone, and {len(wholes)} networks of such")
    for entries in sections:
        for key, entry in entries.items():
            rows.add_row(
                f"{entry.latency_ms:.4f}",
                f"{entry.relative_error:.1%}",
                f"{entry.p10_ms:.4f} to {entry.p90_ms:.4f}",
                str(entry.runs),
                key,
            )
        rows.add_section()
    for key, estimate in table.estimates.items():
        factor = math.exp(_SURE * estimate.spread)
        low, high = estimate.latency_ms / factor, estimate.latency_ms * factor
        rows.add_row(
            f"{estimate.latency_ms:.4f}",
            f"{estimate.spread:.1%}",
            f"{low:.4f} to {high:.4f}",
            "estimated",
            key,
        )
    stdout.print(rows)


@command.command("fill")
@click.argument("table_name", metavar="FILE")
@table_space_options
@click.option(
    "--out",
    type=file_type(),
    required=True,
    metavar="FILE",
    help="Where to write the filled table.",
)
@json_option
def fill(table_name: str, space: str | None, out: Path, as_json: bool, **sizes: Any) -> None:
    """Estimate what a space needs and a table has not measured, from what it has.

    Estimates are marked, and widen the intervals of what is predicted with them.

    \b
    Example:
      hwnas tables fill my.json --input-size 192 --out my-192.json
    """
    from hwnas.search.deployed_space import deployed_space, origin_of

    table = measured_table(table_name)
    wanted = deployed_space(space, SpaceOptions(**sizes), origin_of(table, None), None)
    with progress_bars() as progress:
        result = filled(table, wanted, progress)
    result.save(out)
    if as_json:
        print_json(
            {
                "table": str(out),
                "measured": len(result.workloads),
                "estimated": len(result.estimates),
            }
        )
        return
    say(f"{out}: {len(result.workloads)} measured, {len(result.estimates)} estimated")
