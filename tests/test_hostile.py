"""A sample of ``benchmarks/hostile.py``, which tries thousands."""

import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parent.parent / "benchmarks" / "hostile.py"


def test_a_sample_of_hostile_inputs_does_no_harm():
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "40", "1"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "40 of " in done.stdout
