"""Candidates evaluated a second, with the work that they have in common shared and without.

The candidates are those of Single Path One-Shot's evolution: 50 random ones, then 25 mutations and
25 crossovers of the best ten a generation. Both ways take turns every ten candidates, so that both
see the same machine, and the script stops if any accuracy differs.

python benchmarks/shared_prefixes.py
"""

import time

import numpy as np
import torch

from hwnas import spaces
from hwnas.data import Dataset, load_data
from hwnas.search.candidates.evaluation import validation_evaluator
from hwnas.spaces import SearchSpace
from hwnas.supernet import (
    Supernet,
    UniformSampler,
    learning_rate,
    make_optimizer,
    train_step,
)

#: Names, deployed inputs, and widths of the proxies.
SPACES = (("proxyless", 224, 0.25), ("nasbench201", 32, 1.0))
INPUT_SIZE, TRAIN_STEPS, TRAIN_BATCH = 16, 150, 64
POPULATION, PARENTS, GENERATIONS, MUTATION, SEED = 50, 10, 20, 0.1, 0
TURN = 10  # candidates


def main() -> None:
    data = load_data("digits", input_size=INPUT_SIZE)
    for name, size, width in SPACES:
        deployed = spaces.space(name, input_size=size, classes=data.classes)
        compare(spaces.proxy(deployed, INPUT_SIZE, data.classes, width), data)


def compare(space: SearchSpace, data: Dataset) -> None:
    print(f"{space!r} on {data.name}")
    supernet = Supernet(space, seed=SEED)
    optimizer, sampler = make_optimizer(supernet), UniformSampler(space, seed=SEED)
    for step in range(TRAIN_STEPS):
        images, labels = map(torch.from_numpy, data.train_batch(step, TRAIN_BATCH, SEED))
        lr = learning_rate(step, TRAIN_STEPS, 4e-3)
        train_step(supernet, optimizer, images, labels, sampler.sample(step), lr=lr)

    evaluator = validation_evaluator(supernet, data)
    for arch in space.sample(5, seed=1):  # warm up
        evaluator.accuracy_alone(arch)
    rng = np.random.default_rng(SEED)
    candidates = space.sample(POPULATION, seed=rng)
    known: dict[tuple[int, ...], float] = {}
    total = np.zeros(3)
    print("generation  candidates  shared a second  alone a second  ratio  best accuracy")
    for generation in range(GENERATIONS):
        candidates = candidates[np.lexsort(candidates.T[::-1])]
        row, accuracies = np.zeros(3), []
        for first in range(0, len(candidates), TURN):
            turn = candidates[first : first + TURN]
            began = time.perf_counter()
            shared = evaluator.accuracies(turn)
            middle = time.perf_counter()
            alone = np.array([evaluator.accuracy_alone(arch) for arch in turn])
            row += [len(turn), middle - began, time.perf_counter() - middle]
            if not np.array_equal(shared, alone):
                raise SystemExit(f"accuracies differ: {shared} with sharing, {alone} without")
            accuracies += shared.tolist()
        known |= {tuple(a): s for a, s in zip(candidates.tolist(), accuracies, strict=True)}
        total += row
        print(f"{generation:10}  {report(row)}  {max(known.values()):13.1%}", flush=True)
        candidates = offspring(space.n_choices, known, rng)
    print(f"{'all':>10}  {report(total)}")


def offspring(
    n_choices: tuple[int, ...], known: dict[tuple[int, ...], float], rng: np.random.Generator
) -> np.ndarray:
    """Half mutations, half crossovers of the best; none that was evaluated before."""
    parents = np.array(sorted(known, key=lambda arch: known[arch])[-PARENTS:])
    found: dict[tuple[int, ...], None] = {}
    for wanted, crossing in ((POPULATION // 2, False), (POPULATION, True)):
        for _ in range(10_000):
            if len(found) == wanted:
                break
            first, second = parents[rng.integers(len(parents), size=2)]
            drawn = second if crossing else rng.integers(0, n_choices)
            taken = rng.random(len(n_choices)) < (0.5 if crossing else MUTATION)
            child = tuple(np.where(taken, drawn, first).tolist())
            if child not in known:
                found[child] = None
    return np.array(list(found))


def report(row: np.ndarray) -> str:
    count, shared, alone = row
    return f"{count:10.0f}  {count / shared:15.1f}  {count / alone:14.1f}  {alone / shared:5.2f}"


if __name__ == "__main__":
    main()
