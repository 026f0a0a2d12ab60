"""Fitted predictors as files: an npz of plain numbers with a JSON description, and nothing else.

Reading builds the few frozen dataclasses that a format lists from numbers and text. No object
arrays, no pickle: a stranger's file can be wrong, but it cannot run anything.
"""

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hwnas.errors import PredictorFormatError
from hwnas.files import write_atomically
from hwnas.npz_files import read_npz
from hwnas.reading import parse_json, read_bytes

__all__ = ["NpzFormat"]

_HEADER = "description"
#: Files that unpack to more are refused before they are unpacked.
_MOST_BYTES = 2**28
#: What a wrong description raises.
_DAMAGED = (OSError, MemoryError, ValueError, KeyError, TypeError, RuntimeError)


@dataclass(frozen=True, eq=False)
class NpzFormat:
    """What a kind of file holds.

    Attributes:
        schema: its name and version.
        classes: the dataclasses that may be in it.
        written_by: what writes such files, for the message that one is none.
    """

    schema: str
    classes: tuple[type[Any], ...]
    written_by: str

    def write(self, path: Path, content: Mapping[str, Any]) -> None:
        """Write names with numbers, text, arrays, lists, dicts and the dataclasses."""
        arrays: dict[str, Any] = {}
        described = {"schema": self.schema, "content": self._encode(dict(content), arrays)}
        text = json.dumps(described, allow_nan=False)
        buffer = io.BytesIO()
        arrays[_HEADER] = np.array(text)
        np.savez_compressed(buffer, **arrays)
        write_atomically(path, buffer.getvalue())

    def read(self, path: Path) -> dict[str, Any]:
        """What `write` wrote.

        Raises:
            PredictorFormatError: the file is no predictor of a schema that this version reads.
        """
        try:
            arrays = read_npz(read_bytes(path, _MOST_BYTES), _MOST_BYTES)
            described = parse_json(str(arrays[_HEADER]))
            if described["schema"] != self.schema:
                raise ValueError(f"its schema is {described['schema']!r}, not {self.schema!r}")
            content = self._decode(described["content"], arrays)
            if not isinstance(content, dict):
                raise TypeError("its content has no names")
        except FileNotFoundError:
            raise PredictorFormatError(f"no predictor at {path}") from None
        except _DAMAGED as error:
            reason = (isinstance(error, OSError) and error.strerror) or error
            raise PredictorFormatError(
                f"{path} is not a predictor that this version reads: {reason}. Predictors are "
                f"written by {self.written_by}"
            ) from None
        return content

    def _encode(self, value: Any, arrays: dict[str, Any]) -> Any:
        if value is None or isinstance(value, bool | int | float | str):
            return value
        if isinstance(value, np.ndarray):
            name = f"array{len(arrays)}"
            arrays[name] = value
            return {"array": name}
        if is_dataclass(value) and type(value) in self.classes:
            parts = {
                field.name: self._encode(getattr(value, field.name), arrays)
                for field in fields(value)
            }
            return {"is": type(value).__name__, "with": parts}
        if isinstance(value, Mapping):
            pairs = value.items()
            return {"pairs": [[self._encode(k, arrays), self._encode(v, arrays)] for k, v in pairs]}
        if isinstance(value, list | tuple):
            return [self._encode(part, arrays) for part in value]
        raise TypeError(f"a predictor of {type(value).__name__} cannot be stored")

    def _decode(self, value: Any, arrays: Mapping[str, Any]) -> Any:
        if isinstance(value, list):
            return tuple(self._decode(part, arrays) for part in value)
        if not isinstance(value, dict):
            return value
        match value:
            case {"array": str(name)}:
                return arrays[name]
            case {"is": str(name), "with": dict(parts)}:
                known = {kind.__name__: kind for kind in self.classes}
                return known[name](**{key: self._decode(p, arrays) for key, p in parts.items()})
            case {"pairs": list(pairs)}:
                return {self._decode(k, arrays): self._decode(v, arrays) for k, v in pairs}
        raise ValueError(f"unknown entry {sorted(value)}")
