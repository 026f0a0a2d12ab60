"""Alpha and training frequency of every choice over time (BetaNAS, figure 5).

The same code trains twice: BetaNAS (balanced paths, selective drop), and as ProxylessNAS does
(paths of both phases drawn by probability, nothing dropped). Both steer MACs to the same budget.
Prints a table, and draws two blocks of each, and all blocks, into OUT.

python benchmarks/betanas_balance.py [OUT] [STEPS]
"""

import sys
from pathlib import Path

import numpy as np

import hwnas
from hwnas import spaces
from hwnas.costs import parse_budget
from hwnas.data import load_data
from hwnas.devices import filled
from hwnas.files import write_atomically
from hwnas.predictors import load_predictor
from hwnas.search.context import Context
from hwnas.search.gradient.alphas import history
from hwnas.search.gradient.terms import loss_terms
from hwnas.search.methods import betanas
from hwnas.search.problem import Problem
from hwnas.search.runs.plots import plot_alphas
from hwnas.search.runs.run import Run
from hwnas.supernet import Supernet

INPUT_SIZE, WIDTH, BUDGET, TABLE, SEED = 16, 0.25, "macs<=330M", "amd-epyc-1thread", 0
BLOCKS = ("blocks.1", "blocks.18")
METHODS = {
    "BetaNAS": (True, 1.0),  # nats behind the others
    "ProxylessNAS-style": (False, None),
}


def main(out: Path, steps: int) -> None:
    data = load_data("digits", input_size=INPUT_SIZE)
    deployed = spaces.space("proxyless", input_size=224, classes=data.classes)
    trained = spaces.proxy(deployed, INPUT_SIZE, data.classes, WIDTH)
    # MACs are limited, and no latency is asked for; the head of ten classes is estimated
    table = filled(hwnas.LatencyTable.load(TABLE), deployed)
    predictor = load_predictor(table, deployed)
    problem = Problem(deployed, trained, data, predictor, [parse_budget(BUDGET)], seed=SEED)
    tokens = {d.name: [op.token for op in d.choices] for d in deployed.decisions}
    print(f"{steps} training steps, {BUDGET}, {deployed.name} trained at {INPUT_SIZE} pixels")
    print(
        "method              most / least trained of a block's active choices  "
        "active choices  share of the steps that trained"
    )
    print(
        "                    median block      worst block                     "
        "a block         the active     the chosen"
    )
    for name, (balanced, margin) in METHODS.items():
        run = Run(out / name, {"steps": steps})
        settings = betanas.Settings(
            steps=steps, batch_size=64, base_lr=2e-3, warm_up=0.1, prune_margin=margin
        )
        alphas = betanas.train_alphas(
            Context(problem, run),
            Supernet(trained, seed=SEED),
            settings,
            *loss_terms(problem, {}),
            balanced=balanced,
        )
        past = history(run.logged("alpha"))
        plot_alphas(out / name / "all_blocks.png", past, tokens, title=name)
        two = [list(tokens).index(block) for block in BLOCKS]
        part = [
            {"step": e["step"]} | {key: [e[key][d] for d in two] for key in ("alpha", "trained")}
            for e in past
        ]
        plot_alphas(
            out / f"{name}.png", part, {block: tokens[block] for block in BLOCKS}, title=name
        )
        counts = [row[active] for row, active in zip(alphas.trained, alphas.active, strict=True)]
        ratios = [row.max() / max(1, row.min()) for row in counts if len(row) > 1]
        chosen = alphas.probabilities.argmax(axis=1)
        spent = alphas.trained[np.arange(len(chosen)), chosen].mean() / steps
        active = np.mean([row.sum() for row in counts]) / steps
        least, worst = (np.median(ratios), max(ratios)) if ratios else (1.0, 1.0)
        print(
            f"{name:19} {least:12.2f} {worst:16.2f} {alphas.active.sum() / len(counts):35.2f} "
            f"{active:17.1%} {spent:14.1%}",
            flush=True,
        )
        write_atomically(out / name / "trained.csv", _csv(tokens, alphas.trained).encode())
    print(f"drawn into {out}: {', '.join(f'{name}.png' for name in METHODS)}")


def _csv(tokens: dict[str, list[str]], trained: np.ndarray) -> str:
    lines = ["block,choice,steps"]
    for (block, names), row in zip(tokens.items(), trained, strict=True):
        lines += [f"{block},{name},{count}" for name, count in zip(names, row, strict=False)]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    words = sys.argv[1:]
    main(
        Path(words[0] if words else "runs/betanas_balance"),
        int(words[1]) if len(words) > 1 else 300,
    )
