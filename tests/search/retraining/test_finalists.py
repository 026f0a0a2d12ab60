"""Finalists: mutually dissimilar, trained alone, and the best of them first."""

from types import SimpleNamespace

import numpy as np
import pytest

from hwnas.costs import Budget, Constraint, FeasibleSet
from hwnas.data import ACCURACY, CLASSIFICATION
from hwnas.errors import OptionError
from hwnas.search.candidates.evaluation import LoggedEvaluation
from hwnas.search.retraining import finalists
from hwnas.search.retraining.finalists import diverse_subset, rank_finalists
from hwnas.search.runs.run import Run


def test_any_two_differ_in_half_of_their_decisions():
    archs = np.array([[0, 0, 0, 0], [0, 0, 0, 1], [0, 0, 1, 1], [1, 1, 0, 0], [1, 1, 1, 1]])
    accuracies = [0.7, 0.9, 0.8, 0.6, 0.5]
    assert diverse_subset(archs, accuracies, 3).tolist() == [
        [0, 0, 0, 1],
        [1, 1, 0, 0],
        [1, 1, 1, 1],
    ]
    assert diverse_subset(archs, accuracies, 2, share=0).tolist() == [[0, 0, 0, 1], [0, 0, 1, 1]]
    assert diverse_subset(archs, accuracies, 9, share=1).tolist() == [[0, 0, 0, 1]]
    assert diverse_subset(archs, accuracies, 9, share=0.5).tolist()[0] == [0, 0, 0, 1]
    assert diverse_subset(archs, [0.5] * 5, 1).tolist() == [[0, 0, 0, 0]]  # of equals the first


@pytest.mark.parametrize(("count", "share"), [(0, 0.5), (2, 1.5)])
def test_bad_settings(count, share):
    with pytest.raises(OptionError, match="finalists are 1 or more"):
        diverse_subset(np.zeros((1, 2), np.int64), [1.0], count, share)


@pytest.fixture
def setting(tmp_path, small_space, monkeypatch):
    """A search that has asked for 60 architectures, and training whose outcome is known."""
    run = Run(tmp_path, {})
    cost = small_space.cost("macs")
    limit = float(np.median(cost(small_space.sample(500, seed=0))))
    feasible = FeasibleSet([Constraint(Budget("macs", limit), cost)])
    evaluate = LoggedEvaluation(run, small_space, lambda archs: cost(archs) / 1e12)
    evaluate(small_space.sample(60, seed=1))
    trained = []

    class NoData:
        def validation(self):
            return iter(())

    def retrain(alone, space, arch, data, settings, *, seed, progress):
        trained.append((space.format(arch), settings.steps, seed))
        progress("training", 1.0, "")
        return arch

    monkeypatch.setattr(finalists, "retrain", retrain)
    truth = lambda arch, images, task: float(1 / cost(arch[None])[0])  # noqa: E731 - small is good
    monkeypatch.setattr(finalists, "score", truth)

    problem = SimpleNamespace(
        space=small_space,
        proxy=small_space,
        data=NoData(),
        feasible=feasible,
        seed=3,
        task=CLASSIFICATION,
        metric=ACCURACY,
    )

    def rank(count, progress=lambda *_: None):
        return rank_finalists(run, problem, evaluate, count=count, steps=7, progress=progress)

    return rank, trained, cost, limit


def test_the_best_alone_comes_first_and_all_keep_the_budget(setting):
    rank, trained, cost, limit = setting
    told = []
    ranked = rank(4, progress=lambda task, share, remark: told.append((task, share)))
    costs = cost(np.array([arch for arch, _ in ranked]))
    assert [accuracy for _, accuracy in ranked] == pytest.approx((1 / costs).tolist())
    assert len(ranked) == len(trained) == 4
    assert (costs <= limit).all()
    assert (np.diff(costs) > 0).all()  # the other way round than with shared weights
    assert {(steps, seed) for _, steps, seed in trained} == {(7, 1003)}
    assert told == [("training finalists", share) for share in (0.25, 0.5, 0.75, 1.0)]


def test_what_is_trained_is_not_trained_again(setting):
    rank, trained, _, _ = setting
    first = rank(2)
    again = rank(3)
    assert len(trained) == 3
    assert {a.tobytes() for a, _ in first} <= {a.tobytes() for a, _ in again}
