"""The network found under 6 ms on Fashion-MNIST, retrained, against random feasible networks.

python benchmarks/spos_fashion.py DIR [--space NAME] [--out FOLDER] [--seeds 3] [--steps N]

DIR holds the four files of Fashion-MNIST. Each seed trains a supernet on paths within the budgets,
evolves, and trains its winner alone; ten random feasible architectures are trained alike with every
seed. Test accuracies are of the test part, which no search looks at. Latency is that of the shipped
tables, BitOps are limited to those of ResNet-18 at 3 bits. Killed at any moment, the same command
goes on.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

import hwnas
from hwnas.data import ArrayDataset, load_data
from hwnas.progress import Progress
from hwnas.search.candidates.evaluation import Evaluate, LoggedEvaluation, calibration_images
from hwnas.search.problem import Problem
from hwnas.search.retraining.finalists import finalist_settings, rank_finalists
from hwnas.search.retraining.retrain import accuracy, logits, retrain
from hwnas.search.runs.run import Run
from hwnas.search.searchers.evolution import Evolution
from hwnas.search.searchers.searcher import search_generations
from hwnas.search.shared_settings import TrainingSettings
from hwnas.search.supernet_training import train_supernet
from hwnas.supernet import Evaluator, FeasibleSampler, PathSampler, Supernet

INPUT_SIZE, WIDTH, RANDOM_NETWORKS = 28, 0.25, 10
#: Space -> its shipped table, and what its networks keep.
TARGETS = {
    "proxyless": ("amd-epyc-1thread", ("latency<=6ms",)),
    "resnet18-bits": ("amd-epyc-1thread-int8", ("latency<=6ms", "bitops<=14.21G")),
}
SUPERNET_STEPS, BATCH, BASE_LR = 1000, 128, 2e-3
POPULATION, GENERATIONS, VALIDATION_IMAGES = 40, 10, 5000
RETRAIN_STEPS = 300


def problem_of(name: str, folder: str) -> Problem:
    """A space as it was profiled, Fashion-MNIST for its proxy, and the budgets, latency first."""
    table, budgets = TARGETS[name]
    deployed = hwnas.space(name)
    data = load_data(f"fashion-mnist:{folder}", input_size=INPUT_SIZE)
    proxy = hwnas.spaces.proxy(deployed, INPUT_SIZE, data.classes, WIDTH)
    kept = [hwnas.parse_budget(text) for text in budgets]
    return Problem(deployed, proxy, data, hwnas.load_predictor(table, deployed), kept)


def trained_evaluator(
    run: Run, problem: Problem, steps: int, images: int = VALIDATION_IMAGES
) -> Evaluator:
    """A supernet trained on paths within the budgets, ready to evaluate."""
    data, seed = problem.data, problem.seed
    assert isinstance(data, ArrayDataset)
    supernet = Supernet(problem.proxy, seed=seed)
    train(run, supernet, FeasibleSampler(problem.feasible, seed=seed), data, steps, seed)
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
    settings = TrainingSettings(steps=steps, batch_size=BATCH, optimizer="adam", base_lr=BASE_LR)
    train_supernet(run, supernet, sampler, data, settings, seed=seed, progress=lines())


def found_by_spos(
    folder: Path, problem: Problem, flags: argparse.Namespace
) -> tuple[np.ndarray, float, Evaluate]:
    """The winner of one whole search, its accuracy with shared weights, and what evaluates."""
    run = Run(folder, {"seed": problem.seed, "steps": flags.supernet_steps})
    evaluator = trained_evaluator(run, problem, flags.supernet_steps)
    evaluate = LoggedEvaluation(run, problem.proxy, evaluator.accuracies)
    searcher = Evolution(problem.feasible, seed=problem.seed)
    search_generations(
        searcher,
        evaluate,
        generations=flags.generations,
        population=POPULATION,
        progress=lines(),
    )
    if flags.finalists < 2:
        return *searcher.best(), evaluate
    best, _ = rank_finalists(
        run, problem, evaluate, count=flags.finalists, steps=flags.steps, progress=lines()
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


def alone(folder: Path, problem: Problem, arch: np.ndarray, steps: int) -> float:
    """Test accuracy of one architecture trained from scratch."""
    space, data, seed = problem.proxy, problem.data, problem.seed
    config = {"architecture": space.format(arch), "steps": steps, "seed": seed}
    run = Run(folder, config)
    done = run.read_json("test.json")
    if done is None:
        settings = finalist_settings(steps)
        network = retrain(run, space, arch, data, settings, seed=seed, progress=lines())
        found = accuracy(*logits(network, data.test()))
        done = {"accuracy": found, "seconds": run.seconds}
        run.write_json("test.json", done)
    print(
        f"{folder.name}, seed {seed}: {done['accuracy']:.2%} ({done['seconds']:.0f} s)", flush=True
    )
    return float(done["accuracy"])


def main(flags: argparse.Namespace) -> None:
    problem = problem_of(flags.space, flags.folder)
    space, predict = problem.space, problem.predictor.predict
    drawn = problem.feasible.sample(RANDOM_NETWORKS, np.random.default_rng(2024))
    found = np.empty(flags.seeds)
    others = np.empty((flags.seeds, RANDOM_NETWORKS))
    winners = []
    for seed in range(flags.seeds):
        seeded = replace(problem, seed=seed)
        winner, shared, evaluate = found_by_spos(
            flags.out / flags.space / f"search-{seed}", seeded, flags
        )
        shared_random = evaluate(drawn)
        winners.append((winner, shared, shared_random))
        folder = flags.out / flags.space / f"alone-{seed}"
        found[seed] = alone(folder / "found", seeded, winner, flags.steps)
        for at, arch in enumerate(drawn):
            others[seed, at] = alone(folder / f"random-{at}", seeded, arch, flags.steps)

    print(about(flags.space))
    print("network     predicted ms  with shared weights  test, trained alone: mean   each seed")
    for seed, (winner, shared, _) in enumerate(winners):
        print(
            f"found {seed}     {predict(winner[None])[0]:12.3f} {shared:20.2%} {found[seed]:26.2%}"
            f"   {space.format(winner)}"
        )
    for at, arch in enumerate(drawn):
        shared = np.mean([s[at] for _, _, s in winners])
        each = " ".join(f"{value:.2%}" for value in others[:, at])
        print(
            f"random {at}    {predict(arch[None])[0]:12.3f} {shared:20.2%} "
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
