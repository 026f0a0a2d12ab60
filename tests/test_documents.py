"""JSON files are read only where they are regular, bounded, and of their shape."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import pytest
from annotated_types import Ge

from hwnas.documents import Document, inside, parse_document, read_document, read_regular
from hwnas.errors import CheckpointError


@dataclass(frozen=True, kw_only=True)
class Part(Document):
    share: Annotated[float, Ge(0)]


@dataclass(frozen=True, kw_only=True)
class Whole(Document):
    count: int
    parts: list[Part]
    text: str | None = None


GOOD = {"count": 3, "parts": [{"share": 0.5, "more": None}], "beyond": [1e999]}


def refusal(text: bytes) -> str:
    with pytest.raises(CheckpointError) as caught:
        parse_document(text, Whole, "x.json", "do this")
    message = str(caught.value)
    assert message.startswith("x.json")
    assert message.endswith(": do this")
    assert len(message.splitlines()) == 1
    assert len(message) < 300
    return message


def test_a_document_is_handed_over_as_it_stands() -> None:
    text = json.dumps(GOOD).encode()
    assert parse_document(text, Whole, "x.json", "do this") == GOOD
    assert parse_document(b'{"a": 0.30000000000000004}', Document, "x", "y") == {"a": 0.1 + 0.2}
    path = os.fsdecode(b"/data/\xff")  # no UTF-8, as a path may be
    assert parse_document(json.dumps({"a": path}).encode(), Document, "x", "y") == {"a": path}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"count": None}, "count should be a valid integer, got None"),
        ({"count": True}, "count should be a valid integer, got True"),
        ({"count": 3.5}, "count should be a valid integer, got 3.5"),
        ({"count": "3"}, "count should be a valid integer, got '3'"),
        ({"text": 3}, "text should be a valid string, got 3"),
        ({"parts": {}}, "parts should be a valid array"),
        ({"parts": [3]}, "parts.0 should be an object, got 3"),
        ({"parts": [{}]}, "parts.0.share is missing"),
        ({"parts": [{"share": -1}]}, "parts.0.share should be greater than or equal to 0, got -1"),
        ({"parts": [{"share": float("nan")}]}, "parts.0.share should be a finite number, got nan"),
        ({"parts": [{"share": float("inf")}]}, "parts.0.share should be a finite number, got inf"),
        ({"text": {"a" * 500: "b\n" * 500}}, "text should be a valid string"),
    ],
)
def test_a_wrong_field_is_named(change: dict[str, object], says: str) -> None:
    assert says in refusal(json.dumps({**GOOD, **change}).encode())


@pytest.mark.parametrize(
    "text",
    [
        *(b"", b"{", b"[]", b"3", b"\xff\xfe", b'{"count": 3'),
        *(b"[" * 10**6, b'{"a":' * 10**6, b'{"beyond": ' + b"[" * 500 + b"]" * 500 + b"}"),
        b'{"parts": [], "count": ' + b"1" * 10_000 + b"}",
    ],
    ids=lambda text: text[:8].decode("latin-1") + f" {len(text)}",
)
def test_what_is_no_document_of_this_shape_is_refused(text: bytes) -> None:
    refusal(text)


def test_only_regular_files_of_bounded_size_are_read(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("{}")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "zeros").symlink_to("/dev/zero")
    (tmp_path / "circle").symlink_to("circle")
    assert read_document(tmp_path / "file", Document, "do this") == {}
    for name in ("folder", "pipe", "zeros", "circle", "nothing"):
        with pytest.raises(CheckpointError, match=rf"{name} (is no regular|cannot be).*: do this"):
            read_regular(tmp_path / name, "do this")
    with pytest.raises(CheckpointError, match=r"file cannot be read \(it is larger than"):
        read_regular(tmp_path / "file", "do this", 1)


def test_links_that_lead_out_are_refused(tmp_path: Path) -> None:
    run, other = tmp_path / "run", tmp_path / "other"
    (run / "deep").mkdir(parents=True)
    other.mkdir()
    (run / "within").symlink_to("deep")
    (run / "out").symlink_to(other)
    (run / "up").symlink_to("../other/file")
    (run / "circle").symlink_to("circle")
    (tmp_path / "latest").symlink_to("run")
    assert inside(run, "deep", "0", advice="") == run / "deep" / "0"
    assert inside(tmp_path / "latest", "within", advice="") == tmp_path / "latest" / "within"
    for parts in (("out",), ("out", "0"), ("up",), ("circle",)):
        with pytest.raises(CheckpointError, match=r"is a link to .* does not lie in the run: do"):
            inside(run, *parts, advice="do this")
