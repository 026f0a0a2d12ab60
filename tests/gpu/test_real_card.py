"""On a real NVIDIA card: ``python -m pytest -m gpu``; skipped with a reason where none is."""

import os
import signal
import threading

import numpy as np
import pytest

from hwnas.errors import DeviceUnavailableError, ModelRejectedError
from hwnas.onnx_graph import to_onnx
from hwnas.ops import MBConv, Workload
from hwnas.predictors import load_predictor
from hwnas.profilers import GPU_RUNTIMES, Plan, gpu_problem, profile_space, runtime
from hwnas.profilers.gpu.cuda_driver import CudaDriver
from hwnas.profilers.gpu.nvml import Nvml
from hwnas.testing import check_runtime

PROBLEM = gpu_problem()
pytestmark = [
    pytest.mark.gpu,
    pytest.mark.filterwarnings("default"),  # those of drivers and libraries are not ours
    pytest.mark.skipif(PROBLEM is not None, reason=f"no card to test on: {PROBLEM}"),
]


@pytest.fixture(params=GPU_RUNTIMES)
def chosen(request):
    try:
        return runtime("gpu", name=request.param)
    except DeviceUnavailableError as error:
        pytest.skip(str(error))


def test_the_driver_describes_the_card():
    card = CudaDriver().card
    assert card.name
    assert card.capability >= (5, 0)
    assert card.memory_bytes > 2**30
    assert len(card.uuid) == 32
    reader = Nvml.find(card.uuid)
    if reader is not None:
        state = reader.state("before")
        assert state.clock_mhz is None or 100 < state.clock_mhz < 5000
        assert state.temperature_c is None or 10 < state.temperature_c < 120


def test_memory_goes_there_and_back():
    driver = CudaDriver()
    content = np.arange(1000, dtype=np.float32).tobytes()
    address = driver.allocate(len(content))
    driver.upload(address, content)
    assert driver.download(address, len(content)) == content
    driver.free(address)


def test_the_runtime_conforms(chosen):
    check_runtime(chosen)


def test_a_window_is_long_enough_and_repeats_well(chosen):
    job = chosen.load(to_onnx(Workload(MBConv(5, 6), 40, 40, 1, 14, 14).graph()))
    times = np.array([job() for _ in range(100)])
    assert np.median(times) * job.repeats > 2.5
    low, high = np.quantile(times, (0.25, 0.75))
    assert (high - low) / np.median(times) < 0.1


def test_half_precision_is_no_slower_in_a_large_block(chosen):
    if "fp16" not in chosen.precisions:
        pytest.skip("this card has no fast fp16")
    if chosen.target("fp16", 32).runtime != "tensorrt":
        pytest.skip("only TensorRT chooses among enough kernels to promise that")
    graph = Workload(MBConv(3, 6), 96, 96, 1, 56, 56).graph()
    medians = []
    for precision in ("fp32", "fp16"):
        job = chosen.load(to_onnx(graph, batch=32, precision=precision))
        medians.append(np.median([job() for _ in range(20)]))
    assert medians[1] < 1.1 * medians[0]


def test_a_small_profile_predicts_networks(chosen, small_space):
    table = profile_space(small_space, chosen, plan=Plan(0.02, min_runs=20, max_runs=60))
    assert table.unmeasured == {}
    predictor = load_predictor(table, small_space)
    assert predictor.calibration.residual < 0.2
    assert (predictor.predict(small_space.sample(20, seed=0)) > 0).all()


def test_engines_share_what_they_compute_in(chosen):
    if chosen.target("fp32", 1).runtime != "tensorrt":
        pytest.skip("only TensorRT is given its memory")
    graph = Workload(MBConv(5, 6), 40, 40, 1, 56, 56).graph()
    large, small = (chosen.load(to_onnx(graph, batch=batch)) for batch in (8, 1))
    assert chosen._shared.take(1).count >= 8 * 40 * 56 * 56  # the large one's, which both have
    first = np.median([small() for _ in range(20)])
    for _ in range(5):
        assert large() > small()
    assert np.median([small() for _ in range(20)]) == pytest.approx(first, rel=0.2)


def test_ctrl_c_ends_a_build(chosen, small_space):
    if getattr(chosen, "version", "8").startswith("8."):
        pytest.skip("only TensorRT from version 10 on tells of its steps")
    network = small_space.to_onnx(small_space.sample(1, seed=1)[0], batch=3)
    timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    try:
        chosen.load(network)
        timer.join()  # it was built before
    except KeyboardInterrupt:
        pass
    else:
        pytest.fail("nothing was interrupted")
    assert chosen.load(network)() > 0


def test_an_impossible_model_is_refused_not_fatal(chosen):
    with pytest.raises(ModelRejectedError):
        chosen.load(b"nothing")
    job = chosen.load(to_onnx(Workload(MBConv(3, 3), 8, 8, 1, 8, 8).graph()))
    assert job() > 0
