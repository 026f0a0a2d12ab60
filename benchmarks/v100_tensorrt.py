"""Fit the times of convolutions on a V100 through TensorRT, from public measurements.

python benchmarks/v100_tensorrt.py CSV [--out FOLDER] [--precision P]... [--networks N] [--epochs N]
python benchmarks/v100_tensorrt.py CSV --beyond [--precision P]... [--networks N] [--epochs N]

CSV is v100_tensorrt_convolutions.csv.gz. Each precision is fitted twice: without a fifth of the
distinct shapes (with all their batches, and with and without a sum), which the errors are of; and
on everything, which is what ships. The table shows errors by kind, kernel, stride, batch and size.
--beyond fits nothing that ships: it leaves out more than shapes between others, and so tells what
to expect of maps, channels and batches that nobody measured.
"""

import argparse
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from hwnas.arrays import BoolArray
from hwnas.predictors.tensorrt.campaign import Campaign, read_campaign
from hwnas.predictors.tensorrt.features import RATES
from hwnas.predictors.tensorrt.fitting import (
    HeldOut,
    Recipe,
    fit_convolutions,
    held_out_groups,
    predict_left_out,
)

SHIPPED = Path(__file__).parents[1] / "hwnas" / "predictors" / "tensorrt"
SOURCE = "github.com/alibaba/lightweight-neural-architecture-search (Apache-2.0 licence)"
SIZES = (4, 8, 16, 32, 64, 128, 481)
CHANNELS = (3, 8, 32, 128, 512, 4097)


def parts(rows: Campaign) -> Iterator[tuple[str, BoolArray]]:
    """Names of parts of some rows, and which rows are in them."""
    depthwise = np.array([s.depthwise for s in rows.shapes])
    yield "all", np.ones(len(rows), bool)
    yield "regular", ~depthwise
    yield "depthwise", depthwise
    kernel = np.array([s.kernel[0] for s in rows.shapes])
    for side in np.unique(kernel):
        yield f"regular {side}x{side}", (kernel == side) & ~depthwise
    for side in np.unique(kernel):
        yield f"depthwise {side}x{side}", (kernel == side) & depthwise
    stride = np.array([s.stride[0] for s in rows.shapes])
    for step in np.unique(stride):
        yield f"stride {step}", stride == step
    yield "with a sum", np.array([s.fused_add for s in rows.shapes])
    for batch in np.unique(rows.batch):
        yield f"batch {batch}", rows.batch == batch
    size = np.array([s.height for s in rows.shapes])
    for low, high in pairwise(SIZES):
        yield f"size {low} to {high - 1}", (low <= size) & (size < high)
    channels = np.array([s.in_channels for s in rows.shapes])
    for low, high in pairwise(CHANNELS):
        yield f"input channels {low} to {high - 1}", (low <= channels) & (channels < high)


def beyond(rows: Campaign) -> Iterator[tuple[str, BoolArray]]:
    """What is left out as a whole: its name, and which rows are of it."""
    size = np.array([s.height for s in rows.shapes])
    yield "every fifth size of a map", np.isin(size, np.unique(size)[2:-1:5])
    pairs = [(s.groups, s.in_channels, s.out_channels) for s in rows.shapes]
    numbers = {pair: number for number, pair in enumerate(dict.fromkeys(pairs))}
    of_pair = np.array([numbers[pair] for pair in pairs])
    yield "a fifth of the pairs of channels", held_out_groups(of_pair, 0.2, 0)
    for batch in np.unique(rows.batch)[1:-1]:
        yield f"batch {batch}", rows.batch == batch


def print_beyond(campaign: Campaign, precision: str, recipe: Recipe) -> None:
    print(f"{precision:34s} {'times':>6s} {'mean':>7s} {'median':>7s} {'<=10 %':>7s}")
    for name, left_out in beyond(campaign):
        predicted = predict_left_out(campaign, precision, left_out, recipe)
        error = np.abs(predicted / campaign.ms[left_out] - 1)
        print(
            f"{name:34s} {len(error):6d} {error.mean():7.1%} {np.median(error):7.1%} "
            f"{np.mean(error <= 0.1):7.1%}",
            flush=True,
        )


def words(rows: Campaign, held_out: HeldOut) -> str:
    """The errors in one line."""
    error = np.abs(held_out.predicted_ms / rows.ms - 1)
    return (
        f"{len(np.unique(rows.groups()))} shapes that were held out, {len(rows)} times: mean error "
        f"{error.mean():.1%}, {np.mean(error <= 0.1):.1%} within 10 %, "
        f"the 90 % interval holds {held_out.inside.mean():.1%}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("csv", type=Path, metavar="CSV")
    parser.add_argument("--out", type=Path, default=SHIPPED, help="where the files are written")
    parser.add_argument("--precision", action="append", choices=list(RATES))
    parser.add_argument("--networks", type=int, default=Recipe().networks)
    parser.add_argument("--epochs", type=int, default=Recipe().epochs)
    parser.add_argument("--beyond", action="store_true", help="leave out sizes, channels, batches")
    options = parser.parse_args()
    recipe = Recipe(networks=options.networks, epochs=options.epochs)
    campaigns = read_campaign(options.csv)
    for precision in options.precision or RATES:
        start = time.perf_counter()
        campaign = campaigns[precision]
        if options.beyond:
            print_beyond(campaign, precision, recipe)
            continue
        notes = {
            "target": f"NVIDIA Tesla V100, TensorRT (version not stated), {precision}",
            "samples": f"{len(campaign)} convolutions, public measurements by others, not by hwnas",
            "source": SOURCE,
            "fit": f"{recipe.networks} networks of {recipe.width}, {recipe.epochs} epochs",
        }
        times, held_out = fit_convolutions(campaign, precision, notes, recipe)
        rows = campaign.take(held_out.rows)
        notes["held out"] = words(rows, held_out)
        path = options.out / f"v100-{precision}.npz"
        replace(times, notes=notes).save(path)
        print(
            f"{precision}: {notes['held out']}; {path.stat().st_size / 1024:.0f} KiB, "
            f"{time.perf_counter() - start:.0f} s\n"
            f"{'':24s} {'times':>6s} {'mean':>7s} {'median':>7s} {'<=10 %':>7s} {'90 %':>7s}"
        )
        error = np.abs(held_out.predicted_ms / rows.ms - 1)
        for name, inside in parts(rows):
            if inside.any():
                found = error[inside]
                print(
                    f"{name:24s} {len(found):6d} {found.mean():7.1%} {np.median(found):7.1%} "
                    f"{np.mean(found <= 0.1):7.1%} {held_out.inside[inside].mean():7.1%}"
                )
        print(flush=True)


if __name__ == "__main__":
    main()
