"""What a path is, and what is said of one that is nothing."""

import json
import shlex
import sys

import numpy as np
import pytest

from hwnas import spaces
from hwnas.errors import CheckpointError, MissingPackageError, OptionError
from hwnas.report import Latencies, write_report
from hwnas.report.curves import alpha_charts, search_chart
from hwnas.report.repeat import command_of
from hwnas.report.searched import read_search
from hwnas.report.sources import open_source, open_sources, same_decisions


def test_what_is_no_run_is_named(tmp_path):
    with pytest.raises(CheckpointError, match=r"no run \(it holds no config.json\)"):
        open_source(str(tmp_path))
    with pytest.raises(CheckpointError, match="there is nothing at"):
        open_source(str(tmp_path / "gone"))
    (tmp_path / "x.json").write_text("[1, 2]")
    with pytest.raises(CheckpointError, match=r"x.json"):
        open_source(str(tmp_path / "x.json"))


def test_two_spaces_are_refused(make_search, tmp_path):
    run = make_search(tmp_path / "run")
    with pytest.raises(OptionError, match="decisions are others"):
        open_sources([str(run), "amd-epyc-1thread"])


def test_a_proxy_has_the_decisions_of_its_space():
    darts = spaces.space("darts-s1")
    proxy = spaces.proxy(darts, 16, 10, 0.25)
    assert proxy.decisions != darts.decisions  # its poolings have batch-norms
    assert same_decisions(proxy, darts)
    assert not same_decisions(darts, spaces.space("darts-s2"))


def test_without_a_table_the_costs_are_macs(make_search, tmp_path, small_space):
    run = make_search(tmp_path / "run")
    table = str((run / "table.json").rename(tmp_path / "mine.json"))
    found = read_search(run)
    assert found.evaluated.latency_ms is None
    assert (found.evaluated.costs == small_space.macs(found.evaluated.archs) / 1e6).all()
    given = read_search(run, Latencies(table=table))
    assert (given.evaluated.latency_ms > 0).all()


def test_a_page_without_jinja_says_what_to_install(make_search, tmp_path, monkeypatch):
    run = make_search(tmp_path / "run")
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(MissingPackageError, match=r"pip install 'hwnas\[report\]'"):
        write_report([str(run)], tmp_path / "report.html")
    assert not (tmp_path / "report.html").exists()


def test_measured_models(tmp_path):
    model = {
        "label": "a.onnx",
        "target": {"device": "a cpu"},
        "steady_ms": 1.0,
        "median_ms": 1.25,
        "interval_ms": [1.0, 1.5],
        "p90_ms": 2.0,
        "p99_ms": 3.0,
        "runs": 100,
    }
    content = {"models": [model], "comparisons": [], "not_measured": {}, "remarks": []}
    (tmp_path / "m.json").write_text(json.dumps(content))
    assert write_report([str(tmp_path / "m.json")], tmp_path / "r.html") == [("m", "models")]
    assert '<data value="1.25">1.250</data>' in (tmp_path / "r.html").read_text()
    (tmp_path / "m.json").write_text(json.dumps({**content, "models": [{**model, "runs": -1}]}))
    with pytest.raises(CheckpointError, match="runs"):
        open_source(str(tmp_path / "m.json"))


def test_the_command_names_what_is_not_the_default(make_search, tmp_path):
    changes = {"top": 4, "sampler": "balanced", "confidence": 0.9, "bins": None}
    run = make_search(tmp_path / "a run", config={"budget": ["latency<=9ms"], **changes})
    words = shlex.split(command_of(read_search(run)))
    assert words[:4] == ["hwnas", "search", "--latency", "9ms"]
    given = dict(zip(words[2::2], words[3::2], strict=False))
    assert given["--sampler"] == "balanced"
    assert given["--parents"] == "4"
    assert given["--confidence"] == "0.9"
    assert given["--steps"] == "30"
    assert given["--seed"] == "3"
    assert given["--table"] == str(run / "table.json")
    assert "--generations" not in words  # the default
    assert "--method" not in words


@pytest.mark.parametrize(
    ("written", "typed"),
    [({}, "0.0"), ({"neighbour_share": 0.0}, "0.0"), ({"neighbour_share": 0.3}, "0.3")],
)
def test_the_command_names_the_share_of_neighbours_of_the_vae(
    make_search, tmp_path, written, typed
):
    run = make_search(tmp_path / "run", config={"searcher": "vae", **written})
    words = shlex.split(command_of(read_search(run)))
    assert words[words.index("--neighbour-share") + 1] == typed


def test_probabilities_are_the_softmax_of_what_was_logged(make_search, tmp_path):
    run = make_search(tmp_path / "run")
    rows = [[0.0, np.log(3.0), None, None, None, None, None]] * 4
    with (run / "log.jsonl").open("a") as log:
        for step in (10, 20):
            event = {"event": "alpha", "seconds": 3.0, "step": step, "expected": [], "beta": []}
            log.write(json.dumps({**event, "alpha": rows, "trained": [[1] * 7] * 4}) + "\n")
    charts = alpha_charts(read_search(run))
    assert [chart.title for chart in charts] == ["blocks.0", "blocks.1", "blocks.2", "blocks.3"]
    first = charts[0]
    heights = [[float(pair.split(",")[1]) for pair in line.points.split()] for line in first.lines]
    assert [len(height) for height in heights[:3]] == [2, 2, 0]  # one that is pruned has no line
    quarter, three_quarters = (first.y.y(share) for share in (0.25, 0.75))
    assert heights[0] == [quarter] * 2
    assert heights[1] == [three_quarters] * 2
    assert charts[2].named == ()  # a legend once is enough


def test_the_best_so_far_never_falls(make_search, tmp_path):
    found = read_search(make_search(tmp_path / "run"))
    chart = search_chart(found, None)
    (best,) = (line for line in chart.lines if line.name == "best so far")
    heights = [float(pair.split(",")[1]) for pair in best.points.split()]
    assert heights == sorted(heights, reverse=True)  # pixels count from the top
    assert heights[-1] == chart.y.y(found.evaluated.accuracies.max())
    assert [rule.name for rule in chart.rules] == [
        "random: least",
        "random: median",
        "random: most",
    ]
    assert [rule.ends[0][1] for rule in chart.rules] == [chart.y.y(a) for a in (0.5, 0.6, 0.7)]
