import json

import numpy as np
import pytest

from hwnas import spaces
from hwnas.errors import DeviceUnavailableError, MeasurementError, OptionError, UnknownNameError
from hwnas.latency_tables import LatencyTable
from hwnas.onnx_graph import to_onnx
from hwnas.predictors import fill_gaps, load_predictor
from hwnas.profilers import (
    Plan,
    extend_table,
    gpu_problem,
    measure_models,
    profile_space,
    runtime,
)
from hwnas.profilers.measuring import standing
from hwnas.profilers.protocol import Samples
from hwnas.testing import SyntheticRuntime, check_runtime


def test_holds_every_workload_and_is_true_to_the_device(small_space, small_table):
    device = SyntheticRuntime()
    assert set(small_table.workloads) == {w.key for w in small_space.distinct_workloads}
    assert len(small_table.networks) == 12
    scale = small_table.reference_ms / device.true_ms(small_space.to_onnx([3, 3, 3, 3]))
    for workload in small_space.distinct_workloads:
        truth = scale * device.true_ms(to_onnx(workload.graph()))
        assert small_table.latency_ms(workload) == pytest.approx(truth, rel=0.03)


def test_predictions_from_a_profile_are_true_for_networks_never_measured(small_space, small_table):
    device = SyntheticRuntime()
    archs = small_space.sample(100, seed=9)
    predictor = load_predictor(small_table, small_space)
    scale = small_table.reference_ms / device.true_ms(small_space.to_onnx([3, 3, 3, 3]))
    truth = [scale * device.true_ms(small_space.to_onnx(arch)) for arch in archs]
    error = np.abs(predictor.predict(archs) / truth - 1)
    assert error.mean() < 0.01
    assert error.max() < 0.03


@pytest.mark.parametrize("seed", range(5))
def test_every_family_is_among_the_operators_that_are_measured(seed):
    space = spaces.space("fbnet", input_size=32)
    plan = Plan(tolerance=1.0, min_runs=5, max_runs=5)
    table = profile_space(
        space, SyntheticRuntime(), n_workloads=10, n_networks=3, plan=plan, seed=seed
    )
    filled = fill_gaps(table, space.distinct_workloads)  # raises where it knows none of a family
    assert len(table.workloads) >= 10
    assert len(filled.estimates) + len(table.workloads) == len(space.distinct_workloads)


def test_a_killed_profile_goes_on_and_measures_nothing_twice(small_space, tmp_path, plan):
    journal = tmp_path / "table.json.partial"

    class KilledError(Exception):
        pass

    rounds = 0

    def kill(task, share, remark):
        nonlocal rounds
        rounds += task == "measuring"
        if rounds == 25:
            raise KilledError

    with pytest.raises(KilledError):
        profile_space(small_space, SyntheticRuntime(), plan=plan, journal=journal, progress=kill)
    assert len(journal.read_text().splitlines()) == 1 + 25
    with journal.open("a") as file:
        file.write('{"runs": [[0, 1.')  # a line that the kill cut short
    after = SyntheticRuntime(seed=5)
    resumed = profile_space(small_space, after, plan=plan, journal=journal)
    whole = SyntheticRuntime(seed=5)
    undisturbed = profile_space(small_space, whole, plan=plan)
    saved = 25 * (len(resumed.workloads) + len(resumed.networks) + 1)
    # the runs are shared between the two, up to those that the stopping rule grants
    assert after.runs < whole.runs - 0.5 * saved
    scale = resumed.reference_ms / undisturbed.reference_ms
    for key, entry in undisturbed.workloads.items():
        expected = pytest.approx(scale * entry.latency_ms, rel=0.03)
        assert resumed.workloads[key].latency_ms == expected


def test_a_profile_killed_in_its_first_rounds_gives_its_table_in_the_same_order(
    small_space, tmp_path, plan
):
    undisturbed = profile_space(small_space, SyntheticRuntime(), plan=plan)
    whole, journal = tmp_path / "whole", tmp_path / "killed"
    profile_space(small_space, SyntheticRuntime(), plan=plan, journal=whole)
    journal.write_text("".join(whole.read_text().splitlines(keepends=True)[:2]))
    resumed = profile_space(small_space, SyntheticRuntime(), plan=plan, journal=journal)
    # what is fitted to the networks is a sum in this order, and so the last digits
    assert list(resumed.networks) == list(undisturbed.networks)


@pytest.mark.parametrize("content", ["", "no json\n", '{"other": "one"}\n{"runs": []}\n', "\xff"])
def test_a_foreign_or_damaged_journal_is_started_anew(small_space, tmp_path, content, plan):
    journal = tmp_path / "j.partial"
    journal.write_bytes(content.encode("latin-1"))
    table = profile_space(small_space, SyntheticRuntime(), plan=plan, journal=journal)
    assert min(entry.runs for entry in table.workloads.values()) >= plan.min_runs
    assert "synthetic" in json.loads(journal.read_text().splitlines()[0])["target"]["device"]


def test_a_table_is_completed_at_its_own_scale(small_space, small_table, plan):
    arguments = {**small_space.arguments, "classes": 37}
    other = spaces.space("proxyless", **arguments)
    fast = SyntheticRuntime(spell=1.0, seed=3)  # no slow spells, unlike when the table was made
    extended = extend_table(small_table, small_space, other, fast, plan=plan)
    assert extended.missing(other.distinct_workloads) == []
    assert extended.networks == small_table.networks
    (new,) = small_table.missing(other.distinct_workloads)
    (old,) = (w for w in small_space.distinct_workloads if w.op == new.op)
    # 27 classes more are 27 * 33 weights more
    expected = small_table.latency_ms(old)
    assert extended.latency_ms(new) == pytest.approx(expected, rel=0.10)
    ms = load_predictor(extended, other).predict(other.sample(20, seed=0))
    assert ms == pytest.approx(
        load_predictor(small_table, small_space).predict(other.sample(20, seed=0)), rel=0.05
    )


def test_measures_models_by_name(small_space, plan):
    device = SyntheticRuntime(noise=0.01, spell=1, outliers=0)
    archs = {"small": [0, 6, 0, 6], "large": [5, 5, 5, 5]}
    models = {name: small_space.to_onnx(arch) for name, arch in archs.items()}
    found = measure_models(models, small_space, device, plan=plan)
    assert list(found) == ["small", "large"]
    for name, model in models.items():
        assert found[name].latency_ms == pytest.approx(device.true_ms(model), rel=0.01)


def test_the_synthetic_and_the_real_runtime_conform():
    check_runtime(SyntheticRuntime(slow_first=1, outliers=0))
    check_runtime(runtime("cpu", 1))


def test_a_real_profile_of_a_small_space(small_space, tmp_path):
    plan = Plan(tolerance=0.1, min_runs=5, max_runs=10)
    table = profile_space(small_space, runtime("cpu"), plan=plan, n_networks=4)
    table.save(tmp_path / "t.json")
    again = LatencyTable.load(tmp_path / "t.json")
    assert again.to_json() == table.to_json()
    assert again.target == runtime("cpu").target("fp32", 1)
    assert (load_predictor(again).predict(small_space.sample(5, seed=0)) > 0).all()


def test_precision_int8_is_measured(small_space):
    plan = Plan(tolerance=0.1, min_runs=3, max_runs=5)
    table = profile_space(small_space, runtime("cpu"), precision="int8", plan=plan, n_networks=3)
    assert table.target.precision == "int8"


def test_bad_requests(small_space):
    with pytest.raises(OptionError, match="runs fp32, int8, got 'fp16'"):
        profile_space(small_space, runtime("cpu"), precision="fp16")
    with pytest.raises(OptionError, match="threads are 1 to"):
        runtime("cpu", 0)
    with pytest.raises(OptionError, match="a batch is a whole number from 1 to"):
        profile_space(small_space, SyntheticRuntime(), batch=0)
    with pytest.raises(UnknownNameError, match="unknown device 'tpu': choose one of cpu, gpu"):
        runtime("tpu")
    assert issubclass(MeasurementError, Exception)


def test_a_gpu_that_is_not_there_is_a_clear_error():
    with pytest.raises(DeviceUnavailableError, match=r"--device gpu cannot be used here: .+ use"):
        runtime("gpu")
    problem = gpu_problem()
    assert problem is None or "NVIDIA" in problem


def test_a_space_whose_costs_are_no_sums_is_profiled():
    from branches import branches

    space = branches()
    plan = Plan(tolerance=1.0, min_runs=5, max_runs=5)
    table = profile_space(space, SyntheticRuntime(), plan=plan)
    assert table.workloads.keys() == {w.key for w in space.distinct_workloads}
    assert len(table.networks) >= 3
    macs = space.macs(np.array([space.parse(name) for name in table.networks]))
    everything = space.macs(np.array(list(np.ndindex(*space.n_choices))))
    assert macs.min() == everything.min()  # a third of them are among the cheapest


def test_a_clock_that_does_not_tell_networks_from_nothing_is_refused(small_space):
    device = SyntheticRuntime(noise=0, spell=1, outliers=0, slow_first=1)
    device.true_ms = lambda model: 1.0
    with pytest.raises(MeasurementError, match="by a clock that does not tell them apart"):
        profile_space(small_space, device, plan=Plan(min_runs=3, max_runs=3), n_networks=3)


def test_where_a_measurement_stands():
    quotients = {"known": [1.0] * 10, "begun": [1.0] * 4, "most": [1.0, 9.0] * 10}
    samples = Samples(quotients, total_ms=600.0)
    plan = Plan(tolerance=0.01, min_runs=10, max_runs=20)
    known, share = standing(samples, ["known", "begun", "new", "most"], plan)
    assert (known, share) == (2, (10 + 4 + 0 + 20) / (10 + 10 + 10 + 20))
    half = Plan(tolerance=0.01, min_runs=10, max_runs=20, min_seconds=2.0)
    assert standing(samples, ["known"], half) == (1, 0.6 / 2.0)
