"""A real browser for all tests of the page, and runs to report that took no training."""

import contextlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("jinja2")

CHROMIUM, DRIVER = (shutil.which(name) for name in ("chromium", "chromedriver"))
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run "
    "--disable-background-networking --disable-component-update --disable-sync"
)


class Browser:
    """Opens a page, and tells what the browser said of it."""

    def __init__(self, driver: Any):
        self.driver = driver

    def open(self, page: Path, *, width: int = 1280) -> float:
        """Show a page; returns the milliseconds from its start until it can be used."""
        self.driver.get_log("browser"), self.driver.get_log("performance")
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        self.driver.get(page.as_uri())
        return float(
            self.driver.execute_async_script(
                "const done = arguments[0], root = document.documentElement;"
                "const look = () => root.dataset.ready ? done(root.dataset.ready)"
                " : requestAnimationFrame(look); look();"
            )
        )

    def run(self, script: str, *arguments: Any) -> Any:
        """The value of a script in the page."""
        return self.driver.execute_script(script, *arguments)

    def numbers(self, where: str) -> list[float]:
        """The numbers behind the texts of all elements of a CSS selector."""
        script = "return [...document.querySelectorAll(arguments[0])].map((e) => e.value)"
        return [float(value) for value in self.run(script, f"{where} data")]

    def complaints(self) -> list[str]:
        """What stands in the console."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def requests(self) -> list[str]:
        """What was asked for beside the page itself, but for the browser's own first page."""
        events = (json.loads(e["message"])["message"] for e in self.driver.get_log("performance"))
        sent = [e["params"] for e in events if e["method"] == "Network.requestWillBeSent"]
        urls = [e["request"]["url"] for e in sent if not e["documentURL"].startswith("chrome:")]
        return [url for url in urls if not url.startswith(("file:", "data:"))]


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    if CHROMIUM is None or DRIVER is None:
        pytest.skip(
            "no chromium with its chromedriver is installed: apt-get install chromium-driver"
        )
    webdriver = pytest.importorskip("selenium.webdriver")
    from selenium.webdriver.chrome.service import Service

    home = tmp_path_factory.mktemp("chromium")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in (*FLAGS.split(), f"--user-data-dir={home}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options, Service(DRIVER, env={**os.environ, "HOME": str(home)}))
    driver.set_script_timeout(60)
    yield Browser(driver)
    with contextlib.suppress(OSError):
        driver.quit()


@pytest.fixture(scope="session")
def make_search(small_space: Any, small_table: Any) -> Callable[..., Path]:
    """Writes the folder of a search of the small space, as `hwnas search` leaves it."""
    from hwnas import load_predictor

    predictor = load_predictor(small_table, small_space)

    def make(folder: Path, count: int = 40, *, finished: bool = True, **changes: Any) -> Path:
        folder.mkdir(parents=True)
        archs = small_space.sample(count, seed=1)
        names = list(dict.fromkeys(small_space.format(arch) for arch in archs))
        accuracies = {name: 0.5 + (7 * at % 40) / 100 for at, name in enumerate(names)}
        winner = max(accuracies, key=accuracies.__getitem__)
        arch = small_space.parse(winner)[None]
        arguments = dict(small_space.arguments)
        config = {
            "space": small_space.name,
            "data": "digits",
            "data_digest": "0",
            "deployed": arguments,
            "trained": arguments,
            "sharing": "slices",
            "steps": 30,
            "method": "spos",
            "seed": 3,
            "population": 10,
            "budget": ["latency<=9ms"],
            "table": "0",
            **changes.get("config", {}),
        }
        events: list[dict[str, Any]] = [{"event": "start", "seconds": 0.0}]
        events += [
            {"event": "trained", "seconds": 1.0, "step": step, "loss": 3 / step}
            for step in (10, 20, 30)
        ]
        events += [
            {"event": "evaluated", "seconds": 2.0, "architecture": name, "accuracy": accuracy}
            for name, accuracy in accuracies.items()
        ]
        result = {
            "method": "spos",
            "space": small_space.name,
            "architecture": winner,
            "predicted_ms": float(predictor.predict(arch)[0]),
            "predicted_interval_ms": predictor.predict_interval(arch)[0].tolist(),
            "measured_ms": 4.321,
            "measured": {"latency_ms": 4.321, "relative_error": 0.01},
            "budget": config["budget"],
            "macs": int(small_space.macs(arch)[0]),
            "params": int(small_space.params(arch)[0]),
            "accuracy": accuracies[winner],
            "test_accuracy": 0.777,
            "validation_images": 400,
            "random_paths": {"count": 10, "least": 0.5, "median": 0.6, "most": 0.7},
            "target": "a device",
            "weights": "from the supernet",
            "seconds": 12.0,
            "seed": 3,
            "deployed": arguments,
            "files": {},
            "architectures_evaluated": len(names),
            "networks_measured": 1,
            **changes.get("result", {}),
        }
        small_table.save(folder / "table.json")
        (folder / "config.json").write_text(json.dumps(config))
        (folder / "log.jsonl").write_text("".join(json.dumps(e) + "\n" for e in events))
        if finished:
            (folder / "result.json").write_text(json.dumps(result))
        return folder

    return make
