"""``hwnas train``."""

import hashlib
from pathlib import Path
from typing import Any

import click
from rich.table import Column, Table
from rich.text import Text

from hwnas.cli.options import seed_option
from hwnas.cli.output import json_option, print_json, say, show_progress, stdout

__all__ = ["command"]


@click.command("train")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), metavar="RUN")
@click.option(
    "--architecture", metavar="TEXT", help="Train this one  [default: the one the search found]"
)
@click.option(
    "--full",
    is_flag=True,
    help="Train the deployed network at its own input size, not the proxy that was searched.",
)
@click.option(
    "--data", "data_spec", metavar="SPEC", help="Where the data are  [default: as in the search]"
)
@click.option("--steps", type=click.IntRange(min=1), default=1000, show_default=True)
@click.option(
    "--train-batch",
    "batch",
    type=click.IntRange(min=2),
    default=128,
    show_default=True,
    help="Images a step.",
)
@click.option("--optimizer", type=click.Choice(["sgd", "adam"]), default="sgd", show_default=True)
@click.option(
    "--learning-rate",
    "base_rate",
    type=click.FloatRange(min=0, min_open=True),
    help="At the first step; falls linearly to 0  [default: the paper's, 0.5 at 1,024 images]",
)
@click.option(
    "--label-smoothing", type=click.FloatRange(0, 1, max_open=True), default=0.1, show_default=True
)
@click.option(
    "--ema",
    type=click.FloatRange(0, 1, max_open=True),
    default=0.0,
    show_default=True,
    help="Keep a running average of the weights, such as 0.998, and take that.",
)
@click.option(
    "--autocast",
    type=click.Choice(["none", "bf16", "fp16"]),
    default="none",
    show_default=True,
    help="Convolutions in half precision, where the processor is faster at it.",
)
@seed_option()
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Folder of the training; the same command goes on there  [default: below RUN]",
)
@json_option
def command(
    folder: Path,
    architecture: str | None,
    full: bool,
    data_spec: str | None,
    out: Path | None,
    as_json: bool,
    **settings: Any,
) -> None:
    """Train the network that a search found, from scratch, and export it.

    \b
    Examples:
      hwnas train runs/spos-proxyless-latency6ms-s0-919aea
      hwnas train runs/... --full --steps 20000 --autocast bf16 --ema 0.999
    """
    from hwnas.data import ArrayDataset, load_data
    from hwnas.search.run import Run
    from hwnas.search.standalone import train_found
    from hwnas.search.stored import StoredRun

    source = StoredRun.open(folder)
    if not source.has_supernet:
        say(f"{source.home} holds no supernet: its accuracy is not compared with")
    arch = source.architecture(architecture)
    space = source.deployed if full else source.trained
    text = space.format(arch)
    kind = "full" if full else "proxy"
    out = out or folder / f"train-{kind}-{hashlib.sha256(text.encode()).hexdigest()[:6]}"
    data = source.data(data_spec)
    if full:
        spec = data_spec or str(source.config["data"])
        typed = data_spec is not None
        larger = load_data(spec, input_size=space.input_shape[1], seed=0, typed=typed)
        assert isinstance(larger, ArrayDataset)
        data = larger
    config = {
        **settings,
        "architecture": text,
        "network": kind,
        "space": space.name,
        "arguments": dict(space.arguments),
        "data_digest": data.digest,
    }
    run = Run(out, config)
    report = run.read_json("train.json")
    if report is None:
        with show_progress() as progress:
            report = train_found(run, source, space, arch, data, progress=progress, **settings)
    else:
        say(f"this training is finished; {out} holds its result")
    if as_json:
        print_json(report)
    else:
        _print_report(report, out)


def _print_report(report: dict[str, Any], out: Path) -> None:
    rows = Table(Column(), Column(overflow="fold"), show_header=False, box=None, pad_edge=False)
    rows.add_row("architecture", report["architecture"])
    rows.add_row(
        "network",
        f"{report['network']}, {report['macs'] / 1e6:.1f} M MACs, "
        f"{report['params'] / 1e6:.2f} M params",
    )
    shared = report["supernet_accuracy"]
    for part in ("validation", "test"):
        alone = report["accuracy"][part]
        row = Text.assemble((f"{alone:.2%}", "bold"), " trained alone")
        if shared is not None:
            row.append(f", {shared[part]:.2%} with the supernet's weights")
            row.append(f" ({alone - shared[part]:+.2%})")
        rows.add_row(f"{part} accuracy", row)
    export = report["export"]
    rows.add_row(
        "export",
        f"{out / report['files']['network']}: {export['accuracy']:.2%} on {export['images']} test "
        f"images, torch {export['torch_accuracy']:.2%}, equal answers {export['same_answers']:.2%}",
    )
    rows.add_row("seconds", f"{report['seconds']:.0f}")
    stdout.print(rows)
