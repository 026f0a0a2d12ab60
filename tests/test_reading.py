"""Files of strangers: nothing blocks, nothing fills the memory. Our own: a disk that is full."""

import errno
import json
import os
import socket
import time

import pytest

from hwnas.errors import HwnasError
from hwnas.files import naming, write_atomically
from hwnas.reading import MIB, open_regular, parse_json, read_bytes


@pytest.fixture
def irregular(tmp_path, monkeypatch):
    """Name -> path of what is no regular file, and never blocks or ends a test."""
    os.mkfifo(tmp_path / "fifo.json")
    monkeypatch.chdir(tmp_path)  # names of sockets are short
    with socket.socket(socket.AF_UNIX) as made:
        made.bind("socket.json")
    (tmp_path / "zero.json").symlink_to("/dev/zero")
    (tmp_path / "tty.json").symlink_to("/dev/tty")
    (tmp_path / "folder.json").mkdir()
    (tmp_path / "link.json").symlink_to(tmp_path / "fifo.json")
    (tmp_path / "round.json").symlink_to(tmp_path / "round.json")
    (tmp_path / "lost.json").symlink_to(tmp_path / "nothing")
    return tmp_path


KINDS = {
    "fifo": "a FIFO",
    "socket": "a socket",
    "zero": "a device",
    "tty": "a device",
    "folder": "a folder",
    "link": "a FIFO",
    "round": "Too many levels",
    "lost": "No such file",
    "absent": "No such file",
    "nul\0nul": "embedded null",
}


@pytest.mark.parametrize("kind", KINDS)
def test_only_regular_files_are_opened(irregular, kind):
    path = irregular / f"{kind}.json"
    for read in (open_regular, lambda path: read_bytes(path, 1)):
        with pytest.raises(OSError) as caught:  # noqa: PT011
            read(path)
        assert KINDS[kind] in caught.value.strerror


def test_a_file_that_is_too_large_is_not_read(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"12345")
    assert read_bytes(path, 5) == b"12345"
    with pytest.raises(OSError, match="larger than") as caught:
        read_bytes(path, 4)
    assert caught.value.errno == errno.EFBIG
    with path.open("wb") as file:
        file.truncate(2**40)  # holds nothing but says so
    with pytest.raises(OSError, match="larger than 1 MiB"):
        read_bytes(path, MIB)


def test_a_file_that_grows_while_it_is_read_stays_bounded(tmp_path):
    """Files of /proc have no size, and hold more."""
    with pytest.raises(OSError, match="larger than"):
        read_bytes("/proc/self/maps", 10)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[" * 10**6, "deeper than 64"),
        ("[" * 65 + "]" * 65, "deeper than 64"),
        ('{"a":' * 65 + "1" + "}" * 65, "deeper than 64"),
        ("[" + "[]," * 10**6 + "1]", "more than 2,000,000 values"),
        ("[" + "1," * 2 * 10**6 + "1]", "more than 2,000,000 values"),
        ('"' + '\\"[' * 1000, "nested|Unterminated"),
        ("1" * 5000, "digits"),
        (b"\xff\xfe[\x00]\x00", "utf-8"),
        ("", "Expecting value"),
    ],
)
def test_json_that_would_fill_the_memory_is_refused(text, says):
    start = time.monotonic()
    with pytest.raises(ValueError, match=says):
        parse_json(text)
    assert time.monotonic() - start < 2


def test_other_json_is_read():
    deep = "[" * 64 + "]" * 64
    for value in ({"a": ["[{" * 1000, '"[\\']}, list(range(1000)), json.loads(deep), "é"):
        assert parse_json(json.dumps(value)) == value
        assert parse_json(json.dumps(value, ensure_ascii=False).encode()) == value


def test_a_full_disk_names_the_path(tmp_path, monkeypatch):
    def full(handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    path = tmp_path / "table.json"
    with pytest.raises(OSError, match=r"No space left on device: '.*table\.json'"):
        write_atomically(path, b"x")
    assert list(tmp_path.iterdir()) == []


def test_only_nameless_errors_get_a_name(tmp_path):
    with pytest.raises(OSError, match="first"), naming(tmp_path / "second"):
        raise OSError(errno.EIO, "Input/output error", "first")
    with pytest.raises(HwnasError, match=r"^mine$"), naming(tmp_path):
        raise HwnasError("mine")
