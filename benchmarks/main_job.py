"""The whole main job from an empty cache: what ``hwnas search --latency 6ms`` does, timed.

python benchmarks/main_job.py [LATENCY [SETTING=VALUE ...]]

A setting is one of `hwnas.find_network`, such as ``steps=20``.
"""

import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any


def main(latency: str, settings: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.environ["HWNAS_HOME"] = str(Path(folder) / "home")
        started = time.monotonic()
        import hwnas  # to load it is part of the job

        result = hwnas.find_network(
            None, "digits", [f"latency<={latency}"], out=Path(folder) / "run", **settings
        )
        seconds = time.monotonic() - started
    content = result.content
    paths = content["random_paths"]
    print(f"seconds, profile included      {seconds:.0f}")
    print(f"budget                         {', '.join(content['budget'])}")
    print(f"predicted / measured ms        {result.predicted_ms:.3f} / {result.measured_ms:.3f}")
    print(f"networks measured to get there {content['networks_measured']}")
    print(f"architectures evaluated        {content['architectures_evaluated']}")
    span = f"{paths['least']:.1%} to {paths['most']:.1%}"
    print(f"median of 50 random paths      {paths['median']:.1%} ({span})")
    print(f"winner, validation / test      {result.accuracy:.1%} / {content['test_accuracy']:.1%}")


def settings_in(words: list[str]) -> dict[str, Any]:
    """``steps=20 optimizer=sgd`` as keyword arguments; what is no JSON is a text."""
    settings = {}
    for word in words:
        name, _, text = word.partition("=")
        try:
            settings[name] = json.loads(text)
        except ValueError:
            settings[name] = text
    return settings


if __name__ == "__main__":
    words = sys.argv[1:]
    main(words[0] if words else "6ms", settings_in(words[1:]))
