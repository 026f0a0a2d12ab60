"""What ``hwnas search`` finds on Fashion-MNIST, retrained, against random feasible networks.

python benchmarks/spos_fashion.py DIR [--space NAME] [--out FOLDER] [--seeds 2] [--steps N]
                                  [--set SETTING=VALUE ...]

DIR holds the four files of Fashion-MNIST. Each seed searches twice, with the defaults and with
settings that a person may give too, to which --set adds; the flags are printed. Winners, and random
architectures within the budgets, are then trained alone, as ``hwnas train`` does. Test accuracies
are of the test part, which no search looks at. Latency is that of the shipped tables, BitOps are
limited to those of ResNet-18 at 3 bits. Killed at any moment, the same command goes on.
"""

import argparse
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from main_job import settings_in

import hwnas
from hwnas.data import load_data
from hwnas.predictors import LatencyPredictor, load_predictor
from hwnas.progress import Progress
from hwnas.search.methods import METHODS
from hwnas.search.options import SearchOptions
from hwnas.search.problem import Problem
from hwnas.search.result import Result
from hwnas.search.retraining.finalists import finalist_settings
from hwnas.search.retraining.retrain import accuracy, logits, retrain
from hwnas.search.runs.run import Run
from hwnas.search.settings import fields_of
from hwnas.spaces import SearchSpace

INPUT_SIZE, WIDTH, RANDOM_NETWORKS = 28, 0.25, 5
#: Space -> its shipped table, and what its networks keep.
TARGETS = {
    "proxyless": ("amd-epyc-1thread", ("latency<=6ms",)),
    "resnet18-bits": ("amd-epyc-1thread-int8", ("latency<=6ms", "bitops<=14.21G")),
}
#: What all searches here are given, so that they end in minutes.
SIZE: dict[str, Any] = {"proxy_input_size": INPUT_SIZE, "population": 20, "generations": 5}
#: What a person may give besides: paths within the budgets alone, and a more careful choice.
CHOSEN: dict[str, Any] = {
    "sampler": "feasible",
    "validation_images": 2000,
    "finalists": 4,
    "finalist_steps": 150,
}


class Elsewhere:
    """A shipped table, as a device that is not here: nothing is measured on a busy machine."""

    additive = True

    def __init__(self, name: str, space: SearchSpace):
        self.table = load_predictor(name, space)
        self.cost, self.target = self.table.cost, f"the shipped table {name}"

    def predict(self, archs: np.ndarray) -> np.ndarray:
        """The table's ms (n,) of architectures (n, n_decisions)."""
        return self.table.predict(archs)

    def expected(self, probabilities: Any) -> Any:
        """The table's expectation, for a loss."""
        return self.table.expected(probabilities)


def problem_of(name: str, folder: str) -> Problem:
    """A space as it was profiled, Fashion-MNIST for its proxy, and the budgets, latency first."""
    table, budgets = TARGETS[name]
    deployed = hwnas.space(name)
    data = load_data(f"fashion-mnist:{folder}", input_size=INPUT_SIZE)
    proxy = hwnas.spaces.proxy(deployed, INPUT_SIZE, data.classes, WIDTH)
    kept = [hwnas.parse_budget(text) for text in budgets]
    predictor: LatencyPredictor = load_predictor(Elsewhere(table, deployed), deployed)
    return Problem(deployed, proxy, data, predictor, kept)


def searched(
    out: Path, problem: Problem, data: str, method: str, seed: int, settings: Mapping[str, Any]
) -> Result:
    """One whole search by the public function."""
    return hwnas.find_network(
        problem.space,
        data,
        problem.budgets,
        method=method,
        predictor=problem.predictor.source,
        out=out,
        seed=seed,
        progress=lines(),
        **settings,
    )


def typed(method: str, settings: Mapping[str, Any]) -> str:
    """Settings as they are typed."""
    flags = {
        f.name: f.flag
        for kind in (METHODS.typed(method).Settings, SearchOptions)
        for f in fields_of(kind)
    }
    words = [f"{flags[name]} {value}" for name, value in settings.items()]
    return " ".join([f"hwnas search --method {method}", *words])


def lines() -> Progress:
    """One line a quarter of each task."""
    told: dict[str, int] = {}

    def tell(task: str, share: float, remark: str) -> None:
        part = int(4 * share)
        if part > told.get(task, 0):
            print(f"  {task} {share:.0%} {remark}", flush=True)
        told[task] = part

    return tell


def alone(folder: Path, problem: Problem, arch: np.ndarray, steps: int, seed: int) -> float:
    """Test accuracy of one architecture trained from scratch."""
    space, data = problem.proxy, problem.data
    run = Run(folder, {"architecture": space.format(arch), "steps": steps, "seed": seed})
    done = run.read_json("test.json")
    if done is None:
        network = retrain(run, space, arch, data, finalist_settings(steps), seed=seed)
        done = {"accuracy": accuracy(*logits(network, data.test()))}
        run.write_json("test.json", done)
    print(f"{folder.name}, seed {seed}: {done['accuracy']:.2%}", flush=True)
    return float(done["accuracy"])


def main(flags: argparse.Namespace) -> None:
    began = time.process_time()
    problem, data = problem_of(flags.space, flags.folder), f"fashion-mnist:{flags.folder}"
    out, seeds = flags.out / flags.space, range(flags.seeds)
    asked = {"defaults": SIZE, "chosen": {**SIZE, **CHOSEN, **settings_in(flags.set)}}
    found: dict[str, list[float]] = {}
    winners = []
    for name, settings in asked.items():
        for seed in seeds:
            result = searched(out / f"{name}-{seed}", problem, data, "spos", seed, settings)
            test = alone(out / f"{name}-{seed}-alone", problem, result.arch, flags.steps, seed)
            found.setdefault(name, []).append(test)
            winners.append((name, seed, result, test))
    drawn = problem.feasible.sample(RANDOM_NETWORKS, np.random.default_rng(2024))
    others = np.array(
        [
            [alone(out / f"random-{at}-{seed}", problem, arch, flags.steps, seed) for seed in seeds]
            for at, arch in enumerate(drawn)
        ]
    ).mean(1)

    print(about(flags.space))
    print("search     seed  predicted ms  with shared weights  test, trained alone")
    for name, seed, result, test in winners:
        print(
            f"{name:10} {seed:4} {result.predicted_ms:13.3f} {result.accuracy:20.2%} "
            f"{test:20.2%}   {result.architecture}"
        )
    print(
        f"{RANDOM_NETWORKS} random networks, each the mean of {flags.seeds} trainings: "
        f"{others.mean():.2%} on average, {others.min():.2%} to {others.max():.2%}"
    )
    for name, settings in asked.items():
        mean = np.mean(found[name])
        print(
            f"{name}: {mean:.2%}, above {(mean > others).sum()} of {RANDOM_NETWORKS}   "
            f"({typed('spos', settings)})"
        )
    print(f"{time.process_time() - began:.0f} CPU seconds in this session")


def about(space: str) -> str:
    """What is compared, in a line."""
    table, budgets = TARGETS[space]
    proxy = f"proxy of width {WIDTH:g} at {INPUT_SIZE} pixels"
    return f"\n{space}, {', '.join(budgets)}, table {table}; {proxy}"


def parser(description: str, out: str) -> argparse.ArgumentParser:
    """The flags of a comparison on Fashion-MNIST."""
    flags = argparse.ArgumentParser(description=description)
    flags.add_argument("folder", help="of Fashion-MNIST")
    flags.add_argument("--out", type=Path, default=Path(out), help="a folder for each space")
    flags.add_argument("--seeds", type=int, default=2)
    flags.add_argument("--space", choices=list(TARGETS), default="proxyless")
    flags.add_argument("--steps", type=int, default=150, help="of each retraining")
    return flags


if __name__ == "__main__":
    flags = parser(__doc__.splitlines()[0], "runs/spos-fashion")
    flags.add_argument("--set", nargs="*", default=[], metavar="SETTING=VALUE", help="steps=1000")
    main(flags.parse_args())
