"""Folders as people keep them: parts, classes, and files that are no images or broken ones."""

import os
import tracemalloc
from collections.abc import Mapping
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from PIL import Image

from hwnas.data import ArrayDataset, from_arrays, has_digest, load_data
from hwnas.data.folder_layout import part_named
from hwnas.data.image_folder import image_folder
from hwnas.data.stratified import apportioned, stratified
from hwnas.errors import DataError, OptionError
from hwnas.memory import machine_bytes

SIZE = 8


def fill(folder: Path, counts: Mapping[str, int], start: int = 0) -> Path:
    """Images of one shade each, from ``start`` on, in sub-folders of these names."""
    for name, count in counts.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        for shade in range(start, start + count):
            Image.new("L", (SIZE, SIZE), shade).save(folder / name / f"{shade:03}.png")
        start += count
    return folder


def load(folder: Path, spec: str = "imagefolder") -> ArrayDataset:
    data = load_data(f"{spec}:{folder}", input_size=SIZE)
    assert isinstance(data, ArrayDataset)
    return data


def shades(images: np.ndarray) -> set[int]:
    return set(images[:, 0, 0, 0].tolist())


def counts(data: ArrayDataset) -> list[list[int]]:
    """Images of each class in each part."""
    parts = (data.train_labels, data.validation_labels, data.test_labels)
    return [np.bincount(labels, minlength=data.classes).tolist() for labels in parts]


# Parts


@pytest.mark.parametrize(
    ("part", "names"),
    [
        (
            "training",
            "train Train TRAINING trn train_set TrainSet train2017 trainval images_train 01-train",
        ),
        ("validation", "val valid validation Validation val2017 dev eval VAL valid_set"),
        ("test", "test Testing tst test_images Test-Data"),
    ],
)
def test_usual_names_of_parts(part: str, names: str) -> None:
    assert {part_named(name) for name in names.split()} == {part}


@pytest.mark.parametrize("name", ["trainer", "cat", "valley", "tests are", "contest", "2017", ""])
def test_other_names_are_of_no_part(name: str) -> None:
    assert part_named(name) is None


@pytest.mark.parametrize("names", [("train", "validation", "test"), ("Training", "VALID", "Test")])
def test_three_parts_are_what_they_say(tmp_path: Path, names: tuple[str, str, str]) -> None:
    for at, name in enumerate(names):
        fill(tmp_path / name, {"a": 4, "b": 4}, 80 * at)
    data = load(tmp_path)
    assert shades(data.train_images) == set(range(8))
    assert shades(data.validation_images) == set(range(80, 88))
    assert shades(data.test_images) == set(range(160, 168))
    assert data.class_names == ("a", "b")
    assert data.notes == ()


def test_validation_is_split_off_where_it_is_missing(tmp_path: Path) -> None:
    fill(tmp_path / "train", {"a": 12, "b": 12})
    fill(tmp_path / "testing", {"a": 3, "b": 3}, 100)
    data = load(tmp_path)
    assert counts(data) == [[10, 10], [2, 2], [3, 3]]
    assert shades(data.test_images) == set(range(100, 106))
    assert shades(data.train_images) | shades(data.validation_images) == set(range(24))


def test_val_alone_is_kept_for_the_report_and_that_is_said(tmp_path: Path) -> None:
    fill(tmp_path / "train", {"a": 12, "b": 12})
    fill(tmp_path / "val", {"a": 3, "b": 3}, 100)
    data = load(tmp_path)
    assert shades(data.test_images) == set(range(100, 106))
    assert any("'val' is kept for the last report" in note for note in data.notes)


def test_what_is_no_part_is_counted(tmp_path: Path) -> None:
    fill(tmp_path / "train", {"a": 9, "b": 9})
    fill(tmp_path / "val", {"a": 3, "b": 3}, 100)
    fill(tmp_path / "extra", {"a": 2, "c": 3})
    fill(tmp_path, {"test": 7})  # without classes, as competitions hand them out
    notes = " ".join(load(tmp_path).notes)
    assert "extra' holds 5 images; it is no part of the data" in notes
    assert "test' holds 7 images, but no folders of classes: it is not used" in notes


@pytest.mark.parametrize("names", [("bus", "train"), ("dev", "prod", "test"), ("test", "val")])
def test_trains_may_be_a_class(tmp_path: Path, names: tuple[str, ...]) -> None:
    assert load(fill(tmp_path, dict.fromkeys(names, 5))).class_names == names


def test_a_part_beside_what_may_be_one_is_no_class(tmp_path: Path) -> None:
    fill(tmp_path / "train", {"a": 5, "b": 5})
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations" / "a.xml").write_text("<a/>")
    assert load(tmp_path).class_names == ("a", "b")
    fill(tmp_path / "holdout", {"a": 5, "b": 5})
    with pytest.raises(DataError, match=r"train' holds folders .*'annotations', 'holdout' beside"):
        load(tmp_path)


def test_classes_a_folder_below_are_pointed_at(tmp_path: Path) -> None:
    fill(tmp_path, {"all/train": 0, "all/a": 5, "all/b": 5})
    with pytest.raises(DataError, match=r"holds 1 of them: .*, give imagefolder:.*/all$"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (("val", "test"), r"holds 'test', 'val' and no training part: name it 'train'"),
        (("train", "val", "valid"), r"'val' and 'valid', which both name the validation part"),
    ],
)
def test_parts_that_cannot_be(tmp_path: Path, names: tuple[str, ...], says: str) -> None:
    for name in names:
        fill(tmp_path / name, {"a": 5, "b": 5})
    with pytest.raises(DataError, match=says):
        load(tmp_path)


def test_parts_without_classes_are_no_classes(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"one sub-folder a class.*train' holds 0"):
        load(fill(tmp_path, {"train": 5, "test": 5}))


# Stratified


def test_every_class_is_in_every_part(tmp_path: Path) -> None:
    data = load(fill(tmp_path, {"rare": 3, "some": 10, "many": 87}))
    assert [sum(part) for part in zip(*counts(data), strict=True)] == [
        87,
        3,
        10,
    ]  # many, rare, some
    assert min(map(min, counts(data))) >= 1
    assert counts(data)[0][0] == 87 - 2 * 17  # a fifth, and no remainder left for the largest


def test_classes_too_small_for_every_part_are_named(tmp_path: Path) -> None:
    data = load(fill(tmp_path, {"a": 2, "b": 2, "c": 2}))
    assert counts(data) == [[1, 1, 1], [1, 0, 1], [0, 1, 0]]
    assert data.notes == (
        "1 of 3 classes have too few images for the validation part: 'b'",
        "2 of 3 classes have too few images for the test part: 'a', 'c'",
    )


@pytest.mark.parametrize("seed", range(3))
def test_a_stratified_split_takes_every_row_once(seed: int) -> None:
    labels = np.random.default_rng(seed).integers(0, 7, 200)
    parts = stratified(labels, [40, 40], seed)
    assert sorted(np.concatenate(parts)) == list(range(200))
    for part in parts[1:]:
        share = np.bincount(labels[part], minlength=7) / np.bincount(labels)
        assert (abs(share - 0.2) < 1 / np.bincount(labels)).all()  # off by less than one image
    again = stratified(labels, [40, 40], seed)
    assert all((a == b).all() for a, b in zip(parts, again, strict=True))


def test_seats_of_largest_remainders() -> None:
    # 7 of 20 seats: 3.5, 2.45 and 1.05; the one that is left goes to the first
    assert apportioned(np.array([10, 7, 3]), 7).tolist() == [4, 2, 1]


def test_seeds_split_otherwise(tmp_path: Path) -> None:
    fill(tmp_path, {"a": 20, "b": 20})
    digests = {
        load_data(f"imagefolder:{tmp_path}", input_size=SIZE, seed=seed).digest
        for seed in (0, 0, 1)
    }
    assert len(digests) == 2


@pytest.mark.parametrize("parted", [False, True])
def test_runs_of_earlier_versions_find_their_split(tmp_path: Path, parted: bool) -> None:
    """Version 0.1.0 permuted all images, whatever their class; val was its test part."""
    fill(tmp_path / "train" if parted else tmp_path, {"a": 9, "b": 5})
    if parted:
        fill(tmp_path / "val", {"a": 2, "b": 2}, 100)
        fill(tmp_path / "test", {"a": 2, "b": 2}, 200)

    def images(start: int, stop: int) -> np.ndarray:
        shades = np.arange(start, stop, dtype=np.uint8)[:, None, None, None]
        return np.broadcast_to(shades, (stop - start, 3, SIZE, SIZE))

    train = images(0, 14), np.repeat([0, 1], [9, 5])
    test = (images(100, 104), np.repeat([0, 1], 2)) if parted else None
    before = from_arrays(train, None, test, name="imagefolder")
    spec = f"imagefolder:{tmp_path}"
    assert has_digest(load_data(spec, input_size=SIZE, stratified=False), before.digest)
    assert not has_digest(load_data(spec, input_size=SIZE), before.digest)


# What lies in a class


def test_folders_below_a_class_belong_to_it(tmp_path: Path) -> None:
    fill(tmp_path, {"a": 5, "b": 5, "a/2023": 3, "b/2023/may": 2})
    (tmp_path / "b" / "2023" / "again").symlink_to(tmp_path / "b")  # a circle
    data = load(tmp_path)
    assert sum(map(np.array, counts(data))).tolist() == [8, 7]  # type: ignore[arg-type]
    assert any("5 images lie in folders below their class" in note for note in data.notes)


def test_all_usual_suffixes_are_read_and_others_counted(tmp_path: Path) -> None:
    fill(tmp_path, {"a": 5, "b": 5})
    suffixes = [".bmp", ".gif", ".jfif", ".jpe", ".jpeg", ".JPG", ".pbm", ".pgm", ".ppm"]
    suffixes += [".tif", ".tiff", ".TIF", ".webp"]
    for suffix in suffixes:
        Image.new("1", (9, 9)).convert("L").save(tmp_path / "a" / f"x{suffix}")
    for name in ("noext0", "noext1", "x.heic"):
        (tmp_path / "a" / name).write_bytes(b"?")
    data = load(tmp_path)
    assert sum(part[0] for part in counts(data)) == 5 + len(suffixes)
    assert data.notes == (
        f"{str(tmp_path)!r}: 3 files (2 without suffix, 1 .heic) in classes: not read as images",
    )


def test_litter_is_ignored(tmp_path: Path) -> None:
    fill(tmp_path, {"a": 5, "b": 5, "__MACOSX": 1, ".hidden": 1, "a/@eaDir": 1})
    for name in ("._000.png", ".DS_Store", "Thumbs.db", "desktop.ini"):
        (tmp_path / "a" / name).write_bytes(b"\0\5\x16\7")
    data = load(tmp_path)
    assert data.classes == 2
    assert data.notes == ()
    assert sum(map(sum, counts(data))) == 10


def test_images_in_no_class_are_counted(tmp_path: Path) -> None:
    fill(tmp_path, {"a": 5, "b": 5, ".": 2})
    assert load(tmp_path).notes == (
        f"{str(tmp_path)!r}: 2 images lie in no class and are not used",
    )


def test_empty_classes_are_all_named(tmp_path: Path) -> None:
    fill(tmp_path, {"a": 5, "b": 0, "c": 0})
    with pytest.raises(DataError, match=r"'.*/b', '.*/c' holds no image .*: fill it or remove it"):
        load(tmp_path)


# Broken images


def broken(folder: Path) -> Path:
    fill(folder, {"a": 6, "b": 6})
    (folder / "a" / "000.png").write_bytes(b"")
    (folder / "a" / "001.png").write_bytes(b"<!doctype html>")
    whole = (folder / "b" / "006.png").read_bytes()
    (folder / "b" / "006.png").write_bytes(whole[:-30])
    return folder


def test_all_broken_images_are_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        load(broken(tmp_path))
    text = str(caught.value)
    assert text.startswith("3 of 12 images cannot be used: ")
    for name, reason in (("a/000", "it is empty"), ("a/001", "it is none of"), ("b/006", "")):
        assert f"{name}.png' cannot be read as an image: {reason}" in text
    assert text.endswith(f"or leave them out: imagefolder-readable:{tmp_path}")
    assert "\n" not in text


def test_broken_images_are_left_out_on_request(tmp_path: Path) -> None:
    data = load(broken(tmp_path), "imagefolder-readable")
    assert sum(map(np.array, counts(data))).tolist() == [4, 5]  # type: ignore[arg-type]
    parts = (data.train_images, data.validation_images, data.test_images)
    assert set().union(*map(shades, parts)) == set(range(12)) - {0, 1, 6}
    for images, labels in zip(
        parts, (data.train_labels, data.validation_labels, data.test_labels), strict=True
    ):
        assert ((images[:, 0, 0, 0] >= 6) == labels).all()
    assert data.notes[0].startswith("3 of 12 images are left out: ")


def test_a_list_of_broken_images_is_bounded(tmp_path: Path) -> None:
    for shade in range(30):
        fill(tmp_path, {"a": 1, "b": 1}, 2 * shade)
        (tmp_path / "a" / f"{2 * shade:03}.png").write_bytes(b"no")
    with pytest.raises(DataError, match=r"^30 of 60 images .*; and 10 more\. Mend") as caught:
        load(tmp_path)
    assert str(caught.value).count("cannot be read as an image") == 20


def test_a_class_without_a_readable_image_is_refused(tmp_path: Path) -> None:
    fill(tmp_path, {"a": 5, "b": 5, "c": 1})
    (tmp_path / "c" / "010.png").write_bytes(b"no")
    with pytest.raises(DataError, match=r"no image of class 'c' in .* can be read"):
        load(tmp_path, "imagefolder-readable")


# Pixels


@pytest.mark.parametrize("orientation", range(1, 9))
def test_photographs_stand_upright(tmp_path: Path, orientation: int) -> None:
    """A camera stores what it sees and says how it was held; the four corners are told apart."""
    upright = np.kron(np.array([[0, 80], [160, 240]], np.uint8), np.ones((4, 4), np.uint8))
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.T,
        6: np.rot90(upright),
        7: np.rot90(upright, 2).T,
        8: np.rot90(upright, -1),
    }[orientation]
    fill(tmp_path, {"a": 4, "b": 5})
    for path in tmp_path.rglob("*.png"):
        exif = Image.Exif()
        exif[0x0112] = orientation
        Image.fromarray(np.ascontiguousarray(stored)).save(path, exif=exif)
    assert (load(tmp_path).train_images == upright).all()


def test_photographs_whose_tags_are_broken_are_read(tmp_path: Path) -> None:
    fill(tmp_path, {"a": 5, "b": 5})
    for at, tags in enumerate((b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0?" * 9)):
        Image.new("L", (SIZE, SIZE)).save(tmp_path / "a" / f"x{at}.jpg", exif=tags)
    assert sum(map(sum, counts(load(tmp_path)))) == 13


def test_an_image_that_warns_is_read(tmp_path: Path) -> None:
    fill(tmp_path, {"a": 5, "b": 5})
    palette = Image.new("P", (SIZE, SIZE))
    palette.putpalette([0, 0, 0, 9, 9, 9])
    palette.save(tmp_path / "a" / "p.png", transparency=b"\0\1")  # Pillow warns of converting it
    assert sum(counts(load(tmp_path))[0]) == 7


def test_grey_and_high_images(tmp_path: Path) -> None:
    """One channel, 12 high and 6 wide: the middle of wide colour images in this shape."""
    wide = np.zeros((24, 40, 3), np.uint8)
    wide[:, 10:30] = 100, 50, 200
    luma = round(0.299 * 100 + 0.587 * 50 + 0.114 * 200)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for i in range(5):
            Image.fromarray(wide).save(tmp_path / name / f"{i}.png")
    data = load_data(f"imagefolder:{tmp_path}", input_shape=(1, 12, 6))
    assert isinstance(data, ArrayDataset)
    assert data.input_shape == (1, 12, 6)
    assert (data.train_images == luma).all()
    assert data.calibration(2).shape == (2, 1, 12, 6)
    with pytest.raises(DataError, match="1 or 3 channels, 4 are asked for"):
        load_data(f"imagefolder:{tmp_path}", input_shape=(4, 12, 6))


# Memory and paths


def test_a_split_copies_no_images(tmp_path: Path) -> None:
    images = image_folder(fill(tmp_path, {"a": 30, "b": 30}), (3, 256, 256))
    tracemalloc.start()
    data = images.split(0)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert data.train_count == 36
    assert np.shares_memory(data.train_images, images.images)
    assert peak < images.images.nbytes / 3


def test_images_beyond_memory_are_one_line(tmp_path: Path) -> None:
    fill(tmp_path, {"a": 2, "b": 2})
    size = int((machine_bytes() / 3 / 4) ** 0.5) + 2
    with pytest.raises(OptionError, match=r"4 images of .* pixels takes .* GB of memory or more"):
        load_data(f"imagefolder:{tmp_path}", input_size=size)


def test_a_home_folder_is_found(tmp_path: Path) -> None:
    fill(tmp_path / "x", {"a": 5, "b": 5})
    with patch.dict(os.environ, {"HOME": str(tmp_path), "USERPROFILE": str(tmp_path)}):
        assert load_data("imagefolder:~/x", input_size=SIZE).classes == 2


def test_a_pipe_among_images_is_named(tmp_path: Path) -> None:
    fill(tmp_path, {"a": 5, "b": 5})
    os.mkfifo(tmp_path / "a" / "pipe.png")
    with pytest.raises(DataError, match=r"1 of 11 images cannot be used: .*pipe\.png"):
        load(tmp_path)
