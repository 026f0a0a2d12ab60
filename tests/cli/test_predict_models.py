"""``hwnas profile --kernels`` and ``hwnas predict model.onnx`` as a user types them."""

import json
from dataclasses import replace

import pytest
from onnx import TensorProto, helper

from hwnas.latency_tables import LatencyTable
from hwnas.profilers import Plan
from hwnas.profilers.random_networks import random_network

SMALL = ("--space", "nasbench201", "--input-size", "8", "--seconds", "0.1")


_PROFILED: list[bytes] = []


@pytest.fixture
def table(hwnas, tmp_path, monkeypatch):
    """A coarse profile of a few kernels of this machine, made once, and its path."""
    path = tmp_path / "t.json"
    if _PROFILED:
        path.write_bytes(_PROFILED[0])
        return str(path)
    coarse = Plan(tolerance=1.0, min_runs=2, max_runs=2, warm_up=1)
    monkeypatch.setattr("hwnas.profilers.kernels._POOL", 16)
    monkeypatch.setattr("hwnas.profilers.kernels._LEAST", 4)
    monkeypatch.setattr("hwnas.profilers.kernels._LEAST_OF_PRODUCTS", 6)
    monkeypatch.setattr("hwnas.profilers.kernels._MOST_MACS", 20_000_000)
    monkeypatch.setattr("hwnas.profilers.kernels._NETWORK_MACS", (1_000_000, 400_000_000))
    monkeypatch.setattr("hwnas.devices.tables.kernel_plan", lambda: coarse)
    monkeypatch.setattr("hwnas.profilers.kernels._LOOSE", 1)
    status, out, _ = hwnas("profile", *SMALL, "--kernels", "30", "--out", str(path), "--json")
    assert status == 0
    assert json.loads(out)["kernels"] == len(LatencyTable.load(path).kernels.entries) >= 30
    assert [found.name for found in tmp_path.glob("t.json*")] == ["t.json"]
    _PROFILED.append(path.read_bytes())
    return str(path)


def test_a_model_is_predicted_with_its_breakdown(hwnas, table, tmp_path):
    path = tmp_path / "network.onnx"
    path.write_bytes(random_network(1, "inverted"))
    status, out, said = hwnas("predict", "--table", table, str(path), "--json")
    (record,) = json.loads(out)
    assert status == 0
    assert record["interval_ms"][0] < record["predicted_ms"] < record["interval_ms"][1]
    parts = sum(row["ms"] for row in record["operators"].values())
    assert record["predicted_ms"] == pytest.approx(record["call_ms"] + parts)
    assert sum(row["kernels"] for row in record["operators"].values()) + len(
        record["unpredicted"]
    ) == len(record["kernels"])
    status, out, said = hwnas("predict", "--table", table, str(path))
    assert status == 0
    assert "Conv" in out
    assert "ms (95%:" in out
    assert "on " in said
    status, out, said = hwnas("tables", "show", table)
    assert status == 0
    assert "kernels alone" in said
    assert "nchwc" in out or "Conv" in out
    assert hwnas("tables", "check", table)[0] in (0, 1)

    (tmp_path / "broken.onnx").write_bytes(b"no model")
    for words, says in (
        (("k3e3", str(path)), "give architectures or ONNX models, not both"),
        (("k3e3", "--strict"), "--shape and --strict belong to ONNX models"),
        ((str(tmp_path / "broken.onnx"),), "is not an ONNX model"),
        ((str(tmp_path / "nowhere.onnx"),), "no ONNX model at"),
        ((str(path), "--shape", "1,3,8,8"), "--shape is [INPUT=]NxCxHxW"),
        ((str(path), "--shape", "1x3x8"), "contradicts"),
        ((str(path), "--confidence", "95"), "confidence lies between 0 and 1"),
    ):
        status, out, said = hwnas("predict", "--table", table, *words)
        assert (status, out) == (2, ""), words
        assert says in said
        assert said.splitlines()[-1].startswith("error: ")


def one_node(op, custom=False):
    info = helper.make_tensor_value_info("x", TensorProto.FLOAT, (1, 16, 8, 8))
    node = helper.make_node(op, ["x"], ["y"], domain="com.microsoft" if custom else "")
    graph = helper.make_graph([node], "g", [info], [helper.make_empty_tensor_value_info("y")])
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()


def test_where_something_is_left_out_there_is_no_interval(hwnas, table, tmp_path):
    path = tmp_path / "odd.onnx"
    path.write_bytes(one_node("Cosh"))
    status, out, said = hwnas("predict", "--table", table, str(path), "--json")
    (record,) = json.loads(out)
    assert (status, record["interval_ms"]) == (1, None)
    assert 0 < record["at_least_ms"] <= record["predicted_ms"]
    status, out, said = hwnas("predict", "--table", table, str(path))
    assert status == 1
    assert f"at least {record['at_least_ms']:.3f} ms, 0 MACs" in out
    assert "95%" not in out
    assert "not predicted, and not in the sum: Cosh (1)" in said
    status, out, said = hwnas("predict", "--table", table, str(path), "--strict")
    assert (status, out) == (2, "")


def test_of_several_files_those_that_cannot_be_read_are_named(hwnas, table, tmp_path):
    good, bad, cut = (tmp_path / name for name in ("good.onnx", "weights.pth", "cut.onnx"))
    good.write_bytes(random_network(1, "inverted"))
    bad.write_bytes(b"PK\x03\x04")
    cut.write_bytes(good.read_bytes()[:500])
    words = ("predict", "--table", table, str(cut), str(good), str(bad), str(tmp_path))
    status, out, said = hwnas(*words)
    assert status == 2
    assert out.startswith(f"{good}: ")
    assert [line for line in said.splitlines() if line.startswith("error: ")] == [
        line for line in said.splitlines() if "not an ONNX" in line or "cut off" in line
        or "is a folder" in line
    ]  # fmt: skip
    assert said.count("error: ") == 3
    status, out, _ = hwnas(*words, "--json")
    assert status == 2
    first, *rest = json.loads(out)
    assert (first["model"], first["macs"] > 0) == (str(good), True)
    assert [set(each) for each in rest] == [{"model", "error"}] * 3


def test_a_table_without_kernels_says_what_to_do(hwnas, tmp_path):
    path = tmp_path / "network.onnx"
    path.write_bytes(random_network(1, "inverted"))
    status, _, said = hwnas("predict", "--table", "amd-epyc-1thread", str(path))
    assert status == 2
    assert "hwnas profile --kernels 500" in said


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--kernels", "5"), "at least 20 kernels"),
        (("--kernels", "50", "--precision", "int8"), "on CPUs in fp32 only, got cpu in int8"),
        (("--estimate-from", "5"), "5 is not in the range x>=10"),
    ],
)
def test_kernels_that_cannot_be_profiled_are_refused_at_once(hwnas, words, says):
    status, out, said = hwnas("profile", *SMALL, *words)
    assert (status, out) == (2, "")
    assert says in said
    assert said.count("\n") == 1


def test_gaps_are_filled_shown_and_told(hwnas, tmp_path):
    out = str(tmp_path / "filled.json")
    fill = ("tables", "fill", "amd-epyc-1thread", "--input-size", "192", "--out", out)
    status, printed, said = hwnas(*fill, "--json")
    assert status == 0
    record = json.loads(printed)
    assert record["estimated"] == len(LatencyTable.load(out).estimates) > 40
    assert "are estimated, not measured" in said
    status, printed, _ = hwnas("tables", "show", out)
    assert status == 0
    assert printed.count("estimated") == record["estimated"]
    assert hwnas("tables", "check", out)[0] in (0, 1)
    status, _, said = hwnas(*fill[:3], "--space", "nasbench201", "--out", out)
    assert status == 2
    assert "cannot be estimated" in said


def test_gaps_are_those_of_the_tables_own_space(hwnas, tmp_path):
    table = LatencyTable.load("amd-epyc-1thread")
    ten = replace(table.space, arguments={**table.space.arguments, "classes": 10})
    given, out = str(tmp_path / "ten.json"), str(tmp_path / "filled.json")
    replace(table, space=ten).save(given)
    status, printed, _ = hwnas("tables", "fill", given, "--out", out, "--json")
    assert (status, json.loads(printed)["estimated"]) == (0, 1)
    (key,) = LatencyTable.load(out).estimates
    assert key.startswith("ConvHead(hidden=1280) in=320 out=10 ")


def test_a_profile_of_some_workloads_estimates_the_others(hwnas, tmp_path):
    out = str(tmp_path / "t.json")
    sizes = ("--input-size", "32", "--width-mult", "0.25", "--seconds", "0.1")
    status, printed, _ = hwnas("profile", *sizes, "--estimate-from", "20", "--out", out, "--json")
    assert status == 0
    record = json.loads(printed)
    assert record["workloads"] == 20
    assert record["estimates"] > 10
    arch = "-".join(["k3e3"] * 21)
    status, printed, _ = hwnas("predict", "--table", out, arch, "--json")
    assert status == 0
    notes = json.loads(printed)[0]["notes"]
    assert notes["estimated"].split()[0] == str(record["estimates"])
    assert notes["estimated"] in hwnas("predict", "--table", out, arch)[2]
