"""What the VAE of tnas-os costs: CPU seconds that it trains and draws, of those of a whole search.

python benchmarks/tnas_overhead.py [OUT] [--generations N]

The `proxyless` space on scikit-learn's digits under 330 M MACs, with the defaults of the method.
Fewer generations make the search shorter, and the VAE's share larger.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hwnas
from hwnas import spaces
from hwnas.costs import parse_budget
from hwnas.data import load_data
from hwnas.devices import filled
from hwnas.predictors import load_predictor
from hwnas.search.context import Context
from hwnas.search.methods import tnas_os
from hwnas.search.problem import Problem
from hwnas.search.runs.run import Run
from hwnas.search.searchers import vae_draws, vae_paths
from hwnas.search.settings import stored

INPUT_SIZE, WIDTH, BUDGET, TABLE, SEED = 16, 0.25, "macs<=330M", "amd-epyc-1thread", 0
#: CPU seconds by what took them.
SPENT: dict[str, float] = {"training": 0.0, "drawing": 0.0}


def main(flags: argparse.Namespace) -> None:
    data = load_data("digits", input_size=INPUT_SIZE)
    deployed = spaces.space("proxyless", input_size=224, classes=data.classes)
    trained = spaces.proxy(deployed, INPUT_SIZE, data.classes, WIDTH)
    table = filled(hwnas.LatencyTable.load(TABLE), deployed)
    predictor = load_predictor(table, deployed)
    problem = Problem(deployed, trained, data, predictor, [parse_budget(BUDGET)], seed=SEED)
    settings = tnas_os.Settings(generations=flags.generations, base_lr=2e-3)
    vae_paths.train_vae = timed("training", vae_paths.train_vae)
    vae_draws.VAEDraws.__call__ = timed("drawing", vae_draws.VAEDraws.__call__)
    start = time.process_time()
    result = tnas_os.search(Context(problem, Run(flags.out, stored(settings))), settings)
    whole = time.process_time() - start
    share = sum(SPENT.values()) / whole
    print(f"{whole:.0f} CPU seconds, of which the VAE takes {share:.1%}")
    for what, seconds in SPENT.items():
        print(f"{what:10} {seconds:6.1f} s  {seconds / whole:.1%}")
    print(f"VAE {result['vae']}")


def timed(what: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """The same function, whose CPU seconds are counted."""

    def counted(*args: Any, **options: Any) -> Any:
        start = time.process_time()
        try:
            return function(*args, **options)
        finally:
            SPENT[what] += time.process_time() - start

    return counted


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", nargs="?", type=Path, default=Path("runs/tnas-overhead"))
    parser.add_argument("--generations", type=int, default=20)
    main(parser.parse_args())
