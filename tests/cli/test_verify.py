"""A search for a card on a machine without one, and its verification on the card."""

import json

import numpy as np
import onnx
import pytest

from hwnas.latency_tables import LatencyTable
from hwnas.profilers.gpu import cuda_driver
from hwnas.testing import SyntheticRuntime

pytestmark = pytest.mark.usefixtures("few_random_paths")
SIZE = ("--input-size", "32", "--width-mult", "0.25")
QUICK = (
    *SIZE,
    *("--steps", "4", "--train-batch", "16", "--population", "4"),
    *("--generations", "1", "--top", "2", "--proxy-input-size", "4", "--proxy-width", "0.1"),
)


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    """Keeps the table and the run that the first test makes for the others."""
    return tmp_path_factory.mktemp("tables")


@pytest.fixture
def gpu_table(hwnas, card, tables):
    """A table of the synthetic card, as ``hwnas profile`` makes it."""
    path = tables / "v100.json"
    if not path.exists():
        status, out, said = hwnas(
            *("profile", "--device", "gpu", *SIZE, "--classes", "10"),
            *("--precision", "fp16", "--batch", "2", "--out", str(path), "--json"),
        )
        assert status == 0, said
        assert json.loads(out)["target"]["device"] == "Synthetic V100"
        assert json.loads(out)["unmeasured"] == {}
    return path


@pytest.fixture
def run(hwnas, gpu_table, tables, monkeypatch):
    """The folder of a search that used the table where there is no card; and what it said."""
    folder = tables / "run"
    with monkeypatch.context() as patched:
        patched.setattr(cuda_driver, "LIBRARIES", ("libcuda-that-is-not.so",))
        status, _, said = hwnas(
            *("search", "--latency", "1s", *QUICK, "--table", str(gpu_table)),
            *("--out", str(folder), "--json"),
        )
    assert status == 0, said
    return folder, " ".join(said.split())


def test_a_search_for_a_card_needs_no_card_and_says_how_to_verify(run, gpu_table):
    folder, said = run
    result = json.loads((folder / "result.json").read_text())
    assert result["measured_ms"] is None
    assert result["verify"] == f"hwnas verify {folder}"
    assert result["target"] == json.loads(gpu_table.read_text())["target"]
    assert "cannot be measured here" in said
    assert "no NVIDIA driver is installed" in said
    assert f"hwnas verify {folder}" in said
    model = onnx.load(folder / "best.onnx")
    source = model.graph.input[0].type.tensor_type
    assert source.elem_type == onnx.TensorProto.FLOAT16
    assert source.shape.dim[0].dim_value == 2


def test_the_summary_shows_the_command(hwnas, run, gpu_table, monkeypatch):
    folder, _ = run
    monkeypatch.setattr(cuda_driver, "LIBRARIES", ("libcuda-that-is-not.so",))
    words = ("search", "--latency", "1s", *QUICK, "--table", str(gpu_table), "--out", str(folder))
    status, out, _ = hwnas(*words)
    assert status == 0
    assert f"hwnasverify{folder}" in "".join(out.split())


def test_the_card_verifies_it(hwnas, run):
    folder, _ = run
    status, out, said = hwnas("verify", str(folder), "--seconds", "3", "--explain", "--json")
    assert status == 0, said
    answer = json.loads(out)
    truth = 0.1 * SyntheticRuntime().true_ms((folder / "best.onnx").read_bytes())
    assert answer["measured_ms"] == pytest.approx(truth, rel=0.02)
    assert answer["holds"] is True
    assert answer["limit_ms"] == 1000
    assert answer["differences"] == []
    assert json.loads((folder / "verified.json").read_text()) == answer
    total = sum(layer["latency_ms"] for layer in answer["layers"])
    assert total == pytest.approx(truth, rel=0.01)
    status, out, _ = hwnas("verify", str(folder), "--seconds", "0", "--explain")
    assert status == 0
    assert "keeps its budget of 1000 ms" in out


def test_a_broken_budget_is_exit_status_1(hwnas, run, tmp_path):
    folder, _ = run
    copy = tmp_path / "run"
    copy.mkdir()
    for name in ("best.onnx", "table.json"):
        (copy / name).write_bytes((folder / name).read_bytes())
    result = json.loads((folder / "result.json").read_text())
    result["budget"] = ["latency<=0.001ms"]
    (copy / "result.json").write_text(json.dumps(result))
    status, out, _ = hwnas("verify", str(copy), "--seconds", "0")
    assert status == 1
    assert "breaks its budget of 0.001 ms" in out


def test_an_answer_that_cannot_be_kept_is_given_all_the_same(hwnas, run, monkeypatch):
    def full(path, content):
        raise OSError(30, "Read-only file system", str(path))

    monkeypatch.setattr("hwnas.cli.verify.write_atomically", full)
    folder, _ = run
    status, out, said = hwnas("verify", str(folder), "--seconds", "0", "--json")
    assert status == 0
    assert json.loads(out)["holds"] is True
    assert "verified.json could not be written (Read-only file system)" in " ".join(said.split())


def plain_run(folder, space, budget, name=None):
    """A finished search that used another kind of predictor than a table."""
    arch = [0] * len(space.n_choices)
    folder.mkdir()
    (folder / "best.onnx").write_bytes(space.to_onnx(arch))
    (folder / "result.json").write_text(
        json.dumps(
            {
                "space": name or space.name,
                "deployed": dict(space.arguments),
                "budget": [budget],
                "architecture": space.format(arch),
                "predicted_ms": 1.0,
            }
        )
    )
    return folder


def test_a_run_without_a_table_is_measured_on_one_cpu_thread(hwnas, small_space, tmp_path):
    folder = plain_run(tmp_path / "run", small_space, "latency<=1000ms")
    status, out, said = hwnas("verify", str(folder), "--seconds", "0", "--json")
    assert status == 0, said
    target = json.loads(out)["target"]
    known = {"kind": "cpu", "threads": 1, "batch": 1, "precision": "fp32"}
    assert {name: target[name] for name in known} == known
    assert "holds no latency table that says its target: measured on" in " ".join(said.split())
    status, out, _ = hwnas("verify", str(folder), "--seconds", "0", "--threads", "2", "--json")
    assert json.loads(out)["target"]["threads"] == 2
    status, _, said = hwnas("verify", str(folder), "--threads", "9999")
    assert status == 2
    assert "threads are 1 to" in said
    tight = plain_run(tmp_path / "tight", small_space, "latency<=0.000001ms")
    assert hwnas("verify", str(tight), "--seconds", "0")[0] == 1


def test_a_run_of_an_own_space_asks_for_it_again(hwnas, small_space, tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(
        "from dataclasses import replace\nfrom hwnas import spaces\n"
        "def make(**arguments):\n"
        "    return replace(spaces.space('proxyless', **arguments), name='mine')\n"
        "def other(**arguments):\n    return spaces.space('proxyless')\n"
        "text = 'no space'\n"
    )
    monkeypatch.chdir(tmp_path)
    folder = plain_run(tmp_path / "run", small_space, "latency<=1000ms", name="mine")
    words = ("verify", str(folder), "--seconds", "0")
    status, _, said = hwnas(*words)
    assert status == 2
    assert "unknown space 'mine'" in said
    assert "needs --space FILE.py:NAME again" in said
    status, _, said = hwnas(*words, "--space", "mine.py:make")
    assert status == 0, said
    for text, says in (
        ("yours", "unknown space 'yours'"),
        ("mine.py:text", "a space is registered as a function that returns a SearchSpace"),
        ("mine.py:nothing", "has no 'nothing'"),
        ("mine.py:other", "is called 'proxyless', as another is: give it a name of its own"),
        ("fbnet", "--space fbnet is fbnet, and the run searched mine"),
    ):
        status, _, said = hwnas(*words, "--space", text)
        assert status == 2
        assert says in " ".join(said.split())


def test_another_card_is_named(hwnas, run, card):
    folder, _ = run
    card(gpu_name="Synthetic H100", gpu_capability="9.0")
    status, out, said = hwnas("verify", str(folder), "--seconds", "0", "--json")
    assert status == 0
    assert "device: Synthetic H100 instead of Synthetic V100" in json.loads(out)["differences"]
    assert "this is not what the table was measured on" in said
    status, _, said = hwnas("verify", str(folder), "--device", "gpu:1")
    assert (status, "CUDA_VISIBLE_DEVICES=1 " in said) == (2, True)


def test_the_profile_prints_driver_and_throttling(hwnas, card, tmp_path):
    card(gpu_throttle="always")
    status, out, said = hwnas(
        *("profile", "--device", "gpu", "--space", "nasbench201", "--input-size", "8"),
        *("--out", str(tmp_path / "t.json")),
    )
    assert status == 0
    assert "550.54.15, CUDA 12.4" in out
    assert "made on a throttling device" in said
    assert hwnas("tables", "check", str(tmp_path / "t.json"))[0] == 1
    table = LatencyTable.load(tmp_path / "t.json")
    windows = table.provenance.conditions.windows
    assert np.isclose(table.provenance.conditions.kept_throttled, windows, rtol=0.2)


def test_what_was_refused_is_said(hwnas, card, tmp_path):
    card(tensorrt_rejects="3")
    status, _, said = hwnas(
        *("profile", "--device", "gpu", "--space", "nasbench201", "--input-size", "8"),
        *("--out", str(tmp_path / "t.json")),
    )
    assert (status, "even the reference" in said or "could not find any" in said) == (1, True)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("verify", "nowhere"), "nowhere is not a finished search"),
        (("profile", "--device", "gpu", "--runtime", "tvm"), "unknown GPU runtime 'tvm'"),
        (("profile", "--device", "gpu", "--precision", "fp16"), "TensorRt runs fp32, int8"),
        (("profile", "--device", "gpu", "--batch", "65"), "give a smaller --batch"),
    ],
)
def test_bad_input(hwnas, card, tmp_path, words, says):
    card(gpu_capability="6.1", tensorrt="8.6.1")
    status, _, said = hwnas(*words)
    assert status in (1, 2)
    assert says in said
    assert said.splitlines()[-1].startswith("error: ")


def test_flags_that_do_not_fit_the_table(hwnas, gpu_table):
    status, _, said = hwnas(
        *("search", "--latency", "1s", *QUICK, "--table", str(gpu_table), "--runtime", "torch")
    )
    assert status == 2
    assert "--runtime torch does not fit the table, which was measured with runtime tens" in said
