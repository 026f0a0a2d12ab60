"""``hwnas profile``."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.table import Column, Table

from hwnas.cli.devices import (
    Profiled,
    chosen_runtime,
    far_options,
    is_far,
    profile_each,
    transfer_to_file,
)
from hwnas.cli.kits import bundle, collect_results
from hwnas.cli.options import measuring_options, seed_option, space_options, typed_options
from hwnas.cli.output import json_option, print_json, say, stdout
from hwnas.cli.resources import PROFILE_SECONDS, make_space, precision_for, profile_to_file
from hwnas.latency_tables import LatencyTable, check_table
from hwnas.progress import Progress

if TYPE_CHECKING:
    from hwnas.predictors import Calibration

__all__ = ["command", "described", "print_table"]


@click.group("profile", invoke_without_command=True)
@click.pass_context
@click.option(
    "--device",
    "devices",
    multiple=True,
    default=("cpu",),
    show_default="cpu",
    metavar="DEVICE",
    help="What to measure: cpu, gpu, ssh://user@host[:port], adb[:serial]. Given several times, "
    "all other machines are profiled at once.",
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
@seed_option()
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
@far_options
@json_option
def command(
    ctx: click.Context,
    devices: tuple[str, ...],
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
    cores: str,
    provider: str,
    python: str,
    samples: int | None,
    like: str | None,
    as_json: bool,
) -> None:
    """Measure every operator of a search space, and some whole networks, here or elsewhere.

    \b
    Examples:
      hwnas profile --device cpu --threads 1
      hwnas profile --device cpu --kernels 500 --out my.json
      hwnas predict --table my.json model.onnx
      hwnas profile --device gpu --runtime tensorrt --precision fp16 --batch 32
      hwnas profile --device ssh://me@board --cores big --threads 4
      hwnas profile --device adb --precision int8
      hwnas profile --device ssh://me@board --samples 10 --like similar.json
      hwnas profile bundle --out kit/       for a machine that no line leads to
    """
    given = list(typed_options().values())
    if ctx.invoked_subcommand is not None:
        if given:
            raise click.UsageError(
                f"{given[0]} stands before {ctx.invoked_subcommand}, which has options of its own: "
                "give them behind it"
            )
        return
    if (samples is None) != (like is None):
        raise click.UsageError("--samples N and --like TABLE belong together")
    for name in ("--kernels", "--estimate-from", "--seconds"):
        if samples is not None and name in given:
            raise click.UsageError(f"{name} does not go together with --samples")
    far = [device for device in devices if is_far(device)]
    if python != "python3" and not far:
        raise click.UsageError("--python is for ssh:// and adb devices")
    if far and (kernels or runtime_name):
        raise click.UsageError("--kernels and --runtime are for devices of this machine")
    if out is not None and len(devices) > 1:
        raise click.UsageError("--out names one table, and several devices make several")
    space = make_space(
        space_name,
        input_size=input_size,
        width_mult=width_mult,
        channels=channels,
        blocks=blocks,
        classes=classes,
    )
    kind = precision_for(space, precision)

    def one(device: str, progress: Progress | None) -> Profiled:
        chosen = chosen_runtime(
            device, 1 if threads is None else threads, cores, provider, python, runtime_name
        )
        images = batch or 1
        if samples is not None and like is not None:
            return transfer_to_file(
                space, chosen, kind, images, samples, like, out=out, seed=seed, progress=progress
            )
        least = 0.0 if device == "gpu" else PROFILE_SECONDS
        return profile_to_file(
            space,
            chosen,
            kind,
            images,
            out=out,
            seed=seed,
            seconds=least if seconds is None else seconds,
            kernels=kernels,
            n_workloads=estimate_from,
            progress=progress,
        )

    if len(devices) > 1:
        profile_each(devices, one, as_json)
        return
    path, table = one(devices[0], None)
    if as_json:
        print_json(described(path, table))
        return
    print_table(path, table)


command.add_command(bundle)
command.add_command(collect_results)


def described(path: Path, table: LatencyTable) -> dict[str, Any]:
    """A finished profile for ``--json``."""
    known = _calibration(table)
    return {
        "table": str(path),
        "target": asdict(table.target),
        "workloads": len(table.workloads),
        "estimates": len(table.estimates),
        "networks": len(table.networks),
        "kernels": 0 if table.kernels is None else len(table.kernels.entries),
        "seconds": table.provenance.seconds,
        "calibration": asdict(known) if known else None,
        "unmeasured": table.unmeasured,
        "findings": [asdict(finding) for finding in check_table(table)],
    }


def _calibration(table: LatencyTable) -> "Calibration | None":
    """What sums of the table's entries mean; None where some are lacking."""
    from hwnas.predictors import load_predictor

    return None if table.unmeasured else load_predictor(table).calibration


def print_table(path: Path, table: LatencyTable) -> None:
    """A finished profile for a person."""
    stdout.print(_summary(path, table))
    transfer = table.provenance.transfer
    if transfer is not None:
        stdout.print(
            f"transferred, not measured: the shape is that of {transfer.source}, fitted to "
            f"{transfer.networks} networks measured here; each left out in turn is off by "
            f"{transfer.residual:.1%} (standard deviation)"
        )
        return
    known = _calibration(table)
    if known is None:
        say(
            "and are not in the table, the first for this reason: "
            f"{next(iter(table.unmeasured.values()))}",
            warning=f"{len(table.unmeasured)} models could not be measured",
        )
    else:
        _say_calibration(known)
    conditions = table.provenance.conditions
    if conditions is not None and conditions.warning is not None:
        say("", warning=conditions.warning)
    findings = check_table(table)
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
        "workloads",
        f"{len(table.workloads)}, transferred"
        if table.provenance.transfer
        else f"{len(table.workloads)}, median known to {errors[len(errors) // 2]:.1%}",
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
