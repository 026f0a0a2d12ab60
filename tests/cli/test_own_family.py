"""A family in a person's own file, from the command line."""

import json
from pathlib import Path

import pytest

pytestmark = pytest.mark.usefixtures("few_random_paths")
FILE = """
from families import cnn_space

space = cnn_space()
"""
STEPS = ("--steps", "8", "--population", "6", "--generations", "2")


def test_a_search_and_what_follows_it(hwnas, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("hwnas.devices.whole_networks._SECONDS", 0.0)
    monkeypatch.setattr("hwnas.devices.whole_networks._WITHIN", 10.0)
    file, out = tmp_path / "my_family.py", tmp_path / "run"
    file.write_text(FILE)

    def run(*words: str):
        status, told, said = hwnas(*words, "--space", f"{file}:space", "--json")
        assert status == 0, said
        return json.loads(told)

    first = run("search", "--macs", "50k", "--data", "digits", *STEPS, "--out", str(out))
    assert first["macs"] <= 50_000
    trained = run("train", str(out), "--steps", "5", "--train-batch", "32")
    assert trained["architecture"] == first["architecture"]
    assert trained["export"]["same_answers"] == 1.0
    (other,) = run(
        "search", "--supernet", str(out), "--macs", "40k", *STEPS[2:], "--verify-seconds", "0"
    )["budgets"]
    assert other["macs"] <= 40_000
    ranked = run("rank", str(out), "--count", "3", "--steps", "3", "--train-batch", "32")
    assert len(ranked["architectures"]) == 3


def test_a_profile_measures_whole_networks(hwnas, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("hwnas.devices.whole_networks._SECONDS", 0.0)
    monkeypatch.setattr("hwnas.devices.whole_networks._WITHIN", 10.0)
    file, out = tmp_path / "my_family.py", tmp_path / "t.json"
    file.write_text(FILE)
    space = ("--space", f"{file}:space")
    status, told, said = hwnas("profile", *space, "--out", str(out))
    assert status == 0, said
    assert "20 whole networks of cnn were measured" in said
    assert "workloads" not in told
    status, told, said = hwnas("predict", *space, "--table", str(out), "8-12-3-3", "--json")
    assert status == 0, said
    (predicted,) = json.loads(told)
    low, high = predicted["interval_ms"]
    assert 0 < low < predicted["predicted_ms"] < high
    assert hwnas("tables", "show", str(out))[0] == 0
    status, _, said = hwnas("profile", *space, "--kernels", "100")
    assert status == 2
    assert "--kernels and --estimate-from are of spaces with operators" in said


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("raise RuntimeError('no luck')", "called with width=8, raised RuntimeError: no luck"),
        ("return width", "called with width=8, gives a torch.nn.Module, got a int"),
    ],
)
def test_what_is_wrong_with_it_leaves_with_status_2(
    hwnas, tmp_path: Path, body: str, message: str
) -> None:
    file = tmp_path / "broken.py"
    family = "hwnas.family(build, {'width': [8]}, input_shape=(3, 8, 8))"
    file.write_text(f"import hwnas\ndef build(width):\n    {body}\nspace = {family}\n")
    status, _, said = hwnas("search", "--macs", "1k", "--space", f"{file}:space")
    assert status == 2
    assert message in said
