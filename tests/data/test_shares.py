"""Parts of a batch, read alone where that is the same to the last bit."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from hwnas.data import (
    Augmentation,
    augmented,
    from_arrays,
    from_batches,
    load_data,
    train_share,
    with_data_workers,
)
from hwnas.data import streamed as streamed_file
from hwnas.errors import OptionError
from hwnas.testing import check_data

SIZE, SEED = 12, 5
RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (60, 3, 8, 10), dtype=np.uint8)
LABELS = np.arange(60) % 3
CHANGED = Augmentation(random_crop=0.4, flip=0.5, colour=0.3)


class Drawing:
    """Map-style examples that draw something each."""

    def __len__(self) -> int:
        return len(IMAGES)

    def __getitem__(self, row: int) -> Any:
        return IMAGES[row] + torch.rand(1).numpy(), int(LABELS[row])


def in_memory(folder: Path) -> Any:
    return augmented(from_arrays((IMAGES, LABELS), name="noise"), CHANGED)


def streamed(folder: Path) -> Any:
    for at, (pixels, label) in enumerate(zip(IMAGES, LABELS, strict=True)):
        path = folder / f"class{label}" / f"{at}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(pixels.transpose(1, 2, 0)).save(path)
    return augmented(load_data(f"imagefolder-streamed:{folder}", input_size=8), CHANGED)


def of_arrays(folder: Path) -> Any:
    return from_batches((IMAGES.astype(np.float32), LABELS), classes=3)


def drawing(folder: Path) -> Any:
    return from_batches(Drawing(), classes=3)


def batches(folder: Path) -> Any:
    """A loader that draws examples twice an epoch has an order of its own, and cannot be cut."""
    sampler = torch.utils.data.RandomSampler(range(60), replacement=True)
    loader = DataLoader([*Drawing()], batch_size=7, sampler=sampler)  # type: ignore[misc]
    return from_batches(loader, loader, classes=3)


@pytest.mark.parametrize("make", [in_memory, streamed, of_arrays, drawing, batches])
@pytest.mark.parametrize("of", [1, 2, 3])
def test_parts_are_the_batch_to_the_last_bit(
    make: Callable[[Path], Any], of: int, tmp_path: Path
) -> None:
    data = make(tmp_path)
    for step in (0, 3):
        parts = [train_share(data, step, SIZE, SEED, share=s, of=of) for s in range(of)]
        whole = data.train_batch(step, SIZE, SEED)
        for half, halves in zip(whole, zip(*parts, strict=True), strict=True):
            assert np.array_equal(half, np.concatenate(halves))
            assert [len(part) for part in halves] == [SIZE // of] * of


def test_only_the_part_is_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = with_data_workers(streamed(tmp_path), 0)  # what other processes read is not seen here
    real, seen = streamed_file.decoded, []

    def counted(*given: Any, **more: Any) -> Any:
        seen.append(given[1])
        return real(*given, **more)

    monkeypatch.setattr(streamed_file, "decoded", counted)
    for share in range(3):
        train_share(data, 4, SIZE, SEED, share=share, of=3)
        assert len(seen) == (share + 1) * SIZE // 3
    assert len(set(seen)) == SIZE


def test_a_batch_that_cannot_be_shared_out_is_refused(tmp_path: Path) -> None:
    for data in (in_memory(tmp_path), batches(tmp_path)):
        with pytest.raises(OptionError, match="12 images is not divisible by 5 workers"):
            train_share(data, 0, SIZE, SEED, share=0, of=5)


def test_who_promises_a_sequence_and_draws_for_a_batch_is_caught(tmp_path: Path) -> None:
    class Promising:
        one_sequence = True

        def __getattr__(self, name: str) -> Any:
            return getattr(self.data, name)

        def __init__(self, data: Any):
            self.data = data

    check_data(Promising(of_arrays(tmp_path)))
    with pytest.raises(AssertionError, match="one_sequence is said"):
        check_data(Promising(drawing(tmp_path)), augmented=True)
