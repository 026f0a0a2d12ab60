"""The TensorRT profiler on a synthetic card and TensorRT, in the manner of three versions."""

import importlib
import sys
from dataclasses import replace

import numpy as np
import pytest

from hwnas.errors import (
    DeviceMemoryError,
    DeviceUnavailableError,
    ModelRejectedError,
    OptionError,
)
from hwnas.latency_tables import LatencyTable, check_table
from hwnas.onnx_graph import to_onnx
from hwnas.ops import MBConv, Workload
from hwnas.predictors import load_predictor
from hwnas.profilers import Plan, extend_table, profile_space, runtime
from hwnas.profilers.chain import chained
from hwnas.profilers.gpu import cuda_driver
from hwnas.profilers.gpu.engine_cache import cache_folder
from hwnas.testing import SyntheticRuntime, check_runtime

SMALL = Workload(MBConv(3, 3), 8, 8, 1, 8, 8)
#: The three generations, each on the card that it is the last or a current version for.
VERSIONS = {"8.6.1": "6.1", "10.4.0": "7.0", "11.4.0": "9.0"}
QUICK = Plan(1.0, min_runs=5)


@pytest.fixture(params=VERSIONS)
def version(request, card):
    card(tensorrt=request.param, gpu_capability=VERSIONS[request.param])
    return request.param


def truth(model: bytes) -> float:
    """A tenth of the synthetic device's, as the synthetic TensorRT runs it."""
    return 0.1 * SyntheticRuntime().true_ms(model)


def test_conforms_in_every_version(version):
    chosen = runtime("gpu", name="tensorrt")
    assert chosen.target("fp32", 4).runtime_version == version
    assert ("fp16" in chosen.precisions) == (version != "8.6.1")  # a Titan XP has no fast fp16
    check_runtime(chosen)


def test_is_the_default_and_says_what_it_ran_on(card):
    target = runtime("gpu").target("fp16", 32)
    assert (target.kind, target.device, target.runtime) == ("gpu", "Synthetic V100", "tensorrt")
    assert (target.precision, target.batch, target.threads) == ("fp16", 32, 1)
    card(gpu_name="Synthetic V100-32GB")
    assert runtime("gpu").target("fp16", 32).differences(target)[0].startswith("device: ")


def test_a_run_is_as_long_as_the_card_says(version):
    model = to_onnx(SMALL.graph())
    job = runtime("gpu").load(model)
    assert job.repeats * truth(model) > 3.0  # the runs that it was chosen by were on a cold card
    for _ in range(60):
        job()
    assert np.median([job() for _ in range(40)]) == pytest.approx(truth(model), rel=0.01)


def test_engines_and_timings_are_kept_and_not_built_twice(card, monkeypatch):
    model = to_onnx(SMALL.graph())
    runtime("gpu").load(model)
    kinds = sorted(path.name.split("-")[0] for path in cache_folder().iterdir())
    assert kinds == ["engine", "timing"]
    card()  # another process
    second = runtime("gpu")
    monkeypatch.setattr(second._builder, "_build", lambda *_: pytest.fail("built again"))
    second.load(model)
    card(tensorrt="11.4.0", gpu_capability="9.0")
    runtime("gpu").load(model)  # another version is another engine
    assert len(list(cache_folder().iterdir())) == 4
    for path in cache_folder().iterdir():
        path.write_bytes(b"from a stranger")
    runtime("gpu").load(model)  # what is damaged is built anew


def test_progress_within_the_building_of_an_engine(version, small_space):
    told = []
    profile_space(
        small_space,
        runtime("gpu"),
        plan=QUICK,
        n_networks=3,
        progress=lambda task, share, remark: told.append((task, share, remark)),
    )
    loading = [(share, remark) for task, share, remark in told if task == "loading models"]
    shares = [share for share, _ in loading]
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (0, 1)
    within = [remark for _, remark in loading if remark.endswith("Selecting kernels")]
    assert bool(within) == (version != "8.6.1")  # which has no such thing


def test_memory_is_given_back_with_the_job(card, monkeypatch):
    freed = []
    chosen = runtime("gpu")
    monkeypatch.setattr(chosen._driver, "free", freed.append)
    job = chosen.load(to_onnx(SMALL.graph()))
    assert freed == []
    del job
    assert len(freed) == 3  # input, output, and what lies between


def test_explains_layers(version):
    model = to_onnx(SMALL.graph())
    layers = runtime("gpu").explain(model)
    assert len(layers) == 3  # expansion, depthwise, projection
    assert all(layer.details["LayerType"] == "Convolution" for layer in layers)
    assert sum(layer.latency_ms for layer in layers) == pytest.approx(truth(model))


def test_a_profile_is_true_to_the_card(card, small_space):
    card(gpu_throttle="spells")
    table = profile_space(small_space, runtime("gpu"), precision="fp16", plan=Plan(min_runs=30))
    call_ms = table.call.latency_ms
    for workload in small_space.distinct_workloads:
        expected = truth(to_onnx(workload.graph(), precision="fp16"))
        if chained(workload, 4) is not None:  # the slope, and a call: an almost empty model
            expected += call_ms - 0.1 * SyntheticRuntime().call_ms
        assert table.latency_ms(workload) == pytest.approx(expected, rel=0.03)
    archs = small_space.sample(40, seed=3)
    expected = [truth(small_space.to_onnx(arch, precision="fp16")) for arch in archs]
    error = np.abs(load_predictor(table, small_space).predict(archs) / expected - 1)
    assert error.mean() < 0.02
    conditions = table.provenance.conditions
    assert conditions.repeated > 0  # spells of throttling were met, and measured again
    assert conditions.kept_throttled < 0.02 * conditions.windows
    assert conditions.driver == "550.54.15"
    assert table.unmeasured == {}


def test_a_table_of_a_throttling_card_says_so(card, small_space):
    card(gpu_throttle="always")
    table = profile_space(small_space, runtime("gpu"), plan=QUICK, n_networks=3)
    assert "software thermal slowdown" in table.provenance.conditions.warning
    again = LatencyTable.from_json(table.to_json())
    assert again.provenance == table.provenance
    assert "throttling" in "".join(f.problem for f in check_table(again) if f.entry == "table")


def test_what_cannot_be_built_is_left_out_and_named(card, small_space):
    card(tensorrt_rejects="7")
    table = profile_space(small_space, runtime("gpu"), plan=QUICK, n_networks=4)
    sevens = {w.key for w in small_space.distinct_workloads if "kernel=7" in w.key}
    assert sevens
    assert set(table.unmeasured) >= sevens
    assert set(table.workloads) == {w.key for w in small_space.distinct_workloads} - sevens
    assert all("not find any implementation" in table.unmeasured[key] for key in sevens)
    assert not table.unmeasured.keys() & table.networks.keys()
    again = LatencyTable.from_json(table.to_json())
    seven = next(w for w in small_space.distinct_workloads if w.key in sevens)
    with pytest.raises(LookupError, match=r"could not be measured .*any implementation"):
        again.latency_ms(seven)
    assert sevens <= {finding.entry for finding in check_table(again)}


def test_bad_input(card, small_space):
    chosen = runtime("gpu")
    with pytest.raises(ModelRejectedError, match="does not read the model: not a protobuf"):
        chosen.load(b"nothing")
    with pytest.raises(DeviceMemoryError, match=r"OutOfMemory.*smaller --batch"):
        chosen.load(to_onnx(SMALL.graph(), batch=65))
    card(gpu_capability="6.1", tensorrt="8.6.1")
    with pytest.raises(OptionError, match="runs fp32, int8, got 'fp16'"):
        profile_space(small_space, runtime("gpu"), precision="fp16")
    with pytest.raises(ModelRejectedError, match="only signed int8"):
        runtime("gpu").load(to_onnx(SMALL.graph(), precision="int8"))


def test_a_tensorrt_that_does_not_start_says_why(card, monkeypatch):
    card(gpu_capability="6.1", tensorrt="8.6.1")
    api = importlib.import_module("tensorrt")

    def builder(logger):  # as 8.6.0 does where CUDA does not start
        logger.log(api.ILogger.WARNING, "Unable to determine GPU memory usage")
        logger.log(api.ILogger.WARNING, "CUDA initialization failure with error: 36")
        raise TypeError("pybind11::init(): factory function returned nullptr")

    monkeypatch.setattr(api, "Builder", builder)
    with pytest.raises(
        DeviceUnavailableError, match=r"not start on .*: CUDA init.* error: 36: for"
    ):
        runtime("gpu", name="tensorrt")


def test_a_card_that_this_version_does_not_run(card):
    card(gpu_capability="7.0", tensorrt="11.4.0")
    with pytest.raises(DeviceUnavailableError, match=r"needs compute capability 7.5.*==10\.4\.0"):
        runtime("gpu", name="tensorrt")


def test_without_a_card_tensorrt_is_not_even_imported(monkeypatch):
    monkeypatch.setattr(cuda_driver, "LIBRARIES", ("libcuda-that-is-not.so",))
    monkeypatch.setitem(sys.modules, "tensorrt", None)  # an import would be another error
    with pytest.raises(DeviceUnavailableError, match="no NVIDIA driver is installed"):
        runtime("gpu", name="tensorrt")


def test_a_card_without_tensorrt_says_what_to_install(card, monkeypatch):
    card(gpu_capability="6.1")
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    with pytest.raises(DeviceUnavailableError, match=r"cannot be imported.*tensorrt==8\.6\.1"):
        runtime("gpu", name="tensorrt")


def test_a_table_is_completed_as_it_was_made(card, small_space, plan):
    table = profile_space(small_space, runtime("gpu"), plan=plan, n_networks=4)
    key = next(w.key for w in small_space.distinct_workloads if chained(w, 4) is not None)
    lacking = replace(table, workloads={k: m for k, m in table.workloads.items() if k != key})
    again = extend_table(lacking, small_space, small_space, runtime("gpu"), plan=plan)
    assert again.workloads.keys() == table.workloads.keys()
    expected = table.workloads[key].latency_ms
    assert again.workloads[key].latency_ms == pytest.approx(expected, rel=0.03)
