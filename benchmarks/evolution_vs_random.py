"""Evolution against random search: the same supernet, the same number of evaluations, five seeds.

python benchmarks/evolution_vs_random.py DIR [--out FOLDER] [--steps N] [--generations N]

DIR holds the four files of Fashion-MNIST, on which accuracies do not saturate. A search of one
generation, ``--sampler feasible``, trains the supernet. Both search it under 6 ms, by the shipped
table; what one has evaluated the other looks up. Killed at any moment, the
same command goes on.
"""

import argparse
from pathlib import Path

from spos_fashion import INPUT_SIZE, lines, problem_of, searched

from hwnas.search.candidates.evaluation import LoggedEvaluation, stored_evaluator
from hwnas.search.runs.run import Run
from hwnas.search.runs.stored import StoredRun
from hwnas.search.searchers.evolution import Evolution
from hwnas.search.searchers.random_search import RandomSearch
from hwnas.search.searchers.searcher import search_generations

SEEDS, POPULATION, GENERATIONS, STEPS = 5, 30, 10, 400


def main(flags: argparse.Namespace) -> None:
    problem = problem_of("proxyless", flags.folder)
    feasible = problem.feasible
    settings = {"sampler": "feasible", "steps": flags.steps, "generations": 1}
    settings |= {"proxy_input_size": INPUT_SIZE}
    data = f"fashion-mnist:{flags.folder}"
    trained = StoredRun.open(searched(flags.out / "run", problem, data, "spos", 0, settings).folder)
    evaluator = stored_evaluator(trained, trained.data())
    run = Run(flags.out / "searches", {"steps": flags.steps})
    evaluate = LoggedEvaluation(run, problem.proxy, evaluator.accuracies)
    rows = []
    for seed in range(SEEDS):
        best = []
        for searcher in (Evolution(feasible, seed=seed), RandomSearch(feasible, seed)):
            search_generations(
                searcher,
                evaluate,
                generations=flags.generations,
                population=POPULATION,
                progress=lines(),
            )
            best.append(searcher.best()[1])
        rows.append(best)
    accuracies = list(evaluate.asked.values())
    print(
        f"\nFashion-MNIST, supernet of {flags.steps} steps, {len(evaluate.asked)} architectures "
        f"under 6 ms: {min(accuracies):.2%} to {max(accuracies):.2%}"
    )
    print(f"best of {POPULATION * flags.generations} evaluations")
    print("seed   evolution   random search   difference")
    for seed, (evolved, drawn) in enumerate(rows):
        print(f"{seed:4} {evolved:11.2%} {drawn:15.2%} {evolved - drawn:+12.2%}")
    better = sum(evolved > drawn for evolved, drawn in rows)
    print(f"evolution is better in {better} of {SEEDS} (wanted: {SEEDS})")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", help="of Fashion-MNIST")
    parser.add_argument("--out", type=Path, default=Path("runs/evolution-vs-random"))
    parser.add_argument("--steps", type=int, default=STEPS, help="of the supernet")
    parser.add_argument("--generations", type=int, default=GENERATIONS)
    main(parser.parse_args())
