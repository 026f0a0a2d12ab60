"""A training that was stopped goes on as if it had not been."""

import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from hwnas import spaces
from hwnas.errors import CheckpointError
from hwnas.spaces import SearchSpace
from hwnas.supernet import (
    OPTIMIZERS,
    SHARINGS,
    OptimizerKind,
    Sharing,
    Supernet,
    UniformSampler,
    learning_rate,
    load_checkpoint,
    load_weights,
    make_optimizer,
    save_checkpoint,
    train_step,
)

MakeSupernet = Callable[..., Supernet]


def train(
    space: SearchSpace,
    supernet: Supernet,
    optimizer: torch.optim.Optimizer,
    first: int,
    last: int,
) -> None:
    sampler = UniformSampler(space, seed=2)
    for step in range(first, last):
        generator = torch.Generator().manual_seed(step)
        images = torch.randn(8, 3, 32, 32, generator=generator)
        labels = torch.randint(10, (8,), generator=generator)
        rate = learning_rate(step, 10, 0.01, warm_up=2)
        train_step(supernet, optimizer, images, labels, sampler.sample(step), lr=rate)


def layout(tensor: torch.Tensor) -> list[int]:
    """Strides of the dimensions where they matter."""
    return [s for s, size in zip(tensor.stride(), tensor.shape, strict=True) if size > 1]


@pytest.mark.parametrize("sharing", SHARINGS)
@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_going_on_is_bit_identical(
    small_space: SearchSpace, tmp_path: Path, sharing: Sharing, kind: OptimizerKind
) -> None:
    path = tmp_path / "supernet.safetensors"
    straight = Supernet(small_space, sharing=sharing, seed=1)
    optimizer = make_optimizer(straight, kind)
    train(small_space, straight, optimizer, 0, 3)
    save_checkpoint(path, straight, optimizer, 3)
    at_three = {name: tensor.clone() for name, tensor in straight.state_dict().items()}
    train(small_space, straight, optimizer, 3, 6)

    resumed = Supernet(small_space, sharing=sharing, seed=7)
    fresh = make_optimizer(resumed, kind)
    assert load_checkpoint(path, resumed, fresh) == 3
    train(small_space, resumed, fresh, 3, 6)

    expected, got = straight.state_dict(), resumed.state_dict()
    assert expected.keys() == got.keys()
    for name, tensor in expected.items():
        assert torch.equal(tensor, got[name]), name
        assert layout(tensor) == layout(got[name]), name
    moved = [not torch.equal(at_three[name], expected[name]) for name in expected]
    assert sum(moved) > 10
    for mine, theirs in zip(straight.parameters(), resumed.parameters(), strict=True):
        mine_state, their_state = optimizer.state[mine], fresh.state[theirs]
        assert mine_state.keys() == their_state.keys()
        for key, value in mine_state.items():
            assert torch.equal(value, their_state[key])
            assert layout(value) == layout(their_state[key])


@pytest.fixture
def stored(small_space: SearchSpace, tmp_path: Path) -> Path:
    path = tmp_path / "supernet.safetensors"
    supernet = Supernet(small_space, seed=0)
    optimizer = make_optimizer(supernet)
    train(small_space, supernet, optimizer, 0, 1)
    save_checkpoint(path, supernet, optimizer, 1, {"data": "digits"})
    return path


def test_one_file_and_no_pickle(stored: Path) -> None:
    assert [p.name for p in stored.parent.iterdir() if p.is_file()] == [stored.name]
    with safe_open(stored, framework="pt") as file:
        assert '"step": 1' in file.metadata()["hwnas"]


def unchanged_by(
    path: Path, supernet: Supernet, metadata: dict[str, str] | None, kind: OptimizerKind = "adam"
) -> str:
    """The message of a load that fails and leaves everything as it was."""
    optimizer = make_optimizer(supernet, kind)
    before = {name: tensor.clone() for name, tensor in supernet.state_dict().items()}
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(path, supernet, optimizer, metadata)
    for name, tensor in supernet.state_dict().items():
        assert torch.equal(tensor, before[name])
    assert not optimizer.state
    message = str(caught.value)
    assert "\n" not in message
    assert str(path) in message
    return message


def test_a_checkpoint_of_something_else_is_refused(small_space: SearchSpace, stored: Path) -> None:
    other = spaces.space("proxyless", **{**small_space.arguments, "classes": 9})
    ours = {"data": "digits"}
    assert other.identifier in unchanged_by(stored, Supernet(other, seed=0), ours)
    separate = Supernet(small_space, sharing="separate", seed=0)
    assert "'sharing': 'separate'" in unchanged_by(stored, separate, ours)
    same = Supernet(small_space, seed=0)
    assert "'kind': 'SGD'" in unchanged_by(stored, same, ours, "sgd")
    assert "'data': 'cifar10'" in unchanged_by(stored, same, {"data": "cifar10"})
    assert "give another --out" in unchanged_by(stored, same, None)
    assert load_checkpoint(stored, same, make_optimizer(same), ours) == 1


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[: len(data) // 2],
        lambda data: b"",
        lambda data: b"\xff" * 8 + data[8:],
        lambda data: data[:8] + b"[" + data[9:],
    ],
)
def test_damaged_files_are_refused(
    small_space: SearchSpace, stored: Path, damage: Callable[[bytes], bytes]
) -> None:
    stored.write_bytes(damage(stored.read_bytes()))
    message = unchanged_by(stored, Supernet(small_space, seed=0), {"data": "digits"})
    assert "remove it to train anew" in message


def test_missing_and_foreign_files_are_refused(small_space: SearchSpace, tmp_path: Path) -> None:
    supernet = Supernet(small_space, seed=0)
    assert "can be read (No such file" in unchanged_by(
        tmp_path / "none.safetensors", supernet, None
    )
    foreign = tmp_path / "foreign.safetensors"
    save_file({"x": torch.zeros(1)}, foreign)
    assert "is not a checkpoint that can be read" in unchanged_by(foreign, supernet, None)


@pytest.mark.parametrize("change", ["lacks", "has", "shape", "state shape"])
def test_tensors_that_do_not_fit_are_refused(
    small_space: SearchSpace, stored: Path, change: str
) -> None:
    with safe_open(stored, framework="pt") as file:
        header = file.metadata()
    tensors = load_file(stored)
    weight = next(name for name, t in tensors.items() if name.startswith("weight") and t.ndim == 4)
    state = next(name for name, t in tensors.items() if name.endswith("exp_avg") and t.ndim == 4)
    if change == "lacks":
        del tensors[weight]
    elif change == "has":
        tensors["weight more"] = torch.zeros(1)
    elif change == "shape":
        tensors[weight] = tensors[weight][:1].clone()
    else:
        tensors[state] = tensors[state][:1].clone()
    save_file(tensors, stored, header)
    message = unchanged_by(stored, Supernet(small_space, seed=0), {"data": "digits"})
    assert "remove it to train anew" in message


def damage(path: Path, about: str | None = None, **tensors: torch.Tensor | None) -> None:
    """Rewrite a checkpoint with other metadata, or with some tensors changed (None: removed)."""
    with safe_open(path, framework="pt") as file:
        header = file.metadata()
    content = {**load_file(path), **{k: t for k, t in tensors.items() if t is not None}}
    kept = {k: t for k, t in content.items() if k not in tensors or tensors[k] is not None}
    save_file(kept, path, header if about is None else {"hwnas": about})


@pytest.mark.parametrize(
    ("step", "says"),
    [
        ("Infinity", "step should be a valid integer, got inf"),
        ("1e308", "step should be a valid integer"),
        ("-1", "step should be greater than or equal to 0"),
        ("null", "step should be a valid integer"),
        ("true", "step should be a valid integer"),
        ("[" * 5000 + "]" * 5000, "metadata: damaged"),
        ('{"step": 1}', "step should be a valid integer"),
        ("11", "step 11 is beyond the 10 steps of its training"),
    ],
    ids=lambda text: text[:12],
)
def test_a_step_that_cannot_be_is_refused(
    small_space: SearchSpace, stored: Path, step: str, says: str
) -> None:
    with safe_open(stored, framework="pt") as file:
        about = json.loads(file.metadata()["hwnas"])
    damage(stored, json.dumps({**about, "step": "STEP"}).replace('"STEP"', step))
    supernet = Supernet(small_space, seed=0)
    for load in (
        lambda: load_checkpoint(stored, supernet, make_optimizer(supernet), steps=10),
        lambda: load_weights(stored, supernet, 10),
    ):
        with pytest.raises(CheckpointError, match=re.escape(says)) as caught:
            load()
        assert "remove it to train anew" in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("change", ["lacks a moment", "no moment", "step", "type"])
def test_the_state_of_an_optimizer_is_whole(
    small_space: SearchSpace, stored: Path, change: str
) -> None:
    """What lacks would be a KeyError at the first step; what is wrong, a wrong training."""
    tensors = load_file(stored)
    moment = next(name for name in tensors if name.endswith("exp_avg"))
    step = moment.replace("exp_avg", "step")
    damage(
        stored,
        **{
            "lacks a moment": {moment: None},
            "no moment": {moment: torch.tensor(0.5)},
            "step": {step: torch.tensor(torch.inf)},
            "type": {step: torch.tensor(1)},
        }[change],
    )
    message = unchanged_by(stored, Supernet(small_space, seed=0), {"data": "digits"})
    assert "do not fit this version" in message


def test_a_pipe_is_no_checkpoint(small_space: SearchSpace, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    message = unchanged_by(tmp_path / "pipe", Supernet(small_space, seed=0), None)
    assert "is no regular file" in message


def test_a_failed_save_keeps_the_old_file(
    small_space: SearchSpace, stored: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(fd: int) -> None:
        raise OSError(28, "No space left on device")

    before = stored.read_bytes()
    supernet = Supernet(small_space, seed=0)
    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        save_checkpoint(stored, supernet, make_optimizer(supernet), 9)
    assert stored.read_bytes() == before
    assert [p.name for p in stored.parent.iterdir() if p.is_file()] == [stored.name]
