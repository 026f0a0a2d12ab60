"""Shared by all tests: a small space, and a home that is not the user's."""

import ctypes
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from threadpoolctl import threadpool_limits

from hwnas import spaces
from hwnas.data import DATA
from hwnas.profilers import RUNTIMES, Plan, profile_space
from hwnas.profilers.gpu import choice, cuda_driver, nvml
from hwnas.search.methods import METHODS
from hwnas.spaces import SPACES, SearchSpace
from hwnas.testing import SyntheticRuntime
from hwnas.testing.synthetic_gpu import build_synthetic_gpu


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """Sums that do not depend on the machine, here and in child processes, and no waiting.

    On a busy machine threads of torch and of numpy wait for each other longer than they work.
    """
    os.environ["OMP_NUM_THREADS"] = "1"
    torch.set_num_threads(1)
    threadpool_limits(1, user_api="blas")  # of numpy, which is loaded already


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HWNAS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))  # tests at once do not notice each other


@pytest.fixture(autouse=True)
def _own_registries(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test registers is known to that test alone."""
    for registry in (SPACES, DATA, METHODS, RUNTIMES):
        monkeypatch.setattr(registry, "_registered", dict(registry._registered))


@pytest.fixture(scope="module")
def few_random_paths() -> Iterator[int]:
    """How many random paths searches evaluate here: fifty take seconds, and decide nothing."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("hwnas.search.searchers.proposals.RANDOM_PATHS", 6)
        yield 6


@pytest.fixture(scope="session")
def small_space() -> SearchSpace:
    """Four decisions, the first of which cannot be skipped: 6 * 7 * 6 * 7 architectures."""
    return spaces.space(
        "proxyless",
        input_size=32,
        classes=10,
        stage_widths=(16, 24),
        stage_depths=(2, 2),
        stage_strides=(2, 2),
        first_width=8,
        stem_width=8,
        head_width=32,
    )


@pytest.fixture(scope="session")
def plan() -> Plan:
    return Plan(tolerance=0.01, min_runs=40, max_runs=200)


@pytest.fixture(scope="session")
def small_table(small_space: SearchSpace, plan: Plan):  # type: ignore[no-untyped-def]
    return profile_space(small_space, SyntheticRuntime(), plan=plan)


@pytest.fixture(scope="session")
def gpu_folder(tmp_path_factory) -> Path:  # type: ignore[no-untyped-def]
    """The libraries of a card that does not exist."""
    folder = tmp_path_factory.mktemp("synthetic_gpu")
    problem = build_synthetic_gpu(folder)
    if problem is not None:
        pytest.skip(problem)
    return folder


@pytest.fixture
def card(gpu_folder: Path, monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    """This process sees the synthetic card, a V100, and TensorRT 10.4; hands over its library.

    Returns a function that sets the card's variables, such as ``card(gpu_throttle="always")``.
    """
    driver = str(gpu_folder / "libcuda.so.1")
    monkeypatch.setattr(cuda_driver, "LIBRARIES", (driver,))
    monkeypatch.setattr(nvml, "LIBRARIES", (str(gpu_folder / "libnvidia-ml.so.1"),))
    monkeypatch.syspath_prepend(str(gpu_folder))
    for name in [name for name in os.environ if name.startswith("SYNTHETIC_")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr("hwnas.profilers.gpu.windows.time.sleep", lambda seconds: None)
    monkeypatch.setattr(choice, "_made", {})
    library = ctypes.CDLL(driver)
    library.synthetic_reset()
    library.synthetic_used_bytes.restype = ctypes.c_uint64
    library.synthetic_bytes_at.argtypes = (ctypes.c_uint64,)
    library.synthetic_bytes_at.restype = ctypes.c_uint64
    library.synthetic_clock_ms.restype = ctypes.c_double

    def set_card(**variables: str) -> ctypes.CDLL:
        for name, value in variables.items():
            monkeypatch.setenv(f"SYNTHETIC_{name.upper()}", value)
        sys.modules.pop("tensorrt", None)
        choice._made.clear()
        return library

    set_card()
    yield set_card
    sys.modules.pop("tensorrt", None)
