"""Samples of ``benchmarks/hostile.py`` and ``hostile_models.py``, which try thousands."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent.parent / "benchmarks" / "hostile.py"
MODELS = SCRIPT.with_name("hostile_models.py")


@pytest.mark.slow
def test_a_sample_of_hostile_inputs_does_no_harm():
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "12", "1"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "12 of " in done.stdout


@pytest.mark.slow
def test_a_sample_of_models_with_wrong_fields_does_no_harm():
    words = [str(MODELS), "--share", "0.001", "--readers", "engine,runnable"]
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith(": no failure\n")
