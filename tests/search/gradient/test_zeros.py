"""Networks are derived without zero operators, but where the budgets need them."""

import numpy as np

from hwnas import spaces
from hwnas.costs import AdditiveCost, Budget, Constraint
from hwnas.search.gradient.zeros import without_zeros

SPACE = spaces.space("nasbench201")
ALL = np.ones((6, 5), bool)
ZERO = 0


def macs_within(limit):
    return [Constraint(Budget("macs", limit), SPACE.cost("macs"))]


def test_no_zero_operator_is_left_where_the_budgets_do_not_need_it():
    left = without_zeros(ALL, SPACE, macs_within(1e9))
    assert not left[:, ZERO].any()
    assert left[:, 1:].all()
    assert (without_zeros(ALL, SPACE) == left).all()


def test_where_a_budget_needs_one_all_are_left():
    cost = AdditiveCost.from_floats(0.0, [np.array([0.0, 1.0, 1.0, 1.0, 1.0])] * 6)
    for limit, needed in ((6.0, False), (5.0, True)):  # six edges cost 1 each, unless one is empty
        left = without_zeros(ALL, SPACE, [Constraint(Budget("latency", limit), cost)])
        assert left[:, ZERO].all() == left[:, ZERO].any() == needed


def test_the_last_choice_of_a_decision_stays():
    alone = ALL.copy()
    alone[3, 1:] = False
    left = without_zeros(alone, SPACE)
    assert left[3].tolist() == [True, False, False, False, False]


def test_a_space_without_zero_operators_is_as_it_was():
    chain = spaces.space("darts-s1", channels=4, cells=3)
    every = np.ones((16, 7), bool)
    assert without_zeros(every, chain).all()
