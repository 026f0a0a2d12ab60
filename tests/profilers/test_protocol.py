import numpy as np
import pytest

from hwnas.errors import MeasurementError
from hwnas.onnx_graph import to_onnx
from hwnas.profilers.protocol import (
    NETWORK,
    Plan,
    Round,
    Samples,
    median_error,
    run_rounds,
    summarise,
)
from hwnas.testing import SyntheticRuntime

PLAN = Plan(tolerance=0.01, min_runs=50, max_runs=400)


def measured(runtime, models, plan=PLAN, samples=None, rounds=None):
    samples = Samples() if samples is None else samples
    jobs = {name: runtime.load(model) for name, model in models.items()}
    reference = runtime.load(models["reference"])
    for at, _ in enumerate(run_rounds(jobs, reference, samples, plan), start=1):
        if at == rounds:
            break
    return samples


@pytest.fixture(scope="module")
def models(small_space):
    graphs = {w.key: w.graph() for w in small_space.distinct_workloads[:6]}
    graphs["reference"] = small_space.graph([3, 3, 3, 3])
    return {name: to_onnx(graph) for name, graph in graphs.items()}


def test_finds_the_truth_of_a_drifting_device_with_outliers_and_a_slow_first_run(models):
    device = SyntheticRuntime(noise=0.05, spell=1.4, outliers=0.03)
    found = summarise(measured(device, models))
    scale = found["reference"].latency_ms / device.true_ms(models["reference"])
    for name, model in models.items():
        # drift moves all medians by one factor; quotients of medians are the truth's
        assert found[name].latency_ms == pytest.approx(scale * device.true_ms(model), rel=0.02)
    assert 1.0 <= scale <= 1.4  # between the fast and the slow state


def test_a_quiet_device_is_measured_exactly(models):
    device = SyntheticRuntime(noise=0, spell=1, outliers=0)
    found = summarise(measured(device, models, Plan(min_runs=5, max_runs=5)))
    for name, model in models.items():
        assert found[name].latency_ms == pytest.approx(device.true_ms(model), rel=1e-12)
        assert found[name].relative_error == pytest.approx(0, abs=1e-12)
        assert found[name].runs == 5


def test_noisier_jobs_get_more_runs_and_all_stop(models):
    quiet = measured(SyntheticRuntime(noise=0.005, outliers=0), models)
    noisy = measured(SyntheticRuntime(noise=0.05, outliers=0), models)
    count = lambda samples: sum(len(q) for q in samples.quotients.values())  # noqa: E731
    assert count(quiet) == PLAN.min_runs * len(models)
    assert count(quiet) < count(noisy) <= PLAN.max_runs * len(models)


def test_goes_on_from_earlier_rounds(models):
    half = measured(SyntheticRuntime(), models, rounds=20)
    before = {name: list(q) for name, q in half.quotients.items()}
    whole = measured(SyntheticRuntime(seed=1), models, samples=half)
    for name, quotients in before.items():
        assert len(quotients) == 20
        assert whole.quotients[name][:20] == quotients
        assert len(whole.quotients[name]) >= PLAN.min_runs


def test_runs_for_a_least_time_even_when_all_is_known(models):
    plan = Plan(tolerance=1.0, min_runs=2, max_runs=10_000, min_seconds=1.0)
    samples = measured(SyntheticRuntime(), models, plan)
    longest_round = 2 * sum(q[0] for q in samples.quotients.values()) * 10
    assert 1000 <= samples.total_ms < 1000 + longest_round


def test_the_reference_runs_on_both_sides_of_every_round(models):
    device = SyntheticRuntime()
    jobs = {name: device.load(model) for name, model in models.items()}
    taken = next(run_rounds(jobs, device.load(models["reference"]), Samples(), PLAN))
    assert len(taken.reference_ms) >= 2
    assert set(taken.runs_ms) == set(models)


def test_quotients_are_taken_within_a_round():
    samples = Samples()
    samples.add(Round({"a": 2.0}, (1.0, 1.0, 1.0)))
    samples.add(Round({"a": 4.0}, (2.0, 2.0, 9.0)))  # the same job in a spell twice as slow
    assert samples.quotients == {"a": [2.0, 2.0]}
    assert summarise(samples)["a"].latency_ms == 2.0 * 1.0  # the lower quartile of 1 1 1 2 2 9
    assert samples.total_ms == 2 + 3 + 4 + 13


def test_the_interval_of_the_median_covers_it_in_95_of_100():
    rng = np.random.default_rng(0)
    inside = 0
    for _ in range(2000):
        values = np.exp(rng.normal(0, 0.1, 60))  # the true median is 1
        ordered = np.sort(values)
        half = 0.98 * 60**0.5
        low, high = ordered[int(30 - half)], ordered[int(np.ceil(30 + half))]
        assert median_error(list(values)) == pytest.approx((high - low) / 2 / np.median(values))
        inside += low <= 1 <= high
    assert 0.94 <= inside / 2000 <= 0.99


@pytest.mark.parametrize("ms", [0.0, -1.0, float("nan")])
def test_a_clock_that_stands_still_is_an_error(ms):
    with pytest.raises(MeasurementError, match="was the clock set"):
        next(run_rounds({"a": lambda: ms}, lambda: 1.0, Samples(), Plan(warm_up=0)))


def test_whole_networks_run_among_themselves():
    """A cache that a large model leaves cold: what follows it takes a tenth longer."""
    last = {"large": False}

    def job(ms, large):
        def run():
            taken = ms * (1.1 if last["large"] else 1.0)
            last["large"] = large
            return taken

        return run

    def measured_beside(others):
        jobs = {**{name: job(0.2, False) for name in others}, f"{NETWORK}a": job(3.0, True)}
        jobs |= {f"{NETWORK}{name}": job(2.0, True) for name in "bcd"}
        samples = Samples()
        for _ in run_rounds(jobs, job(4.0, True), samples, Plan(min_runs=20, max_runs=20)):
            pass
        assert {len(found) for found in samples.quotients.values()} == {20}
        return summarise(samples)[f"{NETWORK}a"].latency_ms

    # as it will be found where it is deployed, between other runs of networks
    assert measured_beside(["x", "y", "z"]) == measured_beside([]) == pytest.approx(3.0 * 1.1)


def test_of_runs_in_a_row_the_second_counts():
    """The first run of a model finds what the one before left in the cache."""
    last = []

    def job(name):
        def run():
            cold = last[-1:] != [name]
            last.append(name)
            return 2.0 if cold else 1.0

        return run

    samples = Samples()
    jobs = {"a": job("a"), "b": job("b")}
    plan = Plan(min_runs=5, max_runs=5, again=True)
    for _ in run_rounds(jobs, job("reference"), samples, plan):
        pass
    assert set(samples.quotients["a"]) == set(samples.quotients["b"]) == {1.0}
    assert samples.steady_reference_ms == 1.0


def test_all_jobs_run_while_the_least_time_is_not_over_and_then_those_that_need_it():
    values = iter(np.random.default_rng(0).lognormal(0, 0.5, 1000))
    jobs = {"known": lambda: 1.0, "vague": lambda: float(next(values))}
    samples, plan = Samples(), Plan(0.01, min_runs=3, max_runs=50, min_seconds=0.3)
    rounds, before_ms = [], []
    for taken in run_rounds(jobs, lambda: 5.0, samples, plan):
        rounds.append(set(taken.runs_ms))
        before_ms.append(samples.total_ms)
    both = sum(len(names) == 2 for names in rounds)
    assert rounds == both * [{"known", "vague"}] + (50 - both) * [{"vague"}]
    assert before_ms[both - 2] < 300 <= before_ms[both - 1]
