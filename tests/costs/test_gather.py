"""The fast sums are the plain sums, to the last digit, for every kind of array."""

import numpy as np
import pytest

from hwnas.costs import AdditiveCost
from hwnas.costs.gather import WORTH_PAIRING, can_pair

ROWS = 2 * WORTH_PAIRING + 17


def plain(cost: AdditiveCost, archs: np.ndarray) -> np.ndarray:
    steps = sum(entry[archs[:, d]] for d, entry in enumerate(cost.entries))
    return (steps + cost.fixed) * cost.unit


def random(n_choices: list[int], largest: int, least: int = 0) -> tuple[AdditiveCost, np.ndarray]:
    rng = np.random.default_rng(len(n_choices))
    entries = tuple(rng.integers(least, largest, n) for n in n_choices)
    archs = rng.integers(0, n_choices, (ROWS, len(n_choices)))
    return AdditiveCost(0.125, 7, entries), archs


@pytest.mark.parametrize(
    "n_choices", [[7] * 21, [6, 7, 5, 2], [3], [2, 1], [256, 3, 256], [300, 2]]
)
@pytest.mark.parametrize("largest", [1000, 2**28, 2**40])
def test_sums_are_exact(n_choices: list[int], largest: int) -> None:
    cost, archs = random(n_choices, largest, least=-largest // 3)
    assert cost(archs).tolist() == plain(cost, archs).tolist()


def test_steps_that_single_precision_does_not_hold_are_multiplied_in_double() -> None:
    entries = tuple(np.array([0, 2**20 + 1]) for _ in range(6))
    cost = AdditiveCost(3.0, 1, entries)
    archs = np.ones((ROWS, 6), np.uint8)
    assert set(cost(archs)) == {3.0 * (6 * (2**20 + 1) + 1)}


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.uint16, np.int32, np.uint64, ">i4"])
def test_every_integer_type_and_order_in_memory_will_do(dtype: type) -> None:
    cost, archs = random([7] * 21, 1000)
    expected = plain(cost, archs)
    rows = archs.astype(dtype)
    wide = np.zeros((ROWS, 42), dtype)
    wide[:, ::2] = rows
    for same in (rows, np.asfortranarray(rows), wide[:, ::2], rows[::-1][::-1]):
        assert can_pair(same, cost.entries)
        assert cost(same).tolist() == expected.tolist()


@pytest.mark.parametrize("n_choices", [[6, 7, 5, 2], [6, 7, 5], [3]])
@pytest.mark.parametrize("dtype", [np.uint8, np.int64])
@pytest.mark.parametrize("rows", [5, ROWS])
def test_an_index_out_of_range_is_an_error_in_every_place(
    n_choices: list[int], dtype: type, rows: int
) -> None:
    cost, archs = random(n_choices, 1000)
    for d, n in enumerate(n_choices):
        for wrong in (n, 255, *((-1, 256, -256) if dtype is np.int64 else ())):
            changed = archs[:rows].astype(dtype)
            changed[-1, d] = wrong
            with pytest.raises(IndexError):
                cost(changed)


def test_another_number_of_decisions_is_an_error() -> None:
    cost, archs = random([6, 7, 5], 1000)
    with pytest.raises(ValueError, match="zip"):
        cost(archs[:, :2])
