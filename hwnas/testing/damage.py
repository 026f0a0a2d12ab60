"""Wrong values in every place of a JSON document, to try what reads it."""

import copy
import json
from collections.abc import Iterator
from typing import Any

__all__ = ["WRONG", "damaged", "places"]

_REMOVED = object()
#: Stands for a list in a list in a list, deeper than Python's own parser goes.
_DEEP = "@deep@"
_DEPTH = 5_000

#: What a field becomes, by name.
WRONG: dict[str, Any] = {
    "removed": _REMOVED,
    "null": None,
    "a string": "wrong",
    "no text": "",
    "true": True,
    "-1": -1,
    "0": 0,
    "nan": float("nan"),
    "inf": float("inf"),
    "-inf": float("-inf"),
    "1e308": 1e308,
    "1e-308": 1e-308,
    "10^30": 10**30,
    "deep": _DEEP,
    "a list": [],
    "rows": [[1.0], [2.0, None]],
    "an object": {},
    "a nested object": {"wrong": {"wrong": [1]}},
}


def places(document: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The ways to all fields of a document; of a list the first and the last element."""
    if isinstance(document, dict):
        inner = list(document)
    elif isinstance(document, list):
        inner = sorted({0, len(document) - 1}) if document else []
    else:
        return
    for key in inner:
        yield (*way, key)
        yield from places(document[key], (*way, key))


def damaged(document: Any) -> Iterator[tuple[str, str]]:
    """A document with one wrong value, in every place each: what was done, and the JSON text."""
    for way in places(document):
        for name, value in WRONG.items():
            wrong = copy.deepcopy(document)
            inner = wrong
            for key in way[:-1]:
                inner = inner[key]
            if value is _REMOVED:
                del inner[way[-1]]
            else:
                inner[way[-1]] = value
            text = json.dumps(wrong).replace(f'"{_DEEP}"', "[" * _DEPTH + "]" * _DEPTH)
            yield f"{'.'.join(map(str, way))} {name}", text
