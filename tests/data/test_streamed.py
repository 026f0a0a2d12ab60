"""Folders whose images stay in their files: what is read, by whom, and what goes wrong."""

import multiprocessing
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from hwnas.data import (
    ArrayDataset,
    Augmentation,
    StreamedImages,
    augmented,
    load_data,
    with_data_workers,
)
from hwnas.data.file_list import FileList
from hwnas.data.folder_files import FolderFiles
from hwnas.data.image_folder import FolderImages, image_folder
from hwnas.errors import DataError, OptionError, WorkerLostError
from hwnas.testing import check_data

SIZE, SEED = 12, 5


def fill(folder: Path, count: int = 30) -> Path:
    """JPEGs of noise in three classes, higher than wide and wider than high."""
    rng = np.random.default_rng(0)
    for at in range(count):
        path = folder / f"class{at % 3}" / f"{at:02}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 256, (20 + at, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fill(tmp_path_factory.mktemp("images"))


def load(folder: Path, workers: int = 0) -> StreamedImages:
    data = load_data(f"imagefolder-streamed:{folder}", input_size=SIZE)
    found = with_data_workers(data, workers)
    assert isinstance(found, StreamedImages)
    return found


def batches(data: Any, steps: list[int]) -> list[Any]:
    return [data.train_batch(step, 4, SEED) for step in steps]


def equal(ours: list[Any], theirs: list[Any]) -> bool:
    pairs = zip(ours, theirs, strict=True)
    return all(np.array_equal(a, b) for x, y in pairs for a, b in zip(x, y, strict=True))


# What is read


def test_it_reads_what_a_folder_in_memory_holds(folder: Path) -> None:
    streamed = load(folder)
    memory = load_data(f"imagefolder:{folder}", input_size=SIZE)
    assert isinstance(memory, ArrayDataset)
    assert equal(batches(streamed, [0, 7]), batches(memory, [0, 7]))
    assert equal(list(streamed.validation()), list(memory.validation()))
    assert equal(list(streamed.test()), list(memory.test()))
    assert np.array_equal(streamed.calibration(5), memory.calibration(5))
    assert streamed.calibration(0).shape == (0, 3, SIZE, SIZE)
    assert streamed.preparation == memory.preparation
    check_data(streamed)


def test_processes_and_order_change_nothing(folder: Path) -> None:
    how = Augmentation(random_crop=0.2, flip=0.5, colour=0.4)
    steps = [0, 1, 2, 9, 11, 13, 13, 1]  # in a row, in twos, again, and back
    alone = batches(augmented(load(folder), how), steps)
    shared = augmented(load(folder, workers=2), how)
    assert equal(alone, batches(shared, steps[:5]) + batches(shared, steps[5:]))
    assert multiprocessing.active_children() == []  # the jumps ended their sequences
    one_by_one = [augmented(load(folder), how).train_batch(4 * 9 + at, 1, SEED) for at in range(4)]
    assert np.array_equal(alone[3][0], np.concatenate([images for images, _ in one_by_one]))
    assert not equal(alone[:1], batches(load(folder), [0]))


def test_processes_end_with_the_data(folder: Path) -> None:
    data = load(folder, workers=2)
    batches(data, [0, 1, 2])
    assert len(multiprocessing.active_children()) == 2
    del data
    assert multiprocessing.active_children() == []


def test_the_digest_follows_names_sizes_and_shape_and_not_the_place(tmp_path: Path) -> None:
    first = load(fill(tmp_path / "one", 12)).digest
    (tmp_path / "one").rename(tmp_path / "two")
    assert load(tmp_path / "two").digest == first
    other = load_data(f"imagefolder-streamed:{tmp_path / 'two'}", input_size=SIZE + 1)
    assert other.digest != first
    (tmp_path / "two/class0/00.jpg").rename(tmp_path / "two/class0/99.jpg")
    renamed = load(tmp_path / "two").digest
    fill(tmp_path / "two", 1)
    assert len({first, renamed, load(tmp_path / "two").digest}) == 3


def test_what_memory_does_not_hold_is_streamed_and_that_is_said(folder: Path) -> None:
    shape = (3, SIZE, SIZE)
    size = 30 * 3 * SIZE * SIZE
    assert isinstance(image_folder(folder, shape, most_bytes=size), FolderImages)
    found = image_folder(folder, shape, most_bytes=size - 1)
    assert isinstance(found, FolderFiles)
    assert "30 images take 0.0 GB" in found.split(0).notes[-1]
    assert found.in_memory is not None  # a run of an earlier version goes on
    assert isinstance(found.in_memory(), FolderImages)
    asked = image_folder(folder, shape, most_bytes=0)
    assert isinstance(asked, FolderFiles)
    assert asked.in_memory is None


# What goes wrong


def test_all_files_that_are_no_images_are_named_at_once(tmp_path: Path) -> None:
    fill(tmp_path)
    for name, content in (("00", b""), ("03", b"<!doctype html>")):
        (tmp_path / f"class0/{name}.jpg").write_bytes(content)
    cut = tmp_path / "class1/04.jpg"
    cut.write_bytes(cut.read_bytes()[:-100])
    os.mkfifo(tmp_path / "class2/pipe.jpg")
    with pytest.raises(DataError) as caught:
        load(tmp_path)
    text = str(caught.value)
    assert text.startswith("4 of 31 images cannot be used: ")
    assert all(f"{name}.jpg'" in text for name in ("00", "03", "04", "pipe"))
    assert "\n" not in text
    found = image_folder(tmp_path, (3, SIZE, SIZE), skip=True, most_bytes=0)
    data = found.split(0)
    assert isinstance(data, StreamedImages)
    assert len(data.train_rows) + len(data.validation_rows) + len(data.test_rows) == 27
    assert data.notes[0].startswith("4 of 31 images are left out: ")


def test_a_file_that_ends_unusually_and_is_whole_is_read(tmp_path: Path) -> None:
    fill(tmp_path, 15)
    with (tmp_path / "class0/00.jpg").open("ab") as file:
        file.write(b"\0" * 100)
    assert load(tmp_path).notes == ()


@pytest.mark.parametrize("workers", [0, 1])
def test_a_file_that_vanishes_is_named_in_one_line(tmp_path: Path, workers: int) -> None:
    data = load(fill(tmp_path, 15), workers)
    batches(data, [0, 1])
    gone = data.files[data.train_rows[-1]]
    gone.unlink()
    with pytest.raises(DataError, match=rf"^cannot read '{gone}' .*the same command goes on"):
        batches(data, list(range(2, 9)))


def test_a_process_that_dies_is_said_and_replaced(folder: Path) -> None:
    data = load(folder, workers=2)
    batches(data, [0, 1, 2])
    os.kill(multiprocessing.active_children()[0].pid or 0, signal.SIGKILL)
    with pytest.raises(WorkerLostError, match=r"a process that reads images ended.*goes on from"):
        batches(data, list(range(3, 30)))
    assert equal(batches(data, [0, 1, 2]), batches(load(folder), [0, 1, 2]))


def test_finished_images_and_other_channels_are_not_changed(folder: Path) -> None:
    how = Augmentation(flip=1.0)
    arrays = np.zeros((40, 2, 4, 4), np.uint8), np.arange(40) % 2
    from hwnas.data import from_arrays

    with pytest.raises(OptionError, match="uint8 with 2: leave them out"):
        augmented(from_arrays(arrays, name="pairs"), how)
    with pytest.raises(OptionError, match="mine hands out finished images"):
        augmented(type("Mine", (), {"name": "mine"})(), how)
    with pytest.raises(OptionError, match="data_workers is a whole number of at least 0, got -1"):
        with_data_workers(load(folder), -1)


# How images are changed


def test_crops_are_as_large_as_they_may_be_and_anywhere() -> None:
    """Red counts columns and green counts rows, so that pixels say where they come from."""
    rows, columns = np.mgrid[0:240, 0:240].astype(np.uint8)
    image = Image.fromarray(np.stack([columns, rows, rows], axis=2))
    how, rng = Augmentation(random_crop=0.25), np.random.default_rng(0)
    crops = [np.asarray(how.of(image, (60, 60), rng)).astype(float) for _ in range(200)]
    widths, heights = ([np.ptp(crop[:, :, at]) * 60 / 59 for crop in crops] for at in (0, 1))
    areas = np.array(widths) * heights / 240**2
    assert areas.min() > 0.24
    assert 0.5 < areas.mean() < 0.65  # uniform from 0.25 to 1 has a mean of 0.625; some are cut off
    ratios = np.array(widths) / heights
    assert 0.73 < ratios.min() < 0.8
    assert 1.25 < ratios.max() < 1.37
    lefts = np.array([crop[:, :, 0].min() for crop in crops])
    assert lefts.min() < 5
    assert lefts.max() > 100


def test_images_in_memory_are_mirrored_and_recoloured() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (6, 3, 5, 4), dtype=np.uint8)
    mirrored = Augmentation(flip=1.0).of_arrays(pixels, SEED, 0)
    assert np.array_equal(mirrored, pixels[:, :, :, ::-1])
    half = Augmentation(flip=0.5).of_arrays(np.repeat(pixels[:1, :1], 200, 0), SEED, 0)
    assert 70 < (half[:, 0, 0, 0] == pixels[0, 0, 0, 0]).sum() < 130
    grey = np.full((300, 3, 2, 2), 100, np.uint8)  # without contrast or saturation to change
    found = Augmentation(colour=0.4).of_arrays(grey, SEED, 0)[:, 0, 0, 0]
    assert 60 <= found.min() < 65
    assert 135 < found.max() <= 140


# The list of files


def test_a_list_of_files_gives_back_its_paths() -> None:
    names = ["a/x.jpg", "ä/é.png", os.fsdecode(b"b/\xff.jpg"), ""]
    files = FileList(Path("root"), names)
    assert list(files) == [Path("root") / name for name in names]
    assert files[-3:-1] == [Path("root/ä/é.png"), Path("root") / names[2]]
    joined = FileList.joined(Path("root"), [files, FileList(Path("root")), files])
    assert list(joined) == 2 * list(files)
    with pytest.raises(IndexError):
        joined[8]
