"""Data in memory: the parts, the floats, the batches, and what a digest sees."""

import dataclasses
import hashlib
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from hwnas.data import ArrayDataset, batch_indices, from_arrays, has_digest, load_data
from hwnas.errors import DataError
from hwnas.testing import check_data

RNG = np.random.default_rng(0)


def parts(data: ArrayDataset) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    return {
        "train": (data.train_images, data.train_labels),
        "validation": (data.validation_images, data.validation_labels),
        "test": (data.test_images, data.test_labels),
    }


# Digits


def test_digits_are_split_without_loss_or_overlap() -> None:
    data = load_data("digits", input_size=8)
    assert data.classes == 10
    assert [len(labels) for _, labels in parts(data).values()] == [1797 - 2 * 359, 359, 359]
    for images, labels in parts(data).values():
        assert (images.dtype, labels.dtype) == (np.uint8, np.int64)
        assert len(images) == len(labels)
    images = np.concatenate([images for images, _ in parts(data).values()])
    labels = np.concatenate([labels for _, labels in parts(data).values()])
    source = load_digits()
    levels = np.rint(source.images * 255 / 16).astype(np.uint8)

    def sorted_rows(images: np.ndarray, labels: np.ndarray) -> np.ndarray:
        rows = np.column_stack([images.reshape(1797, 64), labels])
        return rows[np.lexsort(rows.T)]

    np.testing.assert_array_equal(sorted_rows(images, labels), sorted_rows(levels, source.target))


def test_the_split_follows_from_the_seed() -> None:
    a, b, c = (load_data("digits", input_size=8, seed=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(a.train_images, b.train_images)
    assert not np.array_equal(a.train_labels, c.train_labels)


def test_floats_are_normalised_and_grey_is_repeated() -> None:
    data = load_data("digits", input_size=16)
    floats = data.to_float(data.train_images)
    assert floats.dtype == np.float32
    assert floats.shape == (1797 - 2 * 359, 3, 16, 16)
    assert floats.mean() == pytest.approx(0, abs=1e-4)
    assert floats.std() == pytest.approx(1, abs=1e-4)
    np.testing.assert_array_equal(floats[:, 0], floats[:, 2])
    assert (floats.argmax(), floats.argmin()) == (
        np.repeat(data.train_images, 3, 1).argmax(),
        np.repeat(data.train_images, 3, 1).argmin(),
    )


# Batches


@pytest.fixture(scope="module")
def digits() -> ArrayDataset:
    data = load_data("digits", input_size=8)
    assert isinstance(data, ArrayDataset)
    return data


def test_digits_are_a_data_set(digits: ArrayDataset) -> None:
    check_data(digits)
    assert digits.input_shape == (3, 8, 8)
    assert (digits.train_count, digits.validation_count) == (1797 - 2 * 359, 359)


def test_a_training_batch_is_the_rows_of_its_indices(digits: ArrayDataset) -> None:
    rows = batch_indices(digits.train_count, 32, 5, 1)
    images, labels = digits.train_batch(5, 32, 1)
    np.testing.assert_array_equal(images, digits.to_float(digits.train_images)[rows])
    np.testing.assert_array_equal(labels, digits.train_labels[rows])
    rows = batch_indices(digits.validation_count, 32, 5, 1)
    images, labels = digits.validation_batch(5, 32, 1)
    np.testing.assert_array_equal(images, digits.to_float(digits.validation_images)[rows])
    np.testing.assert_array_equal(labels, digits.validation_labels[rows])


def test_parts_come_in_batches_of_nearly_one_size(digits: ArrayDataset) -> None:
    for part in ("validation", "test"):
        batches = list(getattr(digits, part)())
        assert [len(labels) for _, labels in batches] == [180, 179]
        images, labels = (np.concatenate(half) for half in zip(*batches, strict=True))
        expected = digits.to_float(getattr(digits, f"{part}_images"))
        np.testing.assert_array_equal(images, expected)
        np.testing.assert_array_equal(labels, getattr(digits, f"{part}_labels"))


def test_calibration_takes_the_first_training_images(digits: ArrayDataset) -> None:
    floats = digits.to_float(digits.train_images)
    np.testing.assert_array_equal(digits.calibration(7), floats[:7])
    np.testing.assert_array_equal(digits.calibration(10**6), floats)
    assert digits.calibration(0).shape == (0, 3, 8, 8)


def test_no_part_becomes_floats_as_a_whole() -> None:
    count, size = 9000, 3 * 16 * 16
    images = RNG.integers(0, 256, (count, 3, 16, 16), dtype=np.uint8)
    labels = RNG.integers(0, 10, count)
    tracemalloc.start()
    data = from_arrays((images, labels), name="noise")
    for _ in data.test():
        pass
    data.train_batch(0, 64, 0)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2 * count * size  # a copy of the bytes, in parts; floats would be four copies


# Statistics


def test_mean_and_std_are_those_of_the_training_images(digits: ArrayDataset) -> None:
    pixels = digits.train_images.astype(np.float64)
    assert digits.mean == pytest.approx([pixels.mean()], rel=1e-12)
    assert digits.std == pytest.approx([pixels.std()], rel=1e-12)


def test_channels_have_their_own_statistics_and_a_spread_of_one_at_least() -> None:
    images = np.zeros((10, 3, 2, 2), np.uint8)
    images[:, 1] = 7
    images[::2, 2] = 200
    parts = [(images, np.arange(10) % 2)] * 3
    data = from_arrays(*parts, name="flat")
    assert data.mean == (0.0, 7.0, 100.0)
    assert data.std == (1.0, 1.0, 100.0)


# Digests


@pytest.mark.parametrize("part", ["train", "validation", "test"])
@pytest.mark.parametrize("what", ["images", "labels"])
def test_a_digest_sees_every_part(digits: ArrayDataset, part: str, what: str) -> None:
    name = f"{part}_{what}"
    changed = getattr(digits, name).copy()
    changed.flat[-1] = (changed.flat[-1] + 1) % 10
    other = dataclasses.replace(digits, **{name: changed})
    assert other.digest != digits.digest
    assert not has_digest(other, digits.digest)


def test_a_digest_sees_shapes_and_types() -> None:
    labels = np.arange(8) % 2

    def digest(images: np.ndarray) -> str:
        return from_arrays(*[(images, labels)] * 3, name="x").digest

    images = np.zeros((8, 1, 2, 8), np.uint8)
    digests = {digest(images), digest(images.reshape(8, 1, 4, 4))}
    digests.add(digest(np.zeros((8, 1, 2, 2), np.float32)))
    assert len(digests) == 3
    assert {len(d) for d in digests} == {16}


def test_digests_of_earlier_versions_are_recognised(digits: ArrayDataset) -> None:
    earlier = hashlib.sha256()  # of four arrays, as version 0.1.0 wrote it into config.json
    for array in (
        digits.train_images,
        digits.train_labels,
        digits.validation_labels,
        digits.test_labels,
    ):
        earlier.update(array.tobytes())
    assert digits.matches(earlier.hexdigest()[:12])
    assert has_digest(digits, earlier.hexdigest()[:12])
    assert digits.matches(digits.digest)
    other = load_data("digits", input_size=8, seed=1)
    assert not has_digest(other, earlier.hexdigest()[:12])
    assert not has_digest(other, digits.digest)


def test_a_digest_is_the_same_in_another_process(digits: ArrayDataset) -> None:
    code = "from hwnas.data import load_data; print(load_data('digits', input_size=8).digest)"
    printed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert printed.stdout.strip() == digits.digest


# A person's arrays


def noise(count: int, channels: int = 3) -> tuple[np.ndarray, np.ndarray]:
    return (
        RNG.integers(0, 256, (count, channels, 4, 4), dtype=np.uint8),
        np.arange(count) % 3,
    )


@pytest.mark.parametrize(
    ("given", "counts"),
    [
        ({"train": 50}, [30, 10, 10]),  # 60 : 20 : 20
        ({"train": 60, "test": 8}, [50, 10, 8]),  # a sixth
        ({"train": 50, "validation": 7}, [40, 7, 10]),  # a fifth
        ({"train": 50, "validation": 7, "test": 9}, [50, 7, 9]),
    ],
)
def test_missing_parts_are_split_off(given: dict[str, int], counts: list[int]) -> None:
    arrays = {part: noise(count) for part, count in given.items()}
    data = from_arrays(**arrays, name="noise")
    assert [len(labels) for _, labels in parts(data).values()] == counts
    check_data(data)
    everything = np.concatenate([images for images, _ in arrays.values()])
    got = np.concatenate([images for images, _ in parts(data).values()])
    assert sorted(map(bytes, got)) == sorted(map(bytes, everything))
    for part, (images, _) in arrays.items():
        if part != "train" or len(given) == 3:
            np.testing.assert_array_equal(parts(data)[part][0], images)


def test_the_split_of_arrays_follows_from_the_seed() -> None:
    arrays = noise(50)
    a, b, c = (from_arrays(arrays, name="noise", seed=seed) for seed in (0, 0, 1))
    assert a.digest == b.digest != c.digest


def test_normalised_floats_are_handed_out_as_they_are() -> None:
    images = RNG.standard_normal((30, 2, 5, 5)).astype(np.float32)
    labels = np.arange(30, dtype=np.uint8) % 2
    data = from_arrays((images, labels), (images[:4], labels[:4]), (images, labels), name="floats")
    assert data.input_shape == (2, 5, 5)
    np.testing.assert_array_equal(data.calibration(30), images)
    assert data.train_batch(0, 4, 0)[1].dtype == np.int64


def test_tensors_serve_as_arrays() -> None:
    images, labels = noise(50)
    of_arrays = from_arrays((images, labels), name="noise")
    tensors = torch.from_numpy(images), torch.from_numpy(labels)
    assert from_arrays(tensors, name="noise").digest == of_arrays.digest


def test_classes_may_be_more_than_the_labels_show() -> None:
    assert from_arrays(noise(50), name="noise").classes == 3
    assert from_arrays(noise(50), name="noise", classes=5).classes == 5


IMAGES, LABELS = noise(50)


@pytest.mark.parametrize(
    ("train", "options", "message"),
    [
        ((IMAGES.astype(float), LABELS), {}, r"own: training images are uint8 .* got float64"),
        ((IMAGES[0], LABELS), {}, r"shape \(n, channels, height, width\).* got \(3, 4, 4\)"),
        ((IMAGES[:0], LABELS[:0]), {}, r"at least one, got \(0, 3, 4, 4\)"),
        (
            (np.zeros((50, 8, 8, 3), np.uint8), LABELS),
            {},
            r"channels last: give images.transpose\(0, 3, 1, 2\)",
        ),
        ((IMAGES, LABELS[:-1]), {}, r"one integer an image: 50 images, labels int64 \(49,\)"),
        ((IMAGES, LABELS / 2), {}, r"training labels are integers, got float64"),
        ((IMAGES, LABELS), {"classes": 2}, r"labels are 0 to 1, got 2"),
        ((IMAGES, LABELS - 1), {}, r"labels are 0 to 1, got -1"),
        ((IMAGES, LABELS * 0), {}, r"own needs at least 2 classes, got 1"),
        (IMAGES, {}, r"own: training is a pair \(images, labels\), got ndarray"),
        (
            (IMAGES, LABELS),
            {"test": noise(9, 1)},
            r"one type and shape, got uint8 \(1, 4, 4\),",
        ),
        ((IMAGES[:4], LABELS[:4]), {}, r"own has too few images .*: 4 are left for training"),
        (
            (np.full((50, 3, 4, 4), np.inf, np.float32), LABELS),
            {},
            r"training images hold values that are not finite",
        ),
    ],
)
def test_wrong_arrays_are_refused(train: object, options: dict, message: str) -> None:
    with pytest.raises(DataError, match=message):
        from_arrays(train, name="own", **options)
