"""OpenVINO as a runtime, where it is installed; what to install, where it is not."""

import sys
from dataclasses import replace

import numpy as np
import pytest

from hwnas.errors import MissingPackageError, ModelRejectedError, OptionError
from hwnas.onnx_graph import to_onnx
from hwnas.profilers import check_kernels, runtime
from hwnas.testing import SyntheticRuntime, check_runtime


def test_without_the_package_it_is_said_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(MissingPackageError, match="pip install openvino"):
        runtime("cpu", 1, "openvino")


def test_its_kernels_are_others():
    target = replace(SyntheticRuntime().target("fp32", 1), runtime="openvino")
    with pytest.raises(OptionError, match="and openvino makes others: profile without --kernels"):
        check_kernels(target, 500)


@pytest.fixture
def openvino():
    pytest.importorskip("openvino")
    return runtime("cpu", 1, "openvino")


def test_it_is_a_runtime(openvino):
    check_runtime(openvino)
    target = openvino.target("int8", 4)
    assert (target.runtime, target.precision, target.batch) == ("openvino", "int8", 4)
    with pytest.raises(ModelRejectedError, match="OpenVINO cannot load the model: "):
        openvino.load(b"no model")


def test_it_tells_what_its_own_graph_takes(openvino, small_space):
    between = []
    model = to_onnx(small_space.graph([0, 0, 0, 0]))
    layers = openvino.explain(model, lambda: between.append(1))
    assert len(between) == 24
    assert "Convolution" in {layer.operator for layer in layers}
    assert all(np.isfinite(layer.latency_ms) and layer.latency_ms >= 0 for layer in layers)
