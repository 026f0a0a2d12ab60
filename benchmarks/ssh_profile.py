"""Profiles of this machine from within and over ssh, in turns, and how far they differ.

python benchmarks/ssh_profile.py [ROUNDS [ADDRESS [SECONDS [RUNS]]]]

ADDRESS (default ssh://localhost) must log in without a question and lead to this machine; the
remote Python is the one that runs this script. The machine drifts by a common factor of several
percent between profiles, which is no difference between the two ways; so the profiles take turns,
and the difference is printed with that factor and without it, beside how far profiles of one kind
differ among themselves.
"""

import os
import sys
import tempfile
from itertools import combinations
from pathlib import Path

import numpy as np

import hwnas
from hwnas.devices import PROFILE_SECONDS
from hwnas.predictors import load_predictor
from hwnas.profilers import Plan, profile_space, remote_runtime, runtime


def main(rounds: int, address: str, plan: Plan) -> None:
    space = hwnas.space("proxyless")
    archs = space.sample(1000, seed=0)
    ways = {"local": runtime("cpu", 1), "ssh": remote_runtime(address, 1, python=sys.executable)}
    assert ways["ssh"] is not None, f"{address} is no address such as ssh://localhost"
    targets = {way: device.target("fp32", 1) for way, device in ways.items()}
    assert targets["local"] == targets["ssh"], targets["local"].differences(targets["ssh"])
    predicted: dict[str, list[np.ndarray]] = {way: [] for way in ways}
    print("round  way    seconds  reference ms  mean predicted ms")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["HWNAS_HOME"] = folder
        for number in range(rounds):
            order = list(ways) if number % 2 == 0 else list(ways)[::-1]
            for way in order:
                table = profile_space(space, ways[way], plan=plan)
                table.save(Path(folder) / f"{way}{number}.json")
                predicted[way].append(load_predictor(table, space).predict(archs))
                print(
                    f"{number + 1:5d}  {way:5s}  {table.provenance.seconds:7.1f}  "
                    f"{table.reference_ms:12.3f}  {predicted[way][-1].mean():17.3f}",
                    flush=True,
                )
    means = {way: np.mean(rows, axis=0) for way, rows in predicted.items()}
    print("\nmean difference over 1,000 architectures     as it is   without a common factor")
    _print("local and ssh, means of all rounds", [(means["local"], means["ssh"])])
    _print("local and ssh, one round", list(zip(*predicted.values(), strict=True)))
    for way, rows in predicted.items():
        if rounds > 1:
            _print(f"{way} and {way}, two rounds", list(combinations(rows, 2)))


def _print(name: str, pairs: list[tuple[np.ndarray, np.ndarray]]) -> None:
    plain = np.mean([np.mean(np.abs(a / b - 1)) for a, b in pairs])
    shape = np.mean([np.mean(np.abs(a / a.mean() / (b / b.mean()) - 1)) for a, b in pairs])
    print(f"{name:42s}  {plain:9.2%}  {shape:24.2%}")


if __name__ == "__main__":
    main(
        int(sys.argv[1]) if len(sys.argv) > 1 else 3,
        sys.argv[2] if len(sys.argv) > 2 else "ssh://localhost",
        Plan(
            min_seconds=float(sys.argv[3]) if len(sys.argv) > 3 else PROFILE_SECONDS,
            **dict.fromkeys(("min_runs", "max_runs"), int(sys.argv[4])) if sys.argv[4:] else {},
        ),
    )
