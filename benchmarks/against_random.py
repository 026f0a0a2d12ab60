"""What a method finds on Fashion-MNIST in cells, retrained, against ten random feasible networks.

python benchmarks/against_random.py DIR --method nao|amended-darts [--out FOLDER] [--seeds 3]
                                    [--steps N] [--set SETTING=VALUE ...]

DIR holds the four files of Fashion-MNIST. Each seed is a whole search under a latency budget, that
of the shipped predictor of a V100: Balanced NAO on the space `nao`, Amended-DARTS on `darts-s1`.
--set adds to its settings; the command that a person would type is printed. What is found, and ten
random networks within the budget, are then trained alone, alike and with the same seeds. For
Balanced NAO it says how the shared weights of each search rank these ten. Test accuracies are of
the test part, which no search looks at. Killed at any moment, the same command goes on.
"""

import argparse
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from main_job import settings_in
from spos_fashion import alone, lines, typed

import hwnas
from hwnas.data import Dataset, load_data
from hwnas.predictors import load_predictor
from hwnas.predictors.report import spearman
from hwnas.search.candidates.evaluation import stored_evaluator
from hwnas.search.problem import Problem
from hwnas.search.result import Result
from hwnas.search.runs.stored import StoredRun

DEVICE, RANDOM_NETWORKS, DRAWN = "v100-tensorrt-fp16", 10, 2000
#: So that networks of cells are trained within seconds.
SIZE: dict[str, Any] = {"proxy_input_size": 12, "proxy_width": 0.2}


@dataclass(frozen=True)
class Ground:
    """Where a method searches.

    Attributes:
        space: its name.
        budget: about the median of random networks.
        settings: beside the defaults, so that a search ends within minutes.
    """

    space: str
    budget: str
    settings: Mapping[str, Any]


GROUNDS = {
    "amended-darts": Ground(
        "darts-s1",
        "latency<=1.25ms",
        {
            "cells": 3,
            "steps": 480,
            "batch_size": 32,
            "alpha_batch": 32,
            "alpha_every": 3,
            "alpha_lr": 0.03,
            "warm_up": 0.25,
        },
    ),
    "nao": Ground(
        "nao",
        "latency<=2.5ms",
        {"cells": 1, "steps": 1200, "pool": 100, "proposals": 40, "starts": 20},
    ),
}


def searched(out: Path, ground: Ground, method: str, data: str, seed: int, more: Any) -> Result:
    """One whole search by the public function."""
    return hwnas.find_network(
        ground.space,
        data,
        [ground.budget],
        method=method,
        predictor=DEVICE,
        out=out,
        seed=seed,
        progress=lines(),
        **more,
    )


def ranks(folders: list[Path], data: Dataset, archs: np.ndarray, alone: np.ndarray) -> list[str]:
    """How the supernet of each search ranks architectures, against their trainings alone."""
    supernets = [stored_evaluator(StoredRun.open(folder), data) for folder in folders]
    return [f"{spearman(each.accuracies(archs), alone):.2f}" for each in supernets]


def main(flags: argparse.Namespace) -> None:
    began = time.process_time()
    ground, seeds = GROUNDS[flags.method], range(flags.seeds)
    spec, out = f"fashion-mnist:{flags.folder}", flags.out / flags.method
    settings = {**SIZE, **ground.settings, **settings_in(flags.set)}
    found = [
        searched(out / f"search-{seed}", ground, flags.method, spec, seed, settings)
        for seed in seeds
    ]
    space, proxy = found[0].space, found[0].proxy
    data = load_data(spec, input_size=proxy.input_shape[1])
    predictor = load_predictor(DEVICE, space)
    problem = Problem(space, proxy, data, predictor, [hwnas.parse_budget(ground.budget)])

    def trained(name: str, arch: np.ndarray, seed: int) -> float:
        return alone(out / f"{name}-{seed}", problem, arch, flags.steps, seed)

    tests = [trained("found", result.arch, seed) for seed, result in zip(seeds, found, strict=True)]
    drawn = problem.feasible.sample(RANDOM_NETWORKS, np.random.default_rng(2024))
    others = np.array(
        [[trained(f"random-{at}", arch, seed) for seed in seeds] for at, arch in enumerate(drawn)]
    )

    limit_ms = problem.budgets[0].limit
    within = (predictor.predict(space.sample(DRAWN, seed=0)) <= limit_ms).mean()
    print(
        f"\n{typed(flags.method, settings)} --space {ground.space} --latency {limit_ms:g}ms "
        f"--table {DEVICE} --data {spec}"
    )
    print(f"{within:.0%} of {DRAWN} random networks keep the budget; trained: {proxy.identifier}")
    print("seed  predicted ms  with shared weights  test, trained alone")
    for seed, result, test in zip(seeds, found, tests, strict=True):
        shared = f"{result.accuracy:20.2%}"
        print(f"{seed:4} {result.predicted_ms:13.3f} {shared} {test:20.2%}   {result.architecture}")
    print("random networks: predicted ms, test, trained alone with each seed, mean")
    means = others.mean(axis=1)
    for ms, row, mean in zip(predictor.predict(drawn), others, means, strict=True):
        print(f"{ms:18.3f} {' '.join(f'{test:8.2%}' for test in row)} {mean:8.2%}")
    spread = f"standard deviation {means.std(ddof=1):.2%}"
    if len(seeds) > 1:
        spread += f", of one network's trainings {others.var(axis=1, ddof=1).mean() ** 0.5:.2%}"
    if flags.method == "nao":
        folders = [out / f"search-{seed}" for seed in seeds]
        told = ", ".join(ranks(folders, data, drawn, means))
        print(f"random networks by the shared weights of each search (Spearman): {told}")
    print(f"random: {means.mean():.2%}, {means.min():.2%} to {means.max():.2%}; {spread}")
    mean = np.mean(tests)
    print(f"found: {mean:.2%} on average, above {(mean > means).sum()} of {len(means)}")
    print(f"{time.process_time() - began:.0f} CPU seconds in this session")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", help="of Fashion-MNIST")
    parser.add_argument("--method", choices=list(GROUNDS), required=True)
    parser.add_argument("--out", type=Path, default=Path("runs/against-random"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=250, help="of each retraining")
    parser.add_argument("--set", nargs="*", default=[], metavar="SETTING=VALUE", help="steps=1000")
    main(parser.parse_args())
