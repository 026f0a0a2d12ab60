"""What is pruned, and what never is."""

import numpy as np
import pytest

from hwnas.costs import AdditiveCost, Budget, Constraint
from hwnas.errors import OptionError
from hwnas.search.gradient.pruning import PruneRule, prune

ACTIVE = np.ones((2, 3), bool)


def test_below_the_mean_of_the_others_by_the_margin():
    alpha = np.array([[0.0, 1.0, -0.4], [0.0, 1.0, -0.6]])
    # the others of the last choice have a mean of 0.5: it is 0.9 and 1.1 below
    assert prune(PruneRule(margin=1.0), alpha, ACTIVE, []) == [(1, 2)]
    assert prune(PruneRule(margin=0.8), alpha, ACTIVE, []) == [(0, 2), (1, 2)]
    assert prune(PruneRule(), alpha - 100, ACTIVE, []) == []


def test_a_margin_is_a_ratio_of_probabilities_and_no_constant_matters():
    rng = np.random.default_rng(0)
    rule = PruneRule(margin=np.log(3))
    for _ in range(50):
        alphas = rng.normal(size=5)
        p = np.exp(alphas) / np.exp(alphas).sum()
        expected = [
            p[i] < np.exp(np.delete(np.log(p), i).mean()) / 3 and i != p.argmax() for i in range(5)
        ]
        assert rule.behind(alphas).tolist() == expected
        assert rule.behind(alphas + 7).tolist() == expected


def test_below_a_threshold_as_equation_7_says():
    alpha = np.array([[-0.5, 0.2, -0.7], [0.0, -0.61, 0.0]])
    assert prune(PruneRule(threshold=-0.6), alpha, ACTIVE, []) == [(0, 2), (1, 1)]


def test_what_is_gone_is_neither_pruned_again_nor_counted():
    active = np.array([[True, False, True], [True, True, True]])
    alpha = np.array([[0.0, 50.0, -0.5], [0.0, 0.0, 0.0]])
    assert prune(PruneRule(margin=1.0), alpha, active, []) == []


def test_one_stays_even_if_all_are_below_the_threshold():
    alpha = np.array([[-3.0, -2.0, -4.0], [-9.0, -9.0, -9.0]])
    active = np.ones((2, 3), bool)
    for pair in prune(PruneRule(threshold=-1.0), alpha, active, []):
        active[pair] = False
    assert active.tolist() == [[False, True, False], [True, False, False]]


def test_the_last_that_keeps_the_budgets_stays():
    cost = AdditiveCost.from_integers(0, [[1, 5, 9], [1, 5, 9]])
    alpha = np.array([[-5.0, 0.0, -6.0], [-5.0, 0.0, -6.0]])
    rule = PruneRule(threshold=-1.0)
    assert prune(rule, alpha, ACTIVE, []) == [(0, 0), (0, 2), (1, 0), (1, 2)]
    within = [Constraint(Budget("macs", 6), cost)]
    # once the first decision has lost its cheapest, 5 + 1 is all that is left within 6
    assert prune(rule, alpha, ACTIVE, within) == [(0, 0), (0, 2), (1, 2)]
    other = AdditiveCost.from_integers(0, [[9, 5, 1], [9, 5, 1]])
    both = [*within, Constraint(Budget("params", 14), other)]
    # 5 + 1 by the one is 5 + 9 by the other
    assert prune(rule, alpha, ACTIVE, both) == [(0, 0), (0, 2), (1, 2)]
    assert ACTIVE.all()


def test_the_schedule():
    rule = PruneRule(margin=1.0, start=0.5, every=3)
    assert [step for step in range(1, 21) if rule.due(step, 20)] == [12, 15, 18]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"margin": 0.0}, r"above 0 \(else everything would be pruned\), got 0"),
        ({"margin": -1.0}, "got -1"),
        ({"margin": float("nan")}, "got nan"),
        ({"threshold": 0.0}, "everything would be pruned at once.*got 0"),
        ({"threshold": 0.3}, "below 0, where every alpha starts"),
        ({"start": 1.5}, "a share of the steps from 0 to 1"),
        ({"every": 0}, "every 1 or more"),
    ],
)
def test_what_would_prune_everything_is_refused(arguments, message):
    with pytest.raises(OptionError, match=message):
        PruneRule(**arguments)
