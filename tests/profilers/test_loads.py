import numpy as np

from hwnas.onnx_graph import to_onnx
from hwnas.profilers import Plan, profile_space
from hwnas.profilers.loads import loaded_anew
from hwnas.profilers.measuring import measure, reference_model
from hwnas.profilers.onnxruntime_cpu import OnnxRuntimeCpu
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


def test_a_model_is_loaded_again_after_so_many_runs_and_its_first_run_does_not_count():
    loads = []

    def load():
        loads.append(len(loads))
        said = iter(range(100))
        return lambda: 10.0 * loads[-1] + next(said)

    job = loaded_anew(load, 3, offset=1)
    first = [0.0, 1.0]  # one fewer, since it began late
    others = [11.0, 12.0, 13.0, 21.0, 22.0, 23.0]  # without 10 and 20
    assert [job() for _ in range(8)] == first + others


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


def test_kernels_are_loaded_once_and_other_models_again(small_space):
    device = Placed(10)
    model = reference_model(small_space, "fp32", 1)
    plan = Plan(min_runs=47, max_runs=47, warm_up=3)
    models = {"kernel": model, "other": model}
    target = device.target("fp32", 1)
    measure(models, small_space, device, target, plan, 0, None, silent, warm={"kernel"})
    assert device.loads[True] == 1
    other = 1 + (3 + 47) // 10
    reference = 1 + (3 + 2 * 47) // 10  # it runs before and behind each round at least
    assert device.loads[False] >= other + reference


def test_only_loads_that_take_milliseconds_are_repeated():
    assert OnnxRuntimeCpu().runs_a_load > 0
    assert OnnxRuntimeCpu(provider="xnnpack").runs_a_load is None
