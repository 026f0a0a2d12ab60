"""How long a profile of ``proxyless`` takes on this CPU, and how well repeated ones agree.

python benchmarks/profile_repeat.py [PROFILES]

The profiles follow each other in an empty home, as a user would repeat them, so that each shares
its scale with those before it. "alone" is what each would predict by itself.
"""

import os
import sys
import tempfile
import time
from itertools import combinations
from pathlib import Path

import numpy as np

import hwnas
from hwnas.devices import ProfileJob, profile_to_file
from hwnas.profilers import runtime


def main(profiles: int) -> None:
    space = hwnas.space("proxyless")
    archs = space.sample(1000, seed=0)
    predicted, alone = [], []
    print("profile  seconds  reference ms  scale  residual  mean predicted ms")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["HWNAS_HOME"] = folder
        for number in range(1, profiles + 1):
            started = time.monotonic()
            path = Path(folder) / "tables" / f"profile{number}.json"
            _, table = profile_to_file(space, runtime("cpu", 1), ProfileJob(out=path))
            seconds = time.monotonic() - started
            predictor = hwnas.load_predictor(table, space)
            own_ms = table.reference_sessions_ms[-1]
            predicted.append(predictor.predict(archs))
            alone.append(predicted[-1] * own_ms / table.reference_ms)
            known = predictor.calibration
            print(
                f"{number:7d}  {seconds:7.1f}  {own_ms:12.3f}  {known.scale:5.3f}  "
                f"{known.residual:8.2%}  {predicted[-1].mean():17.3f}"
            )
    print("mean difference over 1,000 architectures of profiles")
    shapes = [row / row.mean() for row in predicted]
    for a, b in combinations(range(profiles), 2):
        print(
            f"{a + 1} and {b + 1}: {_difference(predicted[a], predicted[b]):.2%}, alone "
            f"{_difference(alone[a], alone[b]):.2%}, without a common factor "
            f"{_difference(shapes[a], shapes[b]):.2%}"
        )


def _difference(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.mean(np.abs(one / other - 1)))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2)
