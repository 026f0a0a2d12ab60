"""Mean probabilities of operators, by hand."""

import numpy as np
import pytest

from hwnas.search.gradient.pictures import plot_operators, shares_of_operators

CHOICES = [["skip", "conv", "pool"], ["skip", "conv"]]
HISTORY = [
    {"step": 1, "alpha": [[0.0, 0.0, 0.0], [0.0, 0.0, None]]},
    {"step": 5, "alpha": [[np.log(2.0), 0.0, 0.0], [5 + np.log(3.0), 5.0, None]]},
]


def test_each_operator_has_its_mean_over_the_decisions_that_offer_it():
    shares = shares_of_operators(HISTORY, CHOICES)
    assert list(shares) == ["skip", "conv", "pool"]
    assert shares["skip"] == pytest.approx([(1 / 3 + 1 / 2) / 2, (2 / 4 + 3 / 4) / 2])
    assert shares["conv"] == pytest.approx([(1 / 3 + 1 / 2) / 2, (1 / 4 + 1 / 4) / 2])
    assert shares["pool"] == pytest.approx([1 / 3, 1 / 4])


def test_they_are_drawn(tmp_path):
    plot_operators(tmp_path / "alpha.png", HISTORY, CHOICES, title="by hand")
    assert (tmp_path / "alpha.png").read_bytes()[:4] == b"\x89PNG"
