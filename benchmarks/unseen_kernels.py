"""Errors of kernels that a profile has not measured, by those that another has.

python benchmarks/unseen_kernels.py TABLE OTHER_TABLE...

The tables are of one machine, by ``hwnas profile --kernels 500`` with different seeds. Each family
of each is fitted, and predicts the kernels of the others that it lacks.
"""

import sys
from itertools import permutations

import numpy as np

import hwnas
from hwnas.arrays import FloatArray
from hwnas.kernels import Kernel, features, parse_kernel, work
from hwnas.predictors.intervals import NORMAL_95
from hwnas.predictors.roofline import Roofline

#: Fewer kernels make no Gaussian process.
LEAST = 8
Rows = dict[Kernel, float]


def by_family(table: hwnas.LatencyTable) -> dict[str, Rows]:
    """Family -> kernel -> milliseconds beside the call, of which a tenth stays."""
    record = table.kernels
    assert record is not None, "profile with --kernels 500"
    found: dict[str, Rows] = {}
    for key, entry in record.entries.items():
        kernel = parse_kernel(key)
        ms = entry.latency_ms - 0.9 * record.call.latency_ms
        found.setdefault(kernel.family, {})[kernel] = max(ms, 0.1 * entry.latency_ms)
    return found


def scores(known: Rows, others: Rows) -> tuple[FloatArray, FloatArray]:
    """Logarithms of predicted over measured (n,), and over their standard deviations (n,)."""
    unseen = [kernel for kernel in others if kernel not in known]
    fitted, asked = (
        (np.array([work(k) for k in kernels]), np.array([features(k) for k in kernels]))
        for kernels in (known, unseen)
    )
    line = Roofline.fit(*fitted, list(known.values()))
    errors = np.log(line.expected(*asked) / np.array([others[kernel] for kernel in unseen]))
    return errors, errors / np.sqrt(np.diag(line.covariance(asked[1])))


def main(*names: str) -> None:
    tables = [by_family(hwnas.LatencyTable.load(name)) for name in names]
    parts = [
        scores(first[family], second[family])
        for first, second in permutations(tables, 2)
        for family in sorted(first)
        if len(first[family]) >= LEAST and second.get(family, {}).keys() - first[family].keys()
    ]
    errors, ratios = (np.concatenate(part) for part in zip(*parts, strict=True))
    typical = float(np.mean([np.sqrt(np.mean(part[0] ** 2)) for part in parts]))
    print(f"{len(errors)} predictions of kernels that the table lacks")
    print(f"error {typical:.1%} (root mean square of a family, averaged)")
    print(f"beyond their 95 % interval: {np.mean(np.abs(ratios) > NORMAL_95):.1%}")


if __name__ == "__main__":
    main(*sys.argv[1:])
