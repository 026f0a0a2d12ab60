"""Which of the models that were measured together are compared, and what a comparison tells."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

from hwnas.devices.any_model.cases import Case
from hwnas.devices.any_model.latency import Latency, compare

__all__ = ["no_effect", "pairs"]


def pairs(cases: Sequence[Case]) -> Iterator[tuple[Case, Case]]:
    """Models with one setting; and one model with settings that differ in one part."""
    for one, other in combinations(cases, 2):
        if one.model != other.model:
            if one.setting == other.setting:
                yield one, other
        elif len(_differing(one, other)) == 1:
            yield one, other


def _differing(one: Case, other: Case) -> list[str]:
    parts = ("threads", "batch", "precision")
    return [p for p in parts if getattr(one.setting, p) != getattr(other.setting, p)]


def no_effect(cases: Sequence[Case], latencies: Mapping[str, Latency]) -> Iterator[str]:
    """Settings of a model whose latencies cannot be told apart."""
    for one, other in pairs(cases):
        if one.model != other.model:
            continue
        (part,) = _differing(one, other)
        found = compare(one.label, other.label, latencies)
        if not found.differs:
            values = (getattr(one.setting, part), getattr(other.setting, part))
            yield (
                f"{one.model}: no effect seen of {part} {values[1]} against {values[0]} "
                f"({found.change:+.1%} +-{found.error:.1%})"
            )
