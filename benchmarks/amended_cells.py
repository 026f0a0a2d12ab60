"""What Amended-DARTS finds in the spaces of its paper, with and without the amendment.

Searches `darts-s1` or `darts-s2` without a budget for the whole of the steps, once for each eta and
with --second for second-order DARTS. Draws skip connections over the steps, and the cells that were
found: a row a cell, a column an edge, a colour an operator (figures 2 and 3). Runs are kept, and go
on if killed.

python benchmarks/amended_cells.py darts-s2 DATA [--eta 0 0.01 0.1 1] [--second] [--steps 2000] ...
"""

import argparse
from pathlib import Path

import numpy as np
from matplotlib.patches import Patch

from hwnas import spaces
from hwnas.arrays import IntArray
from hwnas.costs import Budget
from hwnas.data import load_data
from hwnas.pictures import picture
from hwnas.predictors import load_predictor
from hwnas.profilers import Plan, profile_space
from hwnas.search.context import Context
from hwnas.search.gradient.alphas import constrained_argmax, history
from hwnas.search.gradient.cost_weights import FixedWeights
from hwnas.search.methods.amended_darts import Settings, train_mixed
from hwnas.search.problem import Problem
from hwnas.search.runs.run import Run
from hwnas.search.settings import stored
from hwnas.search.supernet_training import make_supernet
from hwnas.spaces import SearchSpace
from hwnas.testing import SyntheticRuntime

COLOURS = ("tab:blue", "tab:cyan", "tab:green", "tab:olive", "tab:purple", "tab:brown", "tab:gray")
SKIP = "tab:red"


def searched(
    problem: Problem, folder: Path, settings: Settings, name: str
) -> tuple[list[int], list[IntArray]]:
    """Steps that were logged, and the most probable architecture at each, the end's last."""
    run = Run(folder, {**stored(settings), "seed": problem.seed})

    def tell(task: str, share: float, remark: str) -> None:
        print(f"\r{name}: {share:.0%} {remark}   ", end="", flush=True)

    supernet = make_supernet(problem.proxy, settings, seed=problem.seed)
    context = Context(problem, run, progress=tell)
    alphas = train_mixed(context, supernet, settings, [], FixedWeights([]))
    past = history(run.logged("alpha"))
    archs = [np.array(entry["alpha"], float).argmax(1) for entry in past]
    steps = [entry["step"] for entry in past]
    return [*steps, settings.steps], [*archs, constrained_argmax(alphas)]


def names_of(space: SearchSpace, arch: IntArray) -> list[str]:
    """The operator of each edge."""
    return [d.choices[c].token for d, c in zip(space.decisions, arch, strict=True)]


def skips(space: SearchSpace, arch: IntArray) -> int:
    return sum(name.startswith("skip") for name in names_of(space, arch))


def draw(
    path: Path, space: SearchSpace, found: dict[str, tuple[list[int], list[IntArray]]]
) -> None:
    tokens = list(dict.fromkeys(c.token for d in space.decisions for c in d.choices))
    others = [token for token in tokens if not token.startswith("skip")]
    colours = dict.fromkeys(tokens, SKIP) | dict(zip(others, COLOURS, strict=False))
    cells = list(dict.fromkeys(d.name.partition(".")[0] for d in space.decisions))
    edges = len(space.decisions) // len(cells)
    size = (2.2 * len(found) + 1, 3.5 + 0.25 * len(cells))
    with picture(path, size) as figure:
        grid = figure.add_gridspec(2, len(found), height_ratios=(2.5, 1 + 0.25 * len(cells)))
        above = figure.add_subplot(grid[0, :])
        for at, (name, (steps, archs)) in enumerate(found.items()):
            above.plot(steps, [skips(space, arch) for arch in archs], label=name)
            below = figure.add_subplot(grid[1, at])
            for place, token in enumerate(names_of(space, archs[-1])):
                row, column = divmod(place, edges)
                below.barh(row, 0.9, left=column, color=colours[token], height=0.9)
            below.invert_yaxis()
            below.set_yticks(range(len(cells)), cells if at == 0 else [""] * len(cells), fontsize=6)
            below.set(title=name, xlabel="edge")
        above.set(xlabel="training steps of the weights", ylabel="skip connections")
        above.legend(fontsize=8)
        handles = [Patch(color=colour) for colour in colours.values()]
        figure.legend(handles, list(colours), fontsize=6, loc="outside lower center", ncols=4)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("space", choices=["darts-s1", "darts-s2"])
    parser.add_argument("data", help="such as cifar10:DIR")
    parser.add_argument("--eta", type=float, nargs="*", default=[0.0, 0.01, 0.1, 1.0])
    parser.add_argument("--second", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cells", type=int, default=20, help="DARTS searches with 8")
    parser.add_argument("--pixels", type=int, default=16)
    parser.add_argument("--width", type=float, default=0.25)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--alpha-every", type=int, default=2)
    parser.add_argument("--alpha-lr", type=float, default=6e-3)
    parser.add_argument("--warm-up", type=float, default=0.1)
    parser.add_argument("--runs", type=Path, default=Path("runs/amended-cells"))
    parser.add_argument("--out", type=Path, default=Path("amended_cells.png"))
    asked = parser.parse_args()

    data = load_data(asked.data, input_size=asked.pixels)
    deployed = spaces.space(asked.space, cells=asked.cells)
    space = spaces.proxy(deployed, asked.pixels, data.classes, asked.width)
    plan = Plan(tolerance=1.0, min_runs=3, max_runs=3)
    predictor = load_predictor(profile_space(space, SyntheticRuntime(), plan=plan), space)
    budgets = [Budget("macs", 1e15)]  # which nothing breaks
    problem = Problem(space, space, data, predictor, budgets, seed=asked.seed)
    kinds: dict[str, dict[str, object]] = {f"eta {eta:g}": {"eta": eta} for eta in asked.eta}
    if asked.second:
        kinds["second order"] = {"order": "second"}
    found = {}
    for name, options in kinds.items():
        settings = Settings(
            steps=asked.steps,
            batch_size=asked.batch,
            alpha_batch=asked.batch,
            alpha_every=asked.alpha_every,
            alpha_lr=asked.alpha_lr,
            warm_up=asked.warm_up,
            still=0.0,
            **options,
        )
        folder = asked.runs / f"{asked.space}-{name.replace(' ', '-')}-{asked.seed}"
        found[name] = searched(problem, folder, settings, name)
        end = found[name][1][-1]
        total = len(space.decisions)
        print(f"\r{name:<14} {skips(space, end):>3} of {total} are skip connections at the end")
        print(f"{'':<14} {space.format(end)}")
    draw(asked.out, space, found)


if __name__ == "__main__":
    main()
