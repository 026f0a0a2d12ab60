"""All methods on one ground: NAS-Bench-201, whose every accuracy and latency is known.

python benchmarks/methods.py ACCURACIES LATENCIES [--part table] [--seeds 5] [--searchers ...]
    [--neighbour-share 0.3] [--ranked-draws 1000]
python benchmarks/methods.py ACCURACIES LATENCIES --part supernets --data CIFAR10 [--seconds 120]
    [--set SETTING=VALUE ...]

ACCURACIES is nb201_archs_accuracy.csv.gz, LATENCIES nb201_latency.csv.gz. Ten budgets: the first
ten devices, each with a quantile of its latencies between 0.05 and 0.95. ``table``: searchers, each
with 150 evaluations in batches of ten, accuracies looked up. ``supernets``: methods with their
default settings, and those of ``--set`` besides, each trained on CIFAR10 at 16 pixels for so many
CPU seconds, through `hwnas.find_network`. Printed are points below the best network within the
budget, by enumeration: mean, spread over seeds (standard deviation of the seeds' means), and CPU
seconds of a search. Killed, ``supernets`` goes on.
"""

import argparse
import json
import resource
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from main_job import settings_in
from tabular_search import best_within

import hwnas
from hwnas.costs import Budget
from hwnas.csv_files import read_csv
from hwnas.errors import OptionError
from hwnas.predictors import LookedUpLatency
from hwnas.progress import silent
from hwnas.search.candidates.largest import largest_within
from hwnas.search.looked_up import Accuracies, Tables
from hwnas.search.problem import Problem
from hwnas.search.searchers.making import make_searcher
from hwnas.search.searchers.searcher import Searcher, search_generations
from hwnas.search.shared_settings import EvolutionSettings, as_begun
from hwnas.spaces.tabulated import read_tables

COLUMN = "cifar10_test_200"
EVALUATIONS, BATCH = 150, 10
#: A quantile for each of the first ten devices.
QUANTILES = np.linspace(0.05, 0.95, 10)[np.arange(10) * 3 % 10]
SEARCHERS = ("random", "evolution", "trees", "nao", "vae", "tpe")
#: Those of them that take ``neighbour_share``.
NEIGHBOURLY = ("trees", "nao", "vae")
METHODS = ("spos", "betanas", "amended-darts", "nao", "tnas-os", "tnas-g")
#: What is alike in all methods: the proxy.
PROXY = {"proxy_width": 1.0, "proxy_input_size": 16}


def problems(flags: argparse.Namespace) -> dict[str, Problem]:
    """Ten latency budgets, by device."""
    space = hwnas.space("nasbench201")
    devices = [name for name in read_csv(flags.latencies).header if name != "idx"][: len(QUANTILES)]
    specs = [f"{flags.accuracies}:{COLUMN}", *(f"{flags.latencies}:{d}" for d in devices)]
    table, *measured = read_tables(space, specs)
    accuracies = Accuracies(table)
    data = Tables(accuracies).no_images
    return {
        device: Problem(
            space,
            space,
            data,
            LookedUpLatency(latencies),
            [Budget("latency", float(np.quantile(latencies.values, quantile)))],
            accuracies=accuracies,
        )
        for device, latencies, quantile in zip(devices, measured, QUANTILES, strict=True)
    }


def cpu_seconds() -> float:
    return sum(
        used.ru_utime + used.ru_stime
        for used in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )


def searcher(name: str, problem: Problem, flags: argparse.Namespace) -> Searcher:
    """A searcher of hwnas, with its defaults but for what flags give, or Optuna's."""
    if name == "tpe":
        from tpe import TPE

        return TPE(problem.feasible, problem.seed)
    given = {"neighbour_share": flags.neighbour_share} if name in NEIGHBOURLY else {}
    given |= {"ranked_draws": flags.ranked_draws} if name == "nao" else {}
    settings = EvolutionSettings(searcher=name, **given)  # type: ignore[arg-type]
    return make_searcher(as_begun(settings, None), problem)


def looked_up(name: str, problem: Problem, flags: argparse.Namespace) -> np.ndarray:
    """What a searcher finds (n_decisions,)."""
    assert problem.accuracies is not None
    made = searcher(name, problem, flags)
    generations = EVALUATIONS // BATCH
    search_generations(made, problem.accuracies, generations=generations, population=BATCH)
    return made.best()[0]


def compare(
    find: Callable[[str, str, Problem], tuple[np.ndarray, float]],
    names: Sequence[str],
    grounds: dict[str, Problem],
    seeds: int,
) -> None:
    """Print a row a name; ``find`` gives an architecture and the CPU seconds that it took."""
    print(f"{'':14} mean distance  over seeds  worst  CPU s")
    free(grounds)
    for name in names:
        lost, seconds = np.empty((seeds, len(grounds))), []
        for seed in range(seeds):
            for at, (device, known) in enumerate(grounds.items()):
                problem = replace(known, seed=seed)
                arch, cpu = find(name, device, problem)
                lost[seed, at] = distance(problem, arch)
                seconds.append(cpu)
        spread = lost.mean(axis=1).std(ddof=1) if seeds > 1 else float("nan")
        took = np.mean(seconds)
        print(
            f"{name:14} {lost.mean():13.3f} {spread:11.3f} {lost.max():6.2f} {took:6.1f}",
            flush=True,
        )


def distance(problem: Problem, arch: np.ndarray) -> float:
    """Points below the best within the budget."""
    assert problem.accuracies is not None
    assert problem.predictor.predict(arch[None])[0] <= problem.budgets[0].limit
    return best_within(problem) - 100 * float(problem.accuracies(arch[None])[0])


def free(grounds: dict[str, Problem]) -> None:
    """What needs no search."""
    largest, random = [], []
    for problem in grounds.values():
        assert problem.accuracies is not None
        largest.append(distance(problem, largest_within(problem).architecture))
        archs = problem.accuracies.table.archs
        kept = archs[problem.feasible.contains(archs) & problem.space.connected(archs)]
        random.append(best_within(problem) - 100 * float(problem.accuracies(kept).mean()))
    print(f"{'a random one':14} {np.mean(random):13.3f}")
    print(f"{'the largest':14} {np.mean(largest):13.3f} {'':11} {np.max(largest):6.2f}")


def trained(
    flags: argparse.Namespace, name: str, device: str, problem: Problem
) -> tuple[np.ndarray, float]:
    """What a method finds with a supernet of its own, trained for so many CPU seconds."""
    out = flags.out / f"{name}-{device}-{problem.seed}"
    facts = out / "seconds.json"
    before = cpu_seconds()
    find = partial(
        hwnas.find_network,
        "nasbench201",
        flags.images,
        problem.budgets,
        method=name,
        latencies=f"{named(flags.out, device, problem)}:{device}",
        seed=problem.seed,
        **PROXY,
        **settings_in(flags.set),
    )
    result = find(out=out, steps=steps_of(flags, name, find), progress=silent)
    if not facts.exists():
        facts.write_text(json.dumps(cpu_seconds() - before))
    return problem.space.parse(result.architecture), json.loads(facts.read_text())


def named(folder: Path, device: str, problem: Problem) -> Path:
    """A file of a device's latencies that names the architectures."""
    path = folder / f"{device}.csv"
    if not path.exists():
        assert isinstance(problem.predictor, LookedUpLatency)
        table = problem.predictor.table
        names = [problem.space.format(arch) for arch in table.archs]
        rows = [f"{arch},{ms}" for arch, ms in zip(names, table.values, strict=True)]
        path.write_text("\n".join([f"arch,{device}", *rows]))
    return path


class Training:
    """A `Progress` that adds up the CPU seconds of training steps, and of nothing between them."""

    TASKS = ("training the supernet", "training and choosing", "mixing and choosing")

    def __init__(self) -> None:
        self.steps, self.seconds = 0, 0.0
        self._last, self._at = "", 0.0

    def __call__(self, task: str, share: float, remark: str) -> None:
        """See `Progress`."""
        now = cpu_seconds()
        if task == self._last and task in self.TASKS:
            self.steps += 1
            self.seconds += now - self._at
        self._last, self._at = task, now


def steps_of(flags: argparse.Namespace, name: str, find: Callable[..., object]) -> int:
    """How many steps take so many CPU seconds: those of a short search tell what one takes."""
    path = flags.out / f"{name}.steps.json"
    if not path.exists():
        steps, training = FEW, Training()
        while not training.steps:
            short = flags.out / f"{name}-short-{steps}"
            shutil.rmtree(short, ignore_errors=True)  # a finished search would train no more
            try:
                find(out=short, steps=steps, progress=training)
            except OptionError:  # too few for its rounds, or no number of steps will do
                if steps > MANY:
                    raise
                steps *= 4
        a_step = training.seconds / training.steps
        path.write_text(json.dumps(max(1, round(flags.seconds / a_step))))
    found: int = json.loads(path.read_text())
    return found


#: Steps of the search that tells what a step takes, at first, and where more do not help.
FEW, MANY = 200, 10_000


def main(flags: argparse.Namespace) -> None:
    grounds = problems(flags)
    started = time.process_time()
    if flags.part == "table":
        print(f"looked up, {EVALUATIONS} evaluations, 10 budgets, {flags.seeds} seeds")

        def find(name: str, device: str, problem: Problem) -> tuple[np.ndarray, float]:
            before = cpu_seconds()
            found = looked_up(name, problem, flags)
            return found, cpu_seconds() - before

        compare(find, flags.searchers, grounds, flags.seeds)
    else:
        from hwnas.data import load_data

        flags.out.mkdir(parents=True, exist_ok=True)
        flags.images = load_data(f"cifar10:{flags.data}", input_size=PROXY["proxy_input_size"])
        some = dict(list(grounds.items())[: flags.budgets])
        print(f"supernets trained for {flags.seconds} CPU seconds, {len(some)} budgets")
        compare(partial(trained, flags), flags.methods, some, flags.seeds)
    print(f"{time.process_time() - started:.0f} CPU seconds in all")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("accuracies", type=Path)
    parser.add_argument("latencies", type=Path)
    parser.add_argument("--part", choices=("table", "supernets"), default="table")
    parser.add_argument("--data", type=Path, help="folder of CIFAR-10")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--budgets", type=int, default=10, help="of the ten, for supernets")
    parser.add_argument("--seconds", type=float, default=120, help="of training a supernet")
    parser.add_argument("--searchers", nargs="+", choices=SEARCHERS, default=list(SEARCHERS))
    parser.add_argument("--neighbour-share", type=float, help="of trees, nao and vae")
    parser.add_argument("--ranked-draws", type=int, help="of nao")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--set", nargs="*", default=[], metavar="SETTING=VALUE")
    parser.add_argument("--out", type=Path, default=Path("runs/methods"))
    main(parser.parse_args())
