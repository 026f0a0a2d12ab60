"""A wanted latency from BetaNAS: ``hwnas search --method betanas``, several seeds.

The table of this machine is measured first if there is none. What the project wants: every seed
measured at or under the latency, and predicted at 90 % of it or more.

python benchmarks/betanas_budget.py [LATENCY_MS] [SEEDS] [FLAG ...]
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def main(limit_ms: float, seeds: int, flags: list[str]) -> None:
    print("seed  predicted ms  measured ms  measured networks  accuracy  seconds  kept  used")
    kept = used = 0
    for seed in range(seeds):
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-m", "hwnas", "search", "--method", "betanas", "--json"]
            command += ["--latency", f"{limit_ms:g}ms", "--seed", str(seed)]
            command += ["--out", str(Path(folder) / "run"), *flags]
            began = time.monotonic()
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
            seconds = time.monotonic() - began
        if done.returncode:
            print(f"{seed:4}  failed with exit status {done.returncode}", flush=True)
            continue
        result = json.loads(done.stdout)
        measured = result["measured_ms"]
        keeps = measured is not None and measured <= limit_ms
        uses = result["predicted_ms"] >= 0.9 * limit_ms
        kept, used = kept + keeps, used + uses
        shown = "not at hand" if measured is None else f"{measured:11.3f}"
        print(
            f"{seed:4} {result['predicted_ms']:13.3f}  {shown} {result['networks_measured']:18} "
            f"{result['accuracy']:9.1%} {seconds:8.0f}  {'yes' if keeps else 'NO':>4}  "
            f"{'yes' if uses else 'NO':>4}",
            flush=True,
        )
    print(f"measured at or under {limit_ms:g} ms: {kept} of {seeds}")
    print(f"predicted at {0.9 * limit_ms:g} ms or more: {used} of {seeds}")


if __name__ == "__main__":
    words = sys.argv[1:]
    main(
        float(words[0]) if words else 6.0,
        int(words[1]) if len(words) > 1 else 5,
        words[2:],
    )
