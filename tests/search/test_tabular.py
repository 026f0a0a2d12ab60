"""Searches against a tabular benchmark: nothing is trained, measured, or made up."""

import csv
import json
import re
from itertools import product
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import hwnas
from hwnas import spaces
from hwnas.errors import (
    CheckpointError,
    DataError,
    InfeasibleBudgetError,
    OptionError,
)
from hwnas.search.looked_up import Accuracies
from hwnas.search.runs.stored import StoredRun
from hwnas.search.searchers.random_search import RandomSearch
from hwnas.spaces.tabulated import ArchitectureTable

SPACE = spaces.space("nasbench201")
EVERY = np.array(list(product(range(5), repeat=6)))
QUICK = {"population": 20, "generations": 4, "parents": 5, "progress": lambda *_: None}


def truth():
    """Accuracies in percent and latencies in ms of all architectures, with noise on both."""
    rng = np.random.default_rng(0)
    size = SPACE.macs(SPACE.layout.cell.live(EVERY)) / 1e6
    accuracies = np.round(95 - 40 / (1 + size / 10) + rng.normal(0, 0.5, len(EVERY)), 3)
    latencies = np.round(1 + SPACE.macs(EVERY) / 2e7 + rng.uniform(0, 0.5, len(EVERY)), 4)
    return np.minimum(accuracies, 99), latencies


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The two files, with headers as the published ones have them; and one with fewer rows."""
    folder = tmp_path_factory.mktemp("tables")
    accuracies, latencies = truth()
    paths = SimpleNamespace(
        accuracies=folder / "acc.csv", latencies=folder / "ms.csv", some=folder / "some.csv"
    )
    with paths.accuracies.open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(["idx", "arch_str", "cifar10_test_200", "share"])
        for at, (arch, value) in enumerate(zip(EVERY, accuracies, strict=True)):
            out.writerow([at, SPACE.format(arch), value, value / 100])
    for path, step in ((paths.latencies, 1), (paths.some, 7)):
        with path.open("w", newline="") as file:
            out = csv.writer(file)
            out.writerow(["idx", "titanxp_32"])
            out.writerows([at, latencies[at]] for at in range(0, len(EVERY), step))
    return paths


@pytest.fixture
def tables(files):
    return {
        "accuracies": f"{files.accuracies}:cifar10_test_200",
        "latencies": f"{files.latencies}:titanxp_32",
    }


def find(tables, out, *budgets, **settings):
    settings = {**QUICK, **tables, **settings}
    return hwnas.find_network("nasbench201", None, budgets or ["latency<=4ms"], out=out, **settings)


def test_the_result_is_looked_up_and_the_run_holds_no_training(tables, tmp_path):
    result = find(tables, tmp_path / "run")
    accuracies, latencies = truth()
    at = int(np.flatnonzero((result.arch == EVERY).all(axis=1))[0])
    assert result.content["looked_up"] == {
        "accuracy": {"table": "acc.csv:cifar10_test_200", "value": accuracies[at], "unit": "%"},
        "latency": {"table": "ms.csv:titanxp_32", "value": latencies[at], "unit": "ms"},
    }
    assert result.accuracy == accuracies[at] / 100
    assert result.predicted_ms == latencies[at] <= 4
    assert result.measured_ms is None
    assert result.content["test_accuracy"] is None
    within = latencies <= 4
    assert accuracies[within & SPACE.connected(EVERY)].max() - accuracies[at] < 1
    assert result.content["feasible_share"] == np.sum(within & SPACE.connected(EVERY)) / 5**6
    assert sorted(p.name for p in result.folder.iterdir()) == [
        *("accuracy_latency.png", "best.onnx", "config.json", "log.jsonl", "result.json"),
    ]
    printed = str(result)
    assert f"{accuracies[at]:g} %, looked up in acc.csv:cifar10_test_200" in printed
    assert "measured " not in printed.replace("second measurement", "")
    assert SPACE.to_onnx(result.arch)[:8] == result.onnx[:8]
    with pytest.raises(CheckpointError, match=r"no network of .* was trained"):
        _ = result.proxy_module
    assert sum(p.numel() for p in result.module.parameters()) == result.content["params"]


def test_a_killed_search_goes_on_to_the_same_network(tables, tmp_path):
    whole = find(tables, tmp_path / "run")
    log = (whole.folder / "log.jsonl").read_text().splitlines(keepends=True)
    (whole.folder / "result.json").unlink()
    (whole.folder / "log.jsonl").write_text("".join(log[:30]) + log[30][:9])
    again = find(tables, tmp_path / "run")
    left_out = ("seconds",)
    for name in whole.content.keys() - set(left_out):
        assert again.content[name] == whole.content[name], name
    picture = whole.folder / "accuracy_latency.png"
    picture.unlink()
    assert find(tables, tmp_path / "run").architecture == whole.architecture
    assert picture.exists()
    read = find(tables, tmp_path / "run").content  # finished: it is read
    assert read == json.loads((whole.folder / "result.json").read_text())


def test_other_numbers_are_another_run(tables, files, tmp_path):
    find(tables, tmp_path / "run")
    for changed in ({"accuracies": f"{files.accuracies}:share"}, {"missing": "infeasible"}):
        with pytest.raises(CheckpointError, match="holds a run with other settings"):
            find({**tables, **changed}, tmp_path / "run")


def test_percent_and_shares_are_told_apart(files, tables, tmp_path):
    percent = find(tables, tmp_path / "percent")
    share = find({**tables, "accuracies": f"{files.accuracies}:share"}, tmp_path / "share")
    assert share.architecture == percent.architecture
    assert share.accuracy == pytest.approx(percent.accuracy)
    assert share.content["looked_up"]["accuracy"]["unit"] == "0 to 1"
    with pytest.raises(DataError, match="accuracies are 0 to 1, or 0 to 100 %, got 101"):
        Accuracies(ArchitectureTable(SPACE, EVERY[:2], [101, 50]))


def test_rows_that_lack_are_an_error_or_infeasible_as_asked(files, tables, tmp_path):
    lacking = {**tables, "latencies": f"{files.some}:titanxp_32"}
    with pytest.raises(DataError, match=r"has rows of 2,233 of the 15,625 .* --missing infeasible"):
        find(lacking, tmp_path / "run")
    assert not (tmp_path / "run").exists()
    result = find(lacking, tmp_path / "run", missing="infeasible")
    assert np.flatnonzero((result.arch == EVERY).all(axis=1))[0] % 7 == 0
    lines = (result.folder / "log.jsonl").read_text().splitlines()
    asked = [json.loads(line) for line in lines if '"evaluated"' in line]
    rows = {SPACE.format(arch) for arch in EVERY[::7]}
    assert {event["architecture"] for event in asked} <= rows


def test_the_largest_network_stands_beside_the_winner(tables, tmp_path):
    accuracies, latencies = truth()
    result = find(tables, tmp_path / "run")
    largest = result.content["largest"]
    kept = (latencies <= 4) & SPACE.connected(EVERY)
    assert largest["exact"]
    assert largest["macs"] == SPACE.macs(EVERY[kept]).max()
    arch = SPACE.parse(largest["architecture"])
    at = int(np.flatnonzero((arch == EVERY).all(axis=1))[0])
    assert largest["accuracy"] == accuracies[at] / 100
    better = result.accuracy - largest["accuracy"]
    word = f"better by {100 * better:.1f} points" if better > 0 else "the winner"
    assert word in str(result)


@pytest.mark.parametrize("searcher", ["evolution", "random"])
def test_budgets_that_need_no_latency_need_no_table_of_it(files, tmp_path, searcher):
    accuracies = f"{files.accuracies}:cifar10_test_200"
    result = find(
        {"accuracies": accuracies}, tmp_path / "run", "macs<=60M", "params<=0.5M", searcher=searcher
    )
    assert result.content["macs"] <= 60e6
    assert result.content["params"] <= 0.5e6
    assert result.content["predicted_ms"] is None
    assert np.isnan(result.predicted_ms)
    assert "not asked for" in str(result)


def test_a_confidence_goes_by_the_noise_of_twins(tables, tmp_path):
    result = find(tables, tmp_path / "run", confidence=0.9)
    predictor = hwnas.search.looked_up.read(SPACE, **tables, missing="error").latencies
    assert predictor.predict_interval(result.arch[None], 0.9)[0, 1] <= 4
    low, high = result.predicted_interval_ms
    assert low < result.predicted_ms < high


def test_what_would_train_is_refused_before_there_is_a_folder(tables, tmp_path):
    for settings, complaint in (
        ({"method": "betanas"}, "method betanas trains networks, and accuracies are looked up"),
        ({"finalists": 3}, "finalists are trained, and accuracies are looked up"),
    ):
        with pytest.raises(OptionError, match=complaint):
            hwnas.find_network(
                "nasbench201", None, ["latency<=4ms"], out=tmp_path / "run", **settings, **tables
            )
    with pytest.raises(OptionError, match="leave --data out"):
        hwnas.find_network("nasbench201", "digits", ["latency<=4ms"], **QUICK, **tables)
    with pytest.raises(OptionError, match="trains on data, or looks accuracies up"):
        hwnas.find_network("nasbench201", None, ["macs<=60M"], **QUICK)
    with pytest.raises(OptionError, match="are of --latencies or of --table"):
        find(tables, tmp_path / "run", predictor="amd-epyc-1thread")
    with pytest.raises(InfeasibleBudgetError, match=r"keeps latency<=0.5ms: the least is"):
        find(tables, tmp_path / "run", "latency<=0.5ms")
    assert not (tmp_path / "run").exists()


def test_nothing_is_trained_with_such_a_run_afterwards(tables, tmp_path):
    source = StoredRun.open(find(tables, tmp_path / "run").folder)
    with pytest.raises(
        CheckpointError,
        match=r"were looked up in acc.csv:cifar10",
    ):
        source.data()
    with pytest.raises(CheckpointError, match="holds no supernet"):
        source.supernet()


def test_a_search_without_tables_says_nothing_of_them_in_its_configuration(tmp_path):
    from hwnas.search.job import Request, prepare
    from hwnas.search.options import SearchOptions

    job = prepare(Request("nasbench201", "digits", ["macs<=60M"], settings={"steps": 3}))
    assert job.accuracies is None
    assert job.options == SearchOptions()
    assert (
        job.out.name
        == prepare(
            Request(
                "nasbench201", "digits", ["macs<=60M"], settings={"steps": 3, "missing": "error"}
            )
        ).out.name
    )


def test_the_examples_of_the_docs_run(files, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nb201_archs_accuracy.csv.gz").write_bytes(files.accuracies.read_bytes())
    (tmp_path / "nb201_latency.csv.gz").write_bytes(files.latencies.read_bytes())
    text = (Path(__file__).parents[2] / "docs" / "tabular.md").read_text()
    names = {"my_searcher": lambda feasible: RandomSearch(feasible, 0)}
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len(blocks) == 2
    for block in blocks:
        exec(block, names)
    assert names["result"].predicted_ms <= 7
    _, latencies = truth()
    assert names["feasible"].count == np.sum((latencies <= 7) & SPACE.connected(EVERY))


def test_a_search_by_the_vae_goes_on_as_an_earlier_version_began_it(tables, tmp_path, monkeypatch):
    monkeypatch.setattr("hwnas.search.searchers.proposals.RANDOM_PATHS", 20)
    asked = {"searcher": "vae", "generations": 2}
    folder = tmp_path / "old"
    config, log = folder / "config.json", folder / "log.jsonl"

    def evaluated():
        events = map(json.loads, log.read_text().splitlines())
        return [e["architecture"] for e in events if e["event"] == "evaluated"]

    find(tables, folder, neighbour_share=0.0, **asked)
    whole, written = evaluated(), json.loads(config.read_text())
    assert len(whole) == 40
    # as it was written, when there was no such setting, and killed
    assert written.pop("neighbour_share") == 0
    config.write_text(json.dumps(written))
    (folder / "result.json").unlink()
    log.write_text("".join(log.read_text().splitlines(keepends=True)[:12]))
    find(tables, folder, **asked)
    assert evaluated() == whole
    assert json.loads(config.read_text()) == written
    with pytest.raises(CheckpointError, match=r"neighbour_share was None and is now 0\.3"):
        find(tables, folder, neighbour_share=0.3, **asked)

    # one that begins now says it at once
    def kill(*_):
        raise InterruptedError

    with pytest.raises(InterruptedError):
        find(tables, tmp_path / "new", **asked, progress=kill)
    begun = json.loads((tmp_path / "new" / "config.json").read_text())
    assert begun == {**written, "neighbour_share": 0.3}
