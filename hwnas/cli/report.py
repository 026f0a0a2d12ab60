"""``hwnas report``."""

from pathlib import Path

import click

from hwnas.cli.options import own_space_option
from hwnas.cli.output import json_option, print_json, say
from hwnas.cli.paths import file_type
from hwnas.cli.resources import know_space

__all__ = ["command"]


@click.command("report")
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option(
    "--out",
    type=file_type(),
    default="report.html",
    show_default=True,
    metavar="FILE.html",
    help="The page.",
)
@click.option(
    "--table",
    metavar="FILE",
    help="Latency table or predictor of runs whose folder holds no table, as 'hwnas search' takes "
    "it.",
)
@click.option(
    "--latencies",
    metavar="FILE.csv[.gz]:COLUMN",
    help="Latencies of runs of a tabular benchmark, as 'hwnas search' takes them.",
)
@click.option(
    "--accuracies",
    metavar="FILE.csv[.gz]:COLUMN",
    help="The file beside --latencies, where that does not name its architectures.",
)
@own_space_option
@json_option
def command(
    paths: tuple[str, ...],
    out: Path,
    table: str | None,
    latencies: str | None,
    accuracies: str | None,
    space: str | None,
    as_json: bool,
) -> None:
    """Write one HTML page that explains runs, latency tables and measurements.

    PATH is the folder of a run of 'hwnas search', 'train' or 'rank', a latency table or its name,
    or a file with what 'hwnas measure --json' printed; several of one space are shown beside each
    other. The page holds all that it needs: it opens from the disk, offline.

    \b
    Examples:
      hwnas report runs/spos-proxyless-latency6ms-s0-919aea
      hwnas report runs/a runs/b my_table.json --out compared.html
    """
    from hwnas.report import Latencies, write_report

    know_space(space)
    written = write_report(paths, out, Latencies(table, latencies, accuracies))
    size = out.stat().st_size
    if as_json:
        sources = [{"name": name, "kind": kind} for name, kind in written]
        print_json({"file": str(out), "bytes": size, "sources": sources})
    else:
        say(f"written: {out}, {size / 1e3:.0f} kB; open it in a browser")
