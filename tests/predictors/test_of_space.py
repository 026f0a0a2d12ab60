"""Fitted predictors on the architectures of a space, and those that ship."""

import numpy as np
import pytest
import torch

import hwnas
from hwnas import spaces
from hwnas.errors import OptionError, PredictorFormatError
from hwnas.predictors import LatencyRegressor, SpacePredictor, load_predictor, shipped_predictors
from hwnas.spaces.ofa import ofa_columns
from hwnas.testing import check_predictor

SPACE = spaces.space("nasbench201")
PRICES = np.arange(30).reshape(6, 5) % 7 / 4


def sums(archs):
    return 3 + PRICES[np.arange(6), archs].sum(axis=1)


@pytest.fixture(scope="module")
def predictor():
    archs = SPACE.sample(200, seed=1)
    return SpacePredictor(LatencyRegressor(SPACE).fit(archs, sums(archs)), SPACE)


def test_it_is_a_predictor(predictor):
    check_predictor(predictor, SPACE)


def test_expectations_follow_the_probabilities(predictor):
    uniform = [torch.full((5,), 0.2, dtype=torch.float64, requires_grad=True) for _ in range(6)]
    mean = predictor.expected(uniform)
    assert mean.item() == pytest.approx(3 + PRICES.mean(axis=1).sum(), rel=0.01)
    mean.backward()
    slopes = uniform[2].grad.numpy()
    np.testing.assert_allclose(slopes - slopes[0], PRICES[2] - PRICES[2, 0], atol=0.02)


def test_a_saved_predictor_is_loaded_with_its_space(predictor, tmp_path):
    predictor.regressor.save(tmp_path / "mine.npz", {"target": "a phone"})
    again = load_predictor(tmp_path / "mine.npz")
    archs = SPACE.sample(20, seed=3)
    np.testing.assert_array_equal(again.predict(archs), predictor.predict(archs))
    assert again.notes["target"] == "a phone"
    with pytest.raises(OptionError, match="knows no network of other sizes"):
        load_predictor(tmp_path / "mine.npz", spaces.space("fbnet"))


def test_columns_without_a_space_are_of_the_spaces_that_can_be_turned_into_them(tmp_path):
    space = spaces.space("ofa", input_size=160)
    archs = space.sample(60, seed=0)
    rows = ofa_columns(space, archs)
    ms = 1.0 + (archs % 5).sum(axis=1)
    categories = [np.unique(np.append(column, 0)) for column in rows.T]
    LatencyRegressor(categories=categories).fit(rows, ms).save(tmp_path / "rows.npz")
    with pytest.raises(PredictorFormatError, match="which space its columns belong to"):
        load_predictor(tmp_path / "rows.npz")
    with pytest.raises(OptionError, match="of ofa can be turned into columns, got proxyless"):
        load_predictor(tmp_path / "rows.npz", spaces.space("proxyless"))
    assert load_predictor(tmp_path / "rows.npz", space).predict(archs[:3]).shape == (3,)
    with pytest.raises(OptionError, match="knows no network of other sizes"):
        load_predictor(tmp_path / "rows.npz", spaces.space("ofa", width_mult=0.5))


def test_a_fitted_predictor_knows_no_networks_of_other_sizes():
    assert (
        load_predictor("titanxp-fbnet-b1", hwnas.space("fbnet", classes=10)).space.name == "fbnet"
    )
    with pytest.raises(OptionError, match=r"fitted for fbnet.* got fbnet.*other sizes"):
        load_predictor("titanxp-fbnet-b1", hwnas.space("fbnet", input_size=64))


@pytest.mark.parametrize("name", sorted(shipped_predictors()))
def test_what_ships_says_where_it_comes_from(name):
    predictor = load_predictor(name)
    notes = predictor.notes
    assert "PyTorch eager" in notes["target"]
    assert predictor.space.name == notes["space"] == name.split("-")[1]
    assert "public measurements" in notes["samples"]
    assert "mean error" in notes["held out"]
    assert "MIT" in notes["source"]
    archs = predictor.space.sample(50, seed=0)
    interval = predictor.predict_interval(archs, 0.9)
    ms = predictor.predict(archs)
    assert ((interval[:, 0] < ms) & (ms < interval[:, 1])).all()


def test_nine_predictors_ship():
    cards = [f"{card}-ofa-b{batch}" for card in ("v100", "titanxp") for batch in (1, 32, 64)]
    assert sorted(shipped_predictors()) == sorted(
        cards + [f"titanxp-fbnet-b{batch}" for batch in (1, 32, 64)]
    )
    assert hwnas.LatencyRegressor is LatencyRegressor


def test_no_architectures_have_no_latencies():
    predictor = load_predictor("v100-ofa-b1")
    nothing = np.empty((0, len(predictor.space.n_choices)), np.int64)
    assert predictor.predict(nothing).shape == (0,)
    assert predictor.predict_interval(nothing, 0.9).shape == (0, 2)
