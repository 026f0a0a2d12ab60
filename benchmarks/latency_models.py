"""One automatic latency model on public measurements of some thirty devices.

python benchmarks/latency_models.py DIR [--seeds 5] [--devices N] [--sets nasbench201,fbnet,...]

DIR holds the csv.gz files. For every device and seed a random sample is fitted and all other rows
are predicted; the table shows means over devices and seeds, beside the numbers to reach. The 341
NAS-Bench-201 architectures without a path from input to output are left out. How the sets are
encoded is said at the functions that read them.
"""

import argparse
import csv
import gzip
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import spearmanr

import hwnas
from hwnas.errors import OptionError
from hwnas.predictors import LatencyRegressor
from hwnas.spaces import SearchSpace

MS_PER_S = 1000.0


@dataclass
class Set:
    """Architectures (n, columns), latencies in ms by device, and what the model is told."""

    archs: np.ndarray
    devices: dict[str, np.ndarray]
    space: SearchSpace | None = None


def read(path: Path) -> dict[str, np.ndarray]:
    """Columns by name; empty fields are NaN, columns that are not numbers stay text."""
    with gzip.open(path, "rt", newline="") as file:
        header, *rows = csv.reader(file)
    columns = {}
    for name, values in zip(header, zip(*rows, strict=True), strict=True):
        try:
            columns[name] = np.array([float(v) if v else np.nan for v in values])
        except ValueError:
            columns[name] = np.array(values)
    return columns


def prefixed(table: dict[str, np.ndarray], *prefixes: str) -> dict[str, np.ndarray]:
    return {name: v for name, v in table.items() if name.startswith(prefixes)}


def nasbench201(folder: Path, file: str) -> Set:
    """Six edges in the space's own order."""
    known = read(folder / "nb201_archs_accuracy.csv.gz")
    edges = np.stack([known[f"e{e}"] for e in ("10", "20", "21", "30", "31", "32")], 1).astype(int)
    connected = np.array([str(m).strip("0.") != "" for m in known["live_mask"]])
    table = read(folder / file)
    rows = table.pop("idx").astype(int)
    kept = connected[rows]
    devices = {n: v[kept] for n, v in table.items() if not n.endswith("_std")}
    return Set(edges[rows][kept], devices, hwnas.space("nasbench201"))


def fbnet(folder: Path) -> Set:
    """22 layers, nine operators each; the space tells MACs, bytes and kernels of each."""
    table = read(folder / "fbnet_latency.csv.gz")
    archs = np.stack([table[f"l{layer}"] for layer in range(22)], 1).astype(int)
    return Set(archs, prefixed(table, "lat_"), hwnas.space("fbnet"))


def once_for_all(folder: Path) -> Set:
    """Kernel and expansion of each of 20 layers, then 5 depths and the resolution.

    Layers beyond the depth of their stage of four do not exist: kernel and expansion 0.
    """
    table = read(folder / "ofa_latency.csv.gz")
    depths = np.stack([table[f"d{stage}"] for stage in range(5)], 1)
    columns = []
    for layer in range(20):
        there = depths[:, layer // 4] > layer % 4
        columns += [np.where(there, table[f"{part}{layer}"], 0) for part in ("ks", "e")]
    archs = np.concatenate([np.stack(columns, 1), depths, table["r"][:, None]], 1).astype(int)
    return Set(archs, prefixed(table, "lat_"))


def accelerators(folder: Path) -> Set:
    """Seven blocks of expansion, kernel, layers, squeeze-and-excitation.

    ms are the mean latencies, and where a device has none, 1000 / throughput (images a second).
    """
    table = read(folder / "mnasnet_accelerators.csv.gz")
    archs = np.stack(list(prefixed(table, "block").values()), 1).astype(int)
    devices = {}
    for name, values in prefixed(table, "throughput_", "latency_").items():
        kind, device, statistic = name.split("_")
        if statistic == "mean" and (kind == "latency" or device not in devices):
            devices[device] = values if kind == "latency" else MS_PER_S / values
    return Set(archs, devices)


def compiled(folder: Path) -> Set:
    return nasbench201(folder, "nb201_latency_compiled.csv.gz")


def eager(folder: Path) -> Set:
    return nasbench201(folder, "nb201_latency.csv.gz")


@dataclass(frozen=True)
class Goal:
    """One line of the table: shares within 5 and 10 %, Spearman's rank correlation."""

    name: str
    load: Callable[[Path], Set]
    samples: int
    within_5: float
    within_10: float
    spearman: float | None = None


GOALS = (
    Goal("nasbench201", eager, 10, 60, 79, 0.950),
    Goal("nasbench201", eager, 100, 70, 84),
    Goal("nasbench201", eager, 900, 74, 85.5),
    Goal("compiled", compiled, 100, 75, 95),
    Goal("compiled", compiled, 900, 96, 99.4),
    Goal("fbnet", fbnet, 10, 55, 75),
    Goal("fbnet", fbnet, 100, 80, 91),
    Goal("fbnet", fbnet, 900, 90, 95),
    Goal("once-for-all", once_for_all, 100, 45, 72),
    Goal("once-for-all", once_for_all, 900, 76, 94),
    Goal("accelerators", accelerators, 900, 94, 99),
)


def trials(data: Set, goal: Goal, seeds: int, devices: int | None) -> Iterator[dict[str, Any]]:
    """One record for each device and seed."""
    categories = (
        None if data.space else [np.unique(column) for column in data.archs.T]
    )  # what the sets' papers allow
    names = list(data.devices)
    step = max(1, len(names) // devices) if devices else 1
    for device in names[::step][:devices]:
        ms = data.devices[device]
        rows = np.flatnonzero(np.isfinite(ms))
        for seed in range(seeds):
            shuffled = np.random.default_rng(seed).permutation(rows)
            train, test = np.split(shuffled, [goal.samples])
            model = LatencyRegressor(data.space, categories=categories, random_state=seed)
            start = time.perf_counter()
            model.fit(data.archs[train], ms[train])
            fitted = time.perf_counter()
            predicted = model.predict(data.archs[test])
            done = time.perf_counter()
            error = np.abs(predicted / ms[test] - 1)
            try:
                interval = model.predict_interval(data.archs[test], 0.9)
                inside = (interval[:, 0] <= ms[test]) & (ms[test] <= interval[:, 1])
                coverage = 100 * float(inside.mean())
            except OptionError:
                coverage = float("nan")
            yield {
                "device": device,
                "seed": seed,
                "within_5": 100 * float(np.mean(error <= 0.05)),
                "within_10": 100 * float(np.mean(error <= 0.10)),
                "spearman": float(spearmanr(predicted, ms[test])[0]),
                "mape": 100 * float(error.mean()),
                "coverage": coverage,
                "fit_s": fitted - start,
                "rows_per_s": len(test) / (done - fitted),
                "chosen": model.chosen_,
            }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path, metavar="DIR", help="folder of the csv.gz files")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--devices", type=int, help="at most so many devices a set")
    parser.add_argument("--sets", help="some of " + ", ".join(dict.fromkeys(g.name for g in GOALS)))
    parser.add_argument("--samples", type=int, help="only this sample size")
    parser.add_argument("--verbose", action="store_true", help="also one line a device")
    options = parser.parse_args()
    wanted = options.sets.split(",") if options.sets else [goal.name for goal in GOALS]
    print(
        "set           samples  within 5 %       within 10 %      Spearman         MAPE  "
        "90 % interval  fit s  rows/s\n"
        "                       (to reach)       (to reach)       (to reach)             holds"
    )
    for goal in GOALS:
        if goal.name not in wanted or options.samples not in (None, goal.samples):
            continue
        records = list(trials(goal.load(options.folder), goal, options.seeds, options.devices))
        mean = {
            key: float(np.mean([r[key] for r in records]))
            for key in records[0]
            if key not in ("device", "seed", "chosen")
        }
        rank = "        " if goal.spearman is None else f"({goal.spearman:.3f}) "
        print(
            f"{goal.name:13s} {goal.samples:7d}  "
            f"{mean['within_5']:5.1f}  ({goal.within_5:4.1f})    "
            f"{mean['within_10']:5.1f}  ({goal.within_10:4.1f})    {mean['spearman']:.3f}  {rank} "
            f"{mean['mape']:5.1f} %  {mean['coverage']:8.1f} %  {mean['fit_s']:8.2f}  "
            f"{mean['rows_per_s']:,.0f}",
            flush=True,
        )
        if options.verbose:
            for device in dict.fromkeys(r["device"] for r in records):
                own = [r for r in records if r["device"] == device]
                values = " ".join(
                    f"{k} {np.mean([r[k] for r in own]):.3g}"
                    for k in ("within_5", "within_10", "spearman", "mape", "coverage", "fit_s")
                )
                print(f"    {device:24s} {values}  {', '.join(r['chosen'] for r in own)}")


if __name__ == "__main__":
    main()
