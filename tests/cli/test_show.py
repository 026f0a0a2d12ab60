"""``hwnas show``: where a network's milliseconds go, in the terminal and as JSON."""

import json

import numpy as np
import pytest

import hwnas as package
from hwnas.kernels import count_model_macs
from hwnas.predictors import load_predictor
from hwnas.profilers.random_networks import random_network

CELLS = package.space("nasbench201")
CELL = "|nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_1x1~1|none~2|"
GENOTYPE = (
    "Genotype(normal=[('sep_conv_3x3', 0), ('skip_connect', 1), ('sep_conv_3x3', 0), "
    "('dil_conv_3x3', 2), ('sep_conv_3x3', 1), ('dil_conv_3x3', 3), ('sep_conv_3x3', 3), "
    "('sep_conv_3x3', 4)], normal_concat=range(2, 6), reduce=[('max_pool_3x3', 0), "
    "('avg_pool_3x3', 1), ('sep_conv_3x3', 0), ('max_pool_3x3', 1), ('dil_conv_5x5', 1), "
    "('sep_conv_3x3', 3), ('sep_conv_3x3', 3), ('skip_connect', 4)], reduce_concat=range(2, 6))"
)


@pytest.fixture
def table(small_table, tmp_path):
    path = tmp_path / "small.json"
    small_table.save(path)
    return str(path)


def rows_of(out):
    """The lines between the two rules of a table, and the last one, in words."""
    lines = [line for line in out.splitlines() if line.strip()]
    at = next(n for n, line in enumerate(lines) if set(line.strip()) == {"─"})
    return [line.split() for line in lines[at + 1 :]]


def test_the_parts_of_an_architecture_add_up_to_what_predict_says(
    hwnas, table, small_table, small_space
):
    text = "k5e3-skip-k3e6-k7e6"
    status, out, _ = hwnas("show", text, "--table", table, "--json")
    told = json.loads(out)
    assert status == 0
    (said,) = json.loads(hwnas("predict", text, "--table", table, "--json")[1])
    for key in ("architecture", "predicted_ms", "interval_ms", "macs", "params", "notes"):
        assert told[key] == said[key]
    for key, total in (("ms", "predicted_ms"), ("macs", "macs"), ("params", "params")):
        assert sum(part[key] for part in told["parts"]) == pytest.approx(told[total])
    status, out, said = hwnas("show", text, "--table", table)
    assert status == 0
    assert max(map(len, out.splitlines())) <= 80
    rows = rows_of(out)
    assert rows[0][0] == "stem"
    block = next(row for row in rows if row[0] == "blocks.1")
    part = next(part for part in told["parts"] if part["name"] == "blocks.1")
    assert block[:2] == ["blocks.1", "skip"]
    assert block[2] == "0.000"
    best = part["alternatives"][0]
    assert block[-2:] == [best["choice"], f"{best['ms_change']:+.3f}"]
    total = next(row for row in rows if row[0] == "total")
    assert total[1] == f"{told['predicted_ms']:.3f}"
    assert f"{told['interval_ms'][0]:.3f} to {told['interval_ms'][1]:.3f} ms" in out
    assert "target: " in said


def test_bars_are_as_long_as_the_parts(hwnas, table):
    words = ("show", "k7e6-skip-k3e3-k7e6", "--table", table)
    ms = {part["name"]: part["ms"] for part in json.loads(hwnas(*words, "--json")[1])["parts"]}
    bars = {row[0]: sum(word.count("#") for word in row) for row in rows_of(hwnas(*words)[1])}
    for name in ("stem", "blocks.0", "blocks.1", "blocks.2", "blocks.3", "head"):
        assert bars[name] == round(6 * ms[name] / max(ms.values()))
    assert max(bars.values()) == 6


def test_without_a_table_no_latency_is_shown_and_it_is_said(hwnas):
    status, out, said = hwnas("show", CELL, "--space", "nasbench201", "--cells", "2")
    assert status == 0
    assert "no latency is shown" in said
    assert "--table" in said
    assert "ms" not in out.split()
    (total,) = (row for row in rows_of(out) if row[0] == "total")
    space = package.space("nasbench201", cells=2)
    assert total[1] == f"{space.macs(space.parse(CELL))[0] / 1e6:.1f}M"
    status, out, _ = hwnas("show", CELL, "--space", "nasbench201", "--json")
    assert json.loads(out)["predicted_ms"] is None


def test_an_architecture_may_be_longer_than_any_path(hwnas):
    status, out, said = hwnas("show", GENOTYPE, "--space", "darts")
    assert (status, "total" in out) == (0, True), said
    words = ("predict", GENOTYPE, "--table", "v100-tensorrt-fp32", "--space", "proxyless")
    status, _, said = hwnas(*words)
    assert status == 2
    assert "not an architecture of proxyless" in said


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("k3e3",), "give its space with --space"),
        (("k3e3", "--space", "nope"), "unknown space 'nope'"),
        (("k3e3", "--space", "proxyless"), "21 tokens"),
        (("k3e3", "--table", "nope"), "no latency table at 'nope'"),
        (("k3e3", "--table", "v100-tensorrt-fp16"), "--space NAME"),
        (("k3e3", "--table", "amd-epyc-1thread", "--batch", "4"), "--batch is of engines"),
        (("k3e3", "--table", "a", "--latencies", "b"), "leave one of them out"),
        (("k3e3", "--space", "fbnet", "--table", "amd-epyc-1thread"), "is not in the table"),
        (("k3e3", "--space", "fbnet", "--shape", "1x3x8x8"), "--shape belongs to ONNX models"),
        (("k3e3", "--space", "fbnet", "--latencies", "no.csv:ms"), "no.csv"),
        (("none.onnx",), "no ONNX model at 'none.onnx'"),
        (("none.onnx", "--latencies", "a.csv:ms"), "--latencies belongs to architectures"),
        (("none.onnx", "--space", "fbnet"), "--space belongs to architectures"),
        (("none.onnx", "--input-size", "64"), "--input-size belongs to architectures"),
        (("k3e3", "--space", "fbnet", "--batch", "4"), "--batch is of engines"),
        ((".", "--shape", "1x3x8x8"), "--shape belongs to ONNX models"),
        ((".", "--cells", "2"), "--cells belongs to architectures: a run has its own"),
        ((".", "--batch", "4"), "--batch is of engines"),
        (("folder",), "there is no run in folder"),
    ],
)
def test_what_is_wrong_is_said(hwnas, tmp_path, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    status, out, said = hwnas("show", *words)
    assert (status, out) == (2, "")
    assert message in said


def test_a_space_that_is_typed_is_that_which_is_predicted(hwnas):
    status, _, said = hwnas("predict", "skip", "--table", "amd-epyc-1thread", "--space", "fbnet")
    assert status == 2
    assert "FBNetBlock" in said  # and not that it is no architecture of proxyless


@pytest.fixture(scope="module")
def looked_up(tmp_path_factory):
    """A finished search among 300 networks of which all is known, and the file."""
    folder = tmp_path_factory.mktemp("tabular")
    path = folder / "nb.csv"
    archs = np.unique(CELLS.sample(300, seed=0), axis=0)
    macs = CELLS.macs(archs)
    lines = [
        f"{CELLS.format(arch)},{50 + m / 1e7},{1 + m / 1e8}"
        for arch, m in zip(archs, macs, strict=True)
    ]
    path.write_text("\n".join(["arch,accuracy,ms", *lines]) + "\n")
    package.find_network(
        "nasbench201",
        None,
        ["latency<=2ms"],
        accuracies=f"{path}:accuracy",
        latencies=f"{path}:ms",
        missing="infeasible",
        out=folder / "run",
        population=10,
        generations=2,
        parents=3,
        progress=lambda *_: None,
    )
    return folder


def test_a_run_shows_its_winner(hwnas, looked_up):
    found = json.loads((looked_up / "run" / "result.json").read_text())
    status, out, said = hwnas("show", str(looked_up / "run"))
    assert status == 0
    assert out.startswith(found["architecture"])
    assert f"the run's result: latency {found['predicted_ms']:.3f} ms, looked up" in said
    assert "no latency is shown" in said
    words = ("show", str(looked_up / "run"), "--latencies", f"{looked_up / 'nb.csv'}:ms")
    status, out, said = hwnas(*words, "--json")
    told = json.loads(out)
    assert told["predicted_ms"] == told["result"]["predicted_ms"] == found["predicted_ms"]
    assert told["result"]["measured_ms"] is None
    shares = [part["ms"] for part in told["parts"] if part["ms"] is not None]
    assert sum(shares) == pytest.approx(told["predicted_ms"])
    assert "tells no parts" in told["note"]
    assert "tells no parts" in hwnas(*words)[2]


def test_a_run_goes_by_its_own_table_or_by_one_that_is_typed(
    hwnas, looked_up, small_table, small_space
):
    run = looked_up / "run"
    small_table.save(run / "table.json")
    try:
        status, _, said = hwnas("show", str(run))
        assert status == 2  # which is of another space
        assert "is not in the table" in said
        words = ("show", str(run), "--table", "v100-tensorrt-fp16", "--batch", "32", "--json")
        told = json.loads(hwnas(*words)[1])
    finally:
        (run / "table.json").unlink()
    expected = load_predictor("v100-tensorrt-fp16-b32", CELLS)
    assert told["predicted_ms"] == expected.predict(CELLS.parse(told["architecture"]))[0]


def test_a_model_shows_its_operators_and_its_costliest_kernels(hwnas, tmp_path):
    model = random_network(1, "inverted")
    path = tmp_path / "network.onnx"
    path.write_bytes(model)
    status, out, said = hwnas("show", str(path), "--json")
    told = json.loads(out)
    assert status == 0
    assert told["macs"] == sum(row["macs"] for row in told["kernels"]) == count_model_macs(model)
    status, out, said = hwnas("show", str(path))
    assert "no latency is shown" in said
    rows = {row[0]: row for row in rows_of(out)}
    count = sum(row["op"] == "Conv" for row in told["kernels"])
    assert rows["Conv"][1] == str(count)
    assert rows["total"][1] == str(len(told["kernels"]))
    status, out, _ = hwnas("show", str(path), "--table", "v100-tensorrt-fp32", "--json")
    (predicted,) = json.loads(out)
    status, out, _ = hwnas("show", str(path), "--table", "v100-tensorrt-fp32")
    assert status == 0
    costliest = max(predicted["kernels"], key=lambda kernel: kernel["ms"])
    first = next(line for line in out.splitlines() if "######" in line)
    assert first.split()[0] == f"{costliest['ms']:.3f}"
    assert costliest["name"][:20] in first
