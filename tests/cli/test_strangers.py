"""Files of strangers on the command line: no escapes, no blocking, one line."""

import json
import os
import subprocess
import sys
import time

import numpy as np
import pytest

from hwnas import spaces
from hwnas.latency_tables import tables_folder
from hwnas.predictors import LatencyRegressor
from hwnas.profilers import Plan, profile_space
from hwnas.testing import SyntheticRuntime
from hwnas.visible import visible

EVIL = "\x1b]0;owned\x07\x1b[2J\x9b5A\r\u202e"


@pytest.fixture(scope="module")
def document():
    """A table of a small space, as a stranger may change it."""
    space = spaces.space("nasbench201", input_size=8)
    plan = Plan(tolerance=1.0, min_runs=5, max_runs=5)
    return json.loads(profile_space(space, SyntheticRuntime(), plan=plan).to_json())


def with_text(document, path, text):
    """A copy of a document with a text in the place of a value, or of a key."""
    copy = json.loads(json.dumps(document))
    *folders, last = path
    place = copy
    for name in folders:
        place = place[name]
    if last == "*":
        place[text] = next(iter(place.values()))
    else:
        place[last] = text
    return copy


PATHS = [
    *(("target", name) for name in ("device", "device_id", "runtime", "runtime_version", "kind")),
    *(("space", "name"), ("space", "arguments", "*"), ("format",), ("*",)),
    *(("workloads", "*"), ("networks", "*"), ("reference_ms",)),
    *(("provenance", name) for name in ("hwnas_version", "created_utc", "seconds")),
    ("unmeasured", "*"),
]
COMMANDS = (
    "tables list",
    "tables list --json",
    "tables show evil",
    "tables check evil",
    "tables report evil",
    "tables fill evil",
    "predict --table evil x",
    "show --table evil x",
    "search --latency 9ms --table evil",
    "profile --samples 9 --from-table evil",
)


@pytest.mark.parametrize("path", PATHS, ids=".".join)
def test_no_escape_of_a_table_reaches_the_terminal(hwnas, document, path, tmp_path, monkeypatch):
    def never(*given, **named):
        raise AssertionError("something was trained or measured")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("hwnas.search.supernet_training.train_step", never)
    monkeypatch.setattr("hwnas.devices.tables.profile_networks", never)
    document = {**document, "unmeasured": {"x": "it was refused"}}
    tables_folder().mkdir(parents=True)
    content = with_text(document, path, EVIL)
    (tables_folder() / "evil.json").write_text(json.dumps(content))
    for command in COMMANDS:
        if command.startswith("search") and path[-1] not in ("name", "arguments", "format"):
            continue
        status, out, said = hwnas(*command.split())
        assert status in (0, 1, 2)
        assert visible(out) == out
        assert visible(said) == said
        if command.endswith("--json") and status == 0:
            json.loads(out)


def test_no_escape_of_a_name_reaches_the_terminal(hwnas, tmp_path):
    for words in (
        ("predict", "--table", EVIL, "x"),
        ("show", EVIL),
        ("show", "x", "--table", EVIL),
        ("show", "x", "--space", EVIL),
        ("tables", "show", EVIL),
        ("train", EVIL),
        (EVIL,),
        ("search", f"--{EVIL}"),
        ("search", "--latency", EVIL),
        ("search", "--latency", "9ms", "--data", EVIL),
        ("search", "--latency", "9ms", "--data", f"imagefolder:{EVIL}"),
        ("verify", str(tmp_path / EVIL)),
    ):
        status, out, said = hwnas(*words)
        assert status == 2
        assert visible(out + said) == out + said
        assert "\\x1b" in said or "owned" not in said


def test_a_name_of_any_length_hides_no_advice(hwnas):
    status, _, said = hwnas("show", "a", "--space", "x" * 100_000)
    assert (status, len(said) < 5000) == (2, True)
    assert said.startswith("error: unknown space 'xxx")
    assert "xxx ... xxx" in said
    assert "xxx': choose one of darts" in said


def test_what_is_no_file_in_the_folder_of_tables_disturbs_nobody(hwnas, document):
    tables_folder().mkdir(parents=True)
    os.mkfifo(tables_folder() / "fifo.json")
    (tables_folder() / "zero.json").symlink_to("/dev/zero")
    (tables_folder() / "folder.json").mkdir()
    (tables_folder() / "mine.json").write_text(json.dumps(document))
    start = time.monotonic()
    status, out, _ = hwnas("tables", "list", "--json")
    found = {entry["name"]: entry for entry in json.loads(out)}
    assert status == 0
    assert "a FIFO, and a regular file is needed" in found["fifo"]["error"]
    assert "a device, and a regular file is needed" in found["zero"]["error"]
    assert "a folder, and a regular file is needed" in found["folder"]["error"]
    text = next(iter(document["networks"]))
    assert hwnas("predict", "--table", "mine", text)[0] == 0
    status, _, said = hwnas("predict", "--table", "fifo", text)
    assert status == 2
    assert "a FIFO" in said
    assert time.monotonic() - start < 5


@pytest.mark.parametrize(
    ("argument", "value"),
    [("cells", 10**7), ("channels", 10**9), ("input_size", 4 * 10**8), ("classes", 2**40)],
)
def test_absurd_arguments_of_a_space_are_refused_at_once(hwnas, document, argument, value):
    tables_folder().mkdir(parents=True)
    content = json.loads(json.dumps(document))
    content["space"]["arguments"][argument] = value
    (tables_folder() / "evil.json").write_text(json.dumps(content))
    start = time.monotonic()
    status, _, said = hwnas("predict", "--table", "evil", "x")
    assert status == 2
    assert f"{argument} of nasbench201 takes at most" in said
    assert time.monotonic() - start < 2


def test_a_predictor_that_unpacks_to_gigabytes_is_refused(hwnas, tmp_path):
    path = tmp_path / "bomb.npz"
    np.savez_compressed(path, description=np.zeros(2**29, np.uint8))
    assert path.stat().st_size < 2**20
    status, _, said = hwnas("predict", "--table", str(path), "x")
    assert status == 2
    assert "it unpacks to more than 256 MiB" in said
    (tmp_path / "fifo.npz").unlink(missing_ok=True)
    os.mkfifo(tmp_path / "fifo.npz")
    status, _, said = hwnas("predict", "--table", str(tmp_path / "fifo.npz"), "x")
    assert "a FIFO" in said
    with pytest.raises(Exception, match="a FIFO"):
        LatencyRegressor.load(tmp_path / "fifo.npz")


def test_verify_runs_no_network_that_could_run_for_ever(hwnas, tmp_path):
    import onnx
    from onnx import TensorProto, helper

    condition = helper.make_tensor_value_info("c", TensorProto.BOOL, [])
    value = helper.make_tensor_value_info("v", TensorProto.FLOAT, [1])
    after = helper.make_tensor_value_info("v2", TensorProto.FLOAT, [1])
    body = helper.make_graph(
        [helper.make_node("Identity", ["c"], ["c2"]), helper.make_node("Identity", ["v"], ["v2"])],
        "body",
        [helper.make_tensor_value_info("i", TensorProto.INT64, []), condition, value],
        [helper.make_tensor_value_info("c2", TensorProto.BOOL, []), after],
    )
    held = helper.make_tensor("t", TensorProto.BOOL, [], [True])
    graph = helper.make_graph(
        [helper.make_node("Loop", ["", "t", "v"], ["y"], body=body)],
        "g",
        [value],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])],
        [held],
    )
    onnx.save(helper.make_model(graph), tmp_path / "best.onnx")
    space = spaces.space("nasbench201", input_size=8)
    result = {"space": space.name, "deployed": dict(space.arguments), "budget": ["latency<=1ms"]}
    result |= {"architecture": space.format([0] * 6), "predicted_ms": 1.0}
    (tmp_path / "result.json").write_text(json.dumps(result))
    status, out, said = hwnas("verify", str(tmp_path))
    assert (status, out) == (2, "")
    assert "best.onnx is no network that hwnas exported: it has an operator 'Loop'" in said
    (tmp_path / "best.onnx").unlink()
    os.mkfifo(tmp_path / "best.onnx")
    assert "a FIFO" in hwnas("verify", str(tmp_path))[2]


def test_what_is_no_number_in_json_is_null(capsys):
    from hwnas.cli.output import print_json

    print_json({"a": [float("nan"), float("inf"), 1.5], "b": {"c": -float("inf"), "d\x7f": "\x9b"}})
    printed = capsys.readouterr().out
    assert json.loads(printed) == {"a": [None, None, 1.5], "b": {"c": None, "d\x7f": "\x9b"}}
    assert printed.isascii()
    assert "\x7f" not in printed


def test_a_name_in_a_warning_or_line_stays_in_its_line(hwnas, capsys):
    import warnings

    from hwnas.cli.output import listen, say

    with warnings.catch_warnings():
        listen()
        say(f"table {EVIL}\nerror: all is lost", warning=EVIL)
        warnings.showwarning(UserWarning(f"{EVIL}\nx"), UserWarning, "f", 1)
    said = capsys.readouterr().err
    assert visible(said) == said
    assert len(said.splitlines()) == 2


def test_the_child_of_a_model_does_not_import_from_the_current_folder(tmp_path):
    """A folder of a stranger may hold a file onnx.py."""
    (tmp_path / "onnx.py").write_text("open('owned', 'w')\n")
    (tmp_path / "onnxruntime.py").write_text("open('owned', 'w')\n")
    code = (
        "import os, sys; from hwnas.kernels import optimise, split; from hwnas import spaces\n"
        "optimise.computes_when_loaded = lambda proto: True\n"
        "s = spaces.space('nasbench201', input_size=8); os.chdir(sys.argv[1])\n"
        "print(len(split(s.to_onnx([3] * 6))))"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", code, str(tmp_path)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert int(done.stdout) > 10, done.stderr
    assert not (tmp_path / "owned").exists()
