"""What ``rank.json`` holds: a ranking checked by training, or by a table."""

from dataclasses import dataclass, field
from typing import Annotated, Any

from annotated_types import Ge, Le, Len, MinLen

from hwnas.documents import Document
from hwnas.search.runs.schema import Count, Score, Scored, Seconds, Share, Text

__all__ = ["Rank", "TableRank"]

_Correlation = Annotated[float, Ge(-1), Le(1)]


@dataclass(frozen=True, kw_only=True)
class _Agreement(Document):
    """One metric; null where all are level."""

    value: _Correlation | None
    interval: Annotated[list[_Correlation], Len(2, 2)] | None


@dataclass(frozen=True, kw_only=True)
class _Ranked(Document):
    """One architecture that was trained alone."""

    architecture: Text
    supernet_accuracy: Score
    alone_accuracy: Score


@dataclass(frozen=True, kw_only=True)
class Rank(Scored):
    """``rank.json``."""

    count: Count
    steps: Count
    agreement: dict[str, _Agreement]
    architectures: Annotated[list[_Ranked], MinLen(1)]
    seconds: Seconds
    files: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for one in self.architectures:
            self.check_scores(one.supernet_accuracy, one.alone_accuracy)


@dataclass(frozen=True, kw_only=True)
class _Looked(Document):
    """One architecture whose true accuracy was looked up."""

    architecture: Text
    supernet_accuracy: Share
    true_accuracy: Share


@dataclass(frozen=True, kw_only=True)
class _Bands(Document):
    """Agreement within bands of a cost; none where there are too few architectures."""

    by: Text
    count: Count
    agreement: dict[str, dict[str, _Correlation | None]]


@dataclass(frozen=True, kw_only=True)
class TableRank(Document):
    """``rank.json`` of a ranking that was checked by a table."""

    accuracies: Text
    count: Count
    agreement: dict[str, dict[str, _Agreement]]
    bands: _Bands
    top: dict[str, Any]
    architectures: Annotated[list[_Looked], MinLen(1)]
    seconds: Seconds
    files: dict[str, str] = field(default_factory=dict)
