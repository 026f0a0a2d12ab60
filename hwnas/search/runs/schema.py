"""What the JSON files of a run hold: a shape each, which reading asserts (the log: `events`).

A field with a default may be missing, in runs of earlier versions; one that a shape does not name
is allowed. Numbers are finite and within what can be meant.
"""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Le, Len, MinLen, Predicate

from hwnas.arrays import IntArray
from hwnas.documents import Document
from hwnas.errors import ArchitectureError, CheckpointError
from hwnas.spaces import SearchSpace
from hwnas.supernet.kinds import RankBy, Sharing

__all__ = [
    "ANOTHER",
    "OWN",
    "AtLeastOne",
    "Config",
    "Count",
    "Found",
    "Ms",
    "Network",
    "OwnMetric",
    "PathText",
    "Preprocessing",
    "Score",
    "Scored",
    "Seconds",
    "Several",
    "Share",
    "Text",
    "Winner",
    "parse_of_file",
    "with_defaults",
]

#: What to do where a run that goes on is damaged, and where one that is only read is.
OWN = "remove the folder, or give another --out"
ANOTHER = "the run is damaged; copy it again, or search again"


def _is_path(text: str) -> bool:
    return bool(text) and "\0" not in text


Share = Annotated[float, Ge(0), Le(1)]
Ms = Annotated[float, Gt(0), Le(1e9)]
Seconds = Annotated[float, Ge(0), Le(1e10)]
Count = Annotated[int, Ge(0), Le(2**63 - 1)]
AtLeastOne = Annotated[int, Ge(1), Le(2**63 - 1)]
#: An accuracy, or by an own metric a number of any size.
Score = Annotated[float, Ge(-1e300), Le(1e300)]
PathText = Annotated[str, Predicate(_is_path)]
Text = Annotated[str, MinLen(1)]


@dataclass(frozen=True, kw_only=True)
class OwnMetric(Document):
    """What scores are of, where they are no accuracies: a `hwnas.data.Metric`."""

    name: Text
    lower_is_better: bool


@dataclass(frozen=True, kw_only=True)
class Scored(Document):
    """What holds scores: accuracies, 0 to 1, if it does not name another metric."""

    metric: OwnMetric | None = None

    def check_scores(self, *scores: float | None) -> None:
        """Raise `ValueError` for an accuracy that is none."""
        for score in scores if self.metric is None else ():
            if score is not None and not 0 <= score <= 1:
                raise ValueError(f"an accuracy is from 0 to 1, got {score}")


# config.json


@dataclass(frozen=True, kw_only=True)
class Config(Document):
    """What is read of the configuration of another run; `StoredRun` says what must be there."""

    space: Text = ""
    data: PathText = ""
    data_digest: Text = ""
    deployed: dict[str, Any] = field(default_factory=dict)
    trained: dict[str, Any] = field(default_factory=dict)
    sharing: Sharing = "slices"
    steps: AtLeastOne = 1
    method: Text = ""
    train_batch: AtLeastOne = 1
    base_rate: Annotated[float, Gt(0)] | None = None
    optimizer: str = ""
    shares: AtLeastOne | None = None
    calibration_images: Annotated[int, Ge(2), Le(10_000_000)] | None = None
    validation_images: Annotated[int, Ge(1), Le(10_000_000)] | None = None
    paths: AtLeastOne | None = None
    rank_by: RankBy | None = None
    supernet: PathText = "."
    supernet_digest: str = ""
    accuracies: Text | None = None


# result.json


@dataclass(frozen=True, kw_only=True)
class Winner(Document):
    """What names the one network that a search found; there is none where it found several."""

    architecture: Text | None = None


@dataclass(frozen=True, kw_only=True)
class Network(Document):
    """What measuring the network of a result needs.

    Attributes:
        digest: sha256 of ``best.onnx``; runs of earlier versions have none.
    """

    space: Text
    deployed: dict[str, Any]
    budget: list[str]
    architecture: Text
    predicted_ms: Ms | None
    digest: Annotated[str, Len(64, 64)] | None = None
    target: str | dict[str, Any] = "not said"


@dataclass(frozen=True, kw_only=True)
class _Paths(Document):
    """The accuracies of random architectures."""

    count: Count
    least: Score
    median: Score
    most: Score


@dataclass(frozen=True, kw_only=True)
class _Measurement(Document):
    """What the device said of the winner."""

    latency_ms: Ms
    relative_error: Annotated[float, Ge(0), Le(1e9)] | None = None
    measurements: Count = 1
    waited_s: Seconds = 0.0
    clock_ms: dict[str, Ms] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class _Largest(Document):
    """The largest network within the budgets; results of earlier versions have none."""

    architecture: Text
    accuracy: Score
    macs: Count
    params: Count
    predicted_ms: Ms | None
    exact: bool


@dataclass(frozen=True, kw_only=True)
class _LookedUp(Document):
    """A number as it stands in a table."""

    table: Text
    value: Annotated[float, Ge(-1e9), Le(1e9)]
    unit: Literal["%", "0 to 1", "ms"]


@dataclass(frozen=True, kw_only=True)
class Preprocessing(Document):
    """How an image becomes what the network reads: facts of a `hwnas.data.Preparation`."""

    class_names: list[str]
    channel_order: Literal["RGB", "L"] | None
    resize: Annotated[list[AtLeastOne], Len(2, 2)]
    crop: Literal["center"] | None
    value_range: Annotated[list[int], Len(2, 2)] | None
    mean: list[float]
    std: list[Annotated[float, Gt(0)]]


@dataclass(frozen=True, kw_only=True)
class Found(Network, Scored):
    """The result of a search for one network, as it is printed and handed to a program."""

    predicted_interval_ms: Annotated[list[Ms], Len(2, 2)] | None = None
    measured_ms: Ms | None = None
    measured: _Measurement | None = None
    macs: Count
    params: Count
    bitops: Count | None = None
    memory_bytes: Count | None = None
    accuracy: Score
    rank_by: RankBy = "accuracy"
    test_accuracy: Score | None
    validation_images: AtLeastOne | None = None
    random_paths: _Paths
    largest: _Largest | None = None
    looked_up: dict[str, _LookedUp] = field(default_factory=dict)
    finalists: dict[str, Score] = field(default_factory=dict)
    data_notes: list[str] = field(default_factory=list)
    preprocessing: Preprocessing | None = None
    verify: str | None = None
    weights: str
    seed: Count = 0
    seconds: Seconds
    files: dict[str, str]

    def __post_init__(self) -> None:
        paths, largest = self.random_paths, self.largest
        of_others = () if largest is None else (largest.accuracy,)
        self.check_scores(self.accuracy, self.test_accuracy, *of_others, *self.finalists.values())
        self.check_scores(paths.least, paths.median, paths.most)
        if (self.measured is None) != (self.measured_ms is None):
            raise ValueError("measured and measured_ms are not both there")
        if self.test_accuracy is None and "accuracy" not in self.looked_up:
            raise ValueError("test_accuracy is null, and no accuracy was looked up")
        if self.predicted_ms is None and self.measured_ms is not None:
            raise ValueError("predicted_ms is null, and measured_ms is not")


@dataclass(frozen=True, kw_only=True)
class _OfBudget(Found):
    """A result among several, of a supernet that was trained."""

    folder: PathText

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.predicted_ms is None or self.test_accuracy is None:
            raise ValueError("predicted_ms or test_accuracy is null")


@dataclass(frozen=True, kw_only=True)
class _Point(Document):
    """A network of a front."""

    architecture: Text
    predicted_ms: Ms
    accuracy: Score
    macs: Count


@dataclass(frozen=True, kw_only=True)
class Several(Scored):
    """The result of a supernet that was searched again."""

    front: list[_Point]
    architectures_evaluated: Count
    accuracies_reused: Count
    seconds: Seconds
    budgets: list[_OfBudget] = field(default_factory=list)
    files: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.check_scores(*(point.accuracy for point in self.front))


def with_defaults(content: Mapping[str, Any], shape: type) -> dict[str, Any]:
    """A document with what earlier versions did not write."""
    given: dict[str, Any] = {}
    for part in fields(shape):
        if part.default is not MISSING:
            given[part.name] = part.default
        elif part.default_factory is not MISSING:
            given[part.name] = part.default_factory()
    return dict(content) | {name: v for name, v in given.items() if name not in content}


def parse_of_file(space: SearchSpace, text: str, path: Path, advice: str) -> IntArray:
    """The architecture (n_decisions,) that a file of a run names.

    Args:
        space: of the run.
        text: as it stands in the file.
        path: of the file, for the message.
        advice: what to do, for the message.

    Raises:
        CheckpointError: it is none of the space.
    """
    try:
        return space.parse(text)
    except ArchitectureError as error:
        raise CheckpointError(f"{path}: architecture: {error}: {advice}") from None
