"""Runs the command line as a user does, in its own process or in this one."""

import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO

import pytest

from hwnas.cli.errors import guarded
from hwnas.profilers import Plan


@pytest.fixture
def hwnas(capsys):
    """Run a command in this process; returns (exit status, stdout, stderr)."""

    def run(*words):
        from hwnas.cli import group

        with pytest.raises(SystemExit) as left:
            guarded(lambda standalone_mode: group(list(words), standalone_mode=standalone_mode))
        captured = capsys.readouterr()
        return left.value.code, captured.out, captured.err

    return run


@pytest.fixture(scope="session")
def hwnas_once():
    """As `hwnas`, for what is run once for many tests."""

    def run(*words):
        from hwnas.cli import group

        with (
            redirect_stdout(StringIO()) as out,
            redirect_stderr(StringIO()) as said,
            pytest.raises(SystemExit) as left,
        ):
            guarded(lambda standalone_mode: group(list(words), standalone_mode=standalone_mode))
        return left.value.code, out.getvalue(), said.getvalue()

    return run


@pytest.fixture
def shell():
    """Run a command in its own process; returns the completed process."""

    def run(*words, **options):
        command = [sys.executable, "-m", "hwnas", *words]
        return subprocess.run(command, capture_output=True, text=True, check=False, **options)

    return run


@pytest.fixture(autouse=True)
def _coarse(monkeypatch):
    """Profiles in this process are quick: what is tested here is the command line."""
    monkeypatch.setattr(
        "hwnas.devices.tables.profile_plan",
        lambda seconds: Plan(tolerance=1.0, min_runs=3, max_runs=3, min_seconds=seconds),
    )
