"""Which GPU runtime is taken, and what is said where there is none."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hwnas.errors import DeviceUnavailableError, UnknownNameError
from hwnas.profilers import GPU_RUNTIMES, gpu_problem, runtime
from hwnas.profilers.gpu import choice, cuda_driver


def test_the_best_that_works_is_taken(card, monkeypatch):
    assert gpu_problem() is None
    assert runtime("gpu").target("fp32", 1).runtime == "tensorrt"
    card(tensorrt="11.4.0", gpu_capability="7.0")  # which this version does not run
    made = object()
    monkeypatch.setitem(choice._MAKE, "torch", lambda: made)
    assert runtime("gpu") is made


def test_where_none_works_every_reason_is_given(card, monkeypatch):
    card(tensorrt="11.4.0", gpu_capability="7.0")

    def broken():
        raise DeviceUnavailableError("is not installed")

    for name in GPU_RUNTIMES[1:]:
        monkeypatch.setitem(choice._MAKE, name, broken)
    with pytest.raises(DeviceUnavailableError, match=r"tensorrt: .*==10\.4\.0") as caught:
        runtime("gpu")
    for name in GPU_RUNTIMES[1:]:
        assert f"{name}: is not installed" in str(caught.value)


def test_unknown_names(card):
    with pytest.raises(UnknownNameError, match="unknown GPU runtime 'tvm': choose one of tensorrt"):
        runtime("gpu", name="tvm")
    with pytest.raises(UnknownNameError, match="unknown CPU runtime 'tensorrt'"):
        runtime("cpu", name="tensorrt")


@pytest.mark.parametrize("name", [None, *GPU_RUNTIMES])
def test_no_driver_is_one_line_for_every_runtime(monkeypatch, name):
    monkeypatch.setattr(cuda_driver, "LIBRARIES", ("libcuda-that-is-not.so",))
    with pytest.raises(DeviceUnavailableError) as caught:
        runtime("gpu", name=name)
    assert "no NVIDIA driver is installed" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({"SYNTHETIC_GPU_INIT": "100"}, "the NVIDIA driver does not start (cuInit returned 100)"),
        ({"SYNTHETIC_GPU_CARDS": "0"}, "the NVIDIA driver sees no card"),
    ],
)
def test_the_process_says_what_is_missing_and_does_not_crash(gpu_folder, variables, says):
    command = [sys.executable, "-m", "hwnas", "profile", "--device", "gpu"]
    paths = os.pathsep.join([str(gpu_folder), str(Path.cwd())])
    environment = {**os.environ, "LD_LIBRARY_PATH": str(gpu_folder), "PYTHONPATH": paths}
    done = subprocess.run(
        command, env=environment | variables, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2, done.stderr  # a crash would be negative
    assert says in done.stderr
    assert done.stderr.count("\n") == 1
