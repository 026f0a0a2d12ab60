"""``hwnas profile``."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.table import Column, Table

from hwnas.cli.options import measuring_options, space_options
from hwnas.cli.output import json_option, print_json, say, stdout
from hwnas.cli.resources import PROFILE_SECONDS, make_space, precision_for, profile_to_file
from hwnas.latency_tables import LatencyTable, check_table

if TYPE_CHECKING:
    from hwnas.predictors import Calibration

__all__ = ["command"]


@click.command("profile")
@click.option(
    "--device", default="cpu", show_default=True, metavar="cpu|gpu", help="What to measure."
)
@space_options
@click.option(
    "--classes", type=click.IntRange(min=1), metavar="N", help="Outputs of the classifier."
)
@measuring_options
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Where to keep the table  [default: among your tables]",
)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option(
    "--seconds",
    type=click.FloatRange(min=0),
    metavar="S",
    help="Measure for at least so long; slow spells of a machine last seconds  "
    f"[default: {PROFILE_SECONDS:g} on a CPU, as short as the tolerance allows on a GPU]",
)
@click.option(
    "--kernels",
    type=click.IntRange(min=0),
    default=0,
    metavar="N",
    help="Measure N kernels of random networks too, to predict any ONNX model; 500 do.",
)
@click.option(
    "--estimate-from",
    type=click.IntRange(min=10),
    metavar="N",
    help="Measure only N of the space's operators, and estimate the others from them.",
)
@json_option
def command(
    device: str,
    space_name: str,
    input_size: int | None,
    width_mult: float | None,
    channels: bool,
    blocks: str | None,
    classes: int | None,
    threads: int | None,
    batch: int | None,
    precision: str | None,
    runtime_name: str | None,
    out: Path | None,
    seed: int,
    seconds: float | None,
    kernels: int,
    estimate_from: int | None,
    as_json: bool,
) -> None:
    """Measure every operator of a search space, and some whole networks, on this machine.

    \b
    Examples:
      hwnas profile --device cpu --threads 1
      hwnas profile --device cpu --kernels 500 --out my.json
      hwnas predict --table my.json model.onnx
      hwnas profile --device gpu --runtime tensorrt --precision fp16 --batch 32
    """
    from hwnas.predictors import load_predictor
    from hwnas.profilers import runtime

    space = make_space(
        space_name,
        input_size=input_size,
        width_mult=width_mult,
        channels=channels,
        blocks=blocks,
        classes=classes,
    )
    kind = precision_for(space, precision)
    chosen = runtime(device, 1 if threads is None else threads, runtime_name)
    if seconds is None:
        seconds = 0.0 if device == "gpu" else PROFILE_SECONDS
    path, table = profile_to_file(
        space,
        chosen,
        kind,
        batch or 1,
        out=out,
        seed=seed,
        seconds=seconds,
        kernels=kernels,
        n_workloads=estimate_from,
    )
    known = None if table.unmeasured else load_predictor(table).calibration
    findings = check_table(table)
    if as_json:
        print_json(
            {
                "table": str(path),
                "target": asdict(table.target),
                "workloads": len(table.workloads),
                "estimates": len(table.estimates),
                "networks": len(table.networks),
                "kernels": 0 if table.kernels is None else len(table.kernels.entries),
                "seconds": table.provenance.seconds,
                "calibration": asdict(known) if known else None,
                "unmeasured": table.unmeasured,
                "findings": [asdict(finding) for finding in findings],
            }
        )
        return
    stdout.print(_summary(path, table))
    if known is None:
        say(
            f"[yellow]{len(table.unmeasured)} models could not be measured[/yellow] and are not in "
            f"the table, the first for this reason: {next(iter(table.unmeasured.values()))}"
        )
    else:
        _say_calibration(known)
    conditions = table.provenance.conditions
    if conditions is not None and conditions.warning is not None:
        say(f"[yellow]{conditions.warning}[/yellow]")
    if findings:
        say(f"{len(findings)} entries are marked: hwnas tables check {path}")


def _say_calibration(known: "Calibration") -> None:
    stdout.print(
        f"sums of entries x {known.scale:.3f} are off by {known.residual:.1%} (standard deviation, "
        f"each of {known.count} whole networks left out in turn)"
    )


def _summary(path: Path, table: LatencyTable) -> Table:
    seconds = table.provenance.seconds
    errors = sorted(m.relative_error for m in table.workloads.values())
    rows = Table(Column(), Column(overflow="fold"), show_header=False, box=None, pad_edge=False)
    rows.add_row("table", str(path))
    rows.add_row("target", str(table.target))
    rows.add_row(
        "workloads", f"{len(table.workloads)}, median known to {errors[len(errors) // 2]:.1%}"
    )
    if table.estimates:
        rows.add_row("estimated", f"{len(table.estimates)} other workloads, not measured")
    rows.add_row("networks", str(len(table.networks)))
    if table.kernels is not None:
        known = table.kernels
        rows.add_row("kernels", f"{len(known.entries)}, and {len(known.networks)} networks of such")
    conditions = table.provenance.conditions
    if conditions is not None:
        rows.add_row("driver", f"{conditions.driver}, CUDA {conditions.cuda}")
        repeated = f"{conditions.repeated} repeated since the card throttled"
        rows.add_row("windows", f"{conditions.windows}, {repeated}")
    rows.add_row("seconds", f"{seconds:.0f}")
    return rows
