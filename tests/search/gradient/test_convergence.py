"""When alpha counts as at rest."""

import pytest
import torch

from hwnas import spaces
from hwnas.search.gradient.alphas import Alphas
from hwnas.search.gradient.convergence import Rest
from hwnas.search.runs.run import Run

SPACE = spaces.space("nasbench201", input_size=8, classes=3, channels=4, cells=1)


@pytest.fixture
def alphas():
    return Alphas(SPACE)


def sure(alphas, gap):
    alphas.alpha[:, 3] = gap


def test_it_rests_when_decided_and_still(alphas, tmp_path):
    run, rest = Run(tmp_path, {}), Rest(alphas, 0.01)
    assert not rest.after_epoch(run, 10)  # nothing moved, and nothing is decided
    sure(alphas, 3.0)
    assert not rest.after_epoch(run, 20)  # decided, by a leap
    alphas.alpha.add_(5.0)  # which no probability sees
    assert rest.after_epoch(run, 30)
    first, second, third = run.logged("epoch")
    e = torch.tensor(3.0).exp().item()
    assert first["change"] == 0
    assert second["change"] == pytest.approx(e / (e + 4) - 0.2)
    assert third["change"] == pytest.approx(0, abs=1e-12)
    assert third["most_probable"].count("nor_conv_3x3") == 6
    report = rest.report(run, 500)
    assert report["converged"] is True
    assert report["trained_steps"] == 30
    assert report["least_sure"] == pytest.approx(e / (e + 4))


def test_one_undecided_edge_is_no_rest(alphas, tmp_path):
    run, rest = Run(tmp_path, {}), Rest(alphas, 0.01)
    sure(alphas, 3.0)
    alphas.alpha[2] = 0.0
    rest.after_epoch(run, 10)
    assert not rest.after_epoch(run, 20)
    assert rest.report(run, 500)["converged"] is False
    assert rest.report(run, 500)["trained_steps"] == 500


def test_a_bound_of_0_never_rests(alphas, tmp_path):
    run, rest = Run(tmp_path, {}), Rest(alphas, 0.0)
    sure(alphas, 9.0)
    assert not any(rest.after_epoch(run, step) for step in (10, 20, 30))
    assert Rest(alphas, 0.0).report(Run(tmp_path / "none", {}), 7)["last_change"] is None
