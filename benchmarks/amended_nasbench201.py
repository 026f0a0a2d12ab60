"""Where differentiable search ends on NAS-Bench-201, whose true accuracies are known.

Mixed supernets are searched on CIFAR-10 at a reduced size for the whole of the steps, without a
budget, with first-order DARTS (eta 0), the second-order term and the amended one. Architectures
along the way are looked up in the benchmark: accuracy after 200 epochs. Prints where each run ends,
and draws the curve of truth over the steps, one line a seed. Runs are kept, and go on if killed.

python benchmarks/amended_nasbench201.py CIFAR10_DIR nb201_archs_accuracy.csv.gz [--seeds 5] ...
"""

import argparse
import csv
import gzip
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hwnas import spaces
from hwnas.costs import Budget
from hwnas.data import load_data
from hwnas.pictures import picture
from hwnas.predictors import load_predictor
from hwnas.profilers import Plan, profile_space
from hwnas.search.context import Context
from hwnas.search.gradient.alphas import Alphas, history
from hwnas.search.gradient.cost_weights import FixedWeights
from hwnas.search.methods.amended_darts import Settings, train_mixed
from hwnas.search.problem import Problem
from hwnas.search.runs.run import Run
from hwnas.search.settings import stored
from hwnas.search.supernet_training import make_supernet
from hwnas.testing import SyntheticRuntime

KINDS = {
    "first": {"eta": 0.0},
    "second": {"eta": 0.1, "order": "second"},
    "amended": {"eta": 0.1},
}
#: Colours of the kinds, in turn.
COLOURS = ("tab:red", "tab:blue", "tab:green", "tab:orange", "tab:purple")


@dataclass(frozen=True)
class Curve:
    """What one search would have returned at each logged step.

    Attributes:
        steps: of the weights.
        accuracies: true ones of the most probable architecture, %.
        skips: its skip connections, of 6.
        last: the architecture at the end.
        change, sure: of the last epoch, and of the end; see `hwnas.search.gradient.convergence`.
    """

    steps: list[int]
    accuracies: list[float]
    skips: list[int]
    last: str
    change: float
    sure: float


def read_truth(path: Path, column: str) -> dict[str, float]:
    with gzip.open(path, "rt") as file:
        return {row["arch_str"]: float(row[column]) for row in csv.DictReader(file)}


def searched(
    problem: Problem, folder: Path, settings: Settings, truth: dict[str, float], name: str
) -> Curve:
    """Train one mixed supernet, or go on with it, and look its architectures up."""
    space = problem.proxy
    run = Run(folder, {**stored(settings), "seed": problem.seed, "trained": dict(space.arguments)})

    def tell(task: str, share: float, remark: str) -> None:
        print(f"\r{name}: {share:.0%} {remark}   ", end="", flush=True)

    supernet = make_supernet(space, settings, seed=problem.seed)
    context = Context(problem, run, progress=tell)
    alphas: Alphas = train_mixed(context, supernet, settings, [], FixedWeights([]))
    past = history(run.logged("alpha"))
    logged = [np.array(entry["alpha"], float) for entry in past]
    archs = [np.where(alphas.eligible, alpha, -np.inf).argmax(1) for alpha in logged]
    names = [space.format(arch) for arch in archs]
    epochs = list(run.logged("epoch"))
    return Curve(
        [entry["step"] for entry in past],
        [truth[name] for name in names],
        [name.count("skip_connect") for name in names],
        names[-1],
        epochs[-1]["change"] if epochs else float("nan"),
        float(alphas.probabilities.max(1).min()),
    )


def draw(path: Path, curves: dict[str, list[Curve]]) -> None:
    with picture(path, (7, 6)) as figure:
        above, below = figure.subplots(2, 1, sharex=True)
        for (kind, found), colour in zip(curves.items(), COLOURS, strict=False):
            for seed, curve in enumerate(found):
                label = None if seed else kind
                above.plot(curve.steps, curve.accuracies, color=colour, label=label, alpha=0.7)
                below.plot(curve.steps, curve.skips, color=colour, label=label, alpha=0.7)
        above.set_ylabel("true accuracy of the most probable (%)")
        below.set_ylabel("skip connections of 6")
        below.set_xlabel("training steps of the weights")
        for axes in (above, below):
            axes.grid(alpha=0.3)
            axes.legend(fontsize=8)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("truth", type=Path)
    parser.add_argument("--column", default="cifar10_test_200")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), help="or eta=NUMBER")
    parser.add_argument("--pixels", type=int, default=16)
    parser.add_argument("--channels", type=int, default=8)
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--alpha-every", type=int, default=1)
    parser.add_argument("--alpha-lr", type=float, default=3e-3)
    parser.add_argument("--zeros", default="needed", choices=("needed", "allowed"))
    parser.add_argument("--runs", type=Path, default=Path("runs/amended-nasbench201"))
    parser.add_argument("--out", type=Path, default=Path("amended_nasbench201.png"))
    asked = parser.parse_args()

    truth = read_truth(asked.truth, asked.column)
    space = spaces.space("nasbench201", input_size=asked.pixels, channels=asked.channels, cells=1)
    plan = Plan(tolerance=1.0, min_runs=20, max_runs=20)
    predictor = load_predictor(profile_space(space, SyntheticRuntime(), plan=plan), space)
    data = load_data(f"cifar10:{asked.data}", input_size=asked.pixels)
    budgets = [Budget("macs", 1e12)]  # which nothing breaks
    curves: dict[str, list[Curve]] = {}
    print("kind       seed accuracy   best skips  change  sure end")
    for kind in asked.kinds:
        options = KINDS[kind] if kind in KINDS else {"eta": float(kind.partition("=")[2])}
        settings = Settings(
            steps=asked.steps,
            zeros=asked.zeros,
            batch_size=asked.batch,
            alpha_batch=asked.batch,
            alpha_every=asked.alpha_every,
            alpha_lr=asked.alpha_lr,
            still=0.0,
            **options,
        )
        for seed in asked.seeds:
            problem = Problem(space, space, data, predictor, budgets, seed=seed)
            folder = asked.runs / f"{kind}-{seed}"
            curve = searched(problem, folder, settings, truth, f"{kind} {seed}")
            curves.setdefault(kind, []).append(curve)
            ends, most = curve.accuracies[-1], max(curve.accuracies)
            told = f"{kind:<10} {seed:>4} {ends:>8.2f} {most:>6.2f} {curve.skips[-1]:>5}"
            print(f"\r{told} {curve.change:>7.4f} {curve.sure:>5.2f} {curve.last}", flush=True)
    draw(asked.out, curves)
    for kind, found in curves.items():
        ends = [curve.accuracies[-1] for curve in found]
        print(
            f"{kind:<10} ends at {np.mean(ends):.2f} ({min(ends):.2f} to {max(ends):.2f}), at 93 "
            f"or more in {sum(end >= 93 for end in ends)} of {len(ends)}"
        )


if __name__ == "__main__":
    main()
