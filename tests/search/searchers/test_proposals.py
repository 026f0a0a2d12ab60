"""What a searcher proposes, on a synthetic supernet and device whose truths are known."""

from itertools import product

import numpy as np
import pytest
from problems import Device, Plain, problem

from hwnas.costs import Budget
from hwnas.errors import BudgetMissedError
from hwnas.predictors import load_predictor
from hwnas.search.candidates.evaluation import LoggedEvaluation
from hwnas.search.candidates.verification import verify_proposals
from hwnas.search.runs.run import Run
from hwnas.search.searchers.evolution import Evolution
from hwnas.search.searchers.proposals import proposer, random_paths
from hwnas.search.searchers.random_search import RandomSearch
from hwnas.search.searchers.searcher import search_generations


@pytest.fixture
def predictor(small_table, small_space):
    """Without intervals, so that nothing is ever waited for."""
    return load_predictor(Plain(load_predictor(small_table, small_space)), small_space)


@pytest.fixture
def limit(predictor, small_space):
    return float(np.median(predictor.predict(small_space.sample(500, seed=0))))


def slower_is_better(predictor, archs):
    """Accuracies that push the search against its budget."""
    return predictor.predict(archs) / 100


class Setting:
    """A run with a searcher that has been run, and a device that is off by a factor."""

    def __init__(self, folder, space, predictor, limit, make=Evolution):
        self.run, self.space, self.predictor = Run(folder, {}), space, predictor
        self.make = make
        self.evaluate = LoggedEvaluation(self.run, space, self._accuracies)
        self.evaluations = 0
        self.budgets = [Budget("latency", limit)]
        self.searcher = make(problem(space, predictor, self.budgets).feasible, seed=0)
        search_generations(self.searcher, self.evaluate, generations=4, population=20)

    def _accuracies(self, archs):
        self.evaluations += len(archs)
        return slower_is_better(self.predictor, archs)

    def verify(self, factor, finalists=(), **options):
        self.device = Device(self.space, self.predictor, factor)
        searched = problem(
            self.space, self.predictor, self.budgets, measure=self.device if factor else None
        )
        propose = proposer(
            self.searcher,
            lambda feasible, misses: self.make(feasible, seed=misses),
            self.evaluate,
            population=20,
            finalists=finalists,
        )
        return verify_proposals(self.run, searched, propose, self.space.to_onnx, **options)

    @property
    def calls(self):
        """Architectures that the device was asked for."""
        return [tuple(self.space.parse(text).tolist()) for text in self.device.asked]


def test_a_winner_that_keeps_the_budget_is_measured_once(tmp_path, small_space, predictor, limit):
    setting = Setting(tmp_path, small_space, predictor, limit)
    best = setting.searcher.best()
    found = setting.verify(1.0)
    assert (found.architecture == best[0]).all()
    assert found.accuracy == best[1]
    assert found.attempts == len(setting.calls) == 1
    assert found.measured["latency_ms"] == predictor.predict(found.architecture)[0]
    assert found.measured["runs"] == 7


def test_finalists_are_proposed_in_their_order(tmp_path, small_space, predictor, limit):
    archs = small_space.sample(300, seed=9)
    ms = predictor.predict(archs)
    dear, cheap = archs[ms <= limit][ms[ms <= limit].argmax()], archs[ms.argmin()]

    def verified(factor, *finalists):
        folder = tmp_path / f"{factor}-{len(finalists)}"
        setting = Setting(folder, small_space, predictor, limit)
        return setting.verify(factor, finalists=finalists)

    assert (verified(1.0, dear, cheap).architecture == dear).all()
    found = verified(1.3, dear, cheap)  # the first misses, the second still fits
    assert (found.architecture == cheap).all()
    assert found.accuracy == slower_is_better(predictor, cheap[None])[0]
    assert found.attempts == 2
    found = verified(1.3, dear)  # none is left: the evolution goes on
    assert found.measured["latency_ms"] <= limit


@pytest.mark.parametrize("factor", [1.05, 1.3])
def test_a_miss_tightens_until_the_measured_network_keeps_the_budget(
    tmp_path, small_space, predictor, limit, factor
):
    setting = Setting(tmp_path, small_space, predictor, limit)
    found = setting.verify(factor)
    assert found.measured["latency_ms"] <= limit
    networks = list(dict.fromkeys(setting.calls))
    assert found.attempts == len(networks) >= 2
    # what misses is measured three times, what keeps the budget once
    assert setting.calls == [n for n in networks[:-1] for _ in range(3)] + [networks[-1]]
    ms = predictor.predict(np.array(networks))
    assert (factor * ms[:-1] > limit).all()
    # not tighter than the device asks for: hardly any network that keeps the budget is slower
    everything = np.array(list(product(*(range(n) for n in small_space.n_choices))))
    truth = factor * predictor.predict(everything)
    slower = (truth <= limit) & (truth > factor * ms[-1])
    assert slower.sum() <= 0.01 * len(everything)


def test_a_slow_spell_costs_a_measurement_and_not_the_network(
    tmp_path, small_space, predictor, limit
):
    setting = Setting(tmp_path, small_space, predictor, limit)
    best = setting.searcher.best()[0]
    spells = iter([1.3, 1.2, 1.0])
    found = setting.verify(lambda: next(spells))
    assert (found.architecture == best).all()
    assert found.attempts == 1
    assert found.measured["measurements"] == 3
    assert found.measured["latency_ms"] == predictor.predict(best)
    logged = [e["latency_ms"] for e in setting.run.logged("measured")]
    assert logged == pytest.approx([f * found.measured["latency_ms"] for f in (1.3, 1.2, 1.0)])


def test_a_device_that_nothing_satisfies_fails_and_says_what_was_measured(
    tmp_path, small_space, predictor, limit
):
    setting = Setting(tmp_path, small_space, predictor, limit)
    least = predictor.cost.minimum()[1]
    with pytest.raises(BudgetMissedError, match=r"no network kept latency<=.+ were measured, at"):
        setting.verify(1.01 * limit / least)
    assert 1 <= len(setting.calls) <= 3 * 8


def test_attempts_are_bounded(tmp_path, small_space, predictor, limit):
    setting = Setting(tmp_path, small_space, predictor, limit)
    with pytest.raises(BudgetMissedError, match="1 were measured"):
        setting.verify(1.3, max_attempts=1)


def test_without_a_device_nothing_is_measured(tmp_path, small_space, predictor, limit):
    found = Setting(tmp_path, small_space, predictor, limit).verify(None)
    assert found.measured is None
    assert found.attempts == 0


def test_a_resumed_verification_measures_and_evaluates_nothing_again(
    tmp_path, small_space, predictor, limit
):
    first = Setting(tmp_path, small_space, predictor, limit)
    found = first.verify(1.2)
    again = Setting(tmp_path, small_space, predictor, limit)
    resumed = again.verify(1.2)
    assert (resumed.architecture == found.architecture).all()
    assert resumed.attempts == found.attempts
    assert again.calls == []
    assert again.evaluations == 0
    assert list(again.evaluate.asked.items()) == list(first.evaluate.asked.items())


def drawn(feasible, seed):
    return RandomSearch(feasible, seed)


@pytest.mark.parametrize("factor", [1.0, 1.3])
def test_another_searcher_than_evolution_serves_as_well(
    tmp_path, small_space, predictor, limit, factor
):
    setting = Setting(tmp_path, small_space, predictor, limit, make=drawn)
    best = setting.searcher.best()
    archs, accuracies = setting.evaluate.history
    assert best[1] == accuracies.max()
    found = setting.verify(factor)
    assert found.measured["latency_ms"] <= limit
    assert (predictor.predict(setting.evaluate.history[0]) <= limit).all()
    if factor == 1.0:
        assert (found.architecture == best[0]).all()
    else:
        assert found.attempts >= 2
        # what was known, and what was drawn under the tighter limit: the best of both
        archs, accuracies = setting.evaluate.history
        kept = predictor.predict(archs) <= predictor.predict(found.architecture)[0]
        assert found.accuracy == accuracies[kept].max()
    again = Setting(tmp_path, small_space, predictor, limit, make=drawn)
    resumed = again.verify(factor)
    assert (resumed.architecture == found.architecture).all()
    assert again.evaluations == 0
    assert again.calls == []


def test_random_paths_are_the_first_fifty_of_the_first_generation(
    tmp_path, small_space, predictor, limit
):
    feasible = problem(small_space, predictor, [Budget("latency", limit)]).feasible
    evaluate = LoggedEvaluation(
        Run(tmp_path, {}), small_space, lambda archs: slower_is_better(predictor, archs)
    )
    searcher = RandomSearch(feasible, 0)
    found = random_paths(searcher, evaluate, population=60)
    first = RandomSearch(feasible, 0).suggest(60)
    assert np.array_equal(found, slower_is_better(predictor, first[:50]))
    assert searcher.best()[1] == slower_is_better(predictor, first).max()  # it was told of all
    assert len(random_paths(RandomSearch(feasible, 1), evaluate, population=4)) == 50
