"""What is in the public measurements of convolutions on a V100 through TensorRT.

python benchmarks/v100_campaign.py CSV

CSV is v100_tensorrt_convolutions.csv.gz. Prints, a precision: how many rows and shapes; the fastest
row; the highest rates of arithmetic; how far twins are apart (1x1 convolutions of stride 1 over as
many pixels in all, laid out as few large or many small images, which are the same product); how
many convolutions get slower by a sum that is fused into them, or faster by more images; and how
many of the shapes that were measured at batch 1 lack a larger batch.
"""

import argparse
from itertools import pairwise
from pathlib import Path

import numpy as np

from hwnas.arrays import FloatArray
from hwnas.predictors.tensorrt.campaign import Campaign, read_campaign

#: Milliseconds: a tenth of the 1.024 us in which these times come.
TICK = 1.024e-4


def ratios(rows: Campaign, key: list[tuple[object, ...]], variant: list[object]) -> FloatArray:
    """Time of the second over that of the first of two rows of a key, ordered by their variant."""
    found: dict[tuple[object, ...], list[tuple[object, float]]] = {}
    for name, kind, ms in zip(key, variant, rows.ms.tolist(), strict=True):
        found.setdefault(name, []).append((kind, ms))
    pairs = [sorted(group) for group in found.values() if len(group) == 2]
    return np.array([second / first for (_, first), (_, second) in pairs])


def describe(rows: Campaign) -> None:
    shapes, batch = rows.shapes, rows.batch.tolist()
    depthwise = np.array([s.depthwise for s in shapes])
    print(
        f"  {len(rows)} rows ({depthwise.sum()} depthwise) of {len(np.unique(rows.groups()))} "
        f"shapes, sizes {sorted({s.height for s in shapes})}"
    )
    short = rows.ms[rows.ms < 0.1] / TICK
    print(
        f"  from {rows.ms.min() * 1000:.2f} us to {rows.ms.max():.1f} ms; of those below 0.1 ms "
        f"{np.mean(np.abs(short - short.round()) < 0.05):.1%} are multiples of 0.1024 us"
    )
    rate = 2e-9 * np.array([s.macs for s in shapes]) * rows.batch / rows.ms
    kernel = np.array([s.kernel[0] for s in shapes])
    best = [f"{k}x{k} {rate[kernel == k].max():.1f}" for k in np.unique(kernel)]
    print(f"  highest rates, 10^12 operations a second: {', '.join(best)}")

    flat = np.flatnonzero(~depthwise & (kernel == 1) & [s.stride[0] == 1 for s in shapes])
    chosen = rows.take(flat)
    pixels = [
        (s.in_channels, s.out_channels, s.fused_add, s.height**2 * b)
        for s, b in zip(chosen.shapes, chosen.batch.tolist(), strict=True)
    ]
    twins = np.abs(np.log(ratios(chosen, pixels, [s.height for s in chosen.shapes])))
    print(
        f"  {len(twins)} twins: half are within {np.median(twins):.1%}, "
        f"{np.mean(twins < 0.05):.1%} within 5 %, {np.mean(twins > 0.2):.1%} beyond 20 %"
    )
    plain = [(*key, b) for key, b in zip(rows.groups()[:, None].tolist(), batch, strict=True)]
    sums = ratios(rows, plain, [s.fused_add for s in shapes])
    print(
        f"  a sum: half cost within {np.median(sums) - 1:.1%}, {np.mean(sums > 1.5):.1%} cost 1.5 "
        f"times as much, {np.mean(sums > 3):.1%} 3 times, at most {sums.max():.1f} times"
    )
    whole = list(zip(rows.groups().tolist(), [s.fused_add for s in shapes], strict=True))
    for fewer, more in pairwise(np.unique(rows.batch).tolist()):
        at = np.flatnonzero(np.isin(rows.batch, [fewer, more]))
        part = rows.take(at)
        growth = ratios(part, [whole[i] for i in at], part.batch.tolist())
        print(
            f"  batch {fewer} to {more}: {np.mean(growth < 0.95):.1%} are faster by 5 % with more "
            f"images, {np.mean(growth < 0.8):.1%} by 20 %"
        )
    measured = {b: {whole[i] for i in np.flatnonzero(rows.batch == b)} for b in set(batch)}
    lacking = [f"{b}: {len(measured[1] - measured[b])}" for b in sorted(measured) if b > 1]
    print(f"  measured at batch 1 ({len(measured[1])}) and not at {', '.join(lacking)}\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("csv", type=Path, metavar="CSV")
    for precision, rows in read_campaign(parser.parse_args().csv).items():
        print(precision)
        describe(rows)


if __name__ == "__main__":
    main()
