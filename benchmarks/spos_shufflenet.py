"""Single Path One-Shot's tables 3 and 4, and figures 2 and 3, at the size of minutes.

python benchmarks/spos_shufflenet.py DIR [--out FOLDER] [--seed N] [--steps N]

DIR holds the four files of Fashion-MNIST. Under 330 M MACs it searches shufflenet's operators with
paths uniform over the choices and uniform over the constraint, draws as many architectures at
random, searches the channels of all blocks with kernel 3, those of the operators that were found,
and both at once. What was found, and the paper's baselines, are trained alone. ``figure.png`` shows
the best accuracy so far of both path samplers and of random search. Killed at any moment, the same
command goes on.
"""

import argparse
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from spos_fashion import lines, typed

import hwnas
from hwnas.data import load_data
from hwnas.latency_tables import LatencyTable
from hwnas.pictures import picture
from hwnas.profilers import Plan, profile_space
from hwnas.search.candidates.evaluation import LoggedEvaluation, stored_evaluator
from hwnas.search.find import find_blocks_then_channels
from hwnas.search.job import Request
from hwnas.search.result import Result
from hwnas.search.retraining.finalists import finalist_settings
from hwnas.search.retraining.retrain import accuracy, logits, retrain
from hwnas.search.runs.run import Run
from hwnas.search.runs.stored import StoredRun
from hwnas.search.searchers.random_search import RandomSearch
from hwnas.search.searchers.searcher import search_generations
from hwnas.spaces import SearchSpace
from hwnas.testing import SyntheticRuntime

BUDGET, RANDOM_NETWORKS, INPUT_SIZE = "macs<=330M", 3, 16
#: Of every search; all else is the default.
SIZE: dict[str, Any] = {
    "proxy_input_size": INPUT_SIZE,
    "steps": 500,
    "population": 20,
    "generations": 5,
}


def table_of(path: Path) -> LatencyTable:
    """Latencies of a made-up device: every search needs some, and no budget here is of them."""
    if not path.exists():
        scales = hwnas.spaces.entry("shufflenet").channel_scales
        space = hwnas.space("shufflenet", scales=scales)
        profile_space(space, SyntheticRuntime(), plan=Plan(1.0, min_runs=3, max_runs=3)).save(path)
    return LatencyTable.load(path)


def rescaled(token: str) -> SearchSpace:
    """All blocks alike, as wide as the budget allows (the paper's "all choice_5" and so on)."""
    limit = hwnas.parse_budget(BUDGET).limit
    for percent in range(150, 50, -1):
        space = hwnas.space("shufflenet", width_mult=percent / 100)
        if space.macs(space.parse("-".join([token] * len(space.decisions))))[0] <= limit:
            return space
    raise AssertionError


class Tests:
    """Trains networks alone and says how many test images they are right on."""

    def __init__(self, flags: argparse.Namespace):
        self.out, self.steps, self.seed = flags.out / "alone", flags.steps, flags.seed
        self.data = load_data(f"fashion-mnist:{flags.folder}", input_size=INPUT_SIZE)

    def __call__(self, name: str, space: SearchSpace, arch: np.ndarray) -> tuple[float, float]:
        """Millions of MACs of the deployed network, and test accuracy of its proxy."""
        proxy = hwnas.spaces.proxy(space, INPUT_SIZE, self.data.classes, 0.25)
        run = Run(self.out / name, {"architecture": space.format(arch), "space": space.identifier})
        done = run.read_json("test.json")
        if done is None:
            settings = finalist_settings(self.steps)
            network = retrain(run, proxy, arch, self.data, settings, seed=self.seed)
            done = {"accuracy": accuracy(*logits(network, self.data.test()))}
            run.write_json("test.json", done)
        print(f"{name}: {done['accuracy']:.2%}", flush=True)
        return float(space.macs(arch)[0]) / 1e6, float(done["accuracy"])

    def several(self, name: str, space: SearchSpace) -> tuple[float, float]:
        """The means of random architectures within the budget."""
        limit = hwnas.parse_budget(BUDGET).limit
        drawn = space.cost("macs").within(limit).sample(RANDOM_NETWORKS, np.random.default_rng(7))
        rows = [self(f"{name}-{at}", space, arch) for at, arch in enumerate(drawn)]
        macs, accuracies = np.mean(rows, axis=0)
        return float(macs), float(accuracies)


def drawn_at_random(result: Result, seed: int, out: Path) -> tuple[np.ndarray, list[float]]:
    """As many random architectures as the search evaluated, with the supernet that it trained."""
    source = StoredRun.open(result.folder)
    evaluator = stored_evaluator(source, source.data())
    run = Run(out, {"seed": seed})
    evaluate = LoggedEvaluation(run, result.space, evaluator.accuracies)
    limit = hwnas.parse_budget(BUDGET)
    feasible = hwnas.costs.FeasibleSet(
        [hwnas.costs.Constraint(limit, result.space.cost("macs"))], result.space.format
    )
    searcher = RandomSearch(feasible, seed + 1)
    count = result.content["architectures_evaluated"]
    search_generations(searcher, evaluate, generations=1, population=count)
    return searcher.best()[0], list(evaluate.asked.values())


def asked_for(result: Result) -> list[float]:
    """The accuracies of a search in the order of its evaluations."""
    return list(StoredRun.open(result.folder).accuracies().values())


def draw(path: Path, histories: Mapping[str, list[float]]) -> None:
    """The best accuracy so far over the number of evaluations."""
    with picture(path, (7.0, 4.0)) as figure:
        axes = figure.subplots()
        for label, history in histories.items():
            axes.plot(100 * np.maximum.accumulate(history), label=label)
        axes.set(xlabel="architectures evaluated", ylabel="best so far (%)")
        axes.legend(loc="lower right")
        axes.grid(alpha=0.3)


def main(flags: argparse.Namespace) -> None:
    began = time.process_time()
    out, data = flags.out, f"fashion-mnist:{flags.folder}"
    out.mkdir(parents=True, exist_ok=True)
    table = table_of(out / "table.json")

    def search(name: str, **settings: Any) -> Result:
        return hwnas.find_network(
            "shufflenet",
            data,
            [BUDGET],
            predictor=table,
            out=out / name,
            seed=flags.seed,
            progress=lines(),
            **{**SIZE, **settings},
        )

    request = Request(
        "shufflenet", data, [BUDGET], predictor=table, out=out, seed=flags.seed, settings=SIZE
    )
    both_steps = find_blocks_then_channels(request, lines())
    blocks = search("blocks")  # the first of the two steps
    constraint = search("constraint", sampler="constraint")
    threes = search("threes", blocks="3", channels=True)
    joint = search("joint", channels=True)
    random_arch, random_accuracies = drawn_at_random(blocks, flags.seed, out / "random")

    tested = Tests(flags)
    plain, joint_space = hwnas.space("shufflenet"), joint.space
    all_of: dict[str, tuple[float, float]] = {}
    for token in "357x":
        space = rescaled(token)
        arch = space.parse("-".join([token] * len(space.decisions)))
        all_of[token] = tested(f"all-{token}", space, arch)
    ours = tested("blocks", blocks.space, blocks.arch)
    rows = [
        *((f"3  all choice_{token}", found) for token, found in all_of.items()),
        (f"3  random blocks, mean of {RANDOM_NETWORKS}", tested.several("blocks-random", plain)),
        ("3  supernet and random search", tested("random", blocks.space, random_arch)),
        ("3  supernet and evolution", ours),
        (
            "3  the same, paths by constraint",
            tested("constraint", constraint.space, constraint.arch),
        ),
        ("4  all choice_3", all_of["3"]),
        (
            f"4  its channels at random, mean of {RANDOM_NETWORKS}",
            tested.several("threes-random", threes.space),
        ),
        ("4  its channels searched", tested("threes", threes.space, threes.arch)),
        (
            f"4  random blocks and channels, mean of {RANDOM_NETWORKS}",
            tested.several("joint-random", joint_space),
        ),
        ("4  blocks searched", ours),
        ("4  blocks, then their channels", tested("both-steps", both_steps.space, both_steps.arch)),
        ("4  both at once", tested("joint", joint.space, joint.arch)),
    ]
    histories = {
        "evolution, paths uniform": asked_for(blocks),
        "evolution, paths uniform over the constraint": asked_for(constraint),
        "random search, paths uniform": random_accuracies,
    }
    draw(out / "figure.png", histories)

    print(f"\nshufflenet, {BUDGET}, Fashion-MNIST at {INPUT_SIZE} pixels, seed {flags.seed}")
    print(f"({typed('spos', SIZE)})")
    print("table                                          MACs, M   test, trained alone")
    for label, (macs, test) in rows:
        print(f"{label:46} {macs:8.0f} {test:12.2%}")
    print("figure                                         first 50: median   best   best of all")
    for label, history in histories.items():
        first = history[:50]
        print(
            f"{label:46} {np.median(first):16.2%} {max(first):6.2%} {max(history):8.2%} of "
            f"{len(history)}"
        )
    print(f"{time.process_time() - began:.0f} CPU seconds in this session")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", help="of Fashion-MNIST")
    parser.add_argument("--out", type=Path, default=Path("runs/spos-shufflenet"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=150, help="of each retraining")
    main(parser.parse_args())
