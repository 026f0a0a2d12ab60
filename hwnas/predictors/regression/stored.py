"""Fitted predictors as files: an npz of plain numbers with a JSON description, and nothing else.

Reading builds the few frozen dataclasses listed here from numbers and text. No object arrays, no
pickle: a stranger's file can be wrong, but it cannot run anything.
"""

import io
import json
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hwnas.errors import PredictorFormatError
from hwnas.files import write_atomically
from hwnas.predictors.gaussian_process import GaussianProcess
from hwnas.predictors.regression.boosting import BoostingFit
from hwnas.predictors.regression.choice import Choice
from hwnas.predictors.regression.columns import Columns
from hwnas.predictors.regression.gaussian import GaussianFit
from hwnas.predictors.regression.ordered import Numbers, OrderedFit
from hwnas.predictors.regression.terms import Linear, Near, PlacedNear, Smooth
from hwnas.predictors.regression.views import View
from hwnas.reading import parse_json, read_bytes, unpacked_bytes
from hwnas.spaces import Cell

__all__ = ["read", "write"]

_SCHEMA = "hwnas-predictor-1"
_HEADER = "description"
_CLASSES = {
    kind.__name__: kind
    for kind in (
        BoostingFit,
        Cell,
        Choice,
        Columns,
        GaussianFit,
        GaussianProcess,
        Linear,
        Near,
        Numbers,
        OrderedFit,
        PlacedNear,
        Smooth,
        View,
    )
}
#: Files that unpack to more are refused before they are unpacked.
_MOST_BYTES = 2**28
#: What reading a damaged or malicious file raises.
_DAMAGED = (
    *(zipfile.BadZipFile, zlib.error, EOFError, OSError, MemoryError),
    *(ValueError, KeyError, TypeError, RuntimeError),
)


def write(path: Path, content: Mapping[str, Any]) -> None:
    """Write names with numbers, text, arrays, lists, dicts and the dataclasses listed above."""
    arrays: dict[str, Any] = {}
    described = {"schema": _SCHEMA, "content": _encode(dict(content), arrays)}
    text = json.dumps(described, allow_nan=False)
    buffer = io.BytesIO()
    arrays[_HEADER] = np.array(text)
    np.savez_compressed(buffer, **arrays)
    write_atomically(path, buffer.getvalue())


def read(path: Path) -> dict[str, Any]:
    """What `write` wrote.

    Raises:
        PredictorFormatError: the file is no predictor of a schema that this version reads.
    """
    try:
        packed = io.BytesIO(read_bytes(path, _MOST_BYTES))
        size = unpacked_bytes(packed)
        if size > _MOST_BYTES:
            raise ValueError(f"it unpacks to {size} bytes, at most {_MOST_BYTES} are read")
        with np.load(packed, allow_pickle=False) as file:
            described = parse_json(str(file[_HEADER]))
            if described["schema"] != _SCHEMA:
                raise ValueError(f"its schema is {described['schema']!r}, not {_SCHEMA!r}")
            content = _decode(described["content"], file)
        if not isinstance(content, dict):
            raise TypeError("its content has no names")
    except FileNotFoundError:
        raise PredictorFormatError(f"no predictor at {path}") from None
    except _DAMAGED as error:
        reason = (isinstance(error, OSError) and error.strerror) or error
        raise PredictorFormatError(
            f"{path} is not a predictor that this version reads: {reason}. Predictors are written "
            "by LatencyRegressor.save"
        ) from None
    return content


def _encode(value: Any, arrays: dict[str, Any]) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.ndarray):
        name = f"array{len(arrays)}"
        arrays[name] = value
        return {"array": name}
    if is_dataclass(value) and type(value).__name__ in _CLASSES:
        parts = {field.name: _encode(getattr(value, field.name), arrays) for field in fields(value)}
        return {"is": type(value).__name__, "with": parts}
    if isinstance(value, Mapping):
        return {"pairs": [[_encode(k, arrays), _encode(v, arrays)] for k, v in value.items()]}
    if isinstance(value, list | tuple):
        return [_encode(part, arrays) for part in value]
    raise TypeError(f"a predictor of {type(value).__name__} cannot be stored")


def _decode(value: Any, arrays: Mapping[str, Any]) -> Any:
    if isinstance(value, list):
        return tuple(_decode(part, arrays) for part in value)
    if not isinstance(value, dict):
        return value
    match value:
        case {"array": str(name)}:
            return arrays[name]
        case {"is": str(name), "with": dict(parts)}:
            return _CLASSES[name](**{key: _decode(part, arrays) for key, part in parts.items()})
        case {"pairs": list(pairs)}:
            return {_decode(k, arrays): _decode(v, arrays) for k, v in pairs}
    raise ValueError(f"unknown entry {sorted(value)}")
