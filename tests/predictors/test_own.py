"""A person's own predictor: checked where it meets hwnas, and offered as what it is."""

import pickle
import sys
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from hwnas.costs import AdditiveCost
from hwnas.errors import ArchitectureError, OptionError
from hwnas.predictors import (
    GivesExpectation,
    GivesIntervals,
    KernelPredictor,
    LatencyPredictor,
    LatencyRegressor,
    OwnPredictor,
    SpacePredictor,
    known_interval,
    load_predictor,
    predictor_name,
    require,
    sampled_expectation,
)
from hwnas.testing import check_predictor

PRICES = np.array([[1.0, 2.0, 4.0, 3.0, 2.5, 1.5, 0.5]] * 4)


class Coupled:
    """A sum, and what two neighbours cost together."""

    def predict(self, archs):
        total = 2 + PRICES[np.arange(4), archs].sum(axis=1)
        return total + 0.3 * (archs[:, 1] == archs[:, 3])


class Sum:
    """A sum that says so."""

    additive = True

    def __init__(self, n_choices):
        self.cost = AdditiveCost.from_floats(
            2.0, [row[:n] for row, n in zip(PRICES, n_choices, strict=True)]
        )

    def predict(self, archs):
        return self.cost(archs)

    def expected(self, probabilities):
        return self.cost.expected(probabilities)


class Complete(Coupled):
    """Offers everything."""

    target = "the board in the lab"
    name = "lab board"

    def predict_interval(self, archs, confidence):
        ms = self.predict(archs)
        return np.stack([ms * (1 - confidence / 10), ms * (1 + confidence / 10)], axis=1)

    def expected(self, probabilities):
        return sampled_expectation(self, [len(p) for p in probabilities], probabilities)


@dataclass
class Answering:
    """Gives whatever a test says."""

    answer: object

    def predict(self, archs):
        return self.answer(archs) if callable(self.answer) else self.answer


def test_own_predictors_pass_the_checks(small_space):
    for source in (Coupled(), Sum(small_space.n_choices), Complete()):
        check_predictor(source, small_space)


def test_it_offers_what_the_object_has(small_space):
    plain, whole = (load_predictor(source, small_space) for source in (Coupled(), Complete()))
    assert isinstance(plain, LatencyPredictor)
    assert not hasattr(plain, "predict_interval")
    assert not hasattr(plain, "expected")
    assert not isinstance(plain, GivesIntervals)
    assert isinstance(whole, GivesIntervals)
    assert isinstance(whole, GivesExpectation)
    assert (plain.name, plain.target) == ("Coupled", "not said (Coupled)")
    assert (whole.name, whole.target) == ("lab board", "the board in the lab")
    assert whole.notes == {"target": "the board in the lab"}


def test_the_cost_is_the_nearest_sum_or_the_objects_own(small_space):
    archs = small_space.sample(300, seed=0)
    plain = load_predictor(Coupled(), small_space)
    assert not plain.additive
    np.testing.assert_allclose(plain.cost(archs), plain.predict(archs), atol=0.3)
    sums = load_predictor(Sum(small_space.n_choices), small_space)
    assert sums.additive
    assert sums.cost is sums.source.cost
    assert np.array_equal(sums.cost(archs), sums.predict(archs))


def test_what_is_lacking_is_refused_by_name(small_space):
    plain, whole = (load_predictor(source, small_space) for source in (Coupled(), Complete()))
    with pytest.raises(
        OptionError,
        match="a confidence needs intervals, which Coupled does not give: give it predict_interval",
    ):
        require(plain, "predict_interval", "a confidence")
    with pytest.raises(
        OptionError,
        match="the method betanas needs an expectation of the latency, which Coupled does not give",
    ):
        require(plain, "expected", "the method betanas")
    assert require(whole, "predict_interval", "a confidence") is whole
    assert require(whole, "expected", "a method") is whole
    assert predictor_name(whole) == "lab board"


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (lambda archs: np.ones((len(archs), 1)), r"shape \(3,\) for 3 arch.*got shape \(3, 1\)"),
        (lambda archs: np.ones(7), r"predict of Answering gives ms of shape.*got shape \(7,\)"),
        (lambda archs: np.full(len(archs), np.nan), "finite ms above 0, got nan for k"),
        (lambda archs: np.full(len(archs), np.inf), "finite ms above 0, got inf"),
        (lambda archs: np.zeros(len(archs)), "finite ms above 0, got 0"),
        (lambda archs: ["fast"] * len(archs), "predict of Answering raised ValueError"),
        (lambda archs: 1 / 0, "predict of Answering raised ZeroDivisionError: division by zero"),
        (None, "predict of Answering"),
    ],
)
def test_what_comes_out_is_checked(small_space, answer, says):
    predictor = load_predictor(Answering(answer), small_space)
    with pytest.raises(OptionError, match=says):
        predictor.predict(small_space.sample(3, seed=0))


def test_what_goes_in_is_checked_and_stays_as_it_is(small_space):
    def careless(archs):
        archs[:] = 0
        return np.ones(len(archs))

    predictor = load_predictor(Answering(careless), small_space)
    archs = small_space.sample(3, seed=0)
    before = archs.copy()
    predictor.predict(archs)
    assert np.array_equal(archs, before)
    assert predictor.predict(archs[:0]).shape == (0,)
    with pytest.raises(ArchitectureError):
        predictor.predict(archs + 100)


def test_intervals_and_expectations_are_checked(small_space):
    class Wrong(Coupled):
        def predict_interval(self, archs, confidence):
            return np.stack([self.predict(archs) + 1, self.predict(archs)], axis=1)

        def expected(self, probabilities):
            return 3.0

    predictor = load_predictor(Wrong(), small_space)
    archs = small_space.sample(3, seed=0)
    with pytest.raises(OptionError, match="predict_interval of Wrong gives the lower end first"):
        predictor.predict_interval(archs, 0.9)
    with pytest.raises(OptionError, match=r"between 0 and 1, such as 0\.95, got 90"):
        predictor.predict_interval(archs, 90)
    with pytest.raises(OptionError, match=r"expected of Wrong gives one finite ms .* got 3\.0"):
        predictor.expected([torch.full((n,), 1 / n) for n in small_space.n_choices])


def test_objects_that_are_no_predictors(small_space, small_table):
    class Liar(Coupled):
        additive = True

    class CostlyLiar(Sum):
        def predict(self, archs):
            return self.cost(archs) + 1e-6

    class OtherCost(Coupled):
        cost = AdditiveCost.from_integers(1, [[1, 2]])

    class NoTarget(Coupled):
        target = 7

    for source, says in (
        (Coupled, r"Coupled is a class: give an object of it, such as Coupled\(\)"),
        (object(), r"an object with predict\(archs\) -> ms, got object"),
        (3.0, r"got float without it"),
        (Liar(), "Liar says that it is additive, and has no cost"),
        (CostlyLiar(small_space.n_choices), "cost and predict differ by up to 1e-06 ms"),
        (OtherCost(), r"cost of OtherCost .* got 1 decisions of \(2,\)"),
        (NoTarget(), "target of NoTarget is a hwnas.latency_tables.Target or words, got 7"),
        (LatencyRegressor(small_space), "LatencyRegressor is not fitted: call fit"),
        (KernelPredictor.__new__(KernelPredictor), "predicts the kernels of an ONNX model"),
    ):
        with pytest.raises(OptionError, match=says):
            load_predictor(source, small_space)
    with pytest.raises(OptionError, match=r"Coupled does not say which space's .* give space="):
        load_predictor(Coupled())


def test_an_object_may_bring_its_space_and_a_target(small_space, small_table):
    source = Coupled()
    source.space = small_space
    source.target = small_table.target
    predictor = load_predictor(source)
    assert predictor.space is small_space
    assert predictor.target == small_table.target


def test_predictors_of_hwnas_stay_as_they_are(small_space, small_table):
    for source in (small_table, Coupled()):
        predictor = load_predictor(source, small_space)
        assert load_predictor(predictor) is predictor
        assert load_predictor(predictor, small_space) is predictor
    other = type(small_space)("other", {"input_size": 8}, small_space.layout)
    with pytest.raises(OptionError, match=r"predicts proxyless-\w+, got other-"):
        load_predictor(predictor, other)


def test_a_fitted_regressor_is_taken_as_it_is(small_space, tmp_path):
    archs = small_space.sample(60, seed=0)
    regressor = LatencyRegressor(small_space).fit(archs, Coupled().predict(archs))
    predictor = load_predictor(regressor)
    assert isinstance(predictor, SpacePredictor)
    assert not predictor.additive
    assert predictor.target == "not said (LatencyRegressor)"
    regressor.save(tmp_path / "mine.npz", {"target": "the board"})
    stored = load_predictor(tmp_path / "mine.npz")
    assert stored.target == "the board"
    assert np.array_equal(stored.predict(archs), predictor.predict(archs))


def test_an_expectation_is_a_function_of_the_probabilities(small_space):
    archs = small_space.sample(60, seed=0)
    predictor = load_predictor(LatencyRegressor(small_space).fit(archs, Coupled().predict(archs)))
    flat = [torch.full((n,), 1 / n) for n in small_space.n_choices]
    other = [p.clone() for p in flat]
    other[0][:2] += torch.tensor([0.01, -0.01])
    first = predictor.expected(flat)
    moved = predictor.expected(other)
    assert predictor.expected(flat) == first
    assert moved != first


def test_a_person_may_type_where_an_object_stands(small_space, tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(
        "class Mine:\n    def predict(self, archs):\n        return 1.0 + archs.sum(axis=1)\n"
        "board = Mine()\n"
    )
    typed = f"{tmp_path / 'mine.py'}:board"
    predictor = load_predictor(typed, small_space)
    assert isinstance(predictor, OwnPredictor)
    assert predictor_name(predictor) == typed
    archs = small_space.sample(3, seed=0)
    assert np.array_equal(predictor.predict(archs), 1.0 + archs.sum(axis=1))
    with pytest.raises(OptionError, match="has no 'desk'"):
        load_predictor(f"{tmp_path / 'mine.py'}:desk", small_space)
    with pytest.raises(OptionError, match="is a class: give an object"):
        load_predictor(f"{tmp_path / 'mine.py'}:Mine", small_space)
    monkeypatch.syspath_prepend(str(tmp_path))
    try:
        again = load_predictor("mine:board", small_space)
        assert np.array_equal(again.predict(archs), predictor.predict(archs))
    finally:
        sys.modules.pop("mine", None)


def test_it_travels_to_another_process(small_space):
    predictor = OwnPredictor(Complete(), small_space)
    again = pickle.loads(pickle.dumps(predictor))
    archs = small_space.sample(5, seed=0)
    assert np.array_equal(again.predict(archs), predictor.predict(archs))
    assert np.array_equal(
        again.predict_interval(archs, 0.9), predictor.predict_interval(archs, 0.9)
    )


def test_an_interval_that_is_too_sure_for_few_networks_is_none_and_no_error(small_space):
    """A search would else end there, after its training."""
    archs = small_space.sample(12, seed=0)
    ms = 1 + small_space.macs(archs) / 1e6
    few = load_predictor(LatencyRegressor(small_space).fit(archs, ms), small_space)
    with pytest.raises(OptionError, match="needs at least 19 samples"):
        few.predict_interval(archs[:1], 0.95)
    assert known_interval(few, archs[:1]) is None
    assert known_interval(few, archs[:1], 0.5).shape == (1, 2)
    assert known_interval(SimpleNamespace(predict=len), archs[:1]) is None
