"""The whole main job from an empty cache: ``hwnas search --latency 6ms``, timed.

python benchmarks/main_job.py [LATENCY]
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def main(latency: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "hwnas", "search", "--latency", latency, "--json"]
        command += ["--out", str(Path(folder) / "run")]
        started = time.monotonic()
        done = subprocess.run(
            command,
            env={**os.environ, "HWNAS_HOME": str(Path(folder) / "home")},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        seconds = time.monotonic() - started
    result = json.loads(done.stdout)
    paths = result["random_paths"]
    print(f"seconds, profile included      {seconds:.0f}")
    print(f"budget                         {', '.join(result['budget'])}")
    print(
        f"predicted / measured ms        {result['predicted_ms']:.3f} / {result['measured_ms']:.3f}"
    )
    print(f"networks measured to get there {result['networks_measured']}")
    print(f"architectures evaluated        {result['architectures_evaluated']}")
    span = f"{paths['least']:.1%} to {paths['most']:.1%}"
    print(f"median of 50 random paths      {paths['median']:.1%} ({span})")
    print(
        f"winner, validation / test      {result['accuracy']:.1%} / {result['test_accuracy']:.1%}"
    )


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "6ms")
