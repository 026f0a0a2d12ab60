"""JSON files of a run, read through one door: regular, bounded, and of a stated shape.

A shape is a frozen dataclass with ``__pydantic_config__ = SHAPE``: its fields say type and bounds.
What a shape does not name is allowed, so that files of other versions can be read.
"""

import json
import re
import reprlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from hwnas.errors import CheckpointError
from hwnas.reading import check_json_size, read_bytes

__all__ = [
    "SHAPE",
    "Document",
    "check_regular",
    "inside",
    "parse_document",
    "read_document",
    "read_regular",
]

#: Of the shapes: JSON types are not converted, and numbers are finite.
SHAPE = {"strict": True, "allow_inf_nan": False}
#: More than any document of a run takes.
_MOST_BYTES = 64 * 2**20
#: Half a character: json.dumps writes such where a path is no UTF-8, and JSON has no place for it.
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]..")

#: How pydantic's sentences begin; ours name the field.
_SUBJECT = re.compile(r"^\w+ should")


@dataclass(frozen=True)
class Document:
    """Any JSON object."""

    __pydantic_config__ = SHAPE


def read_regular(path: Path, advice: str, most_bytes: int = _MOST_BYTES) -> bytes:
    """The content of a file that is neither a folder, a pipe nor a device, and not too large.

    Args:
        path: of the file.
        advice: what to do if it cannot be read, for the message.
        most_bytes: a larger file is refused unread.

    Raises:
        CheckpointError: it is no such file, or cannot be read.
    """
    try:
        return read_bytes(path, most_bytes)
    except OSError as error:
        raise CheckpointError(
            f"{path} cannot be read ({error.strerror or error}): {advice}"
        ) from None


def check_regular(path: Path, advice: str) -> None:
    """Raise `CheckpointError` for a folder, a pipe, a device, or a link to one."""
    if path.exists() and not path.is_file():
        raise CheckpointError(f"{path} is no regular file: {advice}")


def read_document(path: Path, shape: type, advice: str) -> dict[str, Any]:
    """The JSON object of a file, as it stands there, if it has a shape.

    Args:
        path: of the file.
        shape: see the module.
        advice: what to do if it has not, for the message.

    Raises:
        CheckpointError: it has not, or the file cannot be read; the message names file and field.
    """
    return parse_document(read_regular(path, advice), shape, str(path), advice)


def parse_document(text: bytes, shape: type, name: str, advice: str) -> dict[str, Any]:
    """The JSON object of a text; ``name`` says in messages where it stands.

    Raises:
        CheckpointError: it has not the shape.
    """
    from pydantic import ValidationError

    try:
        check_json_size(text)
        whole = _SURROGATE.sub(rb"\\ufffd", text) if b"\\u" in text else text
        _adapter(shape).validate_json(whole)
        content = json.loads(text)
    except ValidationError as error:
        raise CheckpointError(f"{name}: {_first(error)}: {advice}") from None
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{name} is damaged ({error}): {advice}") from None
    assert isinstance(content, dict)
    return content


@cache
def _adapter(shape: type) -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(shape)


def _first(error: Any) -> str:
    """The first of the problems: the field, what it should be, and what it is."""
    first = error.errors(include_url=False, include_context=False)[0]
    message = _SUBJECT.sub("should", str(first["msg"]))
    where = ".".join(_short(part) for part in first["loc"])
    if first["type"] == "json_invalid":
        return f"damaged, {message}"
    if first["type"] == "missing":
        return f"{where} is missing"
    if first["type"] == "value_error":  # of a shape's own: about several fields
        return message.removeprefix("Value error, ")
    return f"{where or 'the file'} {message}, got {reprlib.repr(first['input'])}"


def _short(part: object) -> str:
    """A part of the way to a field; the key of a mapping may be long, or look like anything."""
    text = str(part)
    return text if len(text) < 60 and text.isprintable() else reprlib.repr(text)


def inside(folder: Path, *parts: str, advice: str) -> Path:
    """A file or folder of a run, which must not be a link that leads out of the run.

    Raises:
        CheckpointError: it is; what is written to it would be written elsewhere.
    """
    path = folder
    for part in parts:
        path = path / part
        if path.is_symlink():
            try:
                target = path.resolve()
                good = target.is_relative_to(folder.resolve())
            except (OSError, RuntimeError):  # links in a circle
                target, good = path.readlink(), False
            if not good:
                raise CheckpointError(
                    f"{path} is a link to {target}, which does not lie in the run: {advice}"
                )
    return path
