"""How long a profile of ``proxyless`` takes on this CPU, and how well two of them agree.

python benchmarks/profile_repeat.py [PROFILES]
"""

import sys
import tempfile
import time
from itertools import combinations
from pathlib import Path

import numpy as np

import hwnas
from hwnas.cli.resources import profile_to_file
from hwnas.profilers import runtime


def main(profiles: int) -> None:
    space = hwnas.space("proxyless")
    archs = space.sample(1000, seed=0)
    predicted = []
    print("profile  seconds  reference ms  scale  residual  mean predicted ms")
    for number in range(1, profiles + 1):
        with tempfile.TemporaryDirectory() as folder:
            started = time.monotonic()
            path = Path(folder) / "table.json"
            _, table = profile_to_file(space, runtime("cpu", 1), "fp32", 1, out=path)
            seconds = time.monotonic() - started
        predictor = hwnas.load_predictor(table, space)
        predicted.append(predictor.predict(archs))
        known = predictor.calibration
        print(
            f"{number:7d}  {seconds:7.1f}  {table.reference_ms:12.3f}  {known.scale:5.3f}  "
            f"{known.residual:8.2%}  {predicted[-1].mean():17.3f}"
        )
    for a, b in combinations(range(profiles), 2):
        difference = np.mean(np.abs(predicted[a] / predicted[b] - 1))
        shape = predicted[a] / predicted[b]
        common = np.mean(np.abs(shape / shape.mean() - 1))
        print(
            f"profiles {a + 1} and {b + 1}: mean difference over 1,000 architectures "
            f"{difference:.2%} (without a common factor {common:.2%})"
        )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2)
