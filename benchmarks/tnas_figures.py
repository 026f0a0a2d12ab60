"""What the VAE of TNAS draws on NAS-Bench-201 (its figures 2 and 3, tables 4 and 5).

python benchmarks/tnas_figures.py ACCURACIES [--metrics NAME ...] [--out PNG]
python benchmarks/tnas_figures.py ACCURACIES --metrics --supernet RUN --data CIFAR10 [--out PNG]

25 rounds of 20 evaluations each, as in tnas-os, and nothing is trained: the metric is looked up in
a column of ACCURACIES, or is what the trained supernet of RUN ranks networks by, on the images that
its own search used; RUN is the folder of a search of `nasbench201`, such as the one that
nasbench201_supernet.py leaves. For each eps_inc it prints best and mean true accuracy of the 10,
50, 100 and 300 architectures that the VAE draws (table 4), and of as many that the metric puts
first among 500 draws (table 5). Random and evolution put first the best of their own 500. Draws
what 300 are worth into PNG. Killed, the same command goes on: what a supernet was asked is kept
beside PNG.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from scipy.stats import kendalltau
from tnas_nasbench201 import Table, limited, read

from hwnas import spaces
from hwnas.arrays import FloatArray, IntArray
from hwnas.costs import FeasibleSet
from hwnas.pictures import picture
from hwnas.search.candidates.evaluation import LoggedEvaluation, stored_evaluator
from hwnas.search.runs.run import Run
from hwnas.search.runs.stored import StoredRun
from hwnas.search.searchers.evolution import Evolution
from hwnas.search.searchers.vae_draws import VAEDraws
from hwnas.search.searchers.vae_paths import Rounds, VAEPaths
from hwnas.search.searchers.vae_settings import PathSettings
from hwnas.supernet import UniformSampler

SPACE = spaces.space("nasbench201")
ROUNDS, EACH = 25, 20
EVALUATIONS = ROUNDS * EACH
COUNTS = (10, 50, 100, 300)
EPS_INCS = (0.0, 0.04, 0.05, 0.0625, 0.1, 0.2, 0.5)
#: One number an architecture, the larger the better.
Metric = Callable[[IntArray], FloatArray]


class Inherited:
    """What a trained supernet ranks networks by, times 100; each is evaluated once.

    Args:
        folder: of the run that trained it.
        cifar10: folder of the images.
        out: folder of what was evaluated.
    """

    def __init__(self, folder: Path, cifar10: Path, out: Path):
        source = StoredRun.open(folder, f"cifar10:{cifar10}")
        evaluator = stored_evaluator(source, source.data())
        run = Run(out, source.identity(out))
        self._evaluated = LoggedEvaluation(run, source.deployed, evaluator.accuracies)

    def __call__(self, archs: IntArray) -> FloatArray:
        """Of architectures (n, n_decisions), (n,)."""
        return 100 * self._evaluated(archs)


def main(flags: argparse.Namespace) -> None:
    torch.set_num_threads(1)
    rows = list(read(flags.accuracies))
    archs = np.array([SPACE.parse(row["arch_str"]) for row in rows])

    def column(name: str) -> Table:
        return Table.of(SPACE, archs, np.array([float(row[name]) for row in rows]))

    truth = column(flags.column)
    metrics: dict[str, Metric] = {name: column(name) for name in flags.metrics}
    if flags.supernet:
        metrics["supernet"] = Inherited(flags.supernet, flags.data, flags.out.with_suffix(""))
    with picture(flags.out, (11, 3.2 * len(metrics))) as figure:
        axes = figure.subplots(len(metrics), 1, squeeze=False)[:, 0]
        for ax, (name, metric) in zip(axes, metrics.items(), strict=True):
            print(f"\nmetric {name}; best / mean {flags.column} of {COUNTS}")
            drawn = compared(truth, metric, flags)
            ax.boxplot([values[: COUNTS[-1]] for values in drawn.values()], showfliers=False)
            ax.set_xticks(range(1, len(drawn) + 1), list(drawn), rotation=30, ha="right")
            ax.set_ylabel(f"true accuracy, %\nmetric {name}")
            ax.set_ylim(bottom=85)
    print(f"\ndrawn into {flags.out}")


def compared(truth: Table, metric: Metric, flags: argparse.Namespace) -> dict[str, FloatArray]:
    """True accuracies of what each way gives, its first first; printed on the way."""
    seed = flags.seed
    feasible = limited(Table(SPACE, np.ones_like(truth.values)), 1.0)
    uniform = feasible.sample(EVALUATIONS, np.random.default_rng(seed))
    in_order = kendalltau(metric(uniform), truth(uniform)).statistic
    print(f"Kendall of both among {EVALUATIONS} random networks {in_order:.2f}", flush=True)
    ways = {
        "random, as drawn": uniform,
        "random, metric's first": by(metric, uniform),
        "evolution, metric's first": by(metric, evolved(feasible, metric, seed)),
    }
    for eps_inc in flags.eps_incs:
        met, drawn = learned(feasible, metric, eps_inc, seed)
        if eps_inc == flags.eps_incs[0]:
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
    feasible: FeasibleSet, metric: Metric, eps_inc: float, seed: int
) -> tuple[IntArray, IntArray]:
    """What the VAE of the last round learned, and 500 of its draws."""
    settings = PathSettings()
    paths = VAEPaths(
        VAEDraws(feasible),
        UniformSampler(SPACE, seed=seed),
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


def evolved(feasible: FeasibleSet, metric: Metric, seed: int) -> IntArray:
    """All that evolution evaluates, 20 a generation."""
    searcher = Evolution(feasible, seed=seed)
    found = []
    for _ in range(ROUNDS):
        found.append(searcher.suggest(EACH))
        searcher.update(found[-1], metric(found[-1]) / 100)
    return np.concatenate(found)


def by(metric: Metric, archs: IntArray) -> IntArray:
    """Architectures, the best by the metric first."""
    return archs[np.argsort(-metric(archs), kind="stable")]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("accuracies", type=Path)
    parser.add_argument("--column", default="cifar10_test_200", help="the truth")
    parser.add_argument("--metrics", nargs="*", default=["cifar10_test_200", "cifar10_val"])
    parser.add_argument("--supernet", type=Path, help="folder of a finished search")
    parser.add_argument("--data", type=Path, help="folder of CIFAR-10, for --supernet")
    parser.add_argument("--eps-incs", nargs="+", type=float, default=EPS_INCS)
    parser.add_argument("--out", type=Path, default=Path("runs/tnas.png"))
    parser.add_argument("--seed", type=int, default=0)
    main(parser.parse_args())
