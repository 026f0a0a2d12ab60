"""How a model runs: captured or not, from a busy stream, in the layouts that the engine wants."""

import importlib
import logging

import numpy as np
import pytest

from hwnas.errors import DeviceMemoryError, ModelRejectedError
from hwnas.onnx_graph import to_onnx
from hwnas.ops import Graph, MBConv, Workload
from hwnas.profilers import Plan, profile_space, runtime
from hwnas.profilers.gpu.engine_cache import EngineCache
from hwnas.testing import SyntheticRuntime

SMALL = Workload(MBConv(3, 3), 8, 8, 1, 8, 8)
QUICK = Plan(1.0, min_runs=5)
VERSIONS = {"8.6.1": "7.0", "10.4.0": "7.0", "11.4.0": "9.0"}


@pytest.fixture(params=VERSIONS)
def library(request, card):
    return card(tensorrt=request.param, gpu_capability=VERSIONS[request.param])


def truth(model):
    return 0.1 * SyntheticRuntime().true_ms(model)


def steady_ms(job):
    """The median of a warm card."""
    for _ in range(60):
        job()
    return float(np.median([job() for _ in range(40)]))


def test_what_it_takes_to_launch_is_not_in_a_window(card):
    model = to_onnx(SMALL.graph())
    card(gpu_launch="2")  # ms, a third of a window
    job = runtime("gpu").load(model)
    assert job.repeats * truth(model) > 3.0
    assert steady_ms(job) == pytest.approx(truth(model), rel=0.01)


def test_a_model_that_cannot_be_captured_is_launched_plainly(card):
    """Of its many runs in a window, one in a hundred takes three times as long."""
    library = card(tensorrt_uncaptured="7")
    chosen = runtime("gpu")
    model = to_onnx(Workload(MBConv(7, 3), 8, 8, 1, 8, 8).graph())
    job = chosen.load(model)
    launched = library.synthetic_graph_launches()
    assert steady_ms(job) == pytest.approx(1.02 * truth(model), rel=0.01)
    assert library.synthetic_graph_launches() == launched
    assert not library.synthetic_is_capturing()
    captured = chosen.load(to_onnx(SMALL.graph()))  # the stream is as before
    captured()
    assert library.synthetic_graph_launches() > launched
    assert (job.captured, captured.captured) == (False, True)


def test_so_it_is_where_the_graph_fails_in_the_end(card):
    library = card(gpu_capture="fails")
    model = to_onnx(SMALL.graph())
    assert steady_ms(runtime("gpu").load(model)) == pytest.approx(1.02 * truth(model), rel=0.01)
    assert library.synthetic_graph_launches() == 0


def test_a_profile_says_which_models_were_not_captured(card, small_space, caplog):
    card(tensorrt_uncaptured="7")
    with caplog.at_level(logging.INFO, logger="hwnas"):
        table = profile_space(small_space, runtime("gpu"), plan=QUICK, n_networks=2)
    assert table.unmeasured == {}
    (said,) = (r.getMessage() for r in caplog.records if "CUDA graph" in r.getMessage())
    assert "kernel=7" in said
    assert "launched one by one" in said
    assert " more): " in said
    assert any("kernel=7" in key for key in table.workloads)


def test_half_precision_maps_come_and_go_as_the_engine_wants(library):
    """Else a block would be charged for laying them out anew, which no network does inside."""
    for channels in (8, 12):  # 12 are padded to 16, and must fit
        model = to_onnx(Workload(MBConv(3, 3), channels, channels, 1, 8, 8).graph(), batch=2,
                        precision="fp16")  # fmt: skip
        job = runtime("gpu").load(model)
        assert steady_ms(job) == pytest.approx(truth(model), rel=0.01)


def test_memory_holds_the_padded_channels(library):
    graph = Workload(MBConv(3, 3), 12, 12, 1, 8, 8).graph()
    job = runtime("gpu").load(to_onnx(graph, precision="fp16"))
    hidden = 4 * 2 * 36 * 8 * 8  # the synthetic TensorRT counts 4 bytes a number
    assert library.synthetic_used_bytes() == 2 * (2 * 16 * 8 * 8) + hidden
    del job


def test_images_and_fp32_stay_as_an_application_hands_them_over(library):
    used = library.synthetic_used_bytes
    stem = Graph((3, 8, 8))
    stem.conv_bn(0, "stem", 8, kernel=3)
    job = runtime("gpu").load(to_onnx(stem, precision="fp16"))
    ends = 2 * 3 * 8 * 8 + 2 * 8 * 8 * 8  # 3 channels are not padded to 8
    assert used() == ends + 1  # and nothing lies between
    del job
    job = runtime("gpu").load(to_onnx(Workload(MBConv(3, 3), 12, 12, 1, 8, 8).graph()))
    assert used() == 2 * (4 * 12 * 8 * 8) + 2 * 4 * 36 * 8 * 8
    del job


def test_a_kept_engine_that_does_not_load_is_built_again(library, monkeypatch):
    kept = {"engine": b"no engine", "timing": None}
    monkeypatch.setattr(EngineCache, "read", lambda self, kind, made_from: kept[kind])
    assert runtime("gpu").load(to_onnx(SMALL.graph()))() > 0


def test_an_old_error_is_not_the_reason_of_a_new_one(library, monkeypatch):
    """The engine comes from the cache, so that nothing is built that would clear the log."""
    model = to_onnx(SMALL.graph())
    chosen = runtime("gpu")
    chosen.load(model)
    with pytest.raises(DeviceMemoryError, match="OutOfMemory"):
        chosen.load(to_onnx(SMALL.graph(), batch=65))
    api = importlib.import_module("tensorrt")
    monkeypatch.setattr(api.IExecutionContext, "execute_async_v3", lambda self, stream: False)
    with pytest.raises(ModelRejectedError, match=r"does not run its engine: it logged no reason"):
        chosen.load(model)
