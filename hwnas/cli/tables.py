"""``hwnas tables``."""

import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from rich import box
from rich.table import Column, Table
from rich.text import Text

from hwnas.cli.options import space_options
from hwnas.cli.output import json_option, print_json, say, show_progress, stdout
from hwnas.cli.resources import filled, make_space, resolved, runtime_of_table
from hwnas.cli.tables_report import command as report
from hwnas.latency_tables import (
    LatencyTable,
    agreement,
    all_tables,
    check_table,
    drift_tolerance,
    tables_folder,
)

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


command.add_command(report)


@command.command("list")
@json_option
def list_tables(as_json: bool) -> None:
    """List your tables and those that ship.

    \b
    Example:
      hwnas tables list --json
    """
    found = list(all_tables())
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
    stdout.print(rows)
    say(f"your tables are in {tables_folder()}; make one with 'hwnas profile'")


@command.command("show")
@click.argument("table_name", metavar="FILE")
@json_option
def show(table_name: str, as_json: bool) -> None:
    """Show one table: every workload, its latency and how well it is known.

    \b
    Example:
      hwnas tables show my.json
    """
    table = LatencyTable.load(resolved(table_name))
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
@space_options
@click.option(
    "--classes", type=click.IntRange(min=1), metavar="N", help="Outputs of the classifier."
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    metavar="FILE",
    help="Where to write the filled table.",
)
@json_option
def fill(table_name: str, space_name: str, out: Path, as_json: bool, **sizes: Any) -> None:
    """Estimate what a space needs and a table has not measured, from what it has.

    Estimates are marked, and widen the intervals of what is predicted with them.

    \b
    Example:
      hwnas tables fill my.json --input-size 192 --out my-192.json
    """
    table = LatencyTable.load(resolved(table_name))
    space = make_space(space_name, **sizes)  # whatever flags a space takes
    result = filled(table, space)
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


@command.command("check")
@click.argument("table_name", metavar="FILE")
@click.option(
    "--device",
    metavar="DEVICE",
    help="Measure some entries again there: cpu, ssh://user@host[:port], adb[:serial].",
)
@click.option(
    "--entries",
    type=click.IntRange(min=3),
    default=12,
    show_default=True,
    metavar="N",
    help="How many to measure again.",
)
@click.option(
    "--python",
    default="python3",
    show_default=True,
    metavar="PATH",
    help="The Python over there (ssh, adb).",
)
@json_option
def check(table_name: str, device: str | None, entries: int, python: str, as_json: bool) -> None:
    """Validate a table and list suspicious entries; exit status 1 if there are any.

    With --device, measure a handful of its entries again and say whether the table still holds,
    with a probability; exit status 1 unless it does.

    \b
    Examples:
      hwnas tables check my.json
      hwnas tables check my.json --device ssh://me@board
    """
    table = LatencyTable.load(resolved(table_name))
    if device is not None:
        _check_again(table, device, entries, python, as_json)
        return
    findings = check_table(table)
    if as_json:
        print_json({"valid": True, "findings": [asdict(finding) for finding in findings]})
    else:
        for finding in findings:
            stdout.print(f"{finding.entry}: {finding.problem}", soft_wrap=True)
        say(f"a valid table; {len(findings)} of its entries are marked")
    if findings:
        raise click.exceptions.Exit(1)


def _check_again(
    table: LatencyTable, device: str, entries: int, python: str, as_json: bool
) -> None:
    from hwnas import spaces
    from hwnas.cli.devices import chosen_runtime
    from hwnas.cli.resources import profile_plan
    from hwnas.profilers.profile import remeasure

    _, _, cores = table.target.device.partition(", cores ")
    provider = "xnnpack" if table.target.runtime.endswith("+xnnpack") else "cpu"
    name = runtime_of_table(table.target, device)
    runtime = chosen_runtime(device, table.target.threads, cores or "any", provider, python, name)
    target = runtime.target(table.target.precision, table.target.batch)
    differences = table.target.differences(target)
    for difference in differences:
        say(f"the table has another {difference}")
    origin = spaces.space(table.space.name, **table.space.arguments)
    with show_progress() as progress:
        pairs = remeasure(
            table, origin, runtime, entries, plan=profile_plan(0.0), progress=progress
        )
    found = agreement(
        [old.latency_ms for old, _ in pairs.values()],
        [now.latency_ms for _, now in pairs.values()],
        drift_tolerance(table),
    )
    if as_json:
        print_json(
            {
                **asdict(found),
                "verdict": found.verdict,
                "differences": differences,
                "entries": {
                    name: {"table_ms": old.latency_ms, "now_ms": now.latency_ms}
                    for name, (old, now) in pairs.items()
                },
            }
        )
    else:
        for name, (old, now) in pairs.items():
            ratio = now.latency_ms / old.latency_ms - 1
            stdout.print(
                f"{old.latency_ms:9.4f} ms, now {now.latency_ms:9.4f} ms ({ratio:+.1%})  {name}",
                soft_wrap=True,
            )
        stdout.print(
            f"{found.verdict}: an entry is still within {found.tolerance:.0%} with probability "
            f"{found.probability:.0%} (shift {found.shift:+.1%}, spread {found.spread:.1%}), "
            f"apart from the shift that all share with probability {found.shape_probability:.0%}",
            soft_wrap=True,
        )
    if found.verdict != "holds":
        raise click.exceptions.Exit(1)
