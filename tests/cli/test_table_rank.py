"""A supernet's ranking against a table, as a user types it."""

import json

import numpy as np
import pytest

import hwnas as package
from hwnas import spaces

SPACE = spaces.space("nasbench201")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A supernet that was trained for two steps."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("hwnas.search.searchers.proposals.RANDOM_PATHS", 2)
        patched.setattr("hwnas.search.candidates.evaluation._CALIBRATION_IMAGES", 16)
        patched.setattr("hwnas.search.candidates.evaluation._VALIDATION_IMAGES", 40)
        archs = np.unique(SPACE.sample(300, seed=1), axis=0)
        folder = tmp_path_factory.mktemp("rank")
        rows = [
            f"{SPACE.format(a)},{20 + size / 1e7},{1 + at / 100}"
            for at, (a, size) in enumerate(zip(archs, SPACE.macs(archs), strict=True))
        ]
        table = folder / "table.csv"
        table.write_text("\n".join(["arch,accuracy,ms", *rows]))
        package.find_network(
            "nasbench201",
            "digits",
            ["latency<=1s"],
            latencies=f"{table}:ms",
            missing="infeasible",
            out=folder / "run",
            proxy_input_size=8,
            proxy_width=0.5,
            steps=2,
            batch_size=16,
            population=2,
            generations=1,
            progress=lambda *_: None,
        )
        yield folder / "run", table


def test_a_ranking_against_a_table_trains_nothing_and_goes_on(hwnas, run):
    folder, table = run
    words = ("rank", str(folder), "--accuracies", f"{table}:accuracy", "--missing", "infeasible")
    words += ("--latencies", f"{table}:ms", "--count", "24", "--json")
    status, out, said = hwnas(*words)
    assert status == 0, said
    result = json.loads(out)
    assert result["count"] == len({e["architecture"] for e in result["architectures"]}) == 24
    archs = np.array([SPACE.parse(e["architecture"]) for e in result["architectures"]])
    assert SPACE.connected(archs).all()
    told = [e["true_accuracy"] for e in result["architectures"]]
    assert told == pytest.approx((20 + SPACE.macs(archs) / 1e7) / 100)
    assert set(result["agreement"]) == {"supernet", "live MACs", "live params"}
    assert result["bands"]["count"] == 2
    assert result["bands"]["by"] == "table.csv:ms"
    home = folder / "rank-table"
    assert (home / "rank.png").read_bytes().startswith(b"\x89PNG")
    kinds = [json.loads(line)["event"] for line in (home / "log.jsonl").read_text().splitlines()]
    assert kinds.count("evaluated") == 24
    assert "trained alone" not in kinds
    status, out, said = hwnas(*words)
    assert json.loads(out) == result
    assert "this check is finished" in said
    status, out, _ = hwnas(*words[:-1])
    assert status == 0
    assert "live params" in out
    assert "2 bands of equal table.csv:ms" in " ".join(out.split())


def test_flags_that_say_nothing_are_refused(hwnas, run):
    folder, table = run
    accuracies = ("--accuracies", f"{table}:accuracy")
    for words, complaint in (
        ((*accuracies, "--steps", "9"), "--steps is of training"),
        (("--latencies", f"{table}:ms"), "--latencies goes together with --accuracies"),
        (accuracies, "of the 15,625 architectures of nasbench201"),
        (("--accuracies", f"{table}:none"), "its columns are arch, accuracy, ms"),
    ):
        status, _, said = hwnas("rank", str(folder), *words)
        assert status == 2
        assert complaint in said
        assert not (folder / "rank").exists()


def test_tables_do_not_go_together_with_a_trained_supernet_and_a_run_of_them_has_none(
    hwnas, run, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    folder, table = run
    words = ("--accuracies", f"{table}:accuracy", "--missing", "infeasible")
    again = ("search", "--supernet", str(folder), "--macs", "60M")
    status, _, said = hwnas(*again, *words)
    assert status == 2
    assert "--accuracies does not go together with --supernet" in said
    status, out, said = hwnas(
        *("search", "--space", "nasbench201", "--macs", "60M", "--generations", "2"),
        *("--population", "5", "--out", "tabular", *words),
    )
    assert status == 0, said
    assert "looked up in table.csv:accuracy" in " ".join(out.split())
    for command in ("train", "rank"):
        status, _, said = hwnas(command, "tabular")
        assert status == 2
        assert "looked up" in said or "holds no supernet" in said
        assert said.count("error: ") == 1
