"""A sample of ``benchmarks/hostile.py``, which tries thousands."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent.parent / "benchmarks" / "hostile.py"


@pytest.mark.slow
def test_a_sample_of_hostile_inputs_does_no_harm():
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "12", "1"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "12 of " in done.stdout
