"""BetaNAS against SPOS under 6 ms on Fashion-MNIST: what each ``hwnas search`` found, retrained.

python benchmarks/betanas_fashion.py DIR [--out FOLDER] [--spos-out FOLDER] [--seeds 2] [--steps N]

DIR holds the four files of Fashion-MNIST. Both methods train the same supernet for as many steps,
with their defaults. What ``spos_fashion.py`` has already searched and trained in its folder is
taken from there. Killed at any moment, the same command goes on.
"""

import argparse
import time
from pathlib import Path

import numpy as np
from spos_fashion import SIZE, about, alone, parser, problem_of, searched, typed


def main(flags: argparse.Namespace) -> None:
    began = time.process_time()
    problem, data = problem_of(flags.space, flags.folder), f"fashion-mnist:{flags.folder}"
    asked = {"spos": SIZE, "betanas": {"proxy_input_size": SIZE["proxy_input_size"]}}
    folders = {"spos": flags.spos_out / flags.space, "betanas": flags.out / flags.space}
    found: dict[str, list[float]] = {method: [] for method in asked}
    rows = []
    for method, settings in asked.items():
        for seed in range(flags.seeds):
            out = folders[method] / f"defaults-{seed}"
            result = searched(out, problem, data, method, seed, settings)
            test = alone(
                out.with_name(f"{out.name}-alone"), problem, result.arch, flags.steps, seed
            )
            found[method].append(test)
            rows.append((method, seed, result, test))

    print(about(flags.space))
    print("method   seed  predicted ms  test, trained alone")
    for method, seed, result, test in rows:
        print(
            f"{method:8} {seed:4} {result.predicted_ms:13.3f} {test:20.2%}   {result.architecture}"
        )
    for method, settings in asked.items():
        print(f"{method}: {np.mean(found[method]):.2%}   ({typed(method, settings)})")
    print(f"{time.process_time() - began:.0f} CPU seconds in this session")


if __name__ == "__main__":
    flags = parser(__doc__.splitlines()[0], "runs/betanas-fashion")
    flags.add_argument("--spos-out", type=Path, default=Path("runs/spos-fashion"))
    main(flags.parse_args())
