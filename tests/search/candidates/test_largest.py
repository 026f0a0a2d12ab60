"""The largest network within the budgets, against looking through the space."""

from itertools import product

import numpy as np
import pytest
from problems import Bumpy, problem

from hwnas.costs import Budget
from hwnas.errors import InfeasibleBudgetError
from hwnas.predictors import LookedUpLatency
from hwnas.search.candidates.largest import largest_within
from hwnas.spaces.tabulated import ArchitectureTable


def most(stated, archs):
    kept = np.ones(len(archs), bool)
    for constraint in stated.constraints:
        kept &= constraint.values(archs) <= constraint.budget.limit
    return stated.space.macs(archs[kept]).max()


@pytest.fixture(scope="module")
def every(deeper):
    return np.array(list(product(*map(range, deeper.n_choices))))


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("share", [0.3, 0.7])
def test_of_a_small_space_it_is_certain(deeper, deeper_predictor, every, own, share):
    source = Bumpy(deeper_predictor) if own else deeper_predictor
    latency = float(np.quantile(source.predict(every), share))
    params = float(np.quantile(deeper.params(every), 0.8))
    stated = problem(deeper, source, [f"latency<={latency}ms", Budget("params", params)])
    found = largest_within(stated)
    assert found.exact
    assert deeper.macs(found.architecture)[0] == most(stated, every)
    assert stated.feasible.contains(found.architecture[None])[0]


@pytest.mark.parametrize("own", [False, True])
def test_of_a_large_space_sums_decide_or_guides_propose(
    deeper, deeper_predictor, every, own, monkeypatch
):
    """As in a space that is too large to be looked through."""
    monkeypatch.setattr(
        "hwnas.search.candidates.largest.everything", lambda n_choices, costly: None
    )
    source = Bumpy(deeper_predictor) if own else deeper_predictor
    latency = float(np.quantile(source.predict(every), 0.4))
    stated = problem(deeper, source, [f"latency<={latency}ms"])
    found = largest_within(stated)
    assert found.exact is not own
    assert stated.feasible.contains(found.architecture[None])[0]
    share = deeper.macs(found.architecture)[0] / most(stated, every)
    assert share == 1 if not own else share > 0.95


def test_among_listed_architectures_it_is_one_of_them(deeper, every):
    listed = every[np.random.default_rng(0).permutation(len(every))[:100]]
    table = ArchitectureTable(deeper, listed, 1 + np.arange(100) / 10, "ms")
    stated = problem(deeper, LookedUpLatency(table), ["latency<=6ms"])
    found = largest_within(stated)
    assert found.exact
    kept = listed[table(listed) <= 6]
    assert deeper.macs(found.architecture)[0] == deeper.macs(kept).max()
    assert stated.feasible.count == len(kept)


def test_where_draws_hardly_keep_the_budgets_the_one_that_is_known_counts(
    deeper, deeper_predictor, every, monkeypatch
):
    monkeypatch.setattr(
        "hwnas.search.candidates.largest.everything", lambda n_choices, costly: None
    )
    source = Bumpy(deeper_predictor)
    stated = problem(deeper, source, [f"latency<={float(source.predict(every).min()) * 1.001}ms"])

    def sample(self, count, rng):
        raise InfeasibleBudgetError("hardly any")

    monkeypatch.setattr("hwnas.costs.FeasibleSet.sample", sample)
    found = largest_within(stated)
    assert not found.exact
    assert stated.feasible.contains(found.architecture[None])[0]
