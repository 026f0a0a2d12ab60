"""``hwnas measure``."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from hwnas.cli.measure_report import described, print_report
from hwnas.cli.numbers import Whole
from hwnas.cli.options import measured_seconds_option, seed_option, shape_option, shapes_of
from hwnas.cli.output import json_option, print_json, progress_bars, say
from hwnas.cli.paths import file_type, folder_type
from hwnas.errors import PictureError

__all__ = ["command"]


def _each(one: Any) -> Callable[[click.Context, click.Parameter, str | None], Any]:
    """What reads values between commas, each once and by its own type."""

    def read(ctx: click.Context, param: click.Parameter, value: str | None) -> Any:
        if value is None:
            return None
        parts = [part.strip() for part in value.split(",")]
        return tuple(dict.fromkeys(one.convert(part, param, ctx) for part in parts))

    return read


_NUMBERS = _each(Whole(min=1, most=65_536))


@click.command("measure")
@click.argument("models", nargs=-1, required=True, metavar="MODEL.onnx...")
@click.option(
    "--device",
    default="cpu",
    show_default=True,
    metavar="DEVICE",
    help="cpu, gpu, ssh://user@host[:port], adb[:serial].",
)
@click.option(
    "--runtime",
    metavar="NAME",
    help="On a CPU onnxruntime, openvino or torch-compile; on a GPU tensorrt, torch or "
    "onnxruntime; your own as FILE.py:NAME  [default: the best]",
)
@click.option(
    "--threads",
    callback=_NUMBERS,
    default="1",
    show_default=True,
    metavar="N[,N]",
    help="Threads inside an operator, on a CPU.",
)
@click.option(
    "--batch",
    callback=_NUMBERS,
    metavar="N[,N]",
    help="First size of inputs that leave it open  [default: 1]",
)
@click.option(
    "--precision",
    callback=_each(click.Choice(["fp32", "fp16", "int8"])),
    metavar="fp32,int8",
    help="Quantise fp32 models to int8, or convert them to fp16, and measure each  [default: as "
    "each model is]",
)
@click.option(
    "--data",
    metavar="SPEC",
    help="digits, cifar10:DIR, imagefolder:DIR, ...: its training images calibrate int8, its test "
    "images say the accuracy.",
)
@click.option(
    "--calibration",
    type=file_type(),
    metavar="FILE.npz",
    help="Calibrate int8 with arrays named as the inputs, (n, ...)  [default: those of --data, "
    "else random numbers]",
)
@click.option(
    "--save",
    type=folder_type(),
    metavar="DIR",
    help="Keep the models that were quantised or converted here.",
)
@shape_option
@measured_seconds_option
@seed_option("Of the order of the runs.")
@click.option("--cores", metavar="any|big|little|0,2-3", help="Cores to run on (ssh, adb).")
@click.option("--provider", type=click.Choice(["cpu", "xnnpack"]), help="Kernels (ssh, adb).")
@click.option("--python", metavar="PATH", help="Python of the other machine (ssh, adb).")
@click.option(
    "--plot",
    type=file_type(),
    metavar="FILE.png",
    help="Draw the latencies into this file.",
)
@json_option
def command(
    models: tuple[str, ...], shapes: tuple[str, ...], plot: Path | None, as_json: bool, **flags: Any
) -> None:
    """Measure any ONNX model, on this machine or another; several are interleaved and compared.

    What cannot be measured is named, and leaves exit status 2; the others are measured.

    \b
    Examples:
      hwnas measure model.onnx
      hwnas measure a.onnx b.onnx --threads 1,2
      hwnas measure bert.onnx --shape input_ids=1x128 --shape attention_mask=1x128
      hwnas measure model.onnx --device ssh://me@board --batch 1,8
      hwnas measure model.onnx --precision fp32,int8 --data imagefolder:images
    """
    from hwnas.devices.any_model import MeasureOptions, report
    from hwnas.profilers import names_remote_device

    remote = {name: flags.pop(name) for name in ("cores", "provider", "python")}
    remote = {name: value for name, value in remote.items() if value is not None}
    if remote and not names_remote_device(flags["device"]):
        raise click.UsageError(f"--{next(iter(remote))} is for ssh:// and adb devices")
    options = MeasureOptions(shapes=shapes_of(shapes), remote=remote, **flags)
    with progress_bars() as progress:
        found = report(models, options, progress)
    if as_json:
        print_json(described(found))
    else:
        print_report(found)
    for label, why in found.refused.items():
        say(f"{label}: {why}", warning="not measured:")
    if plot is not None:
        _plot(found, plot)
    if found.refused:
        raise click.exceptions.Exit(2)


def _plot(found: Any, path: Path) -> None:
    from hwnas.cli.measure_plot import draw

    try:
        draw(found, path)
    except PictureError as error:
        say(str(error), warning="no picture:")
    else:
        say(f"drawn: {path}")
