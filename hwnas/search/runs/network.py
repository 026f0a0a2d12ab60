"""The network that a finished run hands over: ``best.onnx``, and whether it is the one found."""

import json
import reprlib
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from hwnas.documents import read_document, read_regular
from hwnas.errors import CheckpointError
from hwnas.kernels import check_exported
from hwnas.latency_tables import LatencyTable, Target
from hwnas.search.runs.run import NETWORK, RESULT, TABLE
from hwnas.search.runs.schema import ANOTHER, Network, with_defaults

__all__ = ["read_network", "read_result", "target_of"]

#: ONNX files are no larger.
_MOST_BYTES = 2**31


def read_result(folder: Path) -> dict[str, Any]:
    """What a finished search says of its network: the fields of `Network`, and more.

    Raises:
        CheckpointError: the search is not finished, or its ``result.json`` is damaged.
    """
    path = folder / RESULT
    if not path.exists():
        raise CheckpointError(
            f"{folder} is not a finished search (there is no {RESULT}): give a folder that "
            "'hwnas search' wrote"
        )
    return with_defaults(read_document(path, Network, ANOTHER), Network)


def target_of(folder: Path, result: Mapping[str, Any]) -> Target | None:
    """What the latencies of a run are of; None where its predictor told that in words only.

    Args:
        folder: of the run.
        result: its content.

    Raises:
        CheckpointError: the result names no target.
    """
    if (folder / TABLE).exists():
        return LatencyTable.load(folder / TABLE).target
    told = result.get("target")
    if not isinstance(told, dict):
        return None
    from pydantic import TypeAdapter, ValidationError

    try:
        return TypeAdapter(Target).validate_python(told)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        where = ".".join(str(part) for part in ("target", *first["loc"]))
        raise CheckpointError(f"{folder / RESULT}: {where}: {first['msg']}: {ANOTHER}") from None


def read_network(folder: Path, result: Mapping[str, Any], other: Path | None = None) -> bytes:
    """The deployed network of a run, which must be the one that its result names.

    Args:
        folder: of the run.
        result: its content; of an earlier version it has no ``digest``, and what the file says of
            itself is all that is compared.
        other: a file of the same network with other weights, in place of ``best.onnx``.

    Raises:
        CheckpointError: the file is not there, damaged, or another network.
    """
    path, digest = (folder / NETWORK, result.get("digest")) if other is None else (other, None)
    model = read_regular(path, ANOTHER, _MOST_BYTES)
    known = _metadata(model, path)
    check_exported(model, str(path))
    compared = {"architecture": (known.get("architecture"), result["architecture"])}
    if "hwnas.arguments" in known or other is not None:
        compared["deployed"] = known.get("hwnas.arguments"), json.dumps(result["deployed"])
    if digest is not None:
        compared["digest"] = sha256(model).hexdigest(), digest
    for what, (got, wanted) in compared.items():
        if got != wanted:
            raise CheckpointError(
                f"{path} is not the network that {RESULT} names ({what} is {reprlib.repr(got)}, "
                f"not {reprlib.repr(wanted)}): {ANOTHER}"
            )
    return model


def _metadata(model: bytes, path: Path) -> dict[str, str]:
    """What an ONNX file that hwnas wrote says that it is."""
    import onnx
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    try:
        return {p.key: p.value for p in onnx.load_from_string(model).metadata_props}
    except (DecodeError, ValueError) as error:
        raise CheckpointError(f"{path} is no ONNX model ({error}): {ANOTHER}") from None
