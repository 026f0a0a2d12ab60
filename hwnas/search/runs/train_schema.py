"""What trainings of single networks end with, as JSON files that reading asserts."""

from dataclasses import dataclass, field

from hwnas.documents import Document
from hwnas.search.runs.schema import (
    Count,
    PathText,
    Preprocessing,
    Score,
    Scored,
    Seconds,
    Share,
    Text,
)

__all__ = ["Accuracy", "Train"]


@dataclass(frozen=True, kw_only=True)
class Accuracy(Scored):
    """``accuracy.json`` of a finalist."""

    validation: Score

    def __post_init__(self) -> None:
        self.check_scores(self.validation)


@dataclass(frozen=True, kw_only=True)
class _Accuracies(Document):
    """On the two kinds of images that are not trained on."""

    validation: Score
    test: Score


@dataclass(frozen=True, kw_only=True)
class _Export(Document):
    """How the exported network answers."""

    accuracy: Score
    torch_accuracy: Score
    same_answers: Share
    images: Count


@dataclass(frozen=True, kw_only=True)
class _OfClass(Document):
    """The test images of a class; the accuracy is null where there are none."""

    name: str
    images: Count
    accuracy: Share | None


@dataclass(frozen=True, kw_only=True)
class _NetworkFile(Document):
    """Where the exported network is."""

    network: PathText


@dataclass(frozen=True, kw_only=True)
class Train(Scored):
    """``train.json``."""

    architecture: Text
    network: Text
    macs: Count
    params: Count
    accuracy: _Accuracies
    accuracy_by_class: list[_OfClass] = field(default_factory=list)
    supernet_accuracy: _Accuracies | None = None
    data_notes: list[str] = field(default_factory=list)
    preprocessing: Preprocessing | None = None
    export: _Export
    seconds: Seconds
    files: _NetworkFile

    def __post_init__(self) -> None:
        for found in (self.accuracy, self.supernet_accuracy):
            if found is not None:
                self.check_scores(found.validation, found.test)
        self.check_scores(self.export.accuracy, self.export.torch_accuracy)
