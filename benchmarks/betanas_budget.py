"""A wanted latency from a gradient method: what ``hwnas search`` does, several seeds.

The table of this machine is measured first if there is none. What the project wants: every seed
measured at or under the latency, and predicted at 90 % of it or more (amended-darts: 85 %).

python benchmarks/betanas_budget.py [LATENCY_MS [SEEDS [SETTING=VALUE ...]]]

A setting is one of `hwnas.find_network`, such as ``method=amended-darts``, ``space=darts-s1``,
``steps=200`` or ``predictor=my.json``; ``betanas`` unless a method is given.
"""

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from main_job import settings_in

import hwnas

#: Share of the latency that a method should use.
USED = {"betanas": 0.9, "amended-darts": 0.85}


def main(limit_ms: float, seeds: int, settings: dict[str, Any]) -> None:
    method = settings.pop("method", "betanas")
    space = settings.pop("space", None)
    print(
        "seed  predicted ms  share  measured ms  measured networks  accuracy  seconds  kept  used"
    )
    kept = used = 0
    for seed in range(seeds):
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            try:
                result = hwnas.find_network(
                    space,
                    "digits",
                    [f"latency<={limit_ms:g}ms"],
                    method=method,
                    out=Path(folder) / "run",
                    seed=seed,
                    **settings,
                )
            except hwnas.HwnasError as error:
                print(f"{seed:4}  failed: {error}", flush=True)
                continue
        seconds = time.monotonic() - began
        measured = result.measured_ms
        keeps = measured is not None and measured <= limit_ms
        share = result.predicted_ms / limit_ms
        uses = share >= USED[method]
        kept, used = kept + keeps, used + uses
        shown = "not at hand" if measured is None else f"{measured:11.3f}"
        print(
            f"{seed:4} {result.predicted_ms:13.3f} {share:6.2f}  {shown} "
            f"{result.content['networks_measured']:18} {result.accuracy:9.1%} {seconds:8.0f}  "
            f"{'yes' if keeps else 'NO':>4}  {'yes' if uses else 'NO':>4}",
            flush=True,
        )
    print(f"measured at or under {limit_ms:g} ms: {kept} of {seeds}")
    print(f"predicted at {USED[method] * limit_ms:g} ms or more: {used} of {seeds}")


if __name__ == "__main__":
    words = sys.argv[1:]
    main(
        float(words[0]) if words else 6.0,
        int(words[1]) if len(words) > 1 else 5,
        settings_in(words[2:]),
    )
