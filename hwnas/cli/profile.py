"""``hwnas profile``."""

from dataclasses import fields
from typing import Any

import click

from hwnas.cli.bundles import bundle, collect_results
from hwnas.cli.devices import (
    Profiled,
    chosen_runtime,
    engine_named,
    from_table_given,
    profile_each,
    remote_options,
    source_table,
)
from hwnas.cli.numbers import Whole, seconds_type
from hwnas.cli.options import measuring_options, seed_option, space_options, typed_options
from hwnas.cli.output import json_option, print_json, progress_bars
from hwnas.cli.paths import file_type
from hwnas.cli.profile_report import described, print_table
from hwnas.cli.resources import make_space
from hwnas.devices import (
    PROFILE_SECONDS,
    RELOADED_SECONDS,
    ProfileJob,
    precision_for,
    profile_to_file,
    transfer_to_file,
)
from hwnas.devices.whole_networks import whole_table
from hwnas.errors import OptionError
from hwnas.profilers import names_remote_device
from hwnas.progress import Progress
from hwnas.search.options import SpaceOptions

__all__ = ["command"]


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
@measuring_options
@click.option(
    "--out",
    type=file_type(),
    metavar="FILE",
    help="Where to keep the table  [default: among your tables]",
)
@seed_option()
@click.option(
    "--seconds",
    type=seconds_type(),
    metavar="S",
    help="Measure for at least so long; slow spells of a machine last seconds  "
    f"[default: {PROFILE_SECONDS:g} on a CPU, {RELOADED_SECONDS:g} on this one through "
    "onnxruntime, as short as the tolerance allows on a GPU]",
)
@click.option(
    "--kernels",
    type=Whole(min=0, most=100_000),
    default=0,
    metavar="N",
    help="Measure N kernels of random networks too, to predict any ONNX model; 500 do.",
)
@click.option(
    "--estimate-from",
    type=Whole(min=10, most=1_000_000),
    metavar="N",
    help="Measure only N of the space's operators, and estimate the others from them.",
)
@remote_options
@json_option
def command(
    ctx: click.Context,
    devices: tuple[str, ...],
    space: str,
    samples: int | None,
    from_table: str | None,
    like: str | None,
    as_json: bool,
    **flags: Any,
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
      hwnas profile --device ssh://me@board --samples 10 --from-table similar.json
      hwnas profile --device gpu --samples 10 --from-table v100-tensorrt-fp16
      hwnas profile bundle --out bundle/       for an offline machine
    """
    given = list(typed_options().values())
    if ctx.invoked_subcommand is not None:
        if given:
            raise click.UsageError(
                f"{given[0]} stands before {ctx.invoked_subcommand}, which has options of its own: "
                "give them behind it"
            )
        return
    similar = from_table_given(from_table, like)
    if (samples is None) != (similar is None):
        raise click.UsageError("--samples N and --from-table TABLE belong together")
    for name in ("--kernels", "--estimate-from", "--seconds"):
        if samples is not None and name in given:
            raise click.UsageError(f"{name} does not go together with --samples")
    elsewhere = any(names_remote_device(device) for device in devices)
    if flags["python"] != "python3" and not elsewhere:
        raise click.UsageError("--python is for ssh:// and adb devices")
    if elsewhere and (flags["kernels"] or flags["runtime"]):
        raise click.UsageError("--kernels and --runtime are for devices of this machine")
    if flags["out"] is not None and len(devices) > 1:
        raise click.UsageError("--out names one table, and several devices make several")
    profiled = make_space(space, **{f.name: flags[f.name] for f in fields(SpaceOptions)})
    named = None if similar is None else engine_named(similar, flags["batch"])
    asked = flags["precision"] or (None if named is None else named.precision)
    precision = precision_for(profiled, asked)
    batch = flags["batch"] or (1 if named is None else named.batch)
    source = None if similar is None else source_table(similar, profiled, named)

    def one(device: str, progress: Progress) -> Profiled:
        threads = 1 if flags["threads"] is None else flags["threads"]
        there = {name: flags[name] for name in ("cores", "provider", "python")}
        chosen = chosen_runtime(device, threads, **there, name=flags["runtime"])
        least = 0.0 if device == "gpu" else None
        job = ProfileJob(
            precision=precision,
            batch=batch,
            seed=flags["seed"],
            seconds=least if flags["seconds"] is None else flags["seconds"],
            kernels=flags["kernels"],
            n_workloads=flags["estimate_from"],
            out=flags["out"],
        )
        if profiled.modules is not None:
            if samples is not None or job.kernels or job.n_workloads is not None:
                raise OptionError(
                    f"networks of {profiled.name} are measured whole: --samples, --kernels and "
                    "--estimate-from are of spaces with operators"
                )
            return whole_table(profiled, chosen, precision, job.batch, progress, out=job.out)
        if samples is not None and source is not None:
            return transfer_to_file(profiled, chosen, source, samples, job, progress)
        return profile_to_file(profiled, chosen, job, progress)

    if len(devices) > 1:
        profile_each(devices, one, as_json)
        return
    with progress_bars() as progress:
        path, table = one(devices[0], progress)
    if as_json:
        print_json(described(path, table))
        return
    print_table(path, table)


command.add_command(bundle)
command.add_command(collect_results)
