"""``hwnas rank``."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich import box
from rich.table import Table

from hwnas.cli.flags import RecordedCommand, settings_options, typed_options
from hwnas.cli.options import own_space_option, run_data_option, seed_option
from hwnas.cli.output import json_option, print_json, progress_bars, say, stdout
from hwnas.cli.paths import folder_type
from hwnas.cli.rank_report import print_table_ranking
from hwnas.cli.resources import know_space
from hwnas.data import Metric
from hwnas.documents import inside
from hwnas.errors import OptionError
from hwnas.search.options import StreamingOptions, TableOptions
from hwnas.search.retraining.settings import RankSettings
from hwnas.search.settings import fields_of, make, stored

if TYPE_CHECKING:
    from hwnas.search.runs.stored import StoredRun

__all__ = ["command"]

#: Architectures whose accuracies are looked up where no count is given.
_LOOKED_UP = 200


@click.command("rank", cls=RecordedCommand)
@click.argument("folder", type=folder_type(), metavar="RUN")
@own_space_option
@settings_options(RankSettings)
@settings_options(TableOptions)
@settings_options(StreamingOptions)
@run_data_option
@seed_option()
@click.option(
    "--out",
    type=folder_type(),
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

    With --accuracies they are looked up in place of training, --count of them at random (200), and
    beside the supernet stands what costs nothing: ranking by MACs and by parameters.

    \b
    Examples:
      hwnas rank runs/spos-proxyless-latency6ms-s0-919aea --count 20
      hwnas rank runs/spos-nasbench201-... --accuracies nb201.csv.gz:cifar10_test_200
    """
    from hwnas.data import with_data_workers
    from hwnas.search.limits import check_batch
    from hwnas.search.retraining.ranking import check_ranking
    from hwnas.search.runs.plots import lacks_picture
    from hwnas.search.runs.rank_schema import Rank
    from hwnas.search.runs.run import Run
    from hwnas.search.runs.schema import OWN
    from hwnas.search.runs.stored import StoredRun, stored_space
    from hwnas.search.torchrun import refuse_several

    refuse_several("hwnas rank")
    settings = make(RankSettings, {f.name: flags[f.name] for f in fields_of(RankSettings)}, "rank")
    looked_up = make(TableOptions, {f.name: flags[f.name] for f in fields_of(TableOptions)}, "rank")
    know_space(space, stored_space(folder))
    source = StoredRun.open(folder, data_spec)
    source.supernet()  # is it there, and finished?
    if looked_up.accuracies is not None:
        ranked, out = _by_table(source, looked_up, settings.count, seed, out)
        print_json(ranked) if as_json else print_table_ranking(ranked, out)
        return
    _refuse_tables()
    out = out or inside(folder, "rank", advice=OWN)
    data = with_data_workers(source.data(), flags["data_workers"])
    check_batch(settings, data)
    run = Run(out, {**stored(settings), "seed": seed, **source.identity(out)})
    kept = run.read_json("rank.json", Rank)
    if kept is None or lacks_picture(run, kept):
        with progress_bars() as progress:
            result = check_ranking(run, source, data, settings, seed=seed, progress=progress)
    else:
        result = kept
        say(f"this check is finished; {out} holds its result")
    if as_json:
        print_json(result)
    else:
        _print_summary(result, out)


def _by_table(
    source: "StoredRun", looked_up: TableOptions, count: int, seed: int, out: Path | None
) -> tuple[dict[str, Any], Path]:
    """The ranking against a table, and its folder."""
    from hwnas.search.looked_up import read
    from hwnas.search.retraining.table_ranking import rank_by_table
    from hwnas.search.runs.plots import lacks_picture
    from hwnas.search.runs.rank_schema import TableRank
    from hwnas.search.runs.run import Run
    from hwnas.search.runs.schema import OWN

    typed = typed_options()
    for name in ("steps", "batch_size", "base_lr", "ema"):
        if name in typed:
            raise OptionError(f"{typed[name]} is of training, and accuracies are looked up")
    count = count if "count" in typed else _LOOKED_UP
    tables = read(source.deployed, looked_up.accuracies, looked_up.latencies, looked_up.missing)
    data = source.data()
    out = out or inside(source.folder, "rank-table", advice=OWN)
    known = {k: t.table.digest for k, t in vars(tables).items() if t is not None}
    config = {"count": count, "seed": seed, "tables": known, **source.identity(out)}
    run = Run(out, config)
    result = run.read_json("rank.json", TableRank)
    if result is not None and not lacks_picture(run, result):
        say(f"this check is finished; {out} holds its result")
        return result, out
    with progress_bars() as progress:
        return rank_by_table(run, source, data, tables, count, seed=seed, progress=progress), out


def _refuse_tables() -> None:
    """Raise `OptionError` for a flag that says nothing without --accuracies."""
    typed = typed_options()
    for name in ("latencies", "missing"):
        if name in typed:
            raise OptionError(f"{typed[name]} goes together with --accuracies alone")


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
    worst, best = (Metric.of(result).text(end(alone)) for end in (min, max))
    stdout.print(
        f"{result['count']} architectures, {worst} to {best} on the test images "
        f"when trained alone for {result['steps']} steps; {result['seconds']:.0f} seconds; "
        f"files in {out}: {', '.join([*result['files'].values(), 'rank.json'])}"
    )
