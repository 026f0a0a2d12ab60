"""``hwnas rank``."""

from pathlib import Path
from typing import Any

import click
from rich import box
from rich.table import Table

from hwnas.cli.flags import settings_options
from hwnas.cli.options import own_space_option, seed_option
from hwnas.cli.output import json_option, print_json, progress_bars, say, stdout
from hwnas.cli.resources import know_space
from hwnas.documents import inside
from hwnas.search.retraining.settings import RankSettings
from hwnas.search.settings import make, stored

__all__ = ["command"]


@click.command("rank")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), metavar="RUN")
@own_space_option
@settings_options(RankSettings)
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
    folder: Path,
    data_spec: str | None,
    space: str | None,
    seed: int,
    out: Path | None,
    as_json: bool,
    **flags: Any,
) -> None:
    """Check how well a supernet ranks architectures: some are trained alone and compared.

    \b
    Example:
      hwnas rank runs/spos-proxyless-latency6ms-s0-919aea --count 20
    """
    from hwnas.search.limits import check_batch
    from hwnas.search.retraining.ranking import check_ranking
    from hwnas.search.runs.plots import lacks_picture
    from hwnas.search.runs.run import Run
    from hwnas.search.runs.schema import OWN, Rank
    from hwnas.search.runs.stored import StoredRun, stored_space
    from hwnas.search.torchrun import refuse_several

    refuse_several("hwnas rank")
    settings = make(RankSettings, flags, "rank")
    know_space(space, stored_space(folder))
    source = StoredRun.open(folder, data_spec)
    source.supernet()  # is it there, and finished?
    out = out or inside(folder, "rank", advice=OWN)
    data = source.data()
    check_batch(settings, data)
    run = Run(out, {**stored(settings), "seed": seed, **source.identity(out)})
    result = run.read_json("rank.json", Rank)
    if result is None or lacks_picture(run, result):
        with progress_bars() as progress:
            result = check_ranking(run, source, data, settings, seed=seed, progress=progress)
    else:
        say(f"this check is finished; {out} holds its result")
    if as_json:
        print_json(result)
    else:
        _print_summary(result, out)


def _print_summary(result: dict[str, Any], out: Path) -> None:
    from hwnas.search.retraining.ranking import LEAST_FOR_INTERVAL

    few = result["count"] < LEAST_FOR_INTERVAL
    unknown = f"too few networks: {LEAST_FOR_INTERVAL} tell" if few else ""
    rows = Table("agreement", "value", "95 % interval", box=box.SIMPLE)
    for name, found in result["agreement"].items():
        value, interval = found["value"], found["interval"]
        rows.add_row(
            name.replace("_", " "),
            "all level" if value is None else f"{value:.3f}",
            unknown if interval is None or few else f"{interval[0]:.3f} to {interval[1]:.3f}",
        )
    stdout.print(rows)
    alone = [entry["alone_accuracy"] for entry in result["architectures"]]
    stdout.print(
        f"{result['count']} architectures, {min(alone):.1%} to {max(alone):.1%} on the test images "
        f"when trained alone for {result['steps']} steps; {result['seconds']:.0f} seconds; "
        f"files in {out}: {', '.join([*result['files'].values(), 'rank.json'])}"
    )
