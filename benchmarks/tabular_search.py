"""How near searchers come to the best network within a budget, where the truth is a table.

python benchmarks/tabular_search.py ACCURACIES LATENCIES [--column cifar10_test_200] [--seeds 5]

ACCURACIES is nb201_archs_accuracy.csv.gz or another file of NAS-Bench-201 with an architecture a
row, LATENCIES nb201_latency.csv.gz or another with a device a column. Each device has ten budgets,
the quantiles 0.05, 0.15, ... of its latencies. A search evaluates 300 networks; what it loses is
the accuracy of the best connected network within the budget, by enumeration, less that of its own.

Every search is the one of `hwnas search --space nasbench201 --generations 6 --latency BUDGET
--accuracies ACCURACIES:COLUMN --latencies LATENCIES:DEVICE` with the flags that are printed, but
for its folder; one of them is compared with what `hwnas.find_network` finds.
"""

import argparse
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

import hwnas
from hwnas.arrays import FloatArray
from hwnas.costs import Budget
from hwnas.csv_files import read_csv
from hwnas.predictors import LookedUpLatency, load_predictor
from hwnas.search.candidates.largest import largest_within
from hwnas.search.looked_up import Accuracies, Tables
from hwnas.search.problem import Problem
from hwnas.search.retraining.ranking import METRICS
from hwnas.search.retraining.table_ranking import free_guesses
from hwnas.search.searchers.making import make_searcher
from hwnas.search.searchers.searcher import search_generations
from hwnas.search.shared_settings import EvolutionSettings
from hwnas.spaces.tabulated import read_tables

EVALUATIONS, POPULATION = 300, 50
QUANTILES = np.arange(0.05, 1, 0.1)
FITTED = 900
SETTINGS = {
    "evolution (default)": EvolutionSettings(),
    "evolution --largest-of 2": EvolutionSettings(largest_of=2),
    "evolution --largest-of 4": EvolutionSettings(largest_of=4),
    "random search": EvolutionSettings(searcher="random"),
}


def main(flags: argparse.Namespace) -> None:
    space = hwnas.space("nasbench201")
    devices = [name for name in read_csv(Path(flags.latencies)).header if name != "idx"]
    specs = [f"{flags.accuracies}:{flags.column}", *(f"{flags.latencies}:{d}" for d in devices)]
    table, *measured = read_tables(space, specs)
    accuracies = Accuracies(table)
    rank_by_size(accuracies)
    started = time.process_time()
    losses: dict[str, list[float]] = {name: [] for name in SETTINGS}
    losses["largest within the budget"] = []
    for device in measured:
        for problem in problems(accuracies, LookedUpLatency(device)):
            best = best_within(problem)
            for name, settings in SETTINGS.items():
                for seed in range(flags.seeds):
                    found = search(replace(problem, seed=seed), settings)
                    losses[name].append(best - 100 * float(accuracies(found)[0]))
            largest = largest_within(problem).architecture[None]
            losses["largest within the budget"].append(best - 100 * float(accuracies(largest)[0]))
    print(
        f"\n{len(devices)} devices x {len(QUANTILES)} budgets x {flags.seeds} seeds, {EVALUATIONS} "
        f"evaluations: points below the best of {flags.column} within the budget"
    )
    print("                             mean   worst tenth   none lost")
    for name, lost in losses.items():
        print(row(name, lost))
    print(f"{time.process_time() - started:.0f} CPU seconds")
    predicted(accuracies, measured, flags.seeds)
    same_as_the_command(flags, devices[0], problems(accuracies, LookedUpLatency(measured[0])))


def rank_by_size(accuracies: Accuracies) -> None:
    """What costs nothing ranks all connected networks: Kendall, of every tenth."""
    space, archs = accuracies.table.space, accuracies.table.archs
    archs = archs[space.connected(archs)][::10]
    truth = accuracies(archs)
    kendall = METRICS["kendall"]
    told = [f"{k} {kendall(truth, guess):.3f}" for k, guess in free_guesses(space, archs).items()]
    print(f"Kendall with {accuracies.name}, {len(archs)} networks: {', '.join(told)}")


def problems(accuracies: Accuracies, latencies: LookedUpLatency) -> list[Problem]:
    """The same search under each budget of a device."""
    space = accuracies.table.space
    data = Tables(accuracies).no_images
    return [
        Problem(
            space,
            space,
            data,
            latencies,
            [Budget("latency", float(np.quantile(latencies.table.values, quantile)))],
            accuracies=accuracies,
        )
        for quantile in QUANTILES
    ]


def best_within(problem: Problem) -> float:
    """The best accuracy within the budget, in percent, by enumeration."""
    assert problem.accuracies is not None
    archs = problem.accuracies.table.archs
    kept = problem.predictor.predict(archs) <= problem.budgets[0].limit
    kept &= problem.space.connected(archs)
    return 100 * float(problem.accuracies(archs[kept]).max())


def search(problem: Problem, settings: EvolutionSettings) -> np.ndarray:
    """The architecture (1, n_decisions) that a method's searcher finds."""
    assert problem.accuracies is not None
    searcher = make_searcher(settings, problem)
    generations = EVALUATIONS // POPULATION
    search_generations(searcher, problem.accuracies, generations=generations, population=POPULATION)
    return searcher.best()[0][None]


def predicted(accuracies: Accuracies, measured: Sequence, seeds: int) -> None:
    """What mispredicted latency costs, apart from what the search does.

    Of networks that are predicted to keep a budget, some do not, and some that would keep it are
    lost. Printed are what the search loses against the best that is predicted to keep it, what that
    prediction loses (the best that is predicted to keep it, and does, against the best that does),
    and how many of the networks that were found break the budget, which measuring them shows.
    """
    space, rng = accuracies.table.space, np.random.default_rng(0)
    settings = SETTINGS["evolution --largest-of 4"]
    searching, predicting, broken, excess = [], [], [], []
    for device in measured:
        rows = rng.choice(len(device), FITTED, replace=False)
        model = hwnas.LatencyRegressor(space).fit(device.archs[rows], device.values[rows])
        guess, archs = load_predictor(model, space), device.archs
        ms, connected = guess.predict(archs), space.connected(archs)
        for known in problems(accuracies, LookedUpLatency(device)):
            limit, best = known.budgets[0].limit, best_within(known)
            allowed = (ms <= limit) & connected
            both = allowed & (device.values <= limit)
            predicting.append(best - 100 * float(accuracies(archs[both]).max()))
            best_allowed = 100 * float(accuracies(archs[allowed]).max())
            for seed in range(seeds):
                found = search(replace(known, predictor=guess, seed=seed), settings)
                searching.append(best_allowed - 100 * float(accuracies(found)[0]))
                excess.append(float(device(found)[0]) / limit - 1)
                broken.append(excess[-1] > 0)
    print(f"\nlatency predicted from {FITTED} random networks, evolution --largest-of 4:")
    over = np.array(excess)[np.array(broken)]
    print(row("lost by the search", searching))
    print(row("lost by the prediction", predicting))
    print(f"{np.mean(broken):.1%} of the found break the budget, by {over.mean():.1%} on average")


def same_as_the_command(flags: argparse.Namespace, device: str, known: Sequence[Problem]) -> None:
    """One of the searches, by the public function."""
    problem = known[4]
    settings = {"population": POPULATION, "generations": EVALUATIONS // POPULATION}
    with TemporaryDirectory() as folder:
        result = hwnas.find_network(
            "nasbench201",
            None,
            problem.budgets,
            accuracies=f"{flags.accuracies}:{flags.column}",
            latencies=f"{flags.latencies}:{device}",
            out=Path(folder) / "run",
            progress=lambda *_: None,
            **settings,
        )
    here = problem.space.format(search(problem, EvolutionSettings())[0])
    word = "the same network" if result.architecture == here else "ANOTHER NETWORK"
    print(f"\nhwnas.find_network under {problem.budgets[0]} of {device} finds {word}")


def row(name: str, lost: Sequence[float]) -> str:
    values: FloatArray = np.sort(lost)
    worst = values[-max(1, len(values) // 10) :].mean()
    return f"{name:27} {values.mean():6.3f} {worst:11.2f} {(values <= 1e-9).mean():12.0%}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("accuracies", help="CSV file of architectures and accuracies")
    parser.add_argument("latencies", help="CSV file of a device a column")
    parser.add_argument("--column", default="cifar10_test_200")
    parser.add_argument("--seeds", type=int, default=5)
    main(parser.parse_args())
