"""Balanced NAO on the tabular NAS-Bench-201: what a map learns, and what searches on it find.

python benchmarks/nao_nasbench201.py ACCURACIES LATENCIES [--part map|free|spread|budgets|kept]
    [--searchers nao nao-ranked nao-plain trees trees-near evolution random]
    [--seeds N] [--first SEED] [--devices NAME ...]

ACCURACIES and LATENCIES are nb201_archs_accuracy.csv.gz and nb201_latency.csv.gz: accuracies after
200 epochs on CIFAR-10, and ms of every network on 14 devices. Every search evaluates 20 random
networks and then batches of ten. Budgets are quantiles of a device's latencies; the distance is to
the best network that keeps the budget, in points of accuracy. ``nao`` is what ``--searcher nao``
begins with, ``nao-ranked`` the same without neighbours, ``nao-plain`` without either. ``spread`` is
table 7 of Balanced NAO on this ground: the errors of what five searches find.
"""

import argparse
import csv
import gzip
import time
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import torch

import hwnas
from hwnas.costs import Budget, Constraint, FeasibleSet, decode, nearest_sum
from hwnas.search.searchers.evolution import Evolution
from hwnas.search.searchers.nao import QUICK, Ascent, MapSearch
from hwnas.search.searchers.nao_model import ArchitectureMap, Decoding, Fit, Scale, fit
from hwnas.search.searchers.random_search import RandomSearch
from hwnas.search.searchers.trees import Trees
from hwnas.search.shared_settings import BEGINS_WITH

SPACE = hwnas.space("nasbench201")
COLUMN = "cifar10_test_200"
FIRST, BATCH, POINTS = 20, 10, (50, 100, 150)
QUANTILES = (0.1, 0.25, 0.5, 0.75)
LEARNED, UNSEEN, DRAWS = 300, 2000, 5
KEPT = 10_000
SPREAD_OF = 5
#: Of each batch that ``trees-near`` proposes; chosen by seeds 100 to 119.
TREES_SHARE = 0.3
#: What ``--searcher nao`` begins with: draws that its maps judge, too, and a share of neighbours;
#: chosen by seeds of 100 and above.
BEGUN = BEGINS_WITH["nao"]
RANKED = replace(QUICK, ranked_draws=int(BEGUN["ranked_draws"]))
SEARCHERS = {
    "nao": lambda feasible, seed: MapSearch(
        feasible,
        seed,
        ascent=RANKED,
        canonical=SPACE.canonical,
        neighbour_share=BEGUN["neighbour_share"],
    ),
    "nao-ranked": lambda feasible, seed: MapSearch(
        feasible, seed, ascent=RANKED, canonical=SPACE.canonical
    ),
    "nao-plain": lambda feasible, seed: MapSearch(
        feasible, seed, ascent=QUICK, canonical=SPACE.canonical
    ),
    "trees": lambda feasible, seed: Trees(feasible, seed, canonical=SPACE.canonical),
    "trees-near": lambda feasible, seed: Trees(
        feasible, seed, canonical=SPACE.canonical, neighbour_share=TREES_SHARE
    ),
    "evolution": lambda feasible, seed: Evolution(feasible, seed=seed),
    "random": RandomSearch,
}


@dataclass(frozen=True)
class Table:
    """Accuracies in percent and latencies in ms of all 15,625 networks, by `position`."""

    archs: np.ndarray
    accuracies: np.ndarray
    latencies: dict[str, np.ndarray]


def position(archs: np.ndarray) -> np.ndarray:
    """Where an architecture stands in the table, (n,)."""
    return np.ravel_multi_index(np.asarray(archs).T, SPACE.n_choices)


def read(accuracies: str, latencies: str) -> Table:
    """Both files, joined by their ``idx``."""
    rows = []
    for path in (accuracies, latencies):
        with gzip.open(path, "rt", newline="") as file:
            rows.append({row["idx"]: row for row in csv.DictReader(file)})
    archs = np.array([SPACE.parse(row["arch_str"]) for row in rows[0].values()])
    order = np.argsort(position(archs))
    devices = [name for name in next(iter(rows[1].values())) if name != "idx"]
    return Table(
        archs[order],
        np.array([float(row[COLUMN]) for row in rows[0].values()])[order],
        {d: np.array([float(rows[1][idx][d]) for idx in rows[0]])[order] for d in devices},
    )


def best_after(searcher, table: Table) -> list[float]:
    """The best accuracy, in percent, after so many evaluations as `POINTS` says."""
    best, found, count = 0.0, [], 0
    while count < POINTS[-1]:
        archs = searcher.suggest(BATCH if count else FIRST)
        if not len(archs):
            break
        values = table.accuracies[position(archs)]
        searcher.update(archs, values / 100)
        count, best = count + len(archs), max(best, values.max())
        found += [best] * sum(count - len(archs) < point <= count for point in POINTS)
    return found + [best] * (len(POINTS) - len(found))


def everything() -> FeasibleSet:
    return FeasibleSet([Constraint(Budget("macs", 1e12), SPACE.cost("macs"))])


def within(table: Table, device: str, limit_ms: float) -> FeasibleSet:
    """The networks that were measured within a limit."""

    def measured(archs: np.ndarray) -> np.ndarray:
        return table.latencies[device][position(archs)]

    guide = nearest_sum(measured, SPACE.n_choices).cost
    return FeasibleSet([Constraint(Budget("latency", limit_ms), guide, check=measured)])


def learn_map(table: Table, flags: argparse.Namespace) -> None:
    """Pairwise accuracy on networks that a map has not seen, and what its points decode to."""
    unlimited = everything()
    for seed in range(DRAWS):
        order = np.random.default_rng(seed).permutation(len(table.archs))
        seen, unseen = order[:LEARNED], order[LEARNED : LEARNED + UNSEEN]
        started = time.process_time()
        accuracies = table.accuracies[seen] / 100
        network = ArchitectureMap(SPACE.n_choices, seed=seed)
        targets = Scale.of(accuracies).targets(accuracies)
        fit(network, SPACE.canonical(table.archs[seen]), targets, Fit(), seed=seed)
        seconds = time.process_time() - started
        written = SPACE.canonical(table.archs[unseen])
        with torch.no_grad():
            points = network.encode(torch.from_numpy(written))
            predicted = network.predict(points).numpy()
        decoded, _ = decode(unlimited, Decoding(network, points), UNSEEN)
        print(
            f"draw {seed}: {LEARNED} networks learned in {seconds:.1f} s; of {UNSEEN} others "
            f"{pairwise(predicted, table.accuracies[unseen]):.3f} of the pairs in order, "
            f"{(decoded == written).all(axis=1).mean():.2%} decoded as encoded",
            flush=True,
        )


def pairwise(predicted: np.ndarray, true: np.ndarray) -> float:
    """The share of the pairs of different accuracy that are in order."""
    first, second = np.array(list(combinations(range(len(true)), 2))).T
    differ = true[first] != true[second]
    first, second = first[differ], second[differ]
    return float(((predicted[first] > predicted[second]) == (true[first] > true[second])).mean())


def search_freely(table: Table, flags: argparse.Namespace) -> None:
    """The best of 50, 100 and 150 evaluations without a budget."""
    for name in flags.searchers:
        rows = np.array(
            [
                best_after(SEARCHERS[name](everything(), seed), table)
                for seed in range(flags.first, flags.first + flags.seeds)
            ]
        )
        tell(name, rows, f"{len(rows)} seeds")


def spread(table: Table, flags: argparse.Namespace) -> None:
    """Test errors of what five searches find without a budget: mean, best, worst, deviation."""
    for name in flags.searchers:
        errors = np.array(
            [
                100 - best_after(SEARCHERS[name](everything(), seed), table)[-1]
                for seed in range(flags.first, flags.first + SPREAD_OF)
            ]
        )
        each = " ".join(f"{error:.2f}" for error in errors)
        print(
            f"{name:>10}: {POINTS[-1]} evaluations, test error mean {errors.mean():.2f} %, best "
            f"{errors.min():.2f}, worst {errors.max():.2f}, deviation {errors.std(ddof=1):.2f} "
            f"(of {each})",
            flush=True,
        )


def search_within_budgets(table: Table, flags: argparse.Namespace) -> None:
    """How far the best of so many evaluations is from the best that keeps the budget."""
    for name in flags.searchers:
        rows = []
        for device in flags.devices or table.latencies:
            number = len(QUANTILES) * list(table.latencies).index(device)
            for at, quantile in enumerate(QUANTILES, number):
                latency = table.latencies[device]
                limit_ms = float(np.quantile(latency, quantile))
                best = table.accuracies[latency <= limit_ms].max()
                feasible = within(table, device, limit_ms)
                for seed in range(flags.first, flags.first + flags.seeds):
                    searcher = SEARCHERS[name](feasible, 1000 * seed + at)
                    rows.append(best - np.array(best_after(searcher, table)))
            tell(name, np.array(rows), f"{len(rows)} searches, the last on {device}")


def tell(name: str, rows: np.ndarray, of: str) -> None:
    means, errors = rows.mean(axis=0), rows.std(axis=0) / len(rows) ** 0.5
    text = ", ".join(f"{m:.3f} +-{e:.3f}" for m, e in zip(means, errors, strict=True))
    print(f"{name:>10}: after {'/'.join(map(str, POINTS))}: {text} ({of})", flush=True)


def count_kept(table: Table, flags: argparse.Namespace) -> None:
    """Of 10,000 proposals under measured budgets, those that keep them."""
    kept = proposed = 0
    ascent = Ascent(maps=1, fit=Fit(steps=50))
    for device, latency in table.latencies.items():
        limit_ms = float(np.quantile(latency, 0.5))
        searcher = MapSearch(within(table, device, limit_ms), ascent=ascent)
        share = -(-KEPT // len(table.latencies))
        while share > 0:
            archs = searcher.suggest(min(share, 180))
            searcher.update(archs, table.accuracies[position(archs)] / 100)
            kept += int((latency[position(archs)] <= limit_ms).sum())
            proposed, share = proposed + len(archs), share - len(archs)
    print(f"{kept:,} of {proposed:,} proposals keep their budget")


PARTS = {
    "map": learn_map,
    "free": search_freely,
    "spread": spread,
    "budgets": search_within_budgets,
    "kept": count_kept,
}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("accuracies")
    parser.add_argument("latencies")
    parser.add_argument("--part", choices=PARTS, nargs="+", default=list(PARTS))
    parser.add_argument("--searchers", choices=SEARCHERS, nargs="+", default=list(SEARCHERS))
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first", type=int, default=0, help="seed of the first search")
    parser.add_argument("--devices", nargs="+", help="of LATENCIES; all without")
    flags = parser.parse_args()
    torch.set_num_threads(1)
    tabular = read(flags.accuracies, flags.latencies)
    for part in flags.part:
        PARTS[part](tabular, flags)
