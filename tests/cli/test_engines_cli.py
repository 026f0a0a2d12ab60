"""A V100 that is not here, from the command line."""

import json

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

import hwnas as package
from hwnas.latency_tables import LatencyTable
from hwnas.predictors import load_predictor

NAME = "v100-tensorrt-fp32"
SMALL = ("--space", "nasbench201", "--input-size", "16")


@pytest.fixture(scope="module")
def space():
    return package.space("proxyless", input_size=128)


@pytest.fixture
def network(space, tmp_path):
    path = tmp_path / "network.onnx"
    path.write_bytes(space.to_onnx(space.sample(1, seed=0)[0]))
    return str(path)


@pytest.fixture
def strange(tmp_path):
    """A convolution, and an operator of which nothing is known."""
    weight = numpy_helper.from_array(np.ones((8, 3, 3, 3), np.float32), "w")
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["x", "w"], ["y"], pads=[1] * 4),
            helper.make_node("NonZero", ["y"], ["z"]),
        ],
        "strange",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, 32, 32])],
        [helper.make_tensor_value_info("z", TensorProto.INT64, None)],
        [weight],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path = tmp_path / "strange.onnx"
    path.write_bytes(model.SerializeToString())
    return str(path)


def test_a_model_is_predicted_with_its_breakdown(hwnas, network, space):
    status, out, said = hwnas("predict", "--table", NAME, "--batch", "32", network, "--json")
    (found,) = json.loads(out)
    assert (status, said) == (0, "")
    assert found["predicted_ms"] == pytest.approx(sum(k["ms"] for k in found["kernels"]))
    assert found["interval_ms"][0] < found["predicted_ms"] < found["interval_ms"][1]
    assert found["macs"] == space.macs(space.sample(1, seed=0))[0]
    assert "nothing was measured here" in found["source"]
    assert {k["note"] for k in found["kernels"] if k["kernel"].startswith("reduce")} == {
        "estimated from bytes"
    }
    arch = space.format(space.sample(1, seed=0)[0])
    predicted = load_predictor(f"{NAME}-b32", space).predict(space.parse(arch))
    assert found["predicted_ms"] == pytest.approx(predicted[0], rel=1e-4)
    status, out, said = hwnas("predict", "--table", f"{NAME}-b32", "--strict", network)
    assert status == 0
    assert "convolution 1x1" in out
    said = " ".join(said.split())
    assert "on V100, from public measurements of another V100 (gpu), tensorrt version" in said
    assert "models are taken to run in fp32, whatever they are in" in said


def test_copies_are_added_where_they_are_asked_for(hwnas, network):
    words = ("predict", "--table", f"{NAME}-b8", network, "--json")
    (without,), (found,) = (json.loads(hwnas(*words, *more)[1]) for more in ((), ("--copies",)))
    copied_bytes = 4 * 8 * (3 * 128 * 128 + 1000)
    assert found["predicted_ms"] - without["predicted_ms"] == pytest.approx(copied_bytes / 5e6)
    assert found["operators"]["host copy"]["kernels"] == 2
    assert [k["note"] for k in found["kernels"][-2:]] == ["estimated from bytes, at 5 GB/s"] * 2


@pytest.mark.parametrize(("op", "expected"), [("Identity", 0), ("NonZero", 1)])
def test_a_model_of_which_nothing_takes_time_is_printed(hwnas, tmp_path, op, expected):
    """Views alone, or what nobody knows alone: there is no whole to take shares of."""
    infos = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [4, 4]) for name in "xy"]
    graph = helper.make_graph([helper.make_node(op, ["x"], ["y"])], "g", infos[:1], infos[1:])
    path = tmp_path / "nothing.onnx"
    path.write_bytes(helper.make_model(graph).SerializeToString())
    status, out, _ = hwnas("predict", "--table", NAME, str(path))
    assert status == expected
    assert "0.000 ms" in out


def test_what_is_left_out_is_said_and_fails_in_strict_mode(hwnas, strange):
    status, out, said = hwnas("predict", "--table", NAME, strange)
    assert status == 1
    assert "at least" in out
    assert "not predicted, and not in the sum: NonZero (1)" in said
    (found,) = json.loads(hwnas("predict", "--table", NAME, strange, "--json")[1])
    assert found["interval_ms"] is None
    status, _, said = hwnas("predict", "--table", NAME, "--strict", strange)
    assert status == 2
    assert "1 of 2 kernels are not known" in " ".join(said.split())


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("--table", NAME, "--batch", "129"), "batches of 1 to 128 were measured"),
        (("--table", "v100-tensorrt-bf16"), "a V100 was measured as v100-tensorrt-fp32"),
        (("--table", f"{NAME}-b8", "--batch", "4"), "has a batch of 8, got 4"),
        (("--table", "amd-epyc-1thread", "--batch", "4"), "--batch and --copies are of engines"),
        (("--table", "v100-ofa-b1"), "v100-ofa-b1 is a predictor made of others' measurements"),
        (("--table", NAME, "--space", "ofa"), "--space belongs to architectures"),
    ],
)
def test_what_was_not_measured_is_bad_input(hwnas, network, words, reason):
    status, out, said = hwnas("predict", *words, network)
    assert (status, out) == (2, "")
    assert reason in " ".join(said.split())


def test_architectures_of_any_space_that_is_named(hwnas):
    space = package.space("nasbench201")
    arch = space.format(space.sample(1, seed=1)[0])
    words = ("predict", "--table", NAME, "--space", "nasbench201", "--batch", "64", arch, "--json")
    status, out, _ = hwnas(*words)
    (found,) = json.loads(out)
    assert status == 0
    assert "batch 64" in found["notes"]["target"]
    assert "nothing was measured here" in found["notes"]["source"]
    status, _, said = hwnas("predict", "--table", NAME, arch)
    assert status == 2
    assert "--space NAME" in said


def test_the_list_tells_what_each_predictor_was_made_of(hwnas):
    entries = {e["name"]: e for e in json.loads(hwnas("tables", "list", "--json")[1])}
    known = [e for e in entries.values() if "held_out" in e]
    assert {"v100-ofa-b1", "titanxp-fbnet-b64", NAME} <= {e["name"] for e in known}
    for entry in known:
        assert "mean error" in entry["held_out"]
        assert "public measurements by others" in entry["samples"]
        assert "github.com" in entry["source"]
    runtimes = {e["runtime"].split(" (")[0] for e in known}
    assert runtimes == {"PyTorch eager", "TensorRT"}
    printed = " ".join(hwnas("tables", "list")[1].split())
    assert NAME in printed
    assert "TensorRT (version not stated)" in printed


def test_a_few_networks_of_a_card_at_hand_make_a_table(hwnas, card, tmp_path):
    card()
    out = tmp_path / "card.json"
    words = ("--device", "gpu", "--samples", "5", "--from-table", NAME, *SMALL, "--out", str(out))
    status, _, said = hwnas("profile", *words, "--json")
    assert status == 0, said
    table = LatencyTable.load(out)
    assert (table.target.kind, table.target.runtime, table.target.precision) == (
        "gpu",
        "tensorrt",
        "fp32",
    )
    assert len(table.networks) >= 5
    assert table.workloads == {}
    assert "public measurements of another V100" in table.provenance.transfer.source
    arch = next(iter(table.networks))
    (found,) = json.loads(hwnas("predict", "--table", str(out), arch, "--json")[1])
    measured = table.networks[arch].latency_ms
    assert found["predicted_ms"] == pytest.approx(measured, rel=0.3)
    assert "not measured" in found["notes"]["estimated"]


@pytest.mark.parametrize("name", [NAME, f"{NAME}-b32", "v100-ofa-b1"])
def test_a_page_tells_what_a_predictor_was_made_of_and_what_it_predicts(hwnas, name):
    listed = {e["name"]: e for e in json.loads(hwnas("tables", "list", "--json")[1])}
    entry = listed[name.removesuffix("-b32")]
    status, out, said = hwnas("tables", "show", name)
    assert status == 0, said
    for fact in ("target", "runtime", "samples", "held_out", "source"):
        assert entry[fact] in out
    assert f"{name} is a predictor made of others' measurements" in said
    found = json.loads(hwnas("tables", "show", name, "--json")[1])
    batch = ", batch 32" if name.endswith("-b32") else ""
    assert found == entry | {"name": name, "target": entry["target"] + batch}
    if name == "v100-ofa-b1":
        assert found["space"] == "ofa"
        assert "architectures of ofa" in out
    else:
        assert found["space"] is None
        assert "any ONNX model" in out
        assert "up to 128 images" in out


def test_the_example_of_a_page_runs(hwnas, network):
    out = hwnas("tables", "show", NAME)[1]
    program, *words = out.split("example")[1].split()
    assert (program, words.pop()) == ("hwnas", "model.onnx")
    assert hwnas(*words, network)[0] == 0


@pytest.mark.parametrize("words", [("check",), ("report",), ("fill", "--out", "never.json")])
@pytest.mark.parametrize("name", [NAME, f"{NAME}-b8", "titanxp-fbnet-b32"])
def test_what_is_no_table_is_not_judged_as_one(hwnas, words, name):
    status, out, said = hwnas("tables", words[0], name, *words[1:])
    assert (status, out) == (2, "")
    assert said.count("\n") == 1
    assert f"{name} is a predictor made of others' measurements" in said
    assert f"hwnas tables show {name}" in said


MEANS = {
    "format": "hwnas-latency-table",
    "space": {"name": "ofa", "arguments": {}},
    "workloads": {"x": {"latency_ms": 1.0}},
}


@pytest.mark.parametrize("words", [("tables", "show"), ("tables", "check"), ("predict", "--table")])
@pytest.mark.parametrize(
    ("name", "text"), [("m.csv", "workload,mean_ms\nx,1.0\n"), ("m.json", json.dumps(MEANS))]
)
def test_means_of_others_are_said_to_be_such(hwnas, network, tmp_path, words, name, text):
    path = tmp_path / name
    path.write_text(text)
    model = [network] * (words[0] == "predict")
    status, out, said = hwnas(*words, str(path), *model)
    assert (status, out) == (2, "")
    assert f"{path} holds means of operators that somebody else measured" in said


def test_a_table_of_that_name_is_a_table(hwnas, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    table = LatencyTable.load("amd-epyc-1thread")
    for name in (NAME, "v100-ofa-b1"):
        table.save(tmp_path / name)
        assert json.loads(hwnas("tables", "show", name, "--json")[1]) == json.loads(table.to_json())
        assert hwnas("tables", "check", name)[0] == 0
    status, _, said = hwnas("tables", "show", "v100-tensorrt-bf16")
    assert status == 2
    assert "a V100 was measured as v100-tensorrt-fp32" in " ".join(said.split())
