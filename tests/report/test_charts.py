"""The arithmetic of still charts."""

import numpy as np
import pytest

from hwnas.report.answer import accuracy_noise
from hwnas.report.charts import HEIGHT, WIDTH, axis, line, thinned


@pytest.mark.parametrize(
    ("values", "step"), [([0, 10], 2), ([0.02, 0.1], 0.02), ([1000, 5000], 1000), ([-3, 3], 1)]
)
def test_ticks_are_the_multiples_of_a_round_step_within_the_axis(values, step):
    found = axis("x", values)
    first, last = np.ceil(found.low / step), np.floor(found.high / step)
    assert [value for value, _ in found.ticks] == pytest.approx(
        [at * step for at in range(int(first), int(last) + 1)]
    )
    assert found.low < min(values) < max(values) < found.high
    assert all(float(text) == pytest.approx(value) for value, text in found.ticks)


def test_shares_are_written_as_percent():
    found = axis("accuracy (%)", [0.9, 0.98], percent=True)
    assert [(round(value, 6), text) for value, text in found.ticks] == [
        (0.9, "90"), (0.92, "92"), (0.94, "94"), (0.96, "96"), (0.98, "98")
    ]  # fmt: skip


@pytest.mark.parametrize("values", [[], [5.0], [0.0, 0.0], [float("nan")], [-1e308, 2.0]])
def test_an_axis_of_one_number_or_none_has_a_range(values):
    found = axis("x", values)
    assert found.low < found.high
    assert found.ticks


def test_a_line_runs_from_corner_to_corner_and_leaves_out_what_is_no_number():
    at = axis("x", [0, 1], least=0), axis("y", [0, 1], least=0)
    ends = line("", 0, at, [(0, 0), (0.5, float("nan")), (1, 1)]).points.split(" ")
    assert len(ends) == 2
    (left, bottom), (right, top) = ([float(n) for n in end.split(",")] for end in ends)
    assert 0 < left < right <= WIDTH
    assert 0 < top < bottom <= HEIGHT


def test_of_many_points_some_hundred_are_drawn_with_both_ends():
    points = [(x, x**2) for x in range(5000)]
    drawn = thinned(points)
    assert len(drawn) == 400
    assert drawn[0] == points[0]
    assert drawn[-1] == points[-1]
    assert thinned(points[:7]) == points[:7]


def test_the_noise_of_an_accuracy_is_that_of_a_coin():
    assert accuracy_noise(0.5, 10_000) == pytest.approx(1.96 * 0.5 / 100)
    assert accuracy_noise(1.0, 100) == 0
    assert accuracy_noise(0.5, None) is None
