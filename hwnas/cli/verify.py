"""``hwnas verify``."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import numpy as np
from rich import box
from rich.table import Column, Table
from rich.text import Text

from hwnas import spaces
from hwnas.cli.numbers import Whole
from hwnas.cli.options import measured_seconds_option, seed_option
from hwnas.cli.output import json_option, print_json, progress_bars, say, stdout
from hwnas.cli.paths import file_type, folder_type
from hwnas.cli.resources import know_space
from hwnas.costs import Budget, parse_budget
from hwnas.devices import measure_runs, precision_for
from hwnas.devices.target import runtime_of_table
from hwnas.errors import BudgetError, CheckpointError, HwnasError, OptionError, UnknownNameError
from hwnas.files import write_atomically
from hwnas.latency_tables import Target
from hwnas.profilers import Runtime, runtime
from hwnas.search.runs.network import read_network, read_result, target_of
from hwnas.search.runs.run import NETWORK, RESULT
from hwnas.search.runs.schema import ANOTHER, parse_of_file
from hwnas.spaces import SearchSpace

__all__ = ["command"]


@click.command("verify")
@click.argument("folder", type=folder_type(), metavar="RUN")
@click.option(
    "--space",
    "space_text",
    metavar="FILE.py:NAME",
    help="The own space of a search that had one: no run says where to import it from.",
)
@click.option(
    "--device",
    metavar="cpu|gpu",
    help="What to measure on  [default: the table's; cpu for a run without one]",
)
@click.option(
    "--threads",
    type=Whole(min=1, most=65_536),
    metavar="N",
    help="Threads inside an operator, on a CPU  [default: the table's; 1 for a run without one]",
)
@click.option(
    "--runtime",
    "runtime_name",
    metavar="NAME",
    help="Another runtime than the table's: on a GPU tensorrt, torch or onnxruntime; FILE.py:NAME.",
)
@click.option(
    "--network",
    type=file_type(),
    metavar="FILE.onnx",
    help="Measure this file of the found network in place of best.onnx, such as one that "
    "'hwnas train --full' wrote.",
)
@measured_seconds_option
@seed_option("Of the order of the runs.")
@click.option("--explain", is_flag=True, help="Also print the time of each layer.")
@json_option
def command(
    folder: Path,
    space_text: str | None,
    device: str | None,
    threads: int | None,
    runtime_name: str | None,
    network: Path | None,
    seconds: float,
    seed: int,
    explain: bool,
    as_json: bool,
) -> None:
    """Measure the network that a search found, on this machine; exit status 1 if it is too slow.

    For a search that used a table of another machine: copy the folder of the run to that machine.
    The answer is also written to verified.json in the folder, but for one of --network.

    \b
    Example:
      hwnas verify runs/spos-proxyless-latency6ms-s0-919aea
    """
    result = read_result(folder)
    know_space(space_text, str(result["space"]))
    space, limits = _space(result, folder / RESULT), _limits(result, folder / RESULT)
    model = read_network(folder, result, network)
    if network is None and result["digest"] is None:
        say(
            f"{folder} is of a version that kept no digest of {NETWORK}: whether it is the network "
            "that was found was not checked but for the architecture that it names"
        )
    known = target_of(folder, result)
    here = _runtime(known, device, threads, runtime_name)
    precision, batch = (
        (precision_for(space, None), 1) if known is None else (known.precision, known.batch)
    )
    found = here.target(precision, batch)
    differences = [] if known is None else found.differences(known)
    if known is None:
        say(f"the run holds no latency table that says its target: measured on {found}")
    if differences:
        say(
            f"({'; '.join(differences)}): the budget is checked here all the same",
            warning="this is not what the table was measured on",
        )
    with progress_bars() as progress:
        taken, runs_ms = measure_runs(
            model, space, here, found, seconds=seconds, seed=seed, progress=progress
        )
    kept = _kept(limits, taken.latency_ms, runs_ms)
    answer: dict[str, Any] = {
        "architecture": result["architecture"],
        "target": asdict(found),
        "differences": differences,
        "predicted_ms": result["predicted_ms"],
        "measured": asdict(taken),
        "measured_ms": taken.latency_ms,
        "limit_ms": next((b.limit for b in limits if b.percentile is None), None),
        "clock_ms": {f"p{at}": float(np.percentile(runs_ms, at)) for at in (50, 90, 99)},
        "budgets": kept,
        "holds": all(kept.values()),
    }
    if explain:
        layers = getattr(here, "explain", None)
        if layers is None:
            say("this runtime does not tell what layers take; others that ship do, but torch's")
        else:
            answer["layers"] = [asdict(layer) for layer in layers(model)]
    if as_json:
        print_json(answer)
    else:
        _print(answer)
    if network is None:
        _keep(answer, folder / "verified.json")
    if not answer["holds"]:
        raise click.exceptions.Exit(1)


def _keep(answer: dict[str, Any], path: Path) -> None:
    """Write the answer, which is printed by now, where that is possible."""
    try:
        write_atomically(path, (json.dumps(answer, indent=2) + "\n").encode())
    except OSError as error:
        say(f"({error.strerror or error})", warning=f"{path} could not be written")


def _space(result: dict[str, Any], path: Path) -> SearchSpace:
    """The deployed space of a run, which has the architecture that was found."""
    try:
        space = spaces.remake(result["space"], result["deployed"])
    except UnknownNameError as error:
        raise OptionError(
            f"{error}; a run of an own space needs --space FILE.py:NAME again"
        ) from None
    except HwnasError as error:
        raise CheckpointError(f"{path}: deployed: {error}: {ANOTHER}") from None
    parse_of_file(space, result["architecture"], path, ANOTHER)
    return space


def _limits(result: dict[str, Any], path: Path) -> list[Budget]:
    """The latency budgets of a run."""
    try:
        budgets = [parse_budget(text) for text in result["budget"]]
    except BudgetError as error:
        raise CheckpointError(f"{path}: budget: {error}: {ANOTHER}") from None
    return [budget for budget in budgets if budget.quantity == "latency"]


def _kept(limits: Sequence[Budget], steady_ms: float, runs_ms: Sequence[float]) -> dict[str, bool]:
    """Budget -> whether it is kept: by the steady latency, or by a percentile of the runs."""
    return {
        str(b): b.limit
        >= (steady_ms if b.percentile is None else float(np.percentile(runs_ms, b.percentile)))
        for b in limits
    }


def _runtime(
    target: Target | None, device: str | None, threads: int | None, name: str | None
) -> Runtime:
    """What the flags ask for, and for the rest the runtime of a target, or one CPU thread."""
    device = device or (target.kind if target else "cpu")
    threads = threads or (target.threads if target else 1)
    if name is None and target is not None:
        name = runtime_of_table(target, device)
    return runtime(device, threads, name)


def _print(answer: dict[str, Any]) -> None:
    error = answer["measured"]["relative_error"]
    predicted = answer["predicted_ms"]
    said = f"measured {answer['measured_ms']:.3f} ms +-{error:.1%}"
    if predicted is not None:
        said += f", prediction off by {predicted / answer['measured_ms'] - 1:+.1%}"
    stdout.print(said, soft_wrap=True)
    clock = answer["clock_ms"]
    stdout.print(
        f"by the clock: steady {answer['measured_ms']:.3f}, median {clock['p50']:.3f}, "
        f"p90 {clock['p90']:.3f}, p99 {clock['p99']:.3f} ms",
        soft_wrap=True,
    )
    for budget, kept in answer["budgets"].items():
        word = ("keeps", "green") if kept else ("breaks", "red")
        limit = budget.removeprefix("latency<=").replace("ms", " ms", 1)
        stdout.print(Text.assemble(word, f" its budget of {limit}"))
    if "layers" in answer:
        total = sum(layer["latency_ms"] for layer in answer["layers"])
        rows = Table(Column("ms", justify="right"), Column("share"), "layer", box=box.SIMPLE)
        for layer in sorted(answer["layers"], key=lambda layer: -layer["latency_ms"]):
            share = layer["latency_ms"] / total
            rows.add_row(f"{layer['latency_ms']:.4f}", f"{share:.1%}", layer["name"])
        stdout.print(rows)
