"""``hwnas train``."""

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
from rich import box
from rich.table import Column, Table
from rich.text import Text

from hwnas.cli.flags import settings_options
from hwnas.cli.options import own_space_option, run_data_option, seed_option
from hwnas.cli.output import json_option, print_json, progress_bars, say, stdout
from hwnas.cli.paths import folder_type
from hwnas.cli.resources import know_space
from hwnas.costs.written import millions
from hwnas.data import Metric
from hwnas.documents import inside
from hwnas.search.options import StreamingOptions
from hwnas.search.retraining.settings import RetrainSettings
from hwnas.search.settings import make, stored

__all__ = ["command"]

_MOST_CLASSES = 10


@click.command("train")
@click.argument("folder", type=folder_type(), metavar="RUN")
@click.option(
    "--architecture", metavar="TEXT", help="Train this one  [default: the one the search found]"
)
@click.option(
    "--full",
    is_flag=True,
    help="Train the deployed network at its own input size, not the proxy that was searched.",
)
@run_data_option
@own_space_option
@settings_options(RetrainSettings)
@settings_options(StreamingOptions)
@seed_option()
@click.option(
    "--out",
    type=folder_type(),
    metavar="DIR",
    help="Folder of the training; the same command goes on there  [default: below RUN]",
)
@click.option(
    "--tensorboard",
    "events",
    is_flag=True,
    help="Write what is logged for TensorBoard too, into the folder of the training.",
)
@json_option
def command(
    folder: Path,
    architecture: str | None,
    full: bool,
    data_spec: str | None,
    space: str | None,
    data_workers: int | None,
    seed: int,
    out: Path | None,
    events: bool,
    as_json: bool,
    **flags: Any,
) -> None:
    """Train the network that a search found, from scratch, and export it.

    Of a search for int8 or fp16, it is also exported in that precision, and tested so; int8 is
    calibrated on training images.

    \b
    Examples:
      hwnas train runs/spos-proxyless-latency6ms-s0-919aea
      hwnas train runs/... --full --steps 20000 --autocast bf16 --ema 0.999
      hwnas train runs/... --full --random-crop 0.08 --flip 0.5 --mixup 0.2 --plain-end 0.1
      torchrun --nproc-per-node 2 -m hwnas train runs/...
    """
    from hwnas.data import notes_of, task_of, with_data_workers
    from hwnas.search.job import written_digest
    from hwnas.search.limits import (
        check_augmentation,
        check_batch,
        check_fits,
        check_task_settings,
    )
    from hwnas.search.retraining.found import help_training, retrain_found
    from hwnas.search.retraining.retrain import check_regularisation
    from hwnas.search.runs.run import Run
    from hwnas.search.runs.schema import OWN
    from hwnas.search.runs.stored import StoredRun, stored_space
    from hwnas.search.runs.tensorboard import require_tensorboard, tensorboard
    from hwnas.search.runs.train_schema import Train
    from hwnas.search.torchrun import leads, world_size

    if events:
        require_tensorboard()
    settings = make(RetrainSettings, flags, "train")
    if settings.micro_batches == 1:
        settings = replace(settings, micro_batches=world_size())
    know_space(space, stored_space(folder))
    source = StoredRun.open(folder, data_spec)
    if leads() and not source.has_supernet:
        say(f"{source.home} holds no supernet: its accuracy is not compared with")
    arch = source.architecture(architecture)
    trained = source.deployed if full else source.proxy
    text = trained.format(arch)
    kind = "full" if full else "proxy"
    name = f"train-{kind}-{hashlib.sha256(text.encode()).hexdigest()[:6]}"
    out = out or inside(folder, name, advice=OWN)
    data = source.data(full=full, written=written_digest(out))
    data = with_data_workers(data, data_workers)
    check_batch(settings, data)
    check_task_settings(settings, data)
    check_fits(trained, trained, settings)
    check_regularisation(trained, arch, settings)
    check_augmentation(settings, data)
    if not leads():
        if not (out / "train.json").exists():  # else the leader only reads it
            help_training(trained, arch, data, settings, seed=seed)
        return
    for note in notes_of(data):
        say(note)
    config = {
        **stored(settings),
        "seed": seed,
        "architecture": text,
        "network": kind,
        "space": trained.name,
        "arguments": dict(trained.arguments),
        "data_digest": data.digest,
        **task_of(data).facts,
    }
    run = Run(out, config)
    with tensorboard(run, events):
        report = run.read_json("train.json", Train)
        if report is None:
            with progress_bars() as progress:
                report = retrain_found(
                    run, source, trained, arch, data, settings, seed=seed, progress=progress
                )
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
        f"{report['network']}, {millions(report['macs'])} MACs, "
        f"{millions(report['params'], 2)} params",
    )
    shared, metric = report["supernet_accuracy"], Metric.of(report)
    for part in ("validation", "test"):
        alone = report["accuracy"][part]
        row = Text.assemble((metric.text(alone, 2), "bold"), " trained alone")
        if shared is not None:
            row.append(f", {metric.text(shared[part], 2)} with the supernet's weights")
            if metric.is_accuracy:
                row.append(f" ({alone - shared[part]:+.2%})")
        rows.add_row(Text(f"{part} {metric.name}"), row)
    export = report["export"]
    rows.add_row(
        "export",
        f"{out / report['files']['network']}: {metric.text(export['accuracy'], 2)} on "
        f"{export['images']} test images, torch {metric.text(export['torch_accuracy'], 2)}, equal "
        f"answers {export['same_answers']:.2%}",
    )
    if (made := report["in_precision"]) is not None:
        rows.add_row(
            made["precision"],
            f"{out / made['file']}: {metric.text(made['accuracy'], 2)} on {made['images']} test "
            f"images, {metric.text(export['accuracy'], 2)} in fp32",
        )
    rows.add_row("seconds", f"{report['seconds']:.0f}")
    stdout.print(rows)
    _print_worst_classes(report["accuracy_by_class"])


def _print_worst_classes(classes: list[dict[str, Any]]) -> None:
    """The classes that are told worst; a report of an earlier version has none."""
    known = [entry for entry in classes if entry["accuracy"] is not None]
    if not known:
        return
    worst = sorted(known, key=lambda entry: entry["accuracy"])[:_MOST_CLASSES]
    which = f"worst of {len(known)} classes" if len(known) > len(worst) else "class"
    rows = Table(which, "test images", "accuracy", box=box.SIMPLE)
    for entry in worst:
        rows.add_row(Text(entry["name"]), f"{entry['images']}", f"{entry['accuracy']:.2%}")
    stdout.print(rows)
