"""What stands on the page, read in a browser's document: the numbers of the files, and no more."""

import json

import numpy as np
import pytest

import hwnas
from hwnas.latency_tables import LatencyTable
from hwnas.predictors.breakdown import breakdown
from hwnas.report import write_report


@pytest.fixture(scope="module")
def shown(make_search, browser, tmp_path_factory):
    """The page of a finished search, and what its files say."""
    folder = make_search(tmp_path_factory.mktemp("shown") / "run")
    page = folder / "report.html"
    assert write_report([str(folder)], page) == [("run", "search")]
    return page, json.loads((folder / "result.json").read_text())


def test_the_answer_is_that_of_the_result(browser, shown):
    page, result = shown
    browser.open(page)
    keys = ("measured_ms", "predicted_ms", "accuracy", "test_accuracy", "macs", "params")
    assert browser.numbers(".facts") == [result[key] for key in keys]
    text = browser.run("return document.body.innerText")
    assert result["architecture"] in text
    # 1.96 sqrt(p (1 - p) / 400)
    noise = 1.96 * (result["accuracy"] * (1 - result["accuracy"]) / 400) ** 0.5
    assert f"± {100 * noise:.1f} points" in text
    assert "48 % used" in text  # 4.321 of 9 ms
    assert browser.complaints() == []
    assert browser.requests() == []


def test_the_blocks_are_those_of_the_breakdown_and_add_up(browser, shown, small_space):
    page, result = shown
    browser.open(page)
    table = LatencyTable.load(page.parent / "table.json")
    predictor = hwnas.load_predictor(table, small_space)
    found = breakdown(small_space, small_space.parse(result["architecture"]), predictor)
    milliseconds = browser.numbers(".parts td.ms")
    assert milliseconds[:-1] == [part.ms for part in found.parts]
    assert milliseconds[-1] == result["predicted_ms"] == found.predicted_ms
    assert sum(milliseconds[:-1]) == pytest.approx(result["predicted_ms"], rel=1e-12)
    widths = browser.run(
        "return [...document.querySelectorAll('.strip rect')].map((r) => r.getAttribute('width'))"
    )
    shares = [float(width.removesuffix("%")) for width in widths]
    positive = [part.ms for part in found.parts if part.ms > 0]
    assert shares == pytest.approx([100 * ms / sum(positive) for ms in positive], abs=1e-3)


def test_every_evaluated_network_is_there_as_it_was_logged(browser, shown, small_space):
    page, result = shown
    browser.open(page)
    data = json.loads(browser.run("return document.getElementById('data-1').textContent"))
    log = [json.loads(line) for line in (page.parent / "log.jsonl").read_text().splitlines()]
    logged = {e["architecture"]: e["accuracy"] for e in log if e["event"] == "evaluated"}
    size = len(data["decisions"])
    codes = [data["archs"][at : at + size] for at in range(0, len(data["archs"]), size)]
    archs = np.array([[int(digit, 36) for digit in code] for code in codes])
    assert [small_space.format(arch) for arch in archs] == list(logged)
    assert data["accuracies"] == list(logged.values())
    predictor = hwnas.load_predictor(LatencyTable.load(page.parent / "table.json"), small_space)
    assert data["costs"] == predictor.predict(archs).tolist()
    assert data["macs"] == small_space.macs(archs).tolist()
    (winner,) = data["winners"]
    assert small_space.format(archs[winner]) == result["architecture"]
    front = browser.numbers(".front")
    assert front[1::2] == sorted(set(front[1::2]))  # each costs more and is better
    assert front[0::2] == sorted(front[0::2])


POINT_AT = """
const data = JSON.parse(document.getElementById("data-1").textContent);
const over = document.querySelector("canvas.over"), box = over.getBoundingClientRect();
const at = arguments[0], edge = {left: 58, right: 14, top: 12, bottom: 44};
const share = (axis, value) => (value - axis.low) / (axis.high - axis.low);
const x = edge.left + share(data.x, data.costs[at]) * (box.width - edge.left - edge.right);
const y = box.height - edge.bottom
    - share(data.y, data.accuracies[at]) * (box.height - edge.top - edge.bottom);
const place = {clientX: box.x + x, clientY: box.y + y, bubbles: true};
over.dispatchEvent(new PointerEvent("pointermove", place));
over.dispatchEvent(new MouseEvent("click", place));
const rows = [...document.querySelectorAll(".sides tr")].slice(1);
return rows.map((row) => [...row.cells].map((cell) => cell.textContent));
"""


def test_pointing_at_a_network_shows_its_blocks_beside_the_winner(browser, shown, small_space):
    page, result = shown
    browser.open(page)
    data = json.loads(browser.run("return document.getElementById('data-1').textContent"))
    (winner,) = data["winners"]
    for other in (data["front"][0], 5):
        rows = browser.run(POINT_AT, other)
        ms, accuracy = data["costs"], data["accuracies"]
        assert rows[0][1:] == [
            f"{ms[winner]:.3f}", f"{ms[other]:.3f}", f"{ms[other] - ms[winner]:+.3f}"
        ]  # fmt: skip
        assert float(rows[1][3]) == pytest.approx(
            100 * (accuracy[other] - accuracy[winner]), abs=5e-3
        )
        tokens = small_space.format(small_space.parse(result["architecture"])).split("-")
        assert [row[1] for row in rows[4:]] == tokens
        size = len(tokens)
        code = data["archs"][other * size : (other + 1) * size]
        assert "-".join(row[2] for row in rows[4:]) == small_space.format(
            [[int(digit, 36) for digit in code]]
        )
    assert browser.complaints() == []


def test_a_phone_needs_no_scrolling_sideways(browser, shown):
    browser.open(shown[0], width=390)
    assert browser.run("return document.documentElement.scrollWidth") <= 390


def test_an_unfinished_search_is_shown_as_far_as_it_went(browser, make_search, tmp_path):
    folder = make_search(tmp_path / "run", finished=False)
    write_report([str(folder)], tmp_path / "report.html")
    browser.open(tmp_path / "report.html")
    text = browser.run("return document.body.innerText")
    assert "not finished" in text
    assert "trained for 30 of 30 steps, 40 networks evaluated" in text
    assert "Best so far" in text
    assert browser.numbers(".facts") == []
    assert browser.complaints() == []


def test_runs_are_compared_and_tables_beside_them(browser, make_search, small_table, tmp_path):
    one = make_search(tmp_path / "one")
    other = make_search(tmp_path / "other", result={"measured_ms": None, "measured": None})
    small_table.save(tmp_path / "mine.json")
    kinds = write_report([str(one), str(other), str(tmp_path / "mine.json")], tmp_path / "r.html")
    assert kinds == [("one", "search"), ("other", "search"), ("mine", "table")]
    browser.open(tmp_path / "r.html")
    results = [json.loads((run / "result.json").read_text()) for run in (one, other)]
    keys = ("predicted_ms", "measured_ms", "accuracy", "macs", "params")
    wanted = [r[key] for r in results for key in keys if r[key] is not None]
    assert browser.numbers(".compared") == wanted
    assert browser.complaints() == []


def test_thousands_of_networks_are_small_and_soon_there(browser, make_search, tmp_path):
    folder = make_search(tmp_path / "run", 1500)
    page = tmp_path / "report.html"
    write_report([str(folder)], page)
    assert page.stat().st_size < 500_000
    assert browser.open(page) < 10_000  # milliseconds, on a busy machine
    assert browser.run("return document.querySelectorAll('canvas').length") == 2


def test_an_own_metric_is_shown_as_it_is_and_not_its_score(browser, make_search, tmp_path):
    metric = {"metric": {"name": "mean error", "lower_is_better": True}}
    folder = make_search(tmp_path / "run")
    events = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    errors = [300 - 300 * e["accuracy"] for e in events if e["event"] == "evaluated"]
    scores = iter([-error for error in errors])
    for event in events:
        if event["event"] == "evaluated":
            event |= {"accuracy": next(scores), **metric}
    (folder / "log.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))
    result = json.loads((folder / "result.json").read_text())
    result |= {"accuracy": -min(errors), "test_accuracy": -77.5, **metric}
    result["random_paths"] = {"count": 10, "least": -90.0, "median": -80.0, "most": -70.0}
    (folder / "result.json").write_text(json.dumps(result))
    write_report([str(folder)], tmp_path / "report.html")
    browser.open(tmp_path / "report.html")
    data = json.loads(browser.run("return document.getElementById('data-1').textContent"))
    assert data["accuracies"] == errors
    assert browser.numbers(".facts")[2:4] == [min(errors), 77.5]
    text = browser.run("return document.body.innerText")
    assert "validation mean error" in text
    assert "10 random networks: 90 to 70" in text
    rows = browser.run(POINT_AT, 5)
    assert rows[1][0] == "mean error"
    assert float(rows[1][2]) == pytest.approx(errors[5], abs=1e-4)
    assert browser.complaints() == []
