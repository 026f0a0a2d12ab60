"""``hwnas verify``."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from rich import box
from rich.table import Column, Table
from rich.text import Text

from hwnas.cli.options import seed_option
from hwnas.cli.output import json_option, print_json, say, show_progress, stdout
from hwnas.errors import CheckpointError
from hwnas.files import write_atomically

__all__ = ["command"]


@click.command("verify")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), metavar="RUN")
@click.option(
    "--runtime",
    "runtime_name",
    metavar="NAME",
    help="On a GPU, another runtime than the table's: tensorrt, torch or onnxruntime.",
)
@click.option(
    "--seconds",
    type=click.FloatRange(min=0),
    default=6.0,
    show_default=True,
    help="Measure for at least so long; slow spells of a machine last seconds.",
)
@seed_option("Of the order of the runs.")
@click.option("--explain", is_flag=True, help="Also what each layer takes (TensorRT).")
@json_option
def command(
    folder: Path,
    runtime_name: str | None,
    seconds: float,
    seed: int,
    explain: bool,
    as_json: bool,
) -> None:
    """Measure the network that a search found, on this machine; exit status 1 if it is too slow.

    For a search that used a table of another machine: copy the folder of the run to that machine.
    The answer is also written to verified.json in the folder.

    \b
    Example:
      hwnas verify runs/spos-proxyless-latency6ms-s0-919aea
    """
    from hwnas import spaces
    from hwnas.cli.resources import runtime_of_table
    from hwnas.costs import parse_budget
    from hwnas.latency_tables import LatencyTable
    from hwnas.profilers import Plan, measure_models, runtime

    result, model = _read(folder)
    target = LatencyTable.load(folder / "table.json").target
    space = spaces.space(result["space"], **result["deployed"])
    name = runtime_name or runtime_of_table(target, target.kind)
    here = runtime(target.kind, target.threads, name)
    differences = here.target(target.precision, target.batch).differences(target)
    if differences:
        say(
            f"({'; '.join(differences)}): the budget is checked here all the same",
            warning="this is not what the table was measured on",
        )
    with show_progress() as progress:
        taken = measure_models(
            {"best.onnx": model},
            space,
            here,
            precision=target.precision,
            batch=target.batch,
            plan=Plan(min_seconds=seconds),
            seed=seed,
            progress=progress,
        )["best.onnx"]
    limits = [parse_budget(text) for text in result["budget"]]
    limit_ms = next((b.limit for b in limits if b.quantity == "latency"), None)
    answer: dict[str, Any] = {
        "architecture": result["architecture"],
        "target": asdict(here.target(target.precision, target.batch)),
        "differences": differences,
        "predicted_ms": result["predicted_ms"],
        "measured": asdict(taken),
        "measured_ms": taken.latency_ms,
        "limit_ms": limit_ms,
        "holds": limit_ms is None or taken.latency_ms <= limit_ms,
    }
    if explain:
        layers = getattr(here, "explain", None)
        if layers is None:
            say("this runtime does not tell what layers take; TensorRT does")
        else:
            answer["layers"] = [asdict(layer) for layer in layers(model)]
    write_atomically(folder / "verified.json", (json.dumps(answer, indent=2) + "\n").encode())
    if as_json:
        print_json(answer)
    else:
        _print(answer)
    if not answer["holds"]:
        raise click.exceptions.Exit(1)


def _read(folder: Path) -> tuple[dict[str, Any], bytes]:
    """The result of a finished search, and its network."""
    path = folder / "result.json"
    try:
        model = (folder / "best.onnx").read_bytes()
        content = json.loads(path.read_text())
        missing = {"space", "deployed", "budget", "architecture", "predicted_ms"} - content.keys()
    except (OSError, ValueError, AttributeError) as error:
        raise CheckpointError(
            f"{folder} is not a finished search ({error}): give a folder that 'hwnas search' wrote"
        ) from None
    if missing:
        raise CheckpointError(f"{path} lacks {', '.join(sorted(missing))}: search again")
    return dict(content), model


def _print(answer: dict[str, Any]) -> None:
    error = answer["measured"]["relative_error"]
    off = answer["predicted_ms"] / answer["measured_ms"] - 1
    stdout.print(
        f"measured {answer['measured_ms']:.3f} ms +-{error:.1%}, prediction off by {off:+.1%}",
        soft_wrap=True,
    )
    if answer["limit_ms"] is not None:
        word = ("keeps", "green") if answer["holds"] else ("breaks", "red")
        stdout.print(Text.assemble(word, f" its budget of {answer['limit_ms']:g} ms"))
    if "layers" in answer:
        total = sum(layer["latency_ms"] for layer in answer["layers"])
        rows = Table(Column("ms", justify="right"), Column("share"), "layer", box=box.SIMPLE)
        for layer in sorted(answer["layers"], key=lambda layer: -layer["latency_ms"]):
            share = layer["latency_ms"] / total
            rows.add_row(f"{layer['latency_ms']:.4f}", f"{share:.1%}", layer["name"])
        stdout.print(rows)
