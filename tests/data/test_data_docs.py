"""The examples of docs/data.md do what it says."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch import nn

import hwnas
from hwnas.data import DATA, ArrayDataset, load_data
from hwnas.testing import check_data

TEXT = (Path(__file__).parents[2] / "docs" / "data.md").read_text(encoding="utf-8")
BLOBS, BRIGHTNESS, ON_DISK, REGISTERED = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)


def test_blobs(tmp_path: Path) -> None:
    path = tmp_path / "blobs.py"
    path.write_text(BLOBS)
    data = load_data(f"{path}:blobs", input_size=16)
    check_data(data)
    assert isinstance(data, ArrayDataset)
    for images, labels in data.test():
        quarters = images.reshape(len(images), 3, 2, 8, 2, 8).mean((1, 3, 5)).reshape(-1, 4)
        np.testing.assert_array_equal(quarters.argmax(1), labels)  # the brightest is the class


def test_brightness_is_learned(tmp_path: Path) -> None:
    names: dict[str, Any] = {}
    exec(compile(BRIGHTNESS, "docs/data.md", "exec"), names)
    data = names["data"]
    check_data(data)
    settings = {"steps": 40, "base_lr": 3e-2, "batch_size": 32, "population": 3, "generations": 1}
    space = hwnas.family(
        lambda width: nn.Sequential(nn.Flatten(), nn.Linear(192, width), nn.Linear(width, 1)),
        {"width": [2, 4]},
        input_shape=(3, 8, 8),
    )
    found = hwnas.find_network(space, data, ["macs<=1M"], out=tmp_path, **settings)
    assert "levels off" in str(found)
    constant = data.task.score_of([(y.mean().expand_as(y), y) for _, y in data.validation()])
    assert found.accuracy > constant  # better than to say the mean of all


def test_images_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DATA, "_registered", {})
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "images"
    folder.mkdir()
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (300, 3, 32, 32), dtype=np.uint8)
    np.save(folder / "images.npy", images)
    np.save(folder / "labels.npy", np.arange(300) % 5)
    code = f"{ON_DISK}\n{REGISTERED}"
    names: dict[str, object] = {}
    exec(compile(code, "docs/data.md", "exec"), names)
    data = names["data"]
    assert isinstance(data, names["OnDisk"])  # type: ignore[arg-type]
    check_data(data)
    assert (data.classes, data.train_count) == (5, 150)


def test_every_spec_is_in_the_table() -> None:
    for entry in ("digits", "fashion-mnist:DIR", "cifar10:DIR", "imagefolder:DIR", "FILE.py:NAME"):
        assert f"| `{entry}`" in TEXT
