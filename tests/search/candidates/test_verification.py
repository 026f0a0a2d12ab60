"""Slow spells of a machine, which say nothing about the network that is measured in them."""

from itertools import chain, repeat
from unittest.mock import ANY

import pytest
from problems import problem

from hwnas.costs import Budget, constrained_argmax
from hwnas.errors import MeasurementError
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


class Clock(Device):
    """Also tells runs by the clock: half of them steady, the others in a spell of so many times."""

    def __init__(self, *given, spell, budgets):
        super().__init__(*given)
        self.spell, self.budgets = spell, budgets

    def verify(self):
        def propose(constraints, attempt):
            costs, limits = [c.cost for c in constraints], [c.budget.limit for c in constraints]
            wanted = [steps.astype(float) for steps in self.predictor.cost.entries]
            return constrained_argmax(wanted, costs, limits), 0.5

        def measure(model, progress):
            self.measured += 1
            ms = float(self.predictor.predict(self.space.parse(model.decode())[None])[0])
            return {"latency_ms": ms, "runs_ms": [ms] * 50 + [self.spell * ms] * 50}

        searched = problem(self.space, self.predictor, self.budgets, measure=measure)
        export = lambda arch: self.space.format(arch).encode()  # noqa: E731
        return verify_proposals(self.run, searched, propose, export, wait=pytest.fail)


def test_a_percentile_is_checked_by_the_clock_and_not_waited_for(
    tmp_path, small_space, small_table
):
    predictor = load_predictor(small_table, small_space)
    limit = 1.5 * predictor.cost.minimum()[1]
    device = Clock(
        tmp_path,
        small_space,
        small_table,
        (),
        spell=1.3,
        budgets=[Budget("latency", limit, 90.0)],
    )
    found = device.verify()
    clock = found.measured["clock_ms"]
    assert found.attempts > 1  # the table knows of no such spell: the first one misses
    assert clock["p90"] <= limit
    assert clock["p90"] == pytest.approx(1.3 * found.measured["latency_ms"])
    assert clock["p90"] > limit / 1.1  # and tightened no more than it takes
    assert list(clock) == ["p50", "p90", "p99"]
    assert "runs_ms" not in found.measured


def test_both_a_steady_latency_and_a_percentile_are_kept(tmp_path, small_space, small_table):
    predictor = load_predictor(small_table, small_space)
    least = predictor.cost.minimum()[1]
    budgets = [Budget("latency", 1.3 * least), Budget("latency", 1.45 * least, 99.0)]
    device = Clock(tmp_path, small_space, small_table, (), spell=1.2, budgets=budgets)
    found = device.verify()
    assert found.measured["latency_ms"] <= 1.3 * least
    assert found.measured["clock_ms"]["p99"] <= 1.45 * least


def test_a_device_without_single_runs_cannot_keep_a_percentile(tmp_path, small_space, small_table):
    searched = problem(
        small_space,
        load_predictor(small_table, small_space),
        [Budget("latency", 1e3, 90.0)],
        measure=lambda model, progress: {"latency_ms": 1.0},
    )
    arch = small_space.sample(1, seed=0)[0]
    with pytest.raises(MeasurementError, match="no single runs, which latency<=1000ms@p90 needs"):
        verify_proposals(Run(tmp_path, {}), searched, lambda *_: (arch, 0.5), lambda arch: b"")
