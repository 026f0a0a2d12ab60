"""TNAS-OS against SPOS with supernets of NAS-Bench-201 trained on CIFAR-10 for equal work.

python benchmarks/tnas_supernet.py CIFAR10 ACCURACIES LATENCIES [--paths N] [--seeds N]
    [--out FOLDER]

CIFAR10 is a folder that ``--data cifar10:DIR`` takes; ACCURACIES and LATENCIES are
nb201_archs_accuracy.csv.gz and nb201_latency.csv.gz. Both methods search through
`hwnas.find_network` with the settings that are printed and else with their defaults. Several paths
a step are balanced. What TNAS-OS pays for its metric (a fifth of its training) SPOS trains longer,
and as many networks are evaluated at the end. The top 50 are those that a search itself puts first
of all that it evaluated with its trained supernet; printed are their true accuracies, after 200
epochs alone. Killed, the same command goes on.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from nasbench201_supernet import INPUT_SIZE, SETTINGS, TRUTH, LookedUp, Truth, read_truth
from scipy.stats import kendalltau

import hwnas
from hwnas.data import Dataset, load_data
from hwnas.search.methods.tnas_os import Settings
from hwnas.search.runs.stored import StoredRun

#: Of the supernet that ranks best here, but for its paths, which are asked for.
SUPERNET = {name: value for name, value in SETTINGS.items() if name not in ("sampler", "paths")}
#: That TNAS-OS trains in all.
PATHS = 2000
TOP = 50
#: Networks of the first generation, which both methods draw alike.
UNIFORM = 50
SPACE = hwnas.space("nasbench201")


def asked(steps: int, paths: int, generations: int) -> dict[str, dict[str, Any]]:
    """What each method is given beside `SUPERNET`, so that both cost the same.

    TNAS-OS evaluates a generation of draws beside those that it is asked for.
    """
    longer = round(steps * (1 + Settings().metric_share))
    grouped = {"paths": paths, "sampler": "balanced"} if paths > 1 else {}
    return {
        "spos": {"steps": longer, "generations": generations, **grouped},
        "tnas-os": {"steps": steps, "generations": generations - 1, **grouped},
    }


def searched(
    out: Path, truth: Truth, data: Dataset, method: str, seed: int, settings: dict[str, Any]
) -> dict[str, float]:
    """One search, or what it left; what its first 50 are worth in truth, in percent."""
    began, took = time.process_time(), out / "seconds.json"
    found = hwnas.find_network(
        SPACE,
        data,
        ["latency<=999ms"],
        method=method,
        predictor=LookedUp(truth),
        out=out,
        seed=seed,
        progress=lambda *_: None,
        **SUPERNET,
        **settings,
    )
    if not took.exists():
        took.write_text(json.dumps(time.process_time() - began))
    true = dict(zip(map(SPACE.format, truth.archs), truth.accuracy, strict=True))
    ranked = StoredRun.open(out, data).accuracies()
    first = sorted(ranked, key=lambda name: -ranked[name])[:TOP]
    values, uniform = [true[name] for name in first], list(ranked)[:UNIFORM]
    return {
        "mean": np.mean(values),
        "best": max(values),
        "winner": true[found.architecture],
        "kendall": kendalltau([ranked[n] for n in uniform], [true[n] for n in uniform]).statistic,
        "evaluated": len(ranked),
        "seconds": json.loads(took.read_text()),
    }


def main(flags: argparse.Namespace) -> None:
    truth = read_truth(flags.accuracies, flags.latencies)
    data = load_data(f"cifar10:{flags.data}", input_size=INPUT_SIZE)
    steps = flags.steps or PATHS // flags.paths
    methods = asked(steps, flags.paths, flags.generations)
    print(f"{SUPERNET}; {methods}")
    print(f"{TRUTH} of the {TOP} that a search puts first, in percent")
    print(f"and Kendall of the {UNIFORM} random networks that are evaluated first")
    print("seed  method     mean   best  its winner  Kendall  networks evaluated  CPU s")
    means: dict[str, list[float]] = {name: [] for name in methods}
    kendalls: dict[str, list[float]] = {name: [] for name in methods}
    for seed in range(flags.first, flags.first + flags.seeds):
        for name, settings in methods.items():
            row = searched(flags.out / f"{name}-{seed}", truth, data, name, seed, settings)
            means[name].append(row["mean"])
            kendalls[name].append(row["kendall"])
            print(
                f"{seed:4}  {name:8} {row['mean']:6.2f} {row['best']:6.2f} {row['winner']:11.2f} "
                f"{row['kendall']:8.2f} {row['evaluated']:19} {row['seconds']:6.0f}",
                flush=True,
            )
    for name, values in means.items():
        print(
            f"{name}: {np.mean(values):.2f}, standard deviation over seeds {np.std(values):.2f}; "
            f"Kendall {np.mean(kendalls[name]):.2f}"
        )
    higher = np.array(means["tnas-os"]) > np.array(means["spos"])
    print(f"tnas-os higher in {higher.sum()} of {len(higher)}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("accuracies", type=Path)
    parser.add_argument("latencies", type=Path)
    parser.add_argument("--out", type=Path, default=Path("runs/tnas-supernet"))
    parser.add_argument("--paths", type=int, default=1, help="that a step trains")
    parser.add_argument("--steps", type=int, help=f"of TNAS-OS; by default of {PATHS} paths in all")
    parser.add_argument("--generations", type=int, default=6, help="of 50 networks")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first", type=int, default=0, help="seed of the first search")
    main(parser.parse_args())
