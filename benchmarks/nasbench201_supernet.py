"""A supernet of NAS-Bench-201 trained on CIFAR-10 within minutes, held against the truth.

python benchmarks/nasbench201_supernet.py DATA ACCURACIES LATENCIES [--out DIR] [--steps N]

DATA is a folder of CIFAR-10; ACCURACIES a table (csv.gz) of all architectures with the columns idx,
arch_str, cifar10_test_200 and live_macs_M; LATENCIES one with idx and a column a device. The
supernet is trained through `hwnas.find_network`. It ranks random connected networks, beside live
MACs and parameters, which cost nothing. Then the best network by the supernet is taken under each
of ten latency budgets a device, among random connected networks, and compared with the best by
enumeration. Killed, the same command goes on.
"""

import argparse
import csv
import gzip
import resource
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.stats import kendalltau

import hwnas
from hwnas.data import Dataset, load_data
from hwnas.search.candidates.evaluation import LoggedEvaluation, stored_evaluator
from hwnas.search.runs.run import Run
from hwnas.search.runs.stored import StoredRun

INPUT_SIZE, TRUTH = 16, "cifar10_test_200"
#: What the flags of `hwnas search` are named here.
SETTINGS = {
    "sharing": "slices",
    "sampler": "balanced",
    "paths": 5,
    "rank_by": "separation",
    "optimizer": "sgd",
    "base_lr": 0.1,
    "batch_size": 128,
    "proxy_width": 1.0,
    "proxy_input_size": INPUT_SIZE,
}
#: Quantiles of a device's latencies that are budgets: where they bind.
QUANTILES = np.arange(0.02, 0.21, 0.02)


@dataclass(frozen=True)
class Truth:
    """All connected networks: architectures (n, 6), the rest (n,), latencies (n, devices)."""

    archs: np.ndarray
    accuracy: np.ndarray
    macs: np.ndarray
    params: np.ndarray
    latency_ms: np.ndarray
    devices: list[str]


def read_truth(accuracies: Path, latencies: Path) -> Truth:
    with gzip.open(accuracies, "rt") as file:
        rows = {row["idx"]: row for row in csv.DictReader(file)}
    with gzip.open(latencies, "rt") as file:
        measured = {row.pop("idx"): row for row in csv.DictReader(file)}
    space = hwnas.space("nasbench201")
    archs = np.array([space.parse(row["arch_str"]) for row in rows.values()])
    cell = space.layout.cell
    connected = (cell.live(archs) != np.array(cell.zero)).any(1)
    devices = list(next(iter(measured.values())))

    def column(name: str) -> np.ndarray:
        return np.array([float(row[name]) for row in rows.values()])[connected]

    return Truth(
        archs[connected],
        column(TRUTH),
        column("live_macs_M"),
        space.params(archs)[connected] / 1e6,
        np.array([[float(measured[i][d]) for d in devices] for i in rows])[connected],
        devices,
    )


class LookedUp:
    """The first device's latency, which no budget of the training limits."""

    def __init__(self, truth: Truth):
        self._ms = {tuple(a): ms for a, ms in zip(truth.archs, truth.latency_ms[:, 0], strict=True)}

    def predict(self, archs: np.ndarray) -> np.ndarray:
        """Milliseconds (n,)."""
        return np.array([self._ms.get(tuple(arch), 1e3) for arch in np.asarray(archs)])


def scores(flags: argparse.Namespace, data: Dataset, archs: np.ndarray) -> np.ndarray:
    """What the trained supernet says of architectures (n, 6)."""
    source = StoredRun.open(flags.out / "search", data)
    evaluator = stored_evaluator(source, data)
    run = Run(flags.out / "ranking", {"networks": flags.networks})
    return LoggedEvaluation(run, source.deployed, evaluator.accuracies)(archs)


def ranking(name: str, values: np.ndarray, truth: np.ndarray, bands: list[np.ndarray]) -> str:
    within = [kendalltau(values[band], truth[band]).statistic for band in bands]
    each = " ".join(f"{value:5.2f}" for value in within)
    overall = kendalltau(values, truth).statistic
    return f"{name:12} {overall:7.3f} {np.nanmean(within):16.3f}   {each}"


def distances(truth: Truth, values: np.ndarray, among: np.ndarray) -> np.ndarray:
    """Points between the best network and the one of the highest value, (devices, budgets)."""
    found = np.empty((len(truth.devices), len(QUANTILES)))
    for device, latency in enumerate(truth.latency_ms.T):
        for at, limit in enumerate(np.quantile(latency, QUANTILES)):
            kept = among[latency[among] <= limit]
            if not len(kept):
                raise SystemExit(f"none of {len(among)} candidates keeps {limit:g} ms: draw more")
            chosen = kept[np.argmax(values[kept])]
            found[device, at] = truth.accuracy[latency <= limit].max() - truth.accuracy[chosen]
    return found


def main(flags: argparse.Namespace) -> None:
    truth = read_truth(flags.accuracies, flags.latencies)
    data = load_data(f"cifar10:{flags.data}", input_size=INPUT_SIZE)
    hwnas.find_network(
        hwnas.space("nasbench201"),
        data,
        ["latency<=999ms"],
        predictor=LookedUp(truth),
        out=flags.out / "search",
        seed=flags.seed,
        steps=flags.steps,
        population=10,
        generations=1,
        parents=2,
        **SETTINGS,
    )
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(
        f"{flags.steps} steps of {SETTINGS['paths']} paths; this process used "
        f"{used.ru_utime + used.ru_stime:.0f} CPU seconds so far"
    )
    rng = np.random.default_rng(flags.seed)
    drawn = rng.permutation(len(truth.archs))[: flags.candidates]
    values = np.full(len(truth.archs), -np.inf)
    values[drawn] = scores(flags, data, truth.archs[drawn])

    some = drawn[: flags.networks]
    bands = np.array_split(np.argsort(truth.macs[some], kind="stable"), 10)
    print(f"Kendall with {TRUTH} of {len(some)} random connected networks, and within deciles of")
    print("live MACs, small to large")
    print("by           overall  mean of deciles   each")
    columns = {"supernet": values, "live MACs": truth.macs, "parameters": truth.params}
    for name, column in columns.items():
        print(ranking(name, column[some], truth.accuracy[some], bands))

    everything = np.arange(len(truth.archs))
    print(
        f"\npoints from the best network under a budget, mean of {len(truth.devices)} devices x "
        f"{len(QUANTILES)} budgets"
    )
    chance = [
        distances(truth, np.random.default_rng(at).random(len(everything)), everything).mean()
        for at in range(20)
    ]
    for name, far in {
        f"chosen by the supernet among {len(drawn)} drawn": distances(truth, values, drawn),
        f"the best of those {len(drawn)}": distances(truth, truth.accuracy, drawn),
        "most live MACs": distances(truth, truth.macs, everything),
        "most parameters": distances(truth, truth.params, everything),
        "random": np.array(chance),
    }.items():
        print(f"{name:45} {far.mean():6.2f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("accuracies", type=Path)
    parser.add_argument("latencies", type=Path)
    parser.add_argument("--out", type=Path, default=Path("runs/nasbench201-supernet"))
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--networks", type=int, default=200, help="that are ranked")
    parser.add_argument("--candidates", type=int, default=600, help="that are chosen among")
    parser.add_argument("--seed", type=int, default=0)
    main(parser.parse_args())
