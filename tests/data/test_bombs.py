"""Files of images that unpack to more than any data set."""

import gzip
import os
import struct
import zlib

import numpy as np
import pytest

from hwnas.data import load_data
from hwnas.data.image_files import MOST_BYTES
from hwnas.errors import DataError


def refused(spec, says):
    with pytest.raises(DataError, match=says):
        load_data(spec, input_size=8)


@pytest.fixture
def idx(tmp_path):
    """The four files of MNIST with few images."""
    rng = np.random.default_rng(0)
    for part, count in (("train", 60), ("t10k", 10)):
        images = rng.integers(0, 256, (count, 8, 8), np.uint8)
        head = struct.pack(">BBBBIII", 0, 0, 8, 3, count, 8, 8)
        (tmp_path / f"{part}-images-idx3-ubyte").write_bytes(head + images.tobytes())
        labels = struct.pack(">BBBBI", 0, 0, 8, 1, count) + bytes(range(10)) * (count // 10)
        (tmp_path / f"{part}-labels-idx1-ubyte").write_bytes(labels)
    return tmp_path


def test_packed_images_are_unpacked_within_bounds(idx, monkeypatch):
    monkeypatch.setattr("hwnas.data.fashion_mnist.MOST_BYTES", 2**20)
    assert load_data(f"fashion-mnist:{idx}", input_size=8).train_count == 50
    (idx / "train-images-idx3-ubyte").unlink()
    with gzip.open(idx / "train-images-idx3-ubyte.gz", "wb") as file:
        file.write(bytes(2**22))
    refused(f"fashion-mnist:{idx}", "unpacks to more than 1 MiB")
    os.remove(idx / "train-images-idx3-ubyte.gz")  # noqa: PTH107
    os.mkfifo(idx / "train-images-idx3-ubyte.gz")
    refused(f"fashion-mnist:{idx}", r"cannot read .*\(it is a FIFO, and a regular file is needed\)")


def test_a_file_that_is_too_large_is_refused(idx):
    with (idx / "train-images-idx3-ubyte").open("r+b") as file:
        file.truncate(MOST_BYTES + 1)  # holds next to nothing
    refused(f"fashion-mnist:{idx}", "it is larger than 256 MiB")


def test_a_pack_of_images_is_unpacked_within_bounds(tmp_path, monkeypatch):
    monkeypatch.setattr("hwnas.data.cifar10.MOST_BYTES", 2**20)
    parts = {name: np.zeros(2**20, np.uint8) for name in ("header", "payload", "size", "label")}
    np.savez_compressed(tmp_path / "cifar10_jpeg_train.npz", **parts)
    refused(f"cifar10:{tmp_path}", "unpacks to more than 1 MiB")


def png(width, height):
    """A picture that says its size and holds nothing."""

    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


#: An EPS picture is a program, which pillow hands to Ghostscript.
EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\n(owned) print\n%%EOF\n"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (png(9000, 9000), "has 9000 x 9000 pixels, more than 67,108,864"),
        (png(2**20, 2**20), "pixels|exceeds limit"),
        (EPS, "it is none of BMP, GIF, JPEG, PNG, PPM, TIFF, WEBP"),
    ],
)
def test_pictures_without_end_and_programs_are_refused(tmp_path, content, says):
    pytest.importorskip("PIL")
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.png").write_bytes(content)
    refused(f"imagefolder:{tmp_path}", says)
