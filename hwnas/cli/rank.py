"""``hwnas rank``."""

from pathlib import Path
from typing import Any

import click
from rich import box
from rich.table import Table

from hwnas.cli.options import seed_option
from hwnas.cli.output import json_option, print_json, say, show_progress, stdout

__all__ = ["command"]


@click.command("rank")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), metavar="RUN")
@click.option(
    "--count",
    type=click.IntRange(min=3),
    default=20,
    show_default=True,
    help="Architectures to train alone.",
)
@click.option(
    "--steps",
    type=click.IntRange(min=1),
    default=400,
    show_default=True,
    help="Training steps of each.",
)
@click.option(
    "--train-batch",
    "batch",
    type=click.IntRange(min=2),
    default=128,
    show_default=True,
    help="Images a step.",
)
@click.option(
    "--learning-rate",
    "base_rate",
    type=click.FloatRange(min=0, min_open=True),
    help="[default: the paper's, 0.5 at 1,024 images]",
)
@click.option(
    "--ema",
    type=click.FloatRange(0, 1, max_open=True),
    default=0.98,
    show_default=True,
    help="Test a running average of the weights, which is less noisy.",
)
@click.option(
    "--data", "data_spec", metavar="SPEC", help="Where the data are  [default: as in the search]"
)
@seed_option()
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Folder; the same command goes on there  [default: RUN/rank]",
)
@json_option
def command(
    folder: Path, data_spec: str | None, out: Path | None, as_json: bool, **settings: Any
) -> None:
    """Check how well a supernet ranks architectures: some are trained alone and compared.

    \b
    Example:
      hwnas rank runs/spos-proxyless-latency6ms-s0-919aea --count 20
    """
    from hwnas.search.ranking import check_ranking
    from hwnas.search.run import Run
    from hwnas.search.stored import StoredRun

    source = StoredRun.open(folder)
    source.supernet()  # is it there, and finished?
    out = out or folder / "rank"
    data = source.data(data_spec)
    run = Run(out, {**settings, **source.identity(out)})
    result = run.read_json("rank.json")
    if result is None:
        with show_progress() as progress:
            result = check_ranking(run, source, data, progress=progress, **settings)
    else:
        say(f"this check is finished; {out} holds its result")
    if as_json:
        print_json(result)
    else:
        _print_summary(result, out)


def _print_summary(result: dict[str, Any], out: Path) -> None:
    rows = Table("agreement", "value", "95 % interval", box=box.SIMPLE)
    for name, found in result["agreement"].items():
        value, interval = found["value"], found["interval"]
        rows.add_row(
            name.replace("_", " "),
            "all level" if value is None else f"{value:.3f}",
            "" if interval is None else f"{interval[0]:.3f} to {interval[1]:.3f}",
        )
    stdout.print(rows)
    alone = [entry["alone_accuracy"] for entry in result["architectures"]]
    stdout.print(
        f"{result['count']} architectures, {min(alone):.1%} to {max(alone):.1%} on the test images "
        f"when trained alone for {result['steps']} steps; {result['seconds']:.0f} seconds; "
        f"files in {out}: rank.png, rank.json"
    )
