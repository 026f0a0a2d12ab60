"""A method of a person's own, with a searcher that is not evolution, from training to files."""

import json

import numpy as np
import pytest
from problems import Bumpy, Device, problem

from hwnas.errors import OptionError
from hwnas.predictors import load_predictor
from hwnas.search.context import Context
from hwnas.search.methods import betanas
from hwnas.search.runs.run import CHECKPOINT, Run
from hwnas.search.searchers.proposals import proposer, random_paths
from hwnas.search.searchers.random_search import RandomSearch
from hwnas.search.searchers.searcher import search_generations
from hwnas.search.shared_settings import TrainingSettings
from hwnas.search.supernet_training import train_supernet
from hwnas.supernet import FeasibleSampler, Supernet


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    monkeypatch.setattr("hwnas.search.searchers.proposals.RANDOM_PATHS", 6)
    monkeypatch.setattr("hwnas.search.candidates.evaluation._CALIBRATION_IMAGES", 64)
    monkeypatch.setattr("hwnas.search.candidates.evaluation._VALIDATION_IMAGES", 100)
    monkeypatch.setattr("hwnas.search.candidates.verification._PAUSES_S", ())


def random_method(context):
    """Train feasible paths, draw at random, measure: a method in twenty lines."""
    stated = context.problem
    supernet = Supernet(stated.proxy, seed=stated.seed)
    paths = FeasibleSampler(stated.feasible, seed=stated.seed)
    settings = TrainingSettings(steps=6, batch_size=16, base_lr=2e-3)
    train_supernet(
        context.run, supernet, paths, stated.data, settings, seed=0, progress=context.progress
    )
    evaluation = context.evaluator(supernet)
    evaluate = evaluation.accuracies
    searcher = RandomSearch(stated.feasible, stated.seed)
    accuracies = random_paths(searcher, evaluate, 6)
    search_generations(searcher, evaluate, generations=2, population=6, progress=context.progress)
    propose = proposer(searcher, RandomSearch, evaluate, population=6)
    winner = context.verify(propose, evaluation)
    return context.conclude(winner, evaluation, accuracies, {"method": "random"})


def evaluated(folder, space):
    lines = (json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines())
    return np.array(
        [space.parse(e["architecture"]) for e in lines if e["event"] == "evaluated"], np.int64
    )


@pytest.fixture
def own(deeper, deeper_predictor):
    """A predictor that is no sum, with half of the space within its median."""
    source = Bumpy(deeper_predictor)
    limit = float(np.median(source.predict(deeper.sample(500, seed=0))))
    return load_predictor(source, deeper), limit


@pytest.mark.parametrize("factor", [1.0, 1.2])
def test_random_search_under_an_own_predictor_from_end_to_end(
    deeper, digits, own, tmp_path, factor
):
    predictor, limit = own
    device = Device(deeper, predictor, factor)
    stated = problem(deeper, predictor, [f"latency<={limit}ms"], data=digits, measure=device)
    result = random_method(Context(stated, Run(tmp_path, {})))
    assert result["measured_ms"] <= limit
    assert result["predicted_ms"] == predictor.predict(deeper.parse(result["architecture"]))[0]
    archs = evaluated(tmp_path, deeper)
    assert len(archs) == result["architectures_evaluated"] >= 18
    assert (predictor.predict(archs) <= limit).all()  # by its own word, for all that was looked at
    assert result["predicted_interval_ms"] is None
    assert json.loads((tmp_path / "result.json").read_text()) == result
    asked = len(device.asked)
    again = random_method(Context(stated, Run(tmp_path, {})))
    assert {**again, "seconds": 0} == {**result, "seconds": 0}
    assert len(device.asked) == asked


def test_a_gradient_method_needs_an_expectation_before_anything_trains(
    deeper, digits, own, tmp_path
):
    predictor, limit = own
    stated = problem(deeper, predictor, [f"latency<={limit}ms"], data=digits)
    with pytest.raises(
        OptionError, match="the method betanas needs an expectation of the latency, which Bumpy"
    ):
        betanas.check(stated, betanas.Settings())
    assert not (tmp_path / CHECKPOINT).exists()
    macs = problem(deeper, predictor, ["macs<=1G"], data=digits)
    assert betanas.check(macs, betanas.Settings()) == betanas.Settings()  # none is needed here
    with pytest.raises(OptionError, match="needs an expectation"):
        betanas.check(macs, betanas.Settings(beta=["latency=1"]))


def test_a_gradient_method_needs_validation_batches(deeper, deeper_predictor):
    stated = problem(deeper, deeper_predictor, ["macs<=1G"])
    with pytest.raises(OptionError, match="trains alpha on validation images, which unseen does"):
        betanas.check(stated, betanas.Settings())
