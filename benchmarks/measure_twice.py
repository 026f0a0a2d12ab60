"""Two ``hwnas measure`` of ten ONNX models, minutes apart: do their intervals hold?

python benchmarks/measure_twice.py [MINUTES [THREADS [MODELS]]]

Two measurements of a model differ where they are farther apart than the root of the sum of their
squared half intervals, which 1 of 20 would by chance. "reference apart": without the factor that
the reference network has in common. "as they are": medians by the clock. Below, how far the sum of
the operators' shares, by the runtime's own profile, is from the whole.
"""

import json
import math
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from onnx_networks import NETWORKS, export

Record = dict[str, Any]


def main(minutes: float = 3.0, threads: str = "1", models: int = 10) -> None:
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{name}.onnx" for name in list(NETWORKS)[:models]]
        for path in paths:
            path.write_bytes(export(path.stem))
        first = measured(paths, threads)
        time.sleep(60 * minutes)
        second = measured(paths, threads)
    print(f"on {first[0]['target']['device']}, {threads} thread(s), {minutes:g} minutes between")
    print("model                steady ms  +-      again  reference apart  median ms  again    sum")
    apart, clock, sums = 0, 0, 0
    for one, two in zip(first, second, strict=True):
        common = two["reference"]["steady_ms"] / one["reference"]["steady_ms"]
        shift = two["steady_ms"] / one["steady_ms"] / common - 1
        by_clock = two["median_ms"] / one["median_ms"] - 1
        apart += abs(shift) > math.hypot(one["steady_error"], two["steady_error"])
        clock += abs(by_clock) > math.hypot(one["median_error"], two["median_error"])
        sums += abs(two["operators_sum"] - 1) <= 0.05
        print(
            f"{one['label']:20s} {one['steady_ms']:9.3f} {one['steady_error']:6.2%} "
            f"{two['steady_ms']:8.3f}  {shift:+15.2%}  {one['median_ms']:9.3f} {by_clock:+6.1%}  "
            f"{two['operators_sum']:6.1%}"
        )
    print(f"\ndiffer by more than their 95 % intervals, reference apart: {apart} of {len(first)}")
    print(f"as they are, by the clock: {clock} of {len(first)}")
    print(f"operators within 5 % of the whole: {sums} of {len(first)}")


def measured(paths: list[Path], threads: str) -> list[Record]:
    command = [sys.executable, "-m", "hwnas", "measure", *map(str, paths), "--json"]
    done = subprocess.run([*command, "--threads", threads], check=True, stdout=subprocess.PIPE)
    found: list[Record] = json.loads(done.stdout)["models"]
    return found


if __name__ == "__main__":
    types = (float, str, int)
    main(*(kind(word) for kind, word in zip(types, sys.argv[1:], strict=False)))
