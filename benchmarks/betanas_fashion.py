"""BetaNAS against SPOS under 6 ms on Fashion-MNIST: what each found, retrained alike.

python benchmarks/betanas_fashion.py DIR [--out FOLDER] [--spos-out FOLDER] [--seeds 3] [--steps N]

DIR holds the four files of Fashion-MNIST. Both methods train the same supernet for as many steps.
What ``spos_fashion.py`` has already searched and trained in its folder is taken from there. Killed
at any moment, the same command goes on.
"""

import argparse
from pathlib import Path

import numpy as np
from hwnas.search.beta import Steering
from hwnas.search.betanas import likeliest, train_alphas
from hwnas.search.drop import DropRule
from hwnas.search.run import Run
from spos_fashion import (
    BATCH,
    INPUT_SIZE,
    RATE,
    WIDTH,
    about,
    alone,
    feasible_set,
    found_by_spos,
    lines,
    parser,
)

import hwnas
from hwnas.costs import FeasibleSet
from hwnas.data import ArrayDataset, load_data
from hwnas.spaces import SearchSpace
from hwnas.supernet import Supernet


def found_by_betanas(
    folder: Path,
    space: SearchSpace,
    data: ArrayDataset,
    feasible: FeasibleSet,
    steps: int,
    seed: int,
) -> np.ndarray:
    """The most probable architecture within the budget, with the settings of ``hwnas search``."""
    run = Run(folder, {"seed": seed, "steps": steps})
    constraints = feasible.constraints
    alphas = train_alphas(
        run,
        Supernet(space, seed=seed),
        data,
        [c.cost for c in constraints],
        Steering([c.budget.limit for c in constraints]),
        DropRule(margin=1.0, start=0.25),
        constraints,
        steps=steps,
        batch=BATCH,
        optimizer="adam",
        base_rate=RATE,
        warm_up=0.25,
        alpha_every=2,
        alpha_rate=0.05,
        alpha_batch=64,
        seed=seed,
        progress=lines(),
    )
    return likeliest(alphas, constraints)


def main(flags: argparse.Namespace) -> None:
    deployed, feasible = feasible_set(flags.space)
    data = load_data(f"fashion-mnist:{flags.folder}", input_size=INPUT_SIZE)
    space = hwnas.spaces.proxy(deployed, INPUT_SIZE, data.classes, WIDTH)
    cost = feasible.constraints[0].cost
    rows = []
    for seed in range(flags.seeds):
        spos, _, _ = found_by_spos(
            flags.spos_out / flags.space / f"search-{seed}", space, data, feasible, flags, seed
        )
        betanas = found_by_betanas(
            flags.out / flags.space / f"search-{seed}",
            space,
            data,
            feasible,
            flags.supernet_steps,
            seed,
        )
        for method, arch, folder in (
            ("SPOS", spos, flags.spos_out / flags.space / f"alone-{seed}" / "found"),
            ("BetaNAS", betanas, flags.out / flags.space / f"alone-{seed}" / "found"),
        ):
            test = alone(folder, space, arch, data, flags.steps, seed)
            rows.append((method, seed, cost(arch[None])[0], test, space.format(arch)))

    print(about(flags.space))
    print("method   seed  predicted ms  test, trained alone")
    for method, seed, ms, test, name in sorted(rows):
        print(f"{method:8} {seed:4} {ms:13.3f} {test:20.2%}   {name}")
    means = {m: np.mean([row[3] for row in rows if row[0] == m]) for m in ("SPOS", "BetaNAS")}
    print(
        f"mean of {flags.seeds} seeds: SPOS {means['SPOS']:.2%}, BetaNAS {means['BetaNAS']:.2%}; "
        f"{100 * (means['BetaNAS'] - means['SPOS']):+.2f} points (wanted: -0.5 or better)"
    )


if __name__ == "__main__":
    flags = parser(__doc__.splitlines()[0], "runs/betanas-fashion")
    flags.add_argument("--spos-out", type=Path, default=Path("runs/spos-fashion"))
    main(flags.parse_args())
