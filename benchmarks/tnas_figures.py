"""What the VAE of TNAS draws on NAS-Bench-201 (its figures 2 and 3, tables 4 and 5).

python benchmarks/tnas_figures.py ACCURACIES [--metrics NAME ...] [--supernet FILE] [--out PNG]

25 rounds of 20 evaluations each, as in tnas-os, and nothing is trained: the metric is looked up, in
a column of ACCURACIES, or in FILE, a CSV file with ``arch_str`` and ``accuracy`` of a supernet. For
each eps_inc it prints best and mean true accuracy of the 10, 50, 100 and 300 architectures that the
VAE draws (table 4), and of as many that the metric puts first among 500 draws (table 5). Random and
evolution put first the best of their own 500. Draws what 300 are worth into PNG.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from tnas_nasbench201 import Table, limited, read

from hwnas import spaces
from hwnas.arrays import FloatArray, IntArray
from hwnas.costs import FeasibleSet
from hwnas.pictures import picture
from hwnas.search.searchers.evolution import Evolution
from hwnas.search.searchers.vae_draws import VAEDraws
from hwnas.search.searchers.vae_paths import Rounds, VAEPaths
from hwnas.search.searchers.vae_settings import PathSettings
from hwnas.supernet import UniformSampler

ROUNDS, EACH = 25, 20
EVALUATIONS = ROUNDS * EACH
COUNTS = (10, 50, 100, 300)
EPS_INCS = (0.0, 0.04, 0.05, 0.0625, 0.1, 0.2, 0.5)


def main(flags: argparse.Namespace) -> None:
    torch.set_num_threads(1)
    space = spaces.space("nasbench201")
    rows = list(read(flags.accuracies))
    archs = np.array([space.parse(row["arch_str"]) for row in rows])

    def column(name: str) -> Table:
        return Table.of(space, archs, np.array([float(row[name]) for row in rows]))

    truth = column(flags.column)
    metrics = {name: column(name) for name in flags.metrics}
    if flags.supernet:
        metrics["supernet"] = of_file(space, flags.supernet)
    with picture(flags.out, (11, 3.2 * len(metrics))) as figure:
        axes = figure.subplots(len(metrics), 1, squeeze=False)[:, 0]
        for ax, (name, metric) in zip(axes, metrics.items(), strict=True):
            print(f"\nmetric {name}; best / mean {flags.column} of {COUNTS}")
            drawn = compared(truth, metric, flags.seed)
            ax.boxplot([values[: COUNTS[-1]] for values in drawn.values()], showfliers=False)
            ax.set_xticks(range(1, len(drawn) + 1), list(drawn), rotation=30, ha="right")
            ax.set_ylabel(f"true accuracy, %\nmetric {name}")
            ax.set_ylim(bottom=85)
    print(f"\ndrawn into {flags.out}")


def compared(truth: Table, metric: Table, seed: int) -> dict[str, FloatArray]:
    """True accuracies of what each way gives, its first first; printed on the way."""
    feasible = limited(Table(truth.space, np.ones_like(truth.values)), 1.0)
    uniform = feasible.sample(EVALUATIONS, np.random.default_rng(seed))
    ways = {
        "random, as drawn": uniform,
        "random, metric's first": by(metric, uniform),
        "evolution, metric's first": by(metric, evolved(feasible, metric, seed)),
    }
    for eps_inc in EPS_INCS:
        met, drawn = learned(feasible, metric, eps_inc, seed)
        if eps_inc == EPS_INCS[0]:
            ways["VAE's training data"] = met
        ways[f"VAE {eps_inc:g}, as drawn"] = drawn
        ways[f"VAE {eps_inc:g}, metric's first"] = by(metric, drawn)
    values = {name: truth(archs) for name, archs in ways.items()}
    for name, found in values.items():
        best = " ".join(f"{found[:count].max():6.2f}" for count in COUNTS)
        mean = " ".join(f"{found[:count].mean():6.2f}" for count in COUNTS)
        print(f"{name:28} {best}   {mean}", flush=True)
    return values


def learned(
    feasible: FeasibleSet, metric: Table, eps_inc: float, seed: int
) -> tuple[IntArray, IntArray]:
    """What the VAE of the last round learned, and 500 of its draws."""
    settings = PathSettings()
    paths = VAEPaths(
        VAEDraws(feasible),
        UniformSampler(metric.space, seed=seed),
        lambda archs: metric(archs) / 100,
        Rounds(tuple(range(1, ROUNDS + 1)), EACH, eps_inc),
        settings,
        seed=seed,
    )
    for step in range(ROUNDS):
        paths.update(step, paths.sample(step), 0.0)
    rounds = paths.state["archs"].numpy()
    best = round(settings.top_share * EACH)
    met = np.concatenate([by(metric, archs)[:best] for archs in rounds])
    return met, paths.draw(EVALUATIONS)


def evolved(feasible: FeasibleSet, metric: Table, seed: int) -> IntArray:
    """All that evolution evaluates, 20 a generation."""
    searcher = Evolution(feasible, seed=seed)
    found = []
    for _ in range(ROUNDS):
        found.append(searcher.suggest(EACH))
        searcher.update(found[-1], metric(found[-1]) / 100)
    return np.concatenate(found)


def by(metric: Table, archs: IntArray) -> IntArray:
    """Architectures, the best by the metric first."""
    return archs[np.argsort(-metric(archs), kind="stable")]


def of_file(space: spaces.SearchSpace, path: Path) -> Table:
    """The accuracies of a supernet; all architectures are there."""
    rows = list(read(path))
    archs = np.array([space.parse(row["arch_str"]) for row in rows])
    table = Table.of(space, archs, np.array([float(row["accuracy"]) for row in rows]))
    if np.isnan(table.values).any():
        raise SystemExit(f"{path} has {len(rows)} rows: it takes all {space.size} architectures")
    return table


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("accuracies", type=Path)
    parser.add_argument("--column", default="cifar10_test_200", help="the truth")
    parser.add_argument("--metrics", nargs="*", default=["cifar10_test_200", "cifar10_val"])
    parser.add_argument("--supernet", type=Path)
    parser.add_argument("--out", type=Path, default=Path("runs/tnas.png"))
    parser.add_argument("--seed", type=int, default=0)
    main(parser.parse_args())
