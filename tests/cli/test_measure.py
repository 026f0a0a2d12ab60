"""``hwnas measure`` as a user types it."""

import json

import pytest

from hwnas.cli.measure_report import compared
from hwnas.devices.any_model import Comparison


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    """Few runs: what is tested here is the command line."""
    for name, value in (("_LOADS", 2), ("_LEAST_RUNS", 6), ("_FEWEST_RUNS", 6)):
        monkeypatch.setattr(f"hwnas.devices.any_model.measuring.{name}", value)
    monkeypatch.setattr("hwnas.devices.any_model.measuring._MOST_RUNS", 6)


@pytest.fixture
def files(small_space, tmp_path):
    for name, arch in (("small", [0, 0, 0, 0]), ("large", [5, 5, 5, 5])):
        (tmp_path / f"{name}.onnx").write_bytes(small_space.to_onnx(arch))
    (tmp_path / "pointer.onnx").write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    return [str(tmp_path / f"{name}.onnx") for name in ("small", "large", "pointer")]


def test_what_can_be_measured_is_and_what_cannot_is_named(hwnas, files, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    picture = tmp_path / "p.png"
    words = ("measure", *files, "--seconds", "0", "--plot", str(picture))
    status, out, said = hwnas(*words, "--json")
    assert status == 2
    found = json.loads(out)
    small, large = found["models"]
    assert (small["label"], large["label"]) == ("small.onnx", "large.onnx")
    for one in (small, large):
        assert 0 < one["interval_ms"][0] <= one["median_ms"] <= one["interval_ms"][1]
        assert one["median_ms"] <= one["p90_ms"] <= one["p99_ms"]
        assert one["operators_sum"] == pytest.approx(sum(o["share"] for o in one["operators"]))
        assert one["load_ms"] > 0
        assert one["first_run_ms"] > 0
        assert one["loop_ms"] > 0
    (pair,) = found["comparisons"]
    assert pair["change"] == pytest.approx(large["steady_ms"] / small["steady_ms"] - 1)
    assert list(found["not_measured"]) == ["pointer.onnx"]
    assert "not measured: pointer.onnx: " in said
    assert "Git LFS pointer" in said
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_it_prints_within_80_columns(hwnas, files, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    status, out, said = hwnas("measure", files[0], "--seconds", "0", "--threads", "1,9999")
    assert status == 2
    assert "not measured: 9999 threads: threads are 1 to " in said
    assert "steady" in out
    assert "sum, of the whole" in out
    assert "6 runs" in out
    assert "in a loop of its own " in out
    assert max(map(len, out.splitlines())) <= 80


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("nowhere.onnx",), "no ONNX model at 'nowhere.onnx'"),
        (("x.onnx", "--threads", "1,two"), "'two' is not a valid"),
        (("x.onnx", "--threads", "0"), "0 is not in the range"),
        (("x.onnx", "--precision", "int4"), "'int4' is not one of"),
        (("x.onnx", "--device", "tpu"), "unknown device 'tpu'"),
        (("x.onnx", "--runtime", "mine"), "unknown CPU runtime 'mine'"),
        (("x.onnx", "--shape", "1,3"), "--shape is [INPUT=]NxCxHxW"),
        (("x.onnx", "--cores", "big"), "--cores is for ssh:// and adb devices"),
        (("x.onnx", "--device", "ssh://"), "ssh"),
    ],
)
def test_bad_input_is_one_line(hwnas, tmp_path, monkeypatch, words, says):
    monkeypatch.chdir(tmp_path)
    status, out, said = hwnas("measure", *words)
    assert (status, out) == (2, "")
    assert says in said
    assert said.splitlines()[-1].startswith("error: ")


def test_a_comparison_names_the_faster_one():
    assert compared(Comparison("a", "b", -0.08, 0.02)) == "b is faster than a by 8.0% +-2.0%"
    # 25 % more time is 20 % less the other way round
    assert compared(Comparison("a", "b", 0.25, 0.025)) == "a is faster than b by 20.0% +-1.6%"
    assert compared(Comparison("a", "b", 0.01, 0.02)) == (
        "a and b: no difference seen (+1.0% +-2.0%)"
    )
