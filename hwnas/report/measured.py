"""What a page says of ONNX models that ``hwnas measure --json`` measured."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from annotated_types import Ge, Len

from hwnas.documents import Document, read_document
from hwnas.search.runs.schema import Count, Ms, Text, with_defaults

__all__ = ["MeasuredModels", "is_measurement", "read_measurement"]

_ADVICE = "write it again: hwnas measure MODEL.onnx --json > FILE.json"


@dataclass(frozen=True, kw_only=True)
class _Operator(Document):
    operator: Text
    layers: Count
    share: Annotated[float, Ge(0)]


@dataclass(frozen=True, kw_only=True)
class _Model(Document):
    label: Text
    target: dict[str, Any]
    steady_ms: Ms
    median_ms: Ms
    interval_ms: Annotated[list[Ms], Len(2, 2)]
    p90_ms: Ms
    p99_ms: Ms
    runs: Count
    load_ms: Ms | None = None
    first_run_ms: Ms | None = None
    memory_bytes: int | None = None
    operators: list[_Operator] = field(default_factory=list)
    operators_sum: Annotated[float, Ge(0)] | None = None


@dataclass(frozen=True, kw_only=True)
class _Pair(Document):
    one: Text
    other: Text
    change: Annotated[float, Ge(-1)]
    error: Annotated[float, Ge(0)]
    differs: bool


@dataclass(frozen=True, kw_only=True)
class _Measurement(Document):
    models: list[_Model]
    comparisons: list[_Pair] = field(default_factory=list)
    not_measured: dict[str, str] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class MeasuredModels:
    """A measurement of one or several models; they are of no search space.

    Attributes:
        name: of the file.
        content: of it.
    """

    name: str
    content: Mapping[str, Any]
    space = None


def is_measurement(content: Mapping[str, Any]) -> bool:
    """Whether a JSON document is meant to be one."""
    return "models" in content and "comparisons" in content


def read_measurement(path: Path) -> MeasuredModels:
    """Read what ``hwnas measure --json`` printed.

    Raises:
        CheckpointError: it has another shape.
    """
    content = with_defaults(read_document(path, _Measurement, _ADVICE), _Measurement)
    models = [with_defaults(model, _Model) for model in content["models"]]
    return MeasuredModels(path.stem, {**content, "models": models})
