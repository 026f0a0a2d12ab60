"""What trainings of single networks end with, as JSON files that reading asserts."""

from dataclasses import dataclass, field

from hwnas.documents import Document
from hwnas.search.runs.schema import Count, PathText, Preprocessing, Seconds, Share, Text

__all__ = ["Accuracy", "Train"]


@dataclass(frozen=True, kw_only=True)
class Accuracy(Document):
    """``accuracy.json`` of a finalist."""

    validation: Share


@dataclass(frozen=True, kw_only=True)
class _Accuracies(Accuracy):
    """On the two kinds of images that are not trained on."""

    test: Share


@dataclass(frozen=True, kw_only=True)
class _Export(Document):
    """How the exported network answers."""

    accuracy: Share
    torch_accuracy: Share
    same_answers: Share
    images: Count


@dataclass(frozen=True, kw_only=True)
class _InPrecision(Document):
    """The network in the precision that the search was for."""

    precision: Text
    file: PathText
    images: Count
    accuracy: Share


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
class Train(Document):
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
    in_precision: _InPrecision | None = None
    seconds: Seconds
    files: _NetworkFile
