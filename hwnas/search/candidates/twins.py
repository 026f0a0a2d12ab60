"""A network of a smaller precision beside its fp32 twin: it is returned where it is faster."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Annotated, Any

from annotated_types import Ge, Gt, Len

from hwnas.devices import runtime_for
from hwnas.devices.any_model.twins import measure_twins
from hwnas.documents import Document, read_document
from hwnas.files import write_atomically
from hwnas.latency_tables import Target
from hwnas.predictors import LatencyPredictor
from hwnas.progress import Progress
from hwnas.search.candidates.export import predicted_ms
from hwnas.search.result import Result
from hwnas.search.runs.schema import OWN, Ms

__all__ = ["Twins", "measured_twins", "not_faster", "predicted_twins"]

#: In the folder of the network.
_FILE = "twins.json"


@dataclass(frozen=True, kw_only=True)
class Twins(Document):
    """A network and the same in fp32, side by side; measured, or predicted with no error known."""

    own_ms: Ms
    fp32_ms: Ms
    change: Annotated[float, Gt(-1)]
    error: Annotated[float, Ge(0)]
    measured: bool
    digest: Annotated[str, Len(64, 64)]


def measured_twins(
    result: Result, precision: str, *, seconds: float, runtime: str | None, progress: Progress
) -> dict[str, Any]:
    """The network of a result and the same in fp32, interleaved on this machine.

    The answer is kept in the result's folder, so that a search that goes on measures nothing twice.

    Args:
        result: of a search in another precision, whose device is at hand.
        precision: of it.
        seconds: measure for at least so long.
        runtime: its name, where a person typed it.
        progress: told of the measurement.

    Returns:
        The fields of `Twins`.
    """
    path = result.folder / _FILE
    if path.exists():
        known = read_document(path, Twins, OWN)
        if known["digest"] == result.content["digest"]:
            return known
    target = Target(**result.content["target"])
    models = {
        "fp32": result.space.to_onnx(result.arch, batch=target.batch, seed=result.content["seed"]),
        precision: result.onnx,
    }
    found = measure_twins(
        models,
        result.space,
        runtime_for(target, runtime),
        target,
        seconds=seconds,
        progress=progress,
    )
    known = {**asdict(found), "measured": True, "digest": result.content["digest"]}
    write_atomically(path, (json.dumps(known, indent=2) + "\n").encode())
    return known


def predicted_twins(result: Result, fp32: LatencyPredictor) -> dict[str, Any] | None:
    """The same by predictions, where the device is not at hand; None where one is not known."""
    own_ms, fp32_ms = result.content["predicted_ms"], predicted_ms(fp32, result.arch)
    if own_ms is None or fp32_ms is None:
        return None
    return {
        "own_ms": own_ms,
        "fp32_ms": fp32_ms,
        "change": own_ms / fp32_ms - 1,
        "error": 0.0,
        "measured": False,
        "digest": result.content["digest"],
    }


def not_faster(precision: str, twins: Mapping[str, Any] | None) -> str | None:
    """Why a network is not returned: it is not known to be faster than in fp32; None where it is.

    Args:
        precision: of the network.
        twins: what is known of both.
    """
    if twins is None:
        return "what its network takes in fp32 is not known: it is not returned"
    if twins["change"] < -twins["error"]:
        return None
    how = "measured beside it" if twins["measured"] else "as predicted"
    error = f" +-{twins['error']:.1%}" if twins["measured"] else ""
    return (
        f"its network takes {twins['own_ms']:.3f} ms and the same in fp32, {how}, "
        f"{twins['fp32_ms']:.3f} ms ({twins['change']:+.1%}{error}): {precision} is not faster, "
        "and not returned"
    )
