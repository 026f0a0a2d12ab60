"""Execution providers of ONNX Runtime by name."""

import onnxruntime as ort
import pytest

from hwnas.devices.target import runtime_for, runtime_of_table
from hwnas.errors import OptionError, UnknownNameError
from hwnas.profilers import check_kernels, runtime
from hwnas.testing import check_runtime


def test_the_cpu_provider_is_the_runtime_that_is_taken_anyway():
    assert runtime("cpu", 1, "CPUExecutionProvider").target("fp32", 1) == runtime("cpu").target(
        "fp32", 1
    )


def test_another_provider_is_a_runtime_of_its_own():
    others = [name for name in ort.get_available_providers() if name != "CPUExecutionProvider"]
    if not others:
        pytest.skip("this onnxruntime has its CPU provider only")
    chosen = runtime("cpu", 1, others[0])
    check_runtime(chosen)
    target = chosen.target("fp32", 1)
    assert target.runtime == others[0]
    assert runtime_of_table(target, "cpu") == others[0]  # a table leads back to it
    assert runtime_for(target).target("fp32", 1) == target
    with pytest.raises(OptionError, match="own CPU provider"):
        check_kernels(target, 500)


def test_what_is_not_there_is_named():
    with pytest.raises(UnknownNameError, match=r"'NoneExecutionProvider': choose one of .*CPUExec"):
        runtime("cpu", 1, "NoneExecutionProvider")
    with pytest.raises(OptionError, match=r"CUDAExecutionProvider runs on cards.*--device gpu"):
        runtime("cpu", 1, "CUDAExecutionProvider")
