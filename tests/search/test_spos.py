"""The recipe's loops on a synthetic supernet and device, whose truths are known."""

import json
from itertools import product

import numpy as np
import pytest
from hwnas.search.evolution import Evolution
from hwnas.search.run import Run
from hwnas.search.spos import LoggedEvaluation, evolve, verify

from hwnas.costs import Budget, Constraint, FeasibleSet
from hwnas.errors import BudgetMissedError
from hwnas.predictors import load_predictor
from hwnas.progress import silent


@pytest.fixture
def predictor(small_table, small_space):
    return load_predictor(small_table, small_space)


@pytest.fixture
def limit(predictor, small_space):
    return float(np.median(predictor.predict(small_space.sample(500, seed=0))))


def slower_is_better(predictor, archs):
    """Accuracies that push the search against its budget."""
    return predictor.predict(archs) / 100


class Setting:
    """A run with an evolution that has been run, and a device that is off by a factor."""

    def __init__(self, folder, space, predictor, limit):
        self.run, self.space, self.predictor = Run(folder, {}), space, predictor
        self.constraints = [Constraint(Budget("latency", limit), predictor.cost)]
        self.calls = []
        self.evaluate = LoggedEvaluation(self.run, space, self._accuracies)
        self.evaluations = 0
        self.searcher = Evolution(FeasibleSet(self.constraints), seed=0)
        evolve(self.searcher, self.evaluate, generations=4, population=20)

    def _accuracies(self, archs):
        self.evaluations += len(archs)
        return slower_is_better(self.predictor, archs)

    def verify(self, factor, **options):
        def measure(model, progress):
            arch = json.loads(model)
            self.calls.append(arch)
            times = factor() if callable(factor) else factor
            return {"latency_ms": times * float(self.predictor.predict(arch)[0]), "runs": 7}

        export = lambda arch: json.dumps(arch.tolist()).encode()  # noqa: E731
        return verify(
            self.run,
            self.space,
            self.constraints,
            self.searcher,
            self.evaluate,
            export,
            measure if factor else None,
            population=20,
            **options,
        )


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
    networks = list(dict.fromkeys(map(tuple, setting.calls)))
    assert found.attempts == len(networks) >= 2
    # what misses is measured three times, what keeps the budget once
    assert setting.calls == [list(n) for n in networks[:-1] for _ in range(3)] + [
        list(networks[-1])
    ]
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


def test_evaluations_are_logged_a_few_at_a_time(tmp_path, small_space, predictor):
    class StoppedError(Exception):
        pass

    def stops(archs):
        if len(list(run.logged("evaluated"))) >= 16:
            raise StoppedError
        return slower_is_better(predictor, archs)

    run = Run(tmp_path, {})
    archs = np.unique(small_space.sample(40, seed=0), axis=0)
    with pytest.raises(StoppedError):
        LoggedEvaluation(run, small_space, stops)(archs)
    count = 0

    def counting(rest):
        nonlocal count
        count += len(rest)
        return slower_is_better(predictor, rest)

    evaluate = LoggedEvaluation(Run(tmp_path, {}), small_space, counting, silent)
    assert np.array_equal(evaluate(archs), slower_is_better(predictor, archs))
    assert count == len(archs) - 16
