"""How large a page of 20,000 evaluated networks is, and how soon it can be used.

    python benchmarks/report_size.py [NETWORKS] [OUT.html]

Writes the folder of a search of ``proxyless`` with random accuracies and the table that ships,
makes its page, and opens it in Debian's chromium, where that is installed.
"""

import json
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import hwnas
from hwnas.latency_tables import LatencyTable
from hwnas.report import write_report

TABLE = "amd-epyc-1thread"
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run "
    "--disable-background-networking --disable-component-update --disable-sync"
)
OPENINGS = 5


def write_run(folder: Path, count: int) -> None:
    """A run that is not finished: its configuration, its table, and what it evaluated."""
    table = LatencyTable.load(TABLE)
    space = hwnas.space(table.space.name, **table.space.arguments)
    names = list(dict.fromkeys(space.format(a) for a in space.sample(2 * count, seed=0)))[:count]
    rng = np.random.default_rng(0)
    arguments = dict(space.arguments)
    config = {"space": space.name, "data": "digits", "data_digest": "0", "deployed": arguments}
    config |= {"trained": arguments, "sharing": "slices", "steps": 600, "budget": ["latency<=6ms"]}
    table.save(folder / "table.json")
    (folder / "config.json").write_text(json.dumps(config))
    events = (
        {"event": "evaluated", "seconds": 1.0, "architecture": name, "accuracy": accuracy}
        for name, accuracy in zip(names, rng.beta(20, 3, len(names)).tolist(), strict=True)
    )
    (folder / "log.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))


def opened_ms(page: Path, home: Path) -> list[float]:
    """Milliseconds from opening the page until it can be used, in a browser that is warm."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = str(shutil.which("chromium"))
    for flag in (*FLAGS.split(), f"--user-data-dir={home / 'chromium'}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    env = {**os.environ, "HOME": str(home)}
    driver = webdriver.Chrome(options, Service(shutil.which("chromedriver"), env=env))
    try:
        times = []
        for _ in range(OPENINGS):
            driver.get(page.as_uri())
            ready = "return document.documentElement.dataset.ready"
            while (value := driver.execute_script(ready)) is None:
                time.sleep(0.01)
            times.append(float(value))
        assert not driver.get_log("browser"), "something stands in the console"
        return times
    finally:
        driver.quit()


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        page = Path(sys.argv[2]) if len(sys.argv) > 2 else folder / "report.html"
        write_run(folder, count)
        began, busy = time.perf_counter(), time.process_time()
        write_report([str(folder)], page)
        seconds, busy = time.perf_counter() - began, time.process_time() - busy
        size = page.stat().st_size / 1e6
        print(
            f"{count:,} networks: written in {seconds:.1f} s ({busy:.1f} s of CPU), {size:.2f} MB"
        )
        if shutil.which("chromium") is None or shutil.which("chromedriver") is None:
            print("not opened: no chromium with its chromedriver is installed")
            return
        times = opened_ms(page, folder)
        print(f"usable {min(times):.0f} to {max(times):.0f} ms after opening, {OPENINGS} openings")


if __name__ == "__main__":
    main()
