"""Every kind of data is read, and everything that is wrong with it is said in one line."""

import gzip
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hwnas.data import ArrayDataset, load_data
from hwnas.errors import DataError


def parts(data: ArrayDataset) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    return {
        "train": (data.train_images, data.train_labels),
        "validation": (data.validation_images, data.validation_labels),
        "test": (data.test_images, data.test_labels),
    }


def sizes(data: ArrayDataset) -> list[int]:
    for images, labels in parts(data).values():
        assert images.dtype == np.uint8
        assert labels.dtype == np.int64
        assert len(images) == len(labels)
        assert 0 <= labels.min() <= labels.max() < data.classes
    return [len(labels) for _, labels in parts(data).values()]


def complains(spec: str, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        load_data(spec, input_size=8)
    assert "\n" not in str(caught.value)


# Fashion-MNIST


def idx(array: np.ndarray) -> bytes:
    header = bytes((0, 0, 8, array.ndim)) + b"".join(n.to_bytes(4, "big") for n in array.shape)
    return header + array.astype(np.uint8).tobytes()


def fashion(folder: Path, packed: bool) -> Path:
    for part, count in (("train", 30), ("t10k", 12)):
        images = np.arange(count, dtype=np.uint8)[:, None, None] * np.ones((28, 28), np.uint8)
        for name, array in (
            (f"{part}-images-idx3-ubyte", images),
            (f"{part}-labels-idx1-ubyte", np.arange(count) % 10),
        ):
            data = idx(array)
            path = folder / (f"{name}.gz" if packed else name)
            path.write_bytes(gzip.compress(data, mtime=0) if packed else data)
    return folder


@pytest.mark.parametrize("packed", [True, False])
def test_fashion_mnist(tmp_path: Path, packed: bool) -> None:
    data = load_data(f"fashion-mnist:{fashion(tmp_path, packed)}", input_size=14)
    assert sizes(data) == [25, 5, 12]  # a sixth of 30 for validation
    assert data.train_images.shape == (25, 1, 14, 14)
    for images, labels in parts(data).values():  # image i is grey i, and has label i % 10
        assert (images == images[:, :, :1, :1]).all()
        np.testing.assert_array_equal(images[:, 0, 0, 0] % 10, labels)
    np.testing.assert_array_equal(data.test_labels, np.arange(12) % 10)


IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (IMAGES, idx(np.zeros((30, 28, 28)))[:-1], r"cut short or too long: 30 x 28 x 28 needs"),
        (IMAGES, idx(np.zeros((30, 28, 28))) + b"x", r"needs 23536 bytes, got 23537; fetch"),
        (IMAGES, idx(np.zeros(30)), r"must begin with 00000803, got 00000801"),
        (IMAGES, b"", r"must begin with 00000803, got nothing"),
        (IMAGES, b"\x00\x00\x08\x03\x00", r"cut short"),
        (
            IMAGES,
            idx(np.zeros((29, 28, 28))),
            r"together: 29 x 28 x 28 pixels, 30 labels",
        ),
        (IMAGES, idx(np.zeros((30, 0, 28))), r"not belong together: 30 x 0 x 28 pixels"),
        (LABELS, idx(np.arange(30)), r"labels in .* must be 0 to 9, got 10"),
        (f"{IMAGES}.gz", b"not gzip", r"is not a whole gzip file"),
        (f"{IMAGES}.gz", gzip.compress(b"x" * 9999, mtime=0)[:-20], r"is not a whole gzip file"),
        (f"{IMAGES}.gz", None, r"cannot read .* \(No such file or directory\)"),
    ],
)
def test_broken_idx_files(tmp_path: Path, name: str, content: bytes | None, message: str) -> None:
    fashion(tmp_path, packed=False)
    if name.endswith(".gz"):
        (tmp_path / name.removesuffix(".gz")).unlink()
    if content is not None:
        (tmp_path / name).write_bytes(content)
    complains(f"fashion-mnist:{tmp_path}", message)


# CIFAR-10


def rows(count: int, labels: np.ndarray | None = None) -> bytes:
    label = np.arange(count) % 10 if labels is None else labels
    pixels = np.repeat(label[:, None], 3072, 1) * np.array([1, 2, 3]).repeat(1024)
    return np.column_stack([label, pixels]).astype(np.uint8).tobytes()


def cifar_binary(folder: Path) -> Path:
    for i in range(1, 6):
        (folder / f"data_batch_{i}.bin").write_bytes(rows(12))
    (folder / "test_batch.bin").write_bytes(rows(10))
    return folder


def test_cifar10_binary(tmp_path: Path) -> None:
    data = load_data(f"cifar10:{cifar_binary(tmp_path)}", input_size=32)
    assert sizes(data) == [50, 10, 10]
    for images, labels in parts(data).values():
        for channel in range(3):
            expected = (labels * (channel + 1))[:, None, None]
            assert (images[:, channel] == expected).all()
    assert data.to_float(data.test_images).shape == (10, 3, 32, 32)


def jpeg_pack(path: Path, shades: list[int], **changes: np.ndarray) -> None:
    """JPEGs of one shade each; all that stands before the pixels is common."""
    header, bodies = b"", []
    for shade in shades:
        file = io.BytesIO()
        Image.fromarray(np.full((32, 32, 3), shade, np.uint8)).save(file, "JPEG", quality=75)
        jpeg = file.getvalue()
        scan = jpeg.index(b"\xff\xda")
        start = scan + 2 + int.from_bytes(jpeg[scan + 2 : scan + 4], "big")
        header = jpeg[:start]
        bodies.append(jpeg[start:-2])
    arrays = {
        "header": np.frombuffer(header, np.uint8),
        "payload": np.frombuffer(b"".join(bodies), np.uint8),
        "size": np.array([len(body) for body in bodies], np.uint16),
        "label": np.arange(len(shades), dtype=np.uint8) % 10,
    }
    np.savez(path, **{**arrays, **changes})


@pytest.fixture
def packs(tmp_path: Path) -> Path:
    jpeg_pack(tmp_path / "cifar10_jpeg_train.npz", [20 * i for i in range(12)])
    jpeg_pack(tmp_path / "cifar10_jpeg_test.npz", [10, 200])
    return tmp_path


def test_cifar10_jpeg_packs(packs: Path) -> None:
    data = load_data(f"cifar10:{packs}", input_size=32)
    assert sizes(data) == [10, 2, 2]
    means = data.test_images.mean((1, 2, 3))
    np.testing.assert_allclose(means, [10, 200], atol=2)
    assert (data.train_images.std((1, 2, 3)) < 2).all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"size": np.array([1, 2], np.uint16)}, r"not a whole JPEG pack: 2 sizes that add up to 3"),
        ({"label": np.zeros(3, np.uint8)}, r"not a whole JPEG pack: 2 sizes .* 3 labels"),
        ({"label": np.array([0, 11], np.uint8)}, r"must be 0 to 9, got 11"),
        ({"label": np.array([0, -1], np.int8)}, r"must be 0 to 9, got -1"),
        ({"header": np.zeros(600, np.uint8)}, r"image 0 of .* cannot be read as an image"),
        ({"label": np.array([print, {}], object)}, r"not a JPEG pack, .*allow_pickle=False"),
        ({"label": np.array(3)}, r"not a whole JPEG pack: .* 1 labels"),
    ],
)
def test_broken_jpeg_packs(packs: Path, changes: dict[str, np.ndarray], message: str) -> None:
    jpeg_pack(packs / "cifar10_jpeg_test.npz", [10, 200], **changes)
    complains(f"cifar10:{packs}", message)


def test_jpegs_of_another_size(packs: Path) -> None:
    file = io.BytesIO()
    Image.new("RGB", (33, 32)).save(file, "JPEG")
    jpeg = np.frombuffer(file.getvalue(), np.uint8)
    jpeg_pack(
        packs / "cifar10_jpeg_test.npz",
        [0],
        header=jpeg[:100],
        payload=jpeg[100:],
        size=np.array([len(jpeg) - 100], np.uint16),
    )
    complains(f"cifar10:{packs}", r"must have 32 x 32 pixels, got \(33, 32\)")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04nothing", b"\x93NUMPY\x01\x00"])
def test_files_that_are_no_packs(packs: Path, content: bytes) -> None:
    (packs / "cifar10_jpeg_test.npz").write_bytes(content)
    complains(f"cifar10:{packs}", "not a JPEG pack, a numpy archive of header, payload")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("data_batch_2.bin", rows(3)[:-1], r"cut short: rows of 3073 bytes .* got 9218 bytes"),
        ("data_batch_2.bin", b"", r"cut short"),
        ("data_batch_2.bin", None, r"data_batch_2.bin' \(No such file"),
        ("test_batch.bin", rows(2, np.array([3, 12])), r"must be 0 to 9, got 12"),
        ("test_batch.bin", None, r"cannot read .*test_batch.bin' \(No such file"),
        ("data_batch_1.bin", None, r"no CIFAR-10 in .* the pickled Python version is never read"),
    ],
)
def test_broken_cifar_files(tmp_path: Path, name: str, content: bytes | None, message: str) -> None:
    cifar_binary(tmp_path)
    (tmp_path / name).unlink()
    if content is not None:
        (tmp_path / name).write_bytes(content)
    complains(f"cifar10:{tmp_path}", message)


# Folders of images


def fill(folder: Path, shades: dict[str, int], count: int, size: tuple[int, int]) -> Path:
    for name, shade in shades.items():
        (folder / name).mkdir(parents=True)
        for i in range(count):
            Image.new("RGB", size, (shade, i, 0)).save(folder / name / f"{i}.png")
        (folder / name / "notes.txt").write_text("not an image")
    return folder


def test_one_folder_of_images(tmp_path: Path) -> None:
    fill(tmp_path, {"cat": 50, "ant": 150, "bee": 250}, 10, (12, 20))
    (tmp_path / ".hidden").mkdir()
    data = load_data(f"imagefolder:{tmp_path}", input_size=8)
    assert data.classes == 3
    assert sizes(data) == [18, 6, 6]
    shade = np.array([150, 250, 50])  # classes in sorted order
    for images, labels in parts(data).values():
        assert images.shape[1:] == (3, 8, 8)
        assert (images[:, 0] == shade[labels][:, None, None]).all()
    assert (
        sorted(np.concatenate([y for _, y in parts(data).values()]))
        == [0] * 10 + [1] * 10 + [2] * 10
    )


def test_the_middle_of_an_image_is_taken(tmp_path: Path) -> None:
    wide = np.zeros((10, 30, 3), np.uint8)
    wide[:, 10:20] = 200
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for i in range(5):
            Image.fromarray(wide).save(tmp_path / name / f"{i}.png")
    data = load_data(f"imagefolder:{tmp_path}", input_size=10)
    assert (data.train_images == 200).all()


def test_grey_images_in_folders_become_colour(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for i in range(5):
            Image.new("L", (9, 9), 77).save(tmp_path / name / f"{i}.jpg")
    assert (load_data(f"imagefolder:{tmp_path}", input_size=9).train_images == 77).all()


@pytest.mark.parametrize("suffix", ["png", "pgm", "tif"])
def test_16_bit_grey_keeps_its_shades(tmp_path: Path, suffix: str) -> None:
    ramp = np.tile(np.linspace(0, 65535, 16).astype(np.uint16), (16, 1))
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for i in range(5):
            Image.fromarray(ramp).save(tmp_path / name / f"{i}.{suffix}")
    data = load_data(f"imagefolder:{tmp_path}", input_size=16)
    assert (data.train_images[0, 0, 0] == ramp[0] >> 8).all()


def test_pixels_of_an_unknown_range_are_refused(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for i in range(5):
            Image.new("F", (9, 9), 0.5).save(tmp_path / name / f"{i}.png", "TIFF")
    complains(f"imagefolder:{tmp_path}", r"32-bit pixels \(mode F\)")


def test_a_link_to_itself_is_an_image_that_cannot_be_read(tmp_path: Path) -> None:
    fill(tmp_path, {"a": 1, "b": 2}, 9, (8, 8))
    (tmp_path / "a" / "round.png").symlink_to("round.png")
    complains(f"imagefolder:{tmp_path}", r"1 of 19 images cannot be used: .*a/round\.png'")
    data = load_data(f"imagefolder-readable:{tmp_path}", input_size=8)
    assert sum(sizes(data)) == 18


def test_train_and_val_folders_stay_apart(tmp_path: Path) -> None:
    fill(tmp_path / "train", {"a": 10, "b": 20}, 9, (8, 8))
    fill(tmp_path / "val", {"a": 110, "b": 120}, 2, (8, 8))
    data = load_data(f"imagefolder:{tmp_path}", input_size=8)
    assert sizes(data) == [15, 3, 4]
    assert (data.test_images[:, 0] > 100).all()
    assert (data.train_images[:, 0] < 100).all()
    assert (data.validation_images[:, 0] < 100).all()


def test_broken_image_folders(tmp_path: Path) -> None:
    spec = f"imagefolder:{tmp_path}"
    complains(spec, r"one sub-folder a class, at least 2; .* holds 0")
    fill(tmp_path, {"a": 1, "b": 2}, 1, (8, 8))
    complains(spec, r"too few images to be split .*: 2 are left for training")
    (tmp_path / "c").mkdir()
    complains(spec, r"class folder '.*c' holds no image \(.*\.png.*\): fill it or remove it")
    (tmp_path / "c" / "x.png").write_bytes(b"no")
    complains(spec, r"x.png' cannot be read as an image")


def test_val_must_have_the_classes_of_train(tmp_path: Path) -> None:
    fill(tmp_path / "train", {"a": 10, "b": 20}, 9, (8, 8))
    fill(tmp_path / "val", {"a": 110, "c": 120}, 2, (8, 8))
    complains(f"imagefolder:{tmp_path}", r"must have the same sub-folders, one a class")


def test_without_pillow_the_message_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path, {"a": 1, "b": 2}, 5, (8, 8))
    monkeypatch.setitem(__import__("sys").modules, "PIL", None)
    complains(f"imagefolder:{tmp_path}", r"pip install 'hwnas\[images\]'")
