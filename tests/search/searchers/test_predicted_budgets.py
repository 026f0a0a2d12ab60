"""What searches propose under a predictor that is no sum keeps the budget by its prediction."""

import numpy as np

from hwnas.costs import Budget, FeasibleSet
from hwnas.predictors import load_predictor
from hwnas.search.constraints import constraints_for
from hwnas.search.searchers.evolution import Evolution

PROPOSALS = 10_000


def test_proposals_under_a_shipped_predictor_never_exceed_the_budget():
    predictor = load_predictor("v100-ofa-b1")
    space = predictor.space
    ms = predictor.predict(space.sample(5000, seed=0))
    budget = Budget("latency", float(np.quantile(ms, 0.01)))
    feasible = FeasibleSet(constraints_for([budget], space, predictor), space.format)

    drawn = feasible.sample(PROPOSALS, np.random.default_rng(1))
    assert len(drawn) == PROPOSALS
    assert predictor.predict(drawn).max() <= budget.limit

    evolution = Evolution(feasible, seed=2)
    proposed = 0
    while proposed < PROPOSALS:
        archs = evolution.suggest(500)
        assert len(archs)
        costs = predictor.predict(archs)
        assert costs.max() <= budget.limit
        proposed += len(archs)
        evolution.update(archs, costs / budget.limit)  # slower is better: it presses on the budget
    assert evolution.best()[1] > 0.999
