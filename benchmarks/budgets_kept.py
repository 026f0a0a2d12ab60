"""Architectures that all modes propose under budgets, and how many of them keep every one.

Modes: the first, uniform generation, evolution and random search, of block search, channel search
alone and joint, few-bit search, and the mobile bottlenecks; with one budget and with several. Path
samplers of training with a constraint are checked against their bins. Every cost is counted anew
from the workloads of an architecture, not looked up in what the proposal was made with. Under a
shipped predictor, which is no sum over decisions, 10,000 proposals are held against its own
predictions.

python benchmarks/budgets_kept.py
"""

from collections.abc import Callable

import numpy as np

from hwnas import spaces
from hwnas.arrays import IntArray
from hwnas.costs import Budget, Constraint, FeasibleSet, parse_budget, workload_costs
from hwnas.predictors import load_predictor
from hwnas.search.constraints import constraints_for
from hwnas.search.searchers.evolution import Evolution
from hwnas.search.searchers.random_search import RandomSearch
from hwnas.spaces import SearchSpace
from hwnas.spaces.shufflenet import CHANNEL_SCALES
from hwnas.supernet import ConstraintSampler, FeasibleSampler

PER_MODE = 400
#: A predictor that ships, the share of architectures within the budget, and proposals in all.
FITTED, SHARE, FITTED_PROPOSALS = "v100-ofa-b1", 0.01, 10_010
CASES: list[tuple[str, dict[str, object], tuple[str, ...]]] = [
    ("shufflenet", {}, ("macs<=290M",)),
    ("shufflenet", {}, ("macs<=300M", "params<=3.3M")),
    ("shufflenet", {"scales": CHANNEL_SCALES}, ("macs<=330M",)),
    ("shufflenet", {"scales": CHANNEL_SCALES}, ("macs<=200M", "params<=4M")),
    ("shufflenet", {"scales": CHANNEL_SCALES, "blocks": "x"}, ("macs<=330M",)),
    ("resnet18-bits", {}, ("bitops<=6.32G",)),
    ("resnet34-bits", {}, ("bitops<=29.72G", "params<=20M")),
    ("proxyless", {}, ("macs<=330M", "params<=5M")),
]


def counted(space: SearchSpace) -> Callable[[IntArray, str], IntArray]:
    """Costs of architectures, summed over their workloads."""
    known = {w.key: workload_costs(w) for w in space.distinct_workloads}

    def cost(archs: IntArray, quantity: str) -> IntArray:
        return np.array(
            [
                sum(known[w.key][quantity] for w in space.workloads(a) if not w.op.no_op)
                for a in archs
            ]
        )

    return cost


def proposals(space: SearchSpace, feasible: FeasibleSet, count: int) -> dict[str, IntArray]:
    """Architectures by the mode that proposed them."""

    def run(searcher: Evolution | RandomSearch) -> IntArray:
        archs = [searcher.suggest(50)]
        while sum(map(len, archs)) < count and len(archs[-1]):
            searcher.update(archs[-1], np.sin(archs[-1].sum(axis=1)) / 2 + 0.5)
            archs.append(searcher.suggest(50))
        return np.concatenate(archs)[:count]

    sampler = FeasibleSampler(feasible, seed=2)
    return {
        "evolution": run(Evolution(feasible, seed=0)),
        "random search": run(RandomSearch(feasible, seed=1)),
        "uniform": feasible.sample(count, np.random.default_rng(3)),
        "training": np.array([sampler.sample(step) for step in range(count // 4)]),
    }


def main(per_mode: int = PER_MODE) -> tuple[int, int]:
    """Count; returns (architectures that kept all budgets, architectures proposed)."""
    kept = proposed = 0
    for name, arguments, texts in CASES:
        space = spaces.space(name, **arguments)
        cost = counted(space)
        budgets = [parse_budget(text) for text in texts]
        constraints = [Constraint(budget, space.cost(budget.quantity)) for budget in budgets]
        modes = proposals(space, FeasibleSet(constraints, space.format), per_mode)
        for mode, archs in modes.items():
            good = np.ones(len(archs), bool)
            for budget in budgets:
                good &= cost(archs, budget.quantity) <= budget.limit
            kept, proposed = kept + int(good.sum()), proposed + len(archs)
            print(f"{name:14} {', '.join(texts):28} {mode:14} {good.sum():5} of {len(archs)}")
        edges = [budgets[0].limit * edge / 330 for edge in range(290, 361, 10)]
        paths = ConstraintSampler(constraints[0].cost, edges, seed=4)
        archs = np.array([paths.sample(step) for step in range(per_mode // 4)])
        values = cost(archs, budgets[0].quantity)
        good = (values > paths.bins[0][0]) & (values <= paths.bins[-1][1])
        kept, proposed = kept + int(good.sum()), proposed + len(archs)
        print(
            f"{name:14} {'bins around the first':28} {'training':14} {good.sum():5} of {len(archs)}"
        )
    fitted_kept, fitted_proposed = fitted(FITTED_PROPOSALS * per_mode // PER_MODE)
    kept, proposed = kept + fitted_kept, proposed + fitted_proposed
    print(f"budgets kept: {kept:,} of {proposed:,}")
    return kept, proposed


def fitted(count: int) -> tuple[int, int]:
    """About ``count`` proposals under a fitted predictor; returns (kept, proposed)."""
    predictor = load_predictor(FITTED)
    space = predictor.space
    limit = round(float(np.quantile(predictor.predict(space.sample(5000, seed=0)), SHARE)), 3)
    budget = Budget("latency", limit)
    feasible = FeasibleSet(constraints_for([budget], space, predictor), space.format)
    kept = proposed = 0
    for mode, archs in proposals(space, feasible, count * 4 // 13).items():  # 3 modes and a quarter
        good = predictor.predict(archs) <= limit
        kept, proposed = kept + int(good.sum()), proposed + len(archs)
        print(f"{FITTED:14} {budget!s:28} {mode:14} {good.sum():5} of {len(archs)}")
    return kept, proposed


if __name__ == "__main__":
    kept, proposed = main()
    raise SystemExit(kept != proposed)
