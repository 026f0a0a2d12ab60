"""Budgets on a percentile of the runs by the clock."""

import pytest

from hwnas.costs import Budget, parse_budget
from hwnas.costs.budgets import least_limit
from hwnas.errors import BudgetError


@pytest.mark.parametrize(
    ("text", "limit", "percentile"),
    [
        ("latency<=6ms@p90", 6.0, 90.0),
        ("latency <= 0.5s @ p99.9", 500.0, 99.9),
        ("latency<=250us@p50", 0.25, 50.0),
        ("latency<=6ms@p99.99999", 6.0, 99.99999),
    ],
)
def test_a_percentile_stands_behind_the_limit(text, limit, percentile):
    budget = parse_budget(text)
    assert budget == Budget("latency", limit, percentile)
    assert parse_budget(str(budget)) == budget


def test_the_steady_latency_prints_as_ever():
    assert str(Budget("latency", 6.0)) == "latency<=6ms"
    assert str(Budget("latency", 6.0, 90.0)) == "latency<=6ms@p90"
    assert least_limit(Budget("latency", 6.0, 90.0), 6.12341) == "6.124ms@p90"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("latency<=6ms@p0", "a percentile lies between 0 and 100, such as latency<=6ms@p90; got"),
        ("latency<=6ms@p100", "between 0 and 100"),
        ("latency<=6ms@p-5", "between 0 and 100"),
        ("latency<=6ms@p1e1", "between 0 and 100"),
        ("latency<=6ms@90", "between 0 and 100"),
        ("latency<=6ms@", "between 0 and 100"),
        ("latency<=6@p90", "with a unit"),
        ("macs<=330M@p90", "percentiles are of the latency"),
    ],
)
def test_what_is_no_percentile_is_refused(text, says):
    with pytest.raises(BudgetError, match=says):
        parse_budget(text)
