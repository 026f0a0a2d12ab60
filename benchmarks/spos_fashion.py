"""The network found under 6 ms on Fashion-MNIST, retrained, against random feasible networks.

python benchmarks/spos_fashion.py DIR [--space NAME] [--out FOLDER] [--seeds 3] [--steps N]

DIR holds the four files of Fashion-MNIST. Each seed trains a supernet on paths within the budgets,
evolves, and trains its winner alone; ten random feasible architectures are trained alike with every
seed. Test accuracies are of the test part, which no search looks at. Latency is that of the shipped
tables, BitOps are limited to those of ResNet-18 at 3 bits. Killed at any moment, the same command
goes on.
"""

import argparse
from pathlib import Path

import numpy as np
from hwnas.search.evolution import Evolution
from hwnas.search.finalists import ranked_alone, train_briefly
from hwnas.search.images import calibration_images
from hwnas.search.retrain import accuracy, logits
from hwnas.search.run import Run
from hwnas.search.spos import Evaluate, LoggedEvaluation, evolve, train_supernet

import hwnas
from hwnas.costs import Constraint, FeasibleSet
from hwnas.data import ArrayDataset, load_data
from hwnas.progress import Progress
from hwnas.spaces import SearchSpace
from hwnas.supernet import Evaluator, FeasibleSampler, PathSampler, Supernet

INPUT_SIZE, WIDTH, RANDOM_NETWORKS = 28, 0.25, 10
#: Space -> its shipped table, and what its networks keep.
TARGETS = {
    "proxyless": ("amd-epyc-1thread", ("latency<=6ms",)),
    "resnet18-bits": ("amd-epyc-1thread-int8", ("latency<=6ms", "bitops<=14.21G")),
}
SUPERNET_STEPS, BATCH, RATE = 1000, 128, 2e-3
POPULATION, GENERATIONS, VALIDATION_IMAGES = 40, 10, 5000
RETRAIN_STEPS = 300


def feasible_set(name: str) -> tuple[SearchSpace, FeasibleSet]:
    """The deployed space, as it was profiled, and what keeps the budgets there, latency first."""
    table, budgets = TARGETS[name]
    deployed = hwnas.space(name)
    costs = {"latency": hwnas.load_predictor(table, deployed).cost}
    kept = [hwnas.parse_budget(text) for text in budgets]
    constraints = [Constraint(b, costs.get(b.quantity) or deployed.cost(b.quantity)) for b in kept]
    return deployed, FeasibleSet(constraints, deployed.format)


def trained_evaluator(
    run: Run,
    space: SearchSpace,
    data: ArrayDataset,
    feasible: FeasibleSet,
    steps: int,
    seed: int,
    images: int = VALIDATION_IMAGES,
) -> Evaluator:
    """A supernet trained on paths within the budget, ready to evaluate."""
    supernet = Supernet(space, seed=seed)
    train(run, supernet, FeasibleSampler(feasible, seed=seed), data, steps, seed)
    shown = data.to_float(data.validation_images[:images])
    return Evaluator(supernet, calibration_images(data), shown, data.validation_labels[:images])


def train(
    run: Run | None,
    supernet: Supernet,
    sampler: PathSampler,
    data: ArrayDataset,
    steps: int,
    seed: int,
) -> None:
    """Train a supernet with the settings of these comparisons."""
    train_supernet(
        run,
        supernet,
        sampler,
        data,
        steps=steps,
        batch=BATCH,
        optimizer="adam",
        base_rate=RATE,
        seed=seed,
        progress=lines(),
    )


def found_by_spos(
    folder: Path,
    space: SearchSpace,
    data: ArrayDataset,
    feasible: FeasibleSet,
    flags: argparse.Namespace,
    seed: int,
) -> tuple[np.ndarray, float, Evaluate]:
    """The winner of one whole search, its accuracy with shared weights, and what evaluates."""
    run = Run(folder, {"seed": seed, "steps": flags.supernet_steps})
    evaluator = trained_evaluator(run, space, data, feasible, flags.supernet_steps, seed)
    evaluate = LoggedEvaluation(run, space, evaluator.accuracies)
    searcher = Evolution(feasible, seed=seed)
    evolve(
        searcher,
        evaluate,
        generations=flags.generations,
        population=POPULATION,
        progress=lines(),
    )
    if flags.finalists < 2:
        return *searcher.best(), evaluate
    best, _ = ranked_alone(
        run,
        space,
        data,
        feasible,
        evaluate,
        count=flags.finalists,
        steps=flags.steps,
        seed=seed,
        progress=lines(),
    )[0]
    return best, float(evaluate(best[None])[0]), evaluate


def lines() -> Progress:
    """One line a tenth of each task."""
    told: dict[str, int] = {}

    def tell(task: str, share: float, remark: str) -> None:
        tenth = int(10 * share)
        if tenth > told.get(task, 0):
            print(f"  {task} {share:.0%} {remark}", flush=True)
        told[task] = tenth

    return tell


def alone(
    folder: Path,
    space: SearchSpace,
    arch: np.ndarray,
    data: ArrayDataset,
    steps: int,
    seed: int,
) -> float:
    """Test accuracy of one architecture trained from scratch."""
    config = {"architecture": space.format(arch), "steps": steps, "seed": seed}
    run = Run(folder, config)
    done = run.read_json("test.json")
    if done is None:
        network = train_briefly(run, space, arch, data, steps=steps, seed=seed, progress=lines())
        found = accuracy(logits(network, data, data.test_images), data.test_labels)
        done = {"accuracy": found, "seconds": run.seconds}
        run.write_json("test.json", done)
    print(
        f"{folder.name}, seed {seed}: {done['accuracy']:.2%} ({done['seconds']:.0f} s)", flush=True
    )
    return float(done["accuracy"])


def main(flags: argparse.Namespace) -> None:
    deployed, feasible = feasible_set(flags.space)
    data = load_data(f"fashion-mnist:{flags.folder}", input_size=INPUT_SIZE)
    space = hwnas.spaces.proxy(deployed, INPUT_SIZE, data.classes, WIDTH)
    cost = feasible.constraints[0].cost
    drawn = feasible.sample(RANDOM_NETWORKS, np.random.default_rng(2024))
    found = np.empty(flags.seeds)
    others = np.empty((flags.seeds, RANDOM_NETWORKS))
    winners = []
    for seed in range(flags.seeds):
        winner, shared, evaluate = found_by_spos(
            flags.out / flags.space / f"search-{seed}", space, data, feasible, flags, seed
        )
        shared_random = evaluate(drawn)
        winners.append((winner, shared, shared_random))
        folder = flags.out / flags.space / f"alone-{seed}"
        found[seed] = alone(folder / "found", space, winner, data, flags.steps, seed)
        for at, arch in enumerate(drawn):
            others[seed, at] = alone(folder / f"random-{at}", space, arch, data, flags.steps, seed)

    print(about(flags.space))
    print("network     predicted ms  with shared weights  test, trained alone: mean   each seed")
    for seed, (winner, shared, _) in enumerate(winners):
        print(
            f"found {seed}     {cost(winner[None])[0]:12.3f} {shared:20.2%} {found[seed]:26.2%}"
            f"   {space.format(winner)}"
        )
    for at, arch in enumerate(drawn):
        shared = np.mean([s[at] for _, _, s in winners])
        each = " ".join(f"{value:.2%}" for value in others[:, at])
        print(
            f"random {at}    {cost(arch[None])[0]:12.3f} {shared:20.2%} "
            f"{others[:, at].mean():26.2%}   {each}"
        )
    means = others.mean(0)
    print(
        f"found, mean of {flags.seeds} seeds {found.mean():.2%}; random {means.mean():.2%} on "
        f"average, {means.min():.2%} to {means.max():.2%}"
    )
    print(f"above {(found.mean() > means).sum()} of {RANDOM_NETWORKS} random networks (wanted: 9)")


def about(space: str) -> str:
    """What is compared, in a line."""
    table, budgets = TARGETS[space]
    proxy = f"proxy of width {WIDTH:g} at {INPUT_SIZE} pixels"
    return f"\n{space}, {', '.join(budgets)}, table {table}; {proxy}"


def parser(description: str, out: str) -> argparse.ArgumentParser:
    """The flags of a comparison on Fashion-MNIST."""
    flags = argparse.ArgumentParser(description=description)
    flags.add_argument("folder", help="of Fashion-MNIST")
    flags.add_argument("--out", type=Path, default=Path(out), help="a folder for each space")
    flags.add_argument("--seeds", type=int, default=3)
    flags.add_argument("--space", choices=list(TARGETS), default="proxyless")
    flags.add_argument("--steps", type=int, default=RETRAIN_STEPS, help="of each retraining")
    flags.add_argument("--supernet-steps", type=int, default=SUPERNET_STEPS)
    flags.add_argument("--finalists", type=int, default=8, help="as in hwnas search; 1 for none")
    flags.add_argument("--generations", type=int, default=GENERATIONS)
    return flags


if __name__ == "__main__":
    main(parser(__doc__.splitlines()[0], "runs/spos-fashion").parse_args())
