"""A registered runtime of a device that does not exist, whose truth is known."""

import pytest

from hwnas import spaces
from hwnas.profilers import RUNTIMES, Plan
from hwnas.testing import SyntheticRuntime


@pytest.fixture
def synthetic(monkeypatch):
    """This machine has the synthetic device, as a runtime of its name."""
    monkeypatch.setitem(
        RUNTIMES._registered, "synthetic", lambda threads: SyntheticRuntime(spell=1.0, seed=5)
    )


@pytest.fixture(autouse=True)
def _coarse(monkeypatch):
    monkeypatch.setattr(
        "hwnas.devices.tables.profile_plan",
        lambda seconds: Plan(tolerance=0.02, min_runs=20, max_runs=60, min_seconds=seconds),
    )


@pytest.fixture(scope="session")
def five_classes(small_space):
    """The small space with another head."""
    return spaces.space("proxyless", **{**small_space.arguments, "classes": 5})
