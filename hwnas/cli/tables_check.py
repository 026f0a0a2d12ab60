"""``hwnas tables check``."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from hwnas.cli.numbers import Whole
from hwnas.cli.options import own_space_option, table_runtime_option
from hwnas.cli.output import json_option, print_json, progress_bars, say, stdout
from hwnas.cli.resources import asking_for_space, findings_in, know_space
from hwnas.cli.shipped import measured_table
from hwnas.latency_tables import (
    Finding,
    LatencyTable,
    Target,
    agreement,
    drift_tolerance,
    only_noise,
)

if TYPE_CHECKING:
    from hwnas.profilers import AnyRuntime

__all__ = ["command"]


@click.command("check")
@click.argument("table_name", metavar="FILE")
@click.option(
    "--device",
    metavar="DEVICE",
    help="Measure some entries again there: cpu, ssh://user@host[:port], adb[:serial].",
)
@table_runtime_option
@click.option(
    "--entries",
    type=Whole(min=3, most=100_000),
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
    help="Python of the other machine (ssh, adb).",
)
@own_space_option
@json_option
def command(
    table_name: str,
    device: str | None,
    runtime_name: str | None,
    entries: int,
    python: str,
    space: str | None,
    as_json: bool,
) -> None:
    """Validate a table and list suspicious entries; exit status 1 if they matter.

    A few loose or spread-out entries are the noise of any profile and leave exit status 0. More
    than a quarter of all entries, or anything else that is marked, leaves 1.

    With --device, measure a handful of its entries again and say whether the table still holds,
    with a probability; exit status 1 unless it does.

    \b
    Examples:
      hwnas tables check my.json
      hwnas tables check my.json --device ssh://me@board
    """
    know_space(space)
    table = measured_table(table_name)
    if device is not None:
        runtime = _runtime(table.target, device, python, runtime_name)
        _check_again(table, runtime, entries, as_json)
        return
    findings = findings_in(table)
    ordinary = only_noise(table, findings)
    if as_json:
        found = [asdict(finding) for finding in findings]
        print_json({"valid": True, "ordinary": ordinary, "findings": found})
    else:
        lines = [f"{finding.entry}: {finding.problem}" for finding in findings]
        if lines:
            stdout.print("\n".join(lines), soft_wrap=True)
        say(_verdict(findings, ordinary))
    if not ordinary:
        raise click.exceptions.Exit(1)


def _verdict(findings: Sequence[Finding], ordinary: bool) -> str:
    """How many entries are marked, and whether that is a reason to do anything."""
    marked = len({finding.entry for finding in findings})
    if not marked:
        return "a valid table; none of its entries is marked"
    entries = f"{marked} of its entries {'is' if marked == 1 else 'are'} marked"
    if len(findings) > marked:
        entries += f", for {len(findings)} reasons"
    if ordinary:
        return f"a valid table; {entries}, which is no more than the noise of any profile"
    return f"a valid table; {entries}: look at them before you rely on it"


def _runtime(target: Target, device: str, python: str, name: str | None) -> "AnyRuntime":
    """What measures a table's entries on a device, as it was measured."""
    from hwnas.cli.devices import chosen_runtime
    from hwnas.devices.target import runtime_of_table

    _, _, cores = target.device.partition(", cores ")
    provider = "xnnpack" if target.runtime.endswith("+xnnpack") else "cpu"
    name = name or runtime_of_table(target, device)
    return chosen_runtime(device, target.threads, cores or "any", provider, python, name)


def _check_again(table: LatencyTable, runtime: "AnyRuntime", entries: int, as_json: bool) -> None:
    from hwnas import spaces
    from hwnas.devices.tables import profile_plan
    from hwnas.profilers.supplement import remeasure

    target = runtime.target(table.target.precision, table.target.batch)
    differences = table.target.differences(target)
    for difference in differences:
        say(f"the table has another {difference}")
    with asking_for_space():
        origin = spaces.remake(table.space.name, table.space.arguments)
    with progress_bars() as progress:
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
