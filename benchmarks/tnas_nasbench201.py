"""The VAE of TNAS on NAS-Bench-201, by tables of accuracies and latencies.

python benchmarks/tnas_nasbench201.py ACCURACIES LATENCIES [--seeds N] [--quantiles Q ...] [...]

ACCURACIES and LATENCIES are CSV files of all 15,625 architectures (.gz as well): ``arch_str`` and a
column of accuracies in %; ``idx`` in the same order and a column of milliseconds for each device.
Prints the best accuracy after 50, 100 and 150 evaluations in batches of ten, and the distance to
the best network that keeps a latency budget, over all devices and four budgets each.
"""

import argparse
import csv
import gzip
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from hwnas import spaces
from hwnas.arrays import FloatArray, IntArray
from hwnas.costs import Budget, Constraint, FeasibleSet, nearest_sum
from hwnas.search.searchers.evolution import Evolution
from hwnas.search.searchers.random_search import RandomSearch
from hwnas.search.searchers.searcher import Searcher
from hwnas.search.searchers.vae_search import VAESearch, VAESearchSettings

EVALUATIONS, BATCH = (50, 100, 150), 10
QUANTILES = (0.1, 0.25, 0.5, 0.75)
Make = Callable[[FeasibleSet, int], Searcher]
SEARCHERS: dict[str, Make] = {
    "random": RandomSearch,
    "evolution": lambda feasible, seed: Evolution(feasible, seed=seed),
    "VAE alone": lambda feasible, seed: VAESearch(
        feasible, VAESearchSettings(predictors=0, explore=0.1, neighbour_share=0.0), seed=seed
    ),
    "VAE, ranked": lambda feasible, seed: VAESearch(
        feasible, VAESearchSettings(neighbour_share=0.0), seed=seed
    ),
    "VAE, ranked, and neighbours": lambda feasible, seed: VAESearch(feasible, seed=seed),
}


@dataclass(frozen=True, eq=False)
class Table:
    """One number an architecture of a space, looked up."""

    space: spaces.SearchSpace
    values: FloatArray

    @classmethod
    def of(cls, space: spaces.SearchSpace, archs: IntArray, values: FloatArray) -> "Table":
        """The table of what architectures (n, n_decisions) have."""
        table = cls(space, np.full(space.size, np.nan))
        table.values[table.code(archs)] = values
        return table

    def code(self, archs: IntArray) -> IntArray:
        """Positions (n,) in the table."""
        return np.ravel_multi_index(tuple(archs.T), self.space.n_choices)

    def __call__(self, archs: IntArray) -> FloatArray:
        """What architectures (n, n_decisions) have, (n,)."""
        return self.values[self.code(archs)]


def main(flags: argparse.Namespace) -> None:
    torch.set_num_threads(1)
    space = spaces.space("nasbench201")
    rows = list(read(flags.accuracies))
    archs = np.array([space.parse(row["arch_str"]) for row in rows])
    accuracy = Table.of(space, archs, np.array([float(row[flags.column]) for row in rows]))
    timed = list(read(flags.latencies))
    latencies = {
        device: Table.of(space, archs, np.array([float(row[device]) for row in timed]))
        for device in timed[0]
        if device != "idx"
    }
    chosen = {name: SEARCHERS[name] for name in flags.searchers or SEARCHERS}
    if flags.seeds:
        without(chosen, accuracy, latencies, flags.seeds)
    if flags.quantiles:
        within(chosen, accuracy, latencies, flags.quantiles)


def without(
    searchers: dict[str, Make], accuracy: Table, latencies: dict[str, Table], seeds: int
) -> None:
    """Nothing is limited: the budget is the slowest network's latency."""
    latency = next(iter(latencies.values()))
    feasible = limited(latency, np.nanmax(latency.values))
    print(f"best of all {np.nanmax(accuracy.values):.3f}; best of {EVALUATIONS} evaluations")
    for name, make in searchers.items():
        start = time.process_time()
        best = np.array([searched(make(feasible, seed), accuracy) for seed in range(seeds)])
        seconds = (time.process_time() - start) / seeds
        means = " ".join(f"{mean:7.3f}" for mean in best.mean(0))
        spread = " ".join(f"{std:6.3f}" for std in best.std(0))
        print(f"{name:12} {means}   standard deviation {spread}   {seconds:.1f} s each", flush=True)


def within(
    searchers: dict[str, Make],
    accuracy: Table,
    latencies: dict[str, Table],
    quantiles: Sequence[float],
) -> None:
    """Under the latencies of each device, at quantiles of them."""
    distances: dict[str, list[FloatArray]] = {name: [] for name in searchers}
    limits: dict[str, list[float]] = {name: [] for name in searchers}
    for seed, quantile in enumerate(quantiles):
        for latency in latencies.values():
            limit = float(np.quantile(latency.values, quantile))
            feasible = limited(latency, limit)
            most = accuracy.values[latency.values <= limit].max()
            for name, make in searchers.items():
                searcher = make(feasible, seed)
                distances[name].append(most - searched(searcher, accuracy))
                if isinstance(searcher, VAESearch):
                    limits[name].append(searcher.limited / searcher.drawn)
        of_these = {
            name: np.mean(rows[-len(latencies) :], 0)[-1] for name, rows in distances.items()
        }
        told = ", ".join(f"{name} {mean:.3f}" for name, mean in of_these.items())
        print(f"budgets at quantile {quantile:g} of each device: {told}", flush=True)
    print(f"mean distance to the best within the budget after {EVALUATIONS} evaluations")
    for name, rows in distances.items():
        means = " ".join(f"{mean:6.3f}" for mean in np.mean(rows, 0))
        note = f"   masked {np.mean(limits[name]):.0%} of draws" if limits[name] else ""
        print(f"{name:12} {means}{note}")


def limited(latency: Table, limit_ms: float) -> FeasibleSet:
    """The architectures that a table puts within a limit."""
    guide = nearest_sum(latency, latency.space.n_choices).cost
    return FeasibleSet([Constraint(Budget("latency", float(limit_ms)), guide, check=latency)])


def searched(searcher: Searcher, accuracy: Table) -> FloatArray:
    """The best accuracies after so many evaluations; fewer where the feasible set is exhausted."""
    found: list[float] = []
    while len(found) < EVALUATIONS[-1]:
        archs = searcher.suggest(BATCH)
        if not len(archs):
            break
        values = accuracy(archs)
        searcher.update(archs, values / 100)
        found += values.tolist()
    return np.array([max(found[:count]) for count in EVALUATIONS])


def read(path: Path) -> Iterator[dict[str, str]]:
    """The rows of a CSV file, compressed or not."""
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as file:
        yield from csv.DictReader(file)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("accuracies", type=Path)
    parser.add_argument("latencies", type=Path)
    parser.add_argument("--seeds", type=int, default=10, help="without a budget")
    parser.add_argument("--quantiles", nargs="*", type=float, default=QUANTILES, help="of budgets")
    parser.add_argument("--searchers", nargs="+", choices=SEARCHERS)
    parser.add_argument("--column", default="cifar10_test_200", help="of ACCURACIES")
    main(parser.parse_args())
