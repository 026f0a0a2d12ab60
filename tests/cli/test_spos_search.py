"""Channel search, few-bit search and constraint sampling as a user types them."""

import json
import re

import pytest

import hwnas as package
from hwnas.profilers import Plan
from hwnas.spaces.shufflenet import CHANNEL_SCALES

QUICK = (
    *(
        "--input-size",
        "32",
        "--width-mult",
        "0.25",
        "--proxy-input-size",
        "8",
        "--steps",
        "4",
        "--train-batch",
        "16",
    ),
    *("--population", "4", "--generations", "2", "--top", "2", "--verify-seconds", "0", "--json"),
)


@pytest.fixture(autouse=True)
def _quick(monkeypatch, tmp_path):
    plan = Plan(1.0, min_runs=3, max_runs=3)
    monkeypatch.setattr("hwnas.devices.tables.profile_plan", lambda seconds: plan)
    monkeypatch.setattr("hwnas.devices.target.Plan", lambda **_: plan)
    monkeypatch.setattr("hwnas.search.searchers.proposals.RANDOM_PATHS", 6)
    monkeypatch.setattr("hwnas.search.candidates.evaluation._CALIBRATION_IMAGES", 32)
    monkeypatch.setattr("hwnas.search.candidates.evaluation._VALIDATION_IMAGES", 40)
    monkeypatch.chdir(tmp_path)


def evaluated(folder):
    lines = (json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines())
    return [e["architecture"] for e in lines if e["event"] == "evaluated"]


def test_two_steps_find_blocks_and_then_their_channels(hwnas, tmp_path):
    words = ("search", "--space", "shufflenet", "--macs", "800k", "--two-step", *QUICK)
    words += ("--sampler", "constraint", "--bins", "740k:860k:40k", "--out", "both")
    status, out, said = hwnas(*words)
    assert status == 0, said
    result = json.loads(out)
    blocks = json.loads((tmp_path / "both/blocks/result.json").read_text())["architecture"]
    assert "@" not in blocks
    assert json.loads((tmp_path / "both/channels/result.json").read_text()) == result
    assert [t[0] for t in result["architecture"].split("-")] == blocks.split("-")
    assert "@" in result["architecture"]
    joint = package.space(
        "shufflenet", input_size=32, classes=10, width_mult=0.25, scales=CHANNEL_SCALES
    )
    for step in ("blocks", "channels"):
        for text in evaluated(tmp_path / "both" / step):
            assert joint.macs(joint.parse(text)) <= 800_000
    assert joint.macs(joint.parse(result["architecture"])) == result["macs"]
    assert hwnas(*words)[1] == out  # finished: the same again, at once


def test_bits_are_searched_under_bitops_and_measured_as_int8(hwnas):
    words = ("search", "--space", "resnet18-bits", "--out", "bits", *QUICK)
    status, out, said = hwnas(*words, "--bitops", "8M")
    assert status == 0, said
    result = json.loads(out)
    space = package.space("resnet18-bits", input_size=32, classes=10, width_mult=0.25)
    arch = space.parse(result["architecture"])
    assert result["bitops"] == space.bitops(arch)[0] <= 8 * 2**20
    assert result["budget"] == ["bitops<=8M"]
    assert result["target"]["precision"] == "int8"
    assert result["measured_ms"] > 0


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--space", "proxyless", "--channels"), "space proxyless takes .*got 'scales'"),
        (("--space", "shufflenet", "--blocks", "3-4"), "blocks of shufflenet are 20 of"),
        (("--space", "shufflenet", "--two-step", "--channels"), "leave those flags out"),
        (("--two-step",), "space proxyless takes .*got 'scales'"),
        (("--drop-margin", "2"), "--drop-margin is of --method betanas, got --method spos"),
        (("--space", "shufflenet", "--bins", "1M:2M:1M"), "--bins are of --sampler constraint"),
        (("--sampler", "constraint", "--bins", "1M:2M"), "LOW:HIGH:STEP of the macs budget"),
        (("--sampler", "constraint", "--bins", "1M:2M:3M"), "whole number of steps"),
        (("--sampler", "constraint", "--bins", "1:2:1"), "positive number with a unit"),
        (
            ("--method", "betanas", "--sampler", "constraint"),
            "--sampler is of --method spos and tnas-os, got --method betanas",
        ),
        (
            ("--space", "resnet18-bits", "--macs", "1G", "--precision", "fp32"),
            "its precision is int8, got fp32",
        ),
    ],
)
def test_bad_input_says_what_is_allowed(hwnas, words, says, tmp_path):
    status, _, said = hwnas("search", "--macs", "800k", *words, *QUICK)
    assert status == 2
    assert re.search(says, " ".join(said.split()))
    assert not (tmp_path / "runs").exists()


def test_a_budget_of_bitops_needs_bits(hwnas):
    status, _, said = hwnas("search", "--bitops", "14G", "--space", "shufflenet", *QUICK)
    assert status == 2
    assert "shufflenet quantises nothing" in said


def test_bins_that_hold_nothing_are_refused_before_anything_is_trained(hwnas, tmp_path):
    words = ("--space", "resnet18-bits", "--bitops", "8M", "--sampler", "constraint")
    status, _, said = hwnas("search", *words, "--bins", "1T:2T:1T", *QUICK)
    assert status == 2
    assert "no architecture costs between" in said
    assert not (tmp_path / "runs").exists()


def test_few_bits_are_not_profiled_as_floats(hwnas):
    status, _, said = hwnas("profile", "--space", "resnet18-bits", "--precision", "fp32")
    assert status == 2
    assert "its precision is int8" in " ".join(said.split())
