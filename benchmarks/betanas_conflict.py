"""What sharing weights among more branches does to four networks (BetaNAS, figure 6).

Each of the four networks has one operator in all of its blocks. They are trained without sharing
(each alone), in two supernets of two branches a block, and in one of four. Paths mix the branches
of their blocks, each branch equally often, and training is longer in proportion, so that every
operator is trained for the same number of steps, as in the paper. Then the four are evaluated.

python benchmarks/betanas_conflict.py [OUT.png] [STEPS] [SEEDS] [DATA]
"""

import sys
from pathlib import Path

import numpy as np
import torch

from hwnas import spaces
from hwnas.data import Dataset, load_data
from hwnas.supernet import (
    BalancedSampler,
    Evaluator,
    Supernet,
    learning_rate,
    make_optimizer,
    train_step,
)

INPUT_SIZE, BATCH, BASE_LR = 16, 64, 2e-3
NETWORKS = ("k3e3", "k7e3", "k3e6", "k7e6")
GROUPS = {
    "no sharing": [[name] for name in NETWORKS],
    "two branches": [["k3e3", "k7e6"], ["k7e3", "k3e6"]],
    "four branches": [list(NETWORKS)],
}


def trained_together(names: list[str], data: Dataset, steps: int, seed: int) -> dict[str, float]:
    """Test accuracies of networks in one supernet, each operator trained for so many steps."""
    space = spaces.space(
        "proxyless",
        input_size=INPUT_SIZE,
        classes=data.classes,
        stem_width=8,
        first_width=8,
        stage_widths=(12, 16, 24),
        stage_depths=(2, 2, 2),
        stage_strides=(1, 2, 2),
        head_width=48,
    )
    supernet = Supernet(space, sharing="separate", seed=seed)
    optimizer = make_optimizer(supernet)
    tokens = [[op.token for op in decision.choices] for decision in space.decisions]
    branches = np.zeros((len(tokens), max(map(len, tokens))), bool)
    for row, offered in zip(branches, tokens, strict=True):
        row[[offered.index(name) for name in names]] = True
    sampler = BalancedSampler(branches, seed=seed)
    total = steps * len(names)
    for step in range(total):
        train_step(
            supernet,
            optimizer,
            *map(torch.from_numpy, data.train_batch(step, BATCH, seed)),
            sampler.sample(step),
            lr=learning_rate(step, total, BASE_LR),
        )
    archs = np.array([[offered.index(name) for offered in tokens] for name in names])
    images, labels = (np.concatenate(part) for part in zip(*data.test(), strict=True))
    evaluator = Evaluator(supernet, data.calibration(512), images, labels)
    return dict(zip(names, evaluator.accuracies(archs).tolist(), strict=True))


def main(out: Path, steps: int, seeds: int, spec: str) -> None:
    data = load_data(spec, input_size=INPUT_SIZE)
    found = np.empty((len(GROUPS), seeds, len(NETWORKS)))
    for at, groups in enumerate(GROUPS.values()):
        for seed in range(seeds):
            accuracies: dict[str, float] = {}
            for names in groups:
                accuracies |= trained_together(names, data, steps, seed)
            found[at, seed] = [accuracies[name] for name in NETWORKS]
    print(f"{data.name}, {steps} steps of {BATCH} images an operator, {seeds} seeds, test accuracy")
    print(f"{'':14} {' '.join(f'{name:>7}' for name in NETWORKS)}    mean  rank agreement")
    alone = found[0].mean(axis=0)
    for at, name in enumerate(GROUPS):
        means = found[at].mean(axis=0)
        shown = " ".join(f"{value:7.1%}" for value in means)
        print(f"{name:14} {shown} {means.mean():7.1%} {rank_agreement(alone, means):15.2f}")
    draw(out, found)
    print(f"rank agreement: Kendall's tau with no sharing, of the means. Drawn into {out}")


def rank_agreement(first: np.ndarray, second: np.ndarray) -> float:
    """Kendall's tau: pairs in the same order less pairs in the other, over all pairs."""
    pairs = [(i, j) for i in range(len(first)) for j in range(i)]
    signs = [np.sign(first[i] - first[j]) * np.sign(second[i] - second[j]) for i, j in pairs]
    return float(np.mean(signs))


def draw(out: Path, found: np.ndarray) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    for name, accuracies in zip(GROUPS, 100 * found, strict=True):
        low, high = accuracies.min(axis=0), accuracies.max(axis=0)
        middle = accuracies.mean(axis=0)
        axes.errorbar(list(NETWORKS), middle, [middle - low, high - middle], capsize=3, label=name)
    axes.set(
        xlabel="network", ylabel="test accuracy (%)", title="mean, least and most of the seeds"
    )
    axes.legend()
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=120)


if __name__ == "__main__":
    words = sys.argv[1:]
    main(
        Path(words[0] if words else "runs/betanas_conflict.png"),
        int(words[1]) if len(words) > 1 else 120,
        int(words[2]) if len(words) > 2 else 3,
        words[3] if len(words) > 3 else "digits",
    )
