"""``hwnas tables report`` as a user types it."""

import json
from dataclasses import replace

import pytest

from hwnas.testing import SyntheticRuntime


@pytest.fixture
def table_file(small_table, tmp_path):
    path = tmp_path / "t.json"
    small_table.save(path)
    return path


def test_a_report_is_printed_and_drawn(hwnas, table_file, tmp_path):
    picture = tmp_path / "p.png"
    status, out, said = hwnas("tables", "report", str(table_file), "--plot", str(picture))
    assert status == 0
    for words in ("mean error", "noise floor", "intervals that hold", "table x scale", "k5e6"):
        assert words in out
    assert "enough, as far as 12 networks tell: table x scale" in " ".join(out.split())
    assert "proxyless on synthetic" in said
    assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("words", [(), ("--json",)])
def test_a_report_is_printed_whatever_becomes_of_its_picture(
    hwnas, small_table, tmp_path, monkeypatch, words
):
    target = replace(small_table.target, device="100 $ board $^{")
    path, picture = tmp_path / "dollars.json", tmp_path / "report.png"
    replace(small_table, target=target).save(path)
    words = ("tables", "report", str(path), *words, "--plot")
    status, whole, said = hwnas(*words, str(picture))
    assert status == 0, said
    assert picture.read_bytes().startswith(b"\x89PNG")
    (tmp_path / "file").touch()
    status, out, said = hwnas(*words, str(tmp_path / "file" / "report.png"))
    assert (status, out.replace("file/", "")) == (2, whole)
    assert "Traceback" not in said

    def broken(*given, **named):
        raise RuntimeError("no such backend")

    monkeypatch.setattr("matplotlib.figure.Figure.savefig", broken)
    status, out, said = hwnas(*words, str(picture))
    assert (status, out) == (1, whole)
    assert "is not drawn: RuntimeError: no such backend" in said.splitlines()[-1]


def test_json_is_one_document(hwnas, table_file, small_table):
    status, out, _ = hwnas("tables", "report", str(table_file), "--json", "--confidence", "0.9")
    document = json.loads(out)
    assert status == 0
    (report,) = document["predictions"].values()
    assert report["count"] == len(document["networks"]) == len(small_table.networks)
    assert report["confidence"] == 0.9
    assert {row["architecture"] for row in document["networks"]} == set(small_table.networks)
    assert document["additivity"]["enough"] == "table x scale"


def test_fresh_networks_are_measured_on_the_tables_target(
    hwnas, table_file, small_table, small_space, monkeypatch
):
    monkeypatch.setattr(
        "hwnas.profilers.runtime", lambda device, threads, name: SyntheticRuntime(seed=9)
    )
    words = ("tables", "report", str(table_file), "--measure", "15", "--json")
    status, out, said = hwnas(*words)
    assert status == 0
    assert "pass 2 of 2" in said
    document = json.loads(out)
    fresh = [row for row in document["networks"] if row["origin"] == "measured now"]
    assert len({row["architecture"] for row in fresh}) == 15
    assert not {row["architecture"] for row in fresh} & set(small_table.networks)
    device = SyntheticRuntime()
    for row in fresh:
        truth = device.true_ms(small_space.to_onnx(small_space.parse(row["architecture"])))
        assert row["measured_ms"] == pytest.approx(truth, rel=0.03)
    report = document["predictions"]["measured now"]
    assert report["mean_error"] < 0.03
    assert 0 < report["noise_floor"] < 0.03
    assert json.loads(hwnas(*words)[1]) == document  # the same seed, the same networks and order


def test_another_machine_cannot_measure_for_the_table(hwnas, table_file):
    status, out, said = hwnas("tables", "report", str(table_file), "--measure", "5")
    assert (status, out) == (2, "")
    assert "the table was measured elsewhere (device:" in said


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--measure", "3"), "3 is not in the range x>=4"),
        (("--confidence", "1"), "1.0 is not in the range 0<x<1"),
        (("--measure", "5", "--device", "tpu"), "unknown device 'tpu'"),
    ],
)
def test_bad_flags(hwnas, table_file, words, says):
    status, out, said = hwnas("tables", "report", str(table_file), *words)
    assert (status, out) == (2, "")
    assert says in said


def test_help_has_examples(hwnas):
    status, out, _ = hwnas("tables", "report", "--help")
    assert status == 0
    assert "hwnas tables report my.json --measure 50" in out
