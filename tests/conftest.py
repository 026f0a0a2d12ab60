"""Shared by all tests: a small space, and a home that is not the user's."""

from pathlib import Path

import pytest

from hwnas import spaces
from hwnas.profilers import Plan, profile_space
from hwnas.spaces import SearchSpace
from hwnas.testing import SyntheticRuntime


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HWNAS_HOME", str(tmp_path / "home"))


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
