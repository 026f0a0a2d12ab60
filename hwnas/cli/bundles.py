"""``hwnas profile bundle`` and ``hwnas profile collect``: offline machines."""

import json
from pathlib import Path
from typing import Any

import click

from hwnas.cli.numbers import Whole, seconds_type
from hwnas.cli.options import seed_option, space_options
from hwnas.cli.output import json_option, print_json, say, stdout
from hwnas.cli.paths import file_type, folder_type
from hwnas.cli.profile_report import described, print_table
from hwnas.cli.resources import make_space
from hwnas.devices import (
    PROFILE_SECONDS,
    check_exportable,
    keep,
    precision_for,
    saved_already,
)
from hwnas.errors import OptionError
from hwnas.files import write_atomically
from hwnas.latency_tables import default_path
from hwnas.profilers import collect, space_bundle

__all__ = ["bundle", "collect_results"]


@click.command("bundle")
@space_options
@click.option("--batch", type=Whole(min=1, most=65_536), default=1, show_default=True, metavar="N")
@click.option(
    "--precision",
    type=click.Choice(["fp32", "int8"]),
    help="Precision of weights and activations  [default: fp32, for few-bit spaces int8]",
)
@click.option(
    "--out",
    type=folder_type(),
    required=True,
    metavar="FOLDER",
    help="Where to write the bundle; a folder that is empty, or not there yet.",
)
@seed_option()
@click.option(
    "--seconds",
    type=seconds_type(),
    default=PROFILE_SECONDS,
    show_default=True,
    help="Measure for at least this time.",
)
@json_option
def bundle(
    space: str,
    batch: int,
    precision: str | None,
    out: Path,
    seed: int,
    seconds: float,
    as_json: bool,
    **sizes: Any,
) -> None:
    """Write a folder to carry to another machine: models, a plan, and one script to run there.

    \b
    Example:
      hwnas profile bundle --space proxyless --out bundle/
      (there)  cd bundle && python agent.py --threads 4 --cores big
      (here)   hwnas profile collect results.json
    """
    from hwnas.devices.tables import profile_plan
    from hwnas.profilers.remote.bundle import agent_source

    if out.exists() and any(out.iterdir()):
        raise OptionError(f"{out} is not empty: name a folder that is empty, or not there yet")
    profiled = make_space(space, **sizes)  # whatever flags a space takes
    kind = precision_for(profiled, precision)
    check_exportable(profiled)
    plan = profile_plan(seconds)
    made = space_bundle(profiled, precision=kind, batch=batch, plan=plan, seed=seed)
    content = {**made.models, "agent.py": agent_source().encode()}
    content["plan.json"] = json.dumps(made.plan).encode()
    for name, data in content.items():
        write_atomically(out / name, data)
    size = sum(len(data) for data in content.values())
    there = sum(count * (1 if dtype == "int8" else 4) for dtype, count, _ in made.plan["weights"])
    if as_json:
        print_json(
            {
                "kit": str(out),
                "models": len(made.models),
                "bytes": size,
                "bytes_there": size + there,
                "space": profiled.name,
                "precision": kind,
                "batch": batch,
            }
        )
        return
    stdout.print(f"{len(made.models)} models, {size / 1e6:.1f} MB in {out}", soft_wrap=True)
    say(
        f"there (Python 3.9, numpy, onnxruntime): python agent.py; it makes {there / 1e6:.0f} MB "
        "of weights beside itself and writes results.json; here: hwnas profile collect results.json"
    )


@click.command("collect")
@click.argument("results", type=file_type(), metavar="RESULTS")
@click.option(
    "--out",
    type=file_type(),
    metavar="FILE",
    help="Where to keep the table  [default: among your tables]",
)
@json_option
def collect_results(results: Path, out: Path | None, as_json: bool) -> None:
    """Make the table of a results file that the agent of a bundle wrote.

    \b
    Example:
      hwnas profile collect results.json
    """
    table = collect(results)
    path = out or default_path(table.target, table.space)
    saved = saved_already(path, table)
    if saved is None:
        saved = keep(path, table)
    else:
        say(f"these results are in {path} already")
    if as_json:
        print_json(described(path, saved))
    else:
        print_table(path, saved)
