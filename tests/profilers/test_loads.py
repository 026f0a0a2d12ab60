import weakref
from itertools import islice

import numpy as np

from hwnas.onnx_graph import to_onnx
from hwnas.profilers import Plan, profile_space
from hwnas.profilers.loads import in_turn, rounds_of_loads, rounds_of_parts
from hwnas.profilers.measuring import measure, reference_model
from hwnas.profilers.onnxruntime_cpu import OnnxRuntimeCpu
from hwnas.profilers.protocol import NETWORK, Samples
from hwnas.progress import silent
from hwnas.testing import SyntheticRuntime


class Placed(SyntheticRuntime):
    """Where a load puts a model makes it faster or slower, for all runs of that load."""

    def __init__(self, runs_a_load):
        super().__init__(noise=0.01, spell=1.0, outliers=0.0)
        if runs_a_load is not None:
            self.runs_a_load = runs_a_load
        self.loads = {True: 0, False: 0}
        self._places = np.random.default_rng(3)

    def load(self, model, *, warm=False):
        run = super().load(model, warm=warm)
        place = float(np.exp(self._places.normal(0, 0.03)))
        self.loads[warm] += 1
        return lambda: place * run()


def test_loads_in_turn_are_one_job():
    job = in_turn([lambda at=at: float(at) for at in range(3)])
    assert [job() for _ in range(7)] == [0, 1, 2, 0, 1, 2, 0]
    assert job.repeats == 1
    window = lambda: 1.0  # noqa: E731
    window.repeats = 50
    assert in_turn([window, window]).repeats == 50


def test_all_models_are_loaded_anew_after_so_many_passes_and_run_untimed_first():
    loads = []

    def load():
        loads.append([])
        at = len(loads)
        job = lambda: loads[-1].append("run") or float(at)  # noqa: E731
        return {"part": job, f"{NETWORK}whole": job}, lambda: 5.0

    samples, plan = Samples(), Plan(min_runs=8, max_runs=8, warm_up=2)
    rounds = list(rounds_of_loads(*load(), load, 3, samples, plan))
    of_loads = [1.0] * 3 + [2.0] * 3 + [3.0] * 2
    assert [r.runs_ms["part"] for r in rounds[::2]] == of_loads
    assert [r.runs_ms[f"{NETWORK}whole"] for r in rounds[1::2]] == of_loads
    assert [len(runs) for runs in loads] == [2 * (2 + 3), 2 * (2 + 3), 2 * (2 + 2)]


def test_what_is_known_already_is_not_loaded_again():
    loads = []

    def load():
        loads.append("")
        return {"a": lambda: 1.0}, lambda: 5.0

    plan = Plan(min_runs=6, max_runs=6)
    assert len(list(rounds_of_loads(*load(), load, 3, Samples(), plan))) == 6
    assert len(loads) == 2


def test_many_models_are_loaded_a_part_at_a_time_and_each_part_has_some_of_every_kind():
    names = ["a0", "a1", "a2", "b0", "b1", "b2", f"{NETWORK}0", f"{NETWORK}1", f"{NETWORK}2"]
    alive, parts, samples, plan = weakref.WeakSet(), [], Samples(), Plan(min_runs=4, max_runs=4)

    class Loaded:
        def __call__(self):
            return 1.0

    def load(part):
        parts.append(list(part))
        jobs = {name: Loaded() for name in part}
        alive.update(jobs.values())
        return jobs, lambda: 5.0

    held = [len(alive) for _ in rounds_of_parts(names, load, samples, plan, at_once=4)]
    assert parts == [names[0::3], names[1::3], names[2::3]]
    assert max(held) == 3
    assert {name: len(samples.quotients[name]) for name in names} == dict.fromkeys(names, 4)


def test_a_part_that_is_known_is_not_loaded_again_after_a_kill():
    names, parts, plan = ["a", "b", "c", "d"], [], Plan(min_runs=4, max_runs=4)

    def load(part):
        parts.append(list(part))
        return {name: lambda: 1.0 for name in part}, lambda: 5.0

    samples = Samples()
    killed = list(islice(rounds_of_parts(names, load, samples, plan, at_once=2), 6))
    parts.clear()
    rest = list(rounds_of_parts(names, load, samples, plan, at_once=2))
    assert len(killed) + len(rest) == 8
    assert parts == [["b", "d"]]


def test_profiles_are_nearer_the_truth_where_models_are_loaded_anew(small_space):
    plan = Plan(min_runs=100, max_runs=100)

    def error(runs_a_load):
        device = Placed(runs_a_load)
        table = profile_space(small_space, device, plan=plan)
        workloads = small_space.distinct_workloads
        true = [device.true_ms(to_onnx(w.graph())) for w in workloads]
        return float(np.std(np.log(np.divide([table.latency_ms(w) for w in workloads], true))))

    once, anew = error(None), error(10)
    assert once > 0.015  # a load's own 3 %, whatever the number of runs
    assert anew < 0.6 * once


def test_kernels_are_loaded_once_and_other_models_again_but_written_once(small_space):
    written = []

    def model():
        written.append("")
        return reference_model(small_space, "fp32", 1)()

    def loads(warm):
        device = Placed(10)
        plan, target = Plan(min_runs=47, max_runs=47), device.target("fp32", 1)
        measure(
            {"a": model, "b": model}, small_space, device, target, plan, 0, None, silent, warm=warm
        )
        return device.loads

    assert loads(()) == {True: 0, False: 5 * 3}  # with the reference
    assert len(written) == 2
    assert loads({"a"}) == {True: 1, False: 2}


def test_only_loads_that_take_milliseconds_are_repeated():
    assert OnnxRuntimeCpu().runs_a_load > 0
    assert OnnxRuntimeCpu(provider="xnnpack").runs_a_load is None
