"""Own data with an own loss and metric, from the command line."""

import json
from pathlib import Path

FILE = """
import torch
from torch import nn
from torch.nn import functional as F

import hwnas
from hwnas.data import Task, from_batches


def numbers(width):
    return nn.Sequential(nn.Linear(4, width), nn.ReLU(), nn.Linear(width, 1))


def off(outputs, targets):
    return (outputs - targets).abs().mean()


def nothing(outputs, targets):
    return outputs


x = torch.rand(200, 4, generator=torch.Generator().manual_seed(0))
space = hwnas.family(numbers, {"width": [2, 4, 8, 16]}, input_shape=(4,))
task = Task(F.mse_loss, off, name="[b]off[/b]", lower_is_better=True)
data = from_batches((x, x.sum(1, keepdim=True)), task=task)
once = from_batches((x, x.sum(1, keepdim=True)), task=Task(F.mse_loss, nothing))


def made():
    return data


def ends():
    return from_batches(iter([(x, x)]), task=task)
"""
STEPS = ("--steps", "8", "--population", "3", "--generations", "1")


def test_a_search_and_what_follows_it(hwnas, tmp_path: Path) -> None:
    file, out = tmp_path / "my_task.py", tmp_path / "run"
    file.write_text(FILE)

    def run(*words: str) -> str:
        status, told, said = hwnas(*words, "--space", f"{file}:space", "--data", f"{file}:made")
        assert status == 0, said
        return told

    told = run("search", "--params", "0.05k", *STEPS, "--out", str(out))
    assert "[b]off[/b]" in told
    found = json.loads((out / "result.json").read_text())
    assert f"{-found['accuracy']:.4g} validation" in told
    assert found["accuracy"] < 0
    told = run("train", str(out), "--steps", "5", "--train-batch", "32")
    assert "test [b]off[/b]" in told
    assert "equal answers 100.00%" in " ".join(told.split())
    told = run("rank", str(out), "--count", "3", "--steps", "2", "--train-batch", "32")
    ranked = json.loads((out / "rank" / "rank.json").read_text())
    alone = [entry["alone_accuracy"] for entry in ranked["architectures"]]
    assert f"{-min(alone):.4g} to {-max(alone):.4g} on the test images" in " ".join(told.split())
    words = ("search", "--space", f"{file}:space", "--params", "0.05k", "--out", str(out))
    status, _, said = hwnas(*words, *STEPS, "--data", f"{file}:once")
    assert status == 2
    assert "the metric nothing gives a number" in said
    status, _, said = hwnas(*words, *STEPS, "--data", f"{file}:ends")
    assert status == 2
    assert "an iterator, which ends after one epoch" in said
    assert json.loads((out / "result.json").read_text()) == found  # nothing is lost
