"""MACs, parameters and paths of all 15,625 architectures of NAS-Bench-201 against a published list.

python benchmarks/nasbench201_costs.py FILE

FILE is a CSV file, perhaps with .gz, that has the columns arch_str, macs_M, params_M, live_mask and
live_macs_M. Its MACs, of CIFAR-10, count the bias of the classifier, which are 10 more than here.
"""

import csv
import gzip
import sys

import numpy as np

import hwnas


def main(path: str) -> None:
    reader = gzip.open if path.endswith(".gz") else open
    with reader(path, "rt", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    space = hwnas.space("nasbench201")
    archs = np.stack([space.parse(row["arch_str"]) for row in rows])
    assert len(np.unique(archs, axis=0)) == len(rows) == space.size
    live = space.live(archs)
    connected = space.connected(archs)
    ours = {
        "MACs": (space.macs(archs) + space.classes, "macs_M", 1e-4),
        "parameters": (space.params(archs), "params_M", 1e-6),
        "MACs of what runs": (space.macs(live) + space.classes, "live_macs_M", 1e-4),
    }
    print(f"{len(rows):,} architectures")
    for name, (mine, column, printed) in ours.items():
        published = np.array([float(row[column]) for row in rows])
        told = np.rint(mine / 1e6 / printed).astype(np.int64)
        equal = told == np.rint(published / printed).astype(np.int64)
        print(
            f"{name:18s} {mine.min() / 1e6:.6f} to {mine.max() / 1e6:.6f} M, "
            f"equal to all printed digits: {equal.sum():,}"
        )
    agree = connected == np.array(["1" in row["live_mask"] for row in rows])
    print(f"without a path     {(~connected).sum()}; as published: {agree.sum():,}")


if __name__ == "__main__":
    main(sys.argv[1])
