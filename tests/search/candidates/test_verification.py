"""Slow spells of a machine, which say nothing about the network that is measured in them."""

from itertools import chain, repeat
from unittest.mock import ANY

import pytest
from problems import problem

from hwnas.costs import Budget, constrained_argmax
from hwnas.predictors import load_predictor
from hwnas.search.candidates.verification import verify_proposals
from hwnas.search.runs.run import Run


class Device:
    """Measures what the predictor says, times the next factor; its clock is told of pauses."""

    def __init__(self, folder, space, table, factors):
        self.folder, self.space, self.predictor = folder, space, load_predictor(table, space)
        self.limit_ms = 1.05 * self.predictor.cost.minimum()[1]
        self.factors, self.waited_s, self.measured = iter(factors), 0.0, 0
        self.run = Run(folder, {})

    def verify(self):
        """The dearest architecture within the limits is proposed."""
        cost = self.predictor.cost
        wanted = [steps.astype(float) for steps in cost.entries]

        def propose(constraints, attempt):
            limits = [c.budget.limit for c in constraints]
            return constrained_argmax(wanted, [cost] * len(limits), limits), 0.5

        def measure(model, progress):
            self.measured += 1
            arch = self.space.parse(model.decode())[None]
            return {"latency_ms": next(self.factors) * float(self.predictor.predict(arch)[0])}

        def wait(seconds):
            self.waited_s += seconds

        budgets = [Budget("latency", self.limit_ms)]
        searched = problem(self.space, self.predictor, budgets, measure=measure)
        export = lambda arch: self.space.format(arch).encode()  # noqa: E731
        return verify_proposals(self.run, searched, propose, export, wait=wait)


@pytest.fixture
def device(tmp_path, small_space, small_table):
    return lambda factors: Device(tmp_path, small_space, small_table, factors)


def test_a_network_is_not_given_up_in_a_slow_spell(device):
    spell = device(chain(repeat(1.25, 5), repeat(1.0)))
    found = spell.verify()
    assert found.attempts == 1
    assert found.measured["latency_ms"] <= spell.limit_ms
    assert found.measured["measurements"] == 6
    assert found.measured["waited_s"] == spell.waited_s == 5 + 10 + 20


def test_patience_ends_and_the_limit_is_tightened(device):
    slow = device(repeat(1.03))
    upper = slow.predictor.predict_interval(slow.predictor.cost.minimum()[0][None])[0, 1]
    assert upper < 1.03 * slow.predictor.cost.minimum()[1]  # no interval explains it
    found = slow.verify()
    assert found.measured["latency_ms"] <= slow.limit_ms
    assert found.attempts == 2
    assert slow.waited_s == 75
    assert found.measured["waited_s"] == 0  # not for this network


def test_what_the_interval_explains_is_not_waited_for(device):
    off = device(())
    arch, least = off.predictor.cost.minimum()
    off.factors = repeat(off.predictor.predict_interval(arch[None])[0, 1] / least - 1e-6)
    found = off.verify()
    assert found.attempts > 1
    assert found.measured["latency_ms"] <= off.limit_ms
    assert off.waited_s == 0


def test_a_resumed_search_does_not_wait_again(device):
    found = (first := device(repeat(1.03))).verify()
    again = device(())
    assert (again.verify().architecture == found.architecture).all()
    assert again.waited_s == 0
    assert first.waited_s == 75
    assert again.measured == 0


def test_without_a_latency_budget_the_network_is_measured_once(device):
    free = device(repeat(9.0))
    macs = free.space.cost("macs")

    def propose(constraints, attempt):
        return macs.minimum()[0], 0.5

    searched = problem(
        free.space,
        free.predictor,
        [Budget("macs", macs.minimum()[1])],
        measure=lambda model, progress: {"latency_ms": 9.0},
    )
    found = verify_proposals(free.run, searched, propose, lambda arch: b"")
    assert found.measured == {
        "architecture": ANY,
        "latency_ms": 9.0,
        "measurements": 1,
        "waited_s": 0,
    }
