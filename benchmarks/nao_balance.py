"""Small networks win in a supernet unless large ones are trained more (Balanced NAO, table 6).

python benchmarks/nao_balance.py CIFAR10 ACCURACIES [--pools N] [--first SEED]
    [--sizes diverse similar] [--samplers uniform proportional deployed] [--epochs N ...]
    [--out FOLDER]

Pools of 50 networks of nasbench201 are trained one path a step, uniformly and in proportion to
their parameters, those of the trained network or those that they are deployed with, and ranked
after so many epochs: the share of their pairs that is in the order of their accuracies after 200
epochs alone (ACCURACIES is nb201_archs_accuracy.csv.gz). Pools are of diverse sizes, and of sizes
within a tenth of the median (table 3). CIFAR10 is a folder that ``--data cifar10:DIR`` takes;
images of 16 pixels, a cell a stage, 8 channels. Killed, the same command goes on.
"""

import argparse
import csv
import gzip
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from nao_nasbench201 import COLUMN, pairwise
from scipy.stats import spearmanr

from hwnas import spaces
from hwnas.data import Dataset, load_data
from hwnas.search.candidates.evaluation import validation_evaluator
from hwnas.search.runs.run import Run
from hwnas.search.shared_settings import TrainingSettings
from hwnas.search.supernet_training import train_supernet
from hwnas.supernet import PoolSampler, Supernet

DEPLOYED = spaces.space("nasbench201")
SPACE = spaces.space("nasbench201", input_size=16, channels=8, cells=1)
NETWORKS, NEAR = 50, 0.1
SETTINGS = TrainingSettings(batch_size=128, optimizer="sgd", base_lr=0.1, steps=1)
#: What a network of a pool is drawn in proportion to, as ``--pool-sampler`` names it.
SAMPLERS = {
    "uniform": lambda archs: np.ones(len(archs)),
    "proportional": SPACE.params,
    "deployed": DEPLOYED.params,
}


def pools(path: str, seed: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Two pools of connected networks, and their true accuracies in percent."""
    with gzip.open(path, "rt", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["live_mask"] != "000000"]
    order = np.random.default_rng(seed).permutation(len(rows))
    archs = np.array([DEPLOYED.parse(rows[at]["arch_str"]) for at in order])
    true = np.array([float(rows[at][COLUMN]) for at in order])
    sizes = DEPLOYED.params(archs)
    near = np.flatnonzero(np.abs(sizes / np.median(sizes) - 1) < NEAR)[:NETWORKS]
    return {
        "diverse": (archs[:NETWORKS], true[:NETWORKS]),
        "similar": (archs[near], true[near]),
    }


def ranked(
    run: Run, data: Dataset, pool: tuple[np.ndarray, np.ndarray], weights: np.ndarray, seed: int
) -> list[tuple[float, float]]:
    """After each number of epochs: pairs in order, and accuracy against size (Spearman)."""
    archs, true = pool
    sharing, start = flags.sharing, flags.initial_weights
    supernet = Supernet(SPACE, sharing=sharing, initial_weights=start, seed=seed)
    found = []
    for epochs in flags.epochs:
        steps = round(epochs * data.train_count / SETTINGS.batch_size)
        known = [event for event in run.logged("ranked") if event["epochs"] == epochs]
        if not known:
            settings = replace(SETTINGS, steps=steps)
            paths = PoolSampler(archs, weights, seed=seed)
            train_supernet(run, supernet, paths, data, settings, seed=seed)
            accuracies = validation_evaluator(supernet, data).accuracies(archs)
            size = float(spearmanr(accuracies, SPACE.params(archs)).statistic)
            run.log("ranked", epochs=epochs, pairs=pairwise(accuracies, true), size=size)
            known = [run.events[-1]]
        found.append((known[0]["pairs"], known[0]["size"]))
    return found


def main() -> None:
    data = load_data(f"cifar10:{flags.cifar10}", input_size=16)
    results: dict[tuple[str, str], list[list[tuple[float, float]]]] = {}
    for seed in range(flags.first, flags.first + flags.pools):
        drawn = pools(flags.accuracies, seed)
        for kind in flags.sizes:
            pool = drawn[kind]
            for sampler in flags.samplers:
                weights = SAMPLERS[sampler](pool[0])
                started = time.process_time()
                name = f"{kind}-{sampler}-{seed}-{flags.sharing}-{flags.initial_weights}"
                run = Run(flags.out / name, {"seed": seed})
                results.setdefault((kind, sampler), []).append(
                    ranked(run, data, pool, weights, seed)
                )
                text = ", ".join(f"{p:.1%} ({s:+.2f})" for p, s in results[kind, sampler][-1])
                seconds = time.process_time() - started
                most = weights.max() / weights.min()
                print(
                    f"pool {seed}, {kind} sizes, {sampler}, 1 to {most:.1f}: {text}; "
                    f"{seconds:.0f} s",
                    flush=True,
                )
    print(f"\npairs in order after {', '.join(f'{e:g}' for e in flags.epochs)} epochs, all pools")
    for kind in flags.sizes:
        pairs = {sampler: np.array(results[kind, sampler])[..., 0] for sampler in flags.samplers}
        for sampler, rows in pairs.items():
            show(f"{kind}, {sampler}", rows)
        for sampler in [name for name in pairs if "uniform" in pairs and name != "uniform"]:
            show(f"{kind}, {sampler} - uniform", pairs[sampler] - pairs["uniform"])


def show(name: str, rows: np.ndarray) -> None:
    errors = rows.std(axis=0, ddof=min(1, len(rows) - 1)) / len(rows) ** 0.5
    columns = zip(rows.mean(axis=0), errors, strict=True)
    print(f"{name:>30}: " + ", ".join(f"{m:+.1%} +-{e:.1%}" for m, e in columns))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cifar10")
    parser.add_argument("accuracies")
    parser.add_argument("--pools", type=int, default=5)
    parser.add_argument("--first", type=int, default=0, help="seed of the first pool")
    parser.add_argument("--sizes", nargs="+", default=["diverse", "similar"])
    parser.add_argument("--samplers", nargs="+", choices=SAMPLERS, default=list(SAMPLERS))
    parser.add_argument("--epochs", type=float, nargs="+", default=[5.0, 10.0, 20.0, 30.0, 50.0])
    parser.add_argument("--sharing", default="slices", choices=("slices", "separate"))
    parser.add_argument("--initial-weights", default="alike", choices=("alike", "drawn"))
    parser.add_argument("--out", type=Path, default=Path("runs/nao-balance"))
    flags = parser.parse_args()
    main()
