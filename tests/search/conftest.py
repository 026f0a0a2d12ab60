"""A space and data on which whole searches last seconds."""

import logging

import pytest

from hwnas import spaces
from hwnas.data import load_data
from hwnas.predictors import load_predictor
from hwnas.profilers import RUNTIMES, Plan, profile_space
from hwnas.testing import SyntheticRuntime


@pytest.fixture(scope="session")
def digits():
    return load_data("digits", input_size=8)


def _tiny(depth):
    return spaces.space(
        "proxyless",
        input_size=8,
        classes=10,
        stage_widths=(8, 8),
        stage_depths=(1, depth),
        stage_strides=(1, 2),
        first_width=8,
        stem_width=8,
        head_width=16,
    )


@pytest.fixture(scope="session")
def tiny():
    """Three decisions."""
    return _tiny(2)


@pytest.fixture(scope="session")
def deeper():
    """Four decisions."""
    return _tiny(3)


@pytest.fixture(scope="session")
def deeper_predictor(deeper):
    """Of the synthetic device."""
    plan = Plan(tolerance=1.0, min_runs=30, max_runs=30)
    return load_predictor(profile_space(deeper, SyntheticRuntime(), plan=plan), deeper)


@pytest.fixture
def synthetic(monkeypatch):
    """This machine has the synthetic device, as a runtime of its name."""
    monkeypatch.setitem(
        RUNTIMES._registered, "synthetic", lambda threads: SyntheticRuntime(spell=1.0, seed=5)
    )
    monkeypatch.setattr(
        "hwnas.devices.tables.profile_plan",
        lambda seconds: Plan(tolerance=0.05, min_runs=20, max_runs=40, min_seconds=seconds),
    )


@pytest.fixture
def said(caplog):
    """What was said so far."""
    caplog.set_level(logging.INFO, "hwnas")
    return lambda: " ".join(record.getMessage() for record in caplog.records)
