"""BetaNAS against SPOS under 6 ms on Fashion-MNIST: what each found, retrained alike.

python benchmarks/betanas_fashion.py DIR [--out FOLDER] [--spos-out FOLDER] [--seeds 3] [--steps N]

DIR holds the four files of Fashion-MNIST. Both methods train the same supernet for as many steps.
What ``spos_fashion.py`` has already searched and trained in its folder is taken from there. Killed
at any moment, the same command goes on.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
from spos_fashion import BASE_LR, BATCH, about, alone, found_by_spos, lines, parser, problem_of

from hwnas.search.context import Context
from hwnas.search.gradient.alphas import constrained_argmax
from hwnas.search.gradient.terms import loss_terms
from hwnas.search.methods import betanas
from hwnas.search.problem import Problem
from hwnas.search.runs.run import Run
from hwnas.supernet import Supernet


def found_by_betanas(folder: Path, problem: Problem, steps: int) -> np.ndarray:
    """The most probable architecture within the budget, with the settings of ``hwnas search``."""
    run = Run(folder, {"seed": problem.seed, "steps": steps})
    settings = betanas.Settings(steps=steps, batch_size=BATCH, base_lr=BASE_LR)
    terms, weights = loss_terms(problem, {})
    supernet = Supernet(problem.proxy, seed=problem.seed)
    context = Context(problem, run, progress=lines())
    alphas = betanas.train_alphas(context, supernet, settings, terms, weights)
    return constrained_argmax(alphas, problem.constraints)


def main(flags: argparse.Namespace) -> None:
    problem = problem_of(flags.space, flags.folder)
    space, predict = problem.space, problem.predictor.predict
    rows = []
    for seed in range(flags.seeds):
        seeded = replace(problem, seed=seed)
        spos, _, _ = found_by_spos(flags.spos_out / flags.space / f"search-{seed}", seeded, flags)
        found = found_by_betanas(
            flags.out / flags.space / f"search-{seed}", seeded, flags.supernet_steps
        )
        for method, arch, folder in (
            ("SPOS", spos, flags.spos_out / flags.space / f"alone-{seed}" / "found"),
            ("BetaNAS", found, flags.out / flags.space / f"alone-{seed}" / "found"),
        ):
            test = alone(folder, seeded, arch, flags.steps)
            rows.append((method, seed, predict(arch[None])[0], test, space.format(arch)))

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
