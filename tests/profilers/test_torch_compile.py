"""torch.compile as a runtime: what it needs, and where it compiles, what its kernels are."""

import math
import os

import pytest
import torch

from hwnas.errors import DeviceUnavailableError, ModelRejectedError, OptionError
from hwnas.onnx_graph import to_onnx
from hwnas.ops import MBConv, Workload
from hwnas.profilers import check_kernels, inductor, runtime
from hwnas.testing import check_runtime


@pytest.fixture
def compiler(tmp_path, monkeypatch):
    """A stand-in for a C++ compiler, which says its version and compiles nothing."""
    path = tmp_path / "c++"
    path.write_text("#!/bin/sh\necho 12.2.0\n")
    path.chmod(0o755)
    monkeypatch.setattr(inductor, "get_cpp_compiler", lambda: str(path))


def test_it_says_torch_and_the_compiler(compiler):
    target = runtime("cpu", 1, "torch-compile").target("fp32", 3)
    assert (target.runtime, target.precision, target.batch) == ("torch-compile", "fp32", 3)
    assert target.runtime_version == f"{torch.__version__} (c++ 12.2.0)"
    with pytest.raises(OptionError, match="torch-compile makes others: profile without --kernels"):
        check_kernels(target, 500)


def test_without_a_compiler_it_is_said_what_to_install(monkeypatch):
    def none():
        raise inductor.InvalidCxxCompiler

    monkeypatch.setattr(inductor, "get_cpp_compiler", none)
    with pytest.raises(DeviceUnavailableError, match=r"apt install g\+\+"):
        runtime("cpu", 1, "torch-compile")
    monkeypatch.setattr(inductor, "get_cpp_compiler", lambda: "/no/such/compiler")
    with pytest.raises(DeviceUnavailableError, match="set CXX to its path"):
        runtime("cpu", 1, "torch-compile")


def test_it_runs_floats_alone(compiler, small_space):
    here = runtime("cpu", 1, "torch-compile")
    with pytest.raises(ModelRejectedError, match="no operator DequantizeLinear, QuantizeLinear"):
        here.load(small_space.to_onnx([0, 0, 0, 0], precision="int8"))
    with pytest.raises(OptionError, match="threads are 1 to"):
        runtime("cpu", 0, "torch-compile")


@pytest.mark.parametrize("count", [1, 2])
def test_the_threads_of_the_process_come_back(count):
    before = torch.get_num_threads()
    with inductor.torch_threads(count):
        assert torch.get_num_threads() == count
    assert torch.get_num_threads() == before


@pytest.mark.slow
def test_it_is_a_runtime_and_tells_what_it_fuses(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    try:
        here = runtime("cpu", 1, "torch-compile")
    except DeviceUnavailableError as error:
        pytest.skip(str(error))
    check_runtime(here)
    between = []
    block = to_onnx(Workload(MBConv(3, 3), 8, 8, 1, 8, 8).graph())
    layers = here.explain(block, lambda: between.append(1))
    assert len(between) == 24
    convolutions = [one.operator for one in layers if "convolution" in one.operator]
    assert len(convolutions) == 3  # the activations, and the sum with the input, are within them
    assert not any("relu" in one.operator or "hardtanh" in one.operator for one in layers[1:])
    assert all(math.isfinite(one.latency_ms) and one.latency_ms > 0 for one in layers)
    assert any(files for _, _, files in os.walk(tmp_path))  # kept, and not compiled again
