"""Budgets as people write them, and the architectures that keep several."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwnas.costs import AdditiveCost, Budget, Constraint, FeasibleSet, parse_budget
from hwnas.errors import BudgetError, InfeasibleBudgetError, OptionError


@pytest.mark.parametrize(
    ("text", "quantity", "limit"),
    [
        ("latency<=6ms", "latency", 6.0),
        ("latency<=0.5s", "latency", 500.0),
        ("latency<=250us", "latency", 0.25),
        ("latency<=250\N{MICRO SIGN}s", "latency", 0.25),
        ("latency<=250\N{GREEK SMALL LETTER MU}s", "latency", 0.25),
        (" latency <= 6 ms ", "latency", 6.0),
        ("latency<=.5ms", "latency", 0.5),
        ("latency<=6.ms", "latency", 6.0),
        ("latency<=4.35ms", "latency", 4.35),
        ("latency<=4350us", "latency", 4.35),
        ("macs<=330M", "macs", 330_000_000.0),
        ("macs<=0.33G", "macs", 330_000_000.0),
        ("macs<=300.774272M", "macs", 300_774_272.0),
        ("macs<=600k", "macs", 600_000.0),
        ("params<=4M", "params", 4_000_000.0),
        ("params<=4.1M", "params", 4_100_000.0),
        ("bytes<=50MB", "bytes", 50_000_000.0),
        ("bytes<=1.5GB", "bytes", 1_500_000_000.0),
        ("bytes<=900kB", "bytes", 900_000.0),
        ("bitops<=14.21G", "bitops", 14.21 * 2**30),
        ("bitops<=0.5T", "bitops", 2.0**39),
        ("bitops<=512M", "bitops", 2.0**29),
    ],
)
def test_budgets_are_read_exactly(text: str, quantity: str, limit: float) -> None:
    assert parse_budget(text) == Budget(quantity, limit)


@given(st.integers(1, 10**12))
def test_a_count_written_in_any_unit_is_that_count(count: int) -> None:
    for unit, digits in (("k", 3), ("M", 6), ("G", 9)):
        whole, rest = divmod(count, 10**digits)
        assert parse_budget(f"macs<={whole}.{rest:0{digits}d}{unit}").limit == count


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("latency<=6", "latency budget is a positive number with a unit .s, ms, us.*got '6'"),
        ("macs<=330", "with a unit .k, M, G.*such as 4M; got '330'"),
        ("bytes<=5M", "with a unit .kB, MB, GB.*such as 4MB; got '5M'"),
        ("latency<=6m", "got '6m'"),
        ("latency<=6MS", "got '6MS'"),
        ("macs<=330m", "got '330m'"),
        ("latency<=0ms", "above zero, such as 6ms; got '0ms'"),
        ("latency<=0.000s", "above zero"),
        ("latency<=-6ms", "positive number with a unit"),
        ("latency<=nanms", "positive number with a unit"),
        ("latency<=nan", "positive number with a unit"),
        ("latency<=infms", "positive number with a unit"),
        ("latency<=inf", "positive number with a unit"),
        ("latency<=1e3ms", "positive number with a unit"),
        ("latency<=1_000ms", "positive number with a unit"),
        ("latency<=6,5ms", "positive number with a unit"),
        ("latency<=6 m s", "positive number with a unit"),
        ("latency<=" + "9" * 400 + "ms", "above zero|finite"),
        ("latency<=ms", "positive number with a unit"),
        ("latency<=", "positive number with a unit"),
        ("latency<6ms", "a budget is one of latency, macs, params, bytes, bitops, memory with <="),
        ("latency=6ms", "a budget is one of"),
        ("latency>=6ms", "a budget is one of"),
        ("6ms", "a budget is one of"),
        ("", "a budget is one of"),
        (
            "energy<=6ms",
            "a budget is one of latency, macs, params, bytes, bitops, memory .* got 'energy<=6ms'",
        ),
        ("Latency<=6ms", "a budget is one of"),
        ("latency<=6ms<=7ms", "positive number with a unit"),
    ],
)
def test_unreadable_budgets_say_what_is_allowed(text: str, complaint: str) -> None:
    with pytest.raises(BudgetError, match=complaint):
        parse_budget(text)


@given(st.text(max_size=30))
def test_any_text_is_a_budget_or_our_error(text: str) -> None:
    for candidate in (text, f"latency<={text}", f"macs<={text}M"):
        try:
            budget = parse_budget(candidate)
        except BudgetError:
            continue
        assert 0 < budget.limit < math.inf


@pytest.mark.parametrize(
    "text",
    [
        "latency<=6ms",
        "latency<=0.25ms",
        "latency<=1500ms",
        "macs<=330M",
        "macs<=1.2G",
        "macs<=300.774272M",
        "params<=600k",
        "params<=0.5k",
        "bytes<=50MB",
    ],
)
def test_budgets_print_as_they_are_written(text: str) -> None:
    assert str(parse_budget(text)) == text


def test_a_limit_from_an_array_prints_like_any_other() -> None:
    assert str(Budget("latency", np.float64(5.5))) == "latency<=5.5ms"


@given(
    st.sampled_from(["latency", "macs", "params", "bytes", "bitops"]),
    st.floats(1e-6, 1e15, allow_subnormal=False),
)
def test_what_is_printed_reads_back_as_the_same_budget(quantity: str, limit: float) -> None:
    budget = Budget(quantity, limit)
    assert parse_budget(str(budget)) == budget


# Several budgets at once


def cost(*entries: list[int], fixed: int = 0) -> AdditiveCost:
    return AdditiveCost.from_integers(fixed, entries)


def feasible_set(*limited: tuple[AdditiveCost, float]) -> FeasibleSet:
    names = itertools.cycle(["macs", "params", "bytes"])
    return FeasibleSet([Constraint(Budget(next(names), limit), c) for c, limit in limited])


@st.composite
def several(draw: st.DrawFn) -> list[tuple[AdditiveCost, float]]:
    """Two or three costs of one small space, each with a limit on or beside an architecture."""
    shape = draw(st.lists(st.integers(1, 4), min_size=1, max_size=5))
    limited = []
    for _ in range(draw(st.integers(2, 3))):
        rows = [draw(st.lists(st.integers(0, 12), min_size=n, max_size=n)) for n in shape]
        total = sum(max(row) for row in rows)
        limit = draw(st.integers(0, total)) + draw(st.sampled_from([0.0, 0.5, -1e-9]))
        limited.append((cost(*rows, fixed=draw(st.integers(0, 3))), float(limit)))
    return limited


@settings(max_examples=300, deadline=None)
@given(several())
def test_joint_feasibility_is_decided_exactly(limited: list[tuple[AdditiveCost, float]]) -> None:
    shape = [range(len(entry)) for entry in limited[0][0].entries]
    archs = np.array(list(itertools.product(*shape)))
    kept = np.all([c(archs) <= limit for c, limit in limited], axis=0)
    if not kept.any():
        with pytest.raises(InfeasibleBudgetError, match="no architecture keeps"):
            feasible_set(*limited)
        return
    chosen = feasible_set(*limited)
    assert chosen.contains(archs).tolist() == kept.tolist()
    assert chosen.count >= kept.sum()
    drawn = chosen.sample(30, np.random.default_rng(0))
    assert drawn.shape == (30, len(shape))
    assert chosen.contains(drawn).all()


def test_samples_are_uniform_over_what_keeps_all_budgets() -> None:
    one, two = cost([0, 3, 5], [4, 0, 1], [2, 2, 0]), cost([6, 1, 0], [0, 5, 2], [1, 0, 4])
    archs = np.array(list(itertools.product(range(3), repeat=3)))
    kept = archs[(one(archs) <= 6) & (two(archs) <= 7)]
    assert 5 < len(kept) < 20
    drawn = feasible_set((one, 6), (two, 7)).sample(400 * len(kept), np.random.default_rng(3))
    counts = np.array([(drawn == arch).all(axis=1).sum() for arch in kept])
    assert counts.sum() == len(drawn)
    statistic = float(((counts - 400) ** 2 / 400).sum())
    assert statistic < (len(kept) - 1) + 5 * math.sqrt(2 * (len(kept) - 1))


def test_one_budget_is_counted_exactly() -> None:
    assert feasible_set((cost([0, 1], [0, 1], [0, 1]), 1)).count == 1 + 3


def test_an_infeasible_budget_names_the_least_and_where_it_is() -> None:
    with pytest.raises(
        InfeasibleBudgetError, match=r"keeps macs<=2M: the least is 2.001M, of \[1 0\]"
    ):
        feasible_set((cost([2_000_000, 1_000_001], [1_000_000]), 2e6))


@given(st.integers(1_000, 10**9))
def test_the_least_that_an_error_names_is_feasible(least: int) -> None:
    least_cost = cost([least, 2 * least])
    with pytest.raises(InfeasibleBudgetError) as caught:
        feasible_set((least_cost, least - 1))
    text = str(caught.value).split("the least is ")[1].split(",")[0]
    limit = parse_budget(f"macs<={text}").limit
    assert least <= limit <= least * 1.001
    assert len(text) <= len("99.99M")
    feasible_set((least_cost, limit))


def test_budgets_that_exclude_each_other_are_named_together() -> None:
    with pytest.raises(
        InfeasibleBudgetError, match=r"macs<=0.005k and params<=0.005k together, .*loosen one"
    ):
        feasible_set((cost([0, 10], [0, 10]), 5), (cost([10, 0], [10, 0]), 5))


def test_an_architecture_exactly_on_both_budgets_is_enough() -> None:
    chosen = feasible_set((cost([0, 10], [0, 10]), 10), (cost([10, 0], [10, 0]), 10))
    drawn = chosen.sample(50, np.random.default_rng(0))
    assert set(map(tuple, drawn.tolist())) == {(0, 1), (1, 0)}


def test_no_budget_at_all_is_an_error() -> None:
    with pytest.raises(OptionError, match="at least one"):
        FeasibleSet([])


def test_budgets_that_hardly_overlap_end_with_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hwnas.costs.feasible_set._MAX_DRAWS", 1000)
    first, second = cost(*[[0, 1, 2]] * 20), cost(*[[2, 1, 0]] * 20)
    both = feasible_set((first, 20), (second, 20))
    with pytest.raises(
        InfeasibleBudgetError, match=r"only \d+ of \d+ draws kept all of macs<=.*, params<=.*loosen"
    ):
        both.sample(5000, np.random.default_rng(0))


def test_the_smaller_set_is_the_one_that_is_sampled() -> None:
    # the first alone holds about half of 2^40, the second one architecture
    ones, others = cost(*[[0, 1]] * 40), cost(*[[1, 0]] * 20, *[[0, 1]] * 20)
    for limited in ([(ones, 20.0), (others, 0.0)], [(others, 0.0), (ones, 20.0)]):
        chosen = feasible_set(*limited)
        assert chosen.count == 1
        drawn = chosen.sample(5, np.random.default_rng(0))
        assert drawn.tolist() == [[1] * 20 + [0] * 20] * 5
