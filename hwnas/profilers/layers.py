"""Where the time of a model goes, as its runtime tells it: what each layer takes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

__all__ = ["LayerTime", "middle_half"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class LayerTime:
    """One layer of what a runtime made of a model: its name there, ms, and what is known of it.

    Attributes:
        operator: what it computes; empty where the runtime does not say.
    """

    name: str
    latency_ms: float
    details: Any
    operator: str = ""


def middle_half(runs: Sequence[T], key: Callable[[T], float]) -> list[T]:
    """The runs without the quarter that was fastest and the quarter that was slowest."""
    quarter = len(runs) // 4
    return sorted(runs, key=key)[quarter : len(runs) - quarter]
