"""What a page says of a network that was trained alone, and of a ranking that was checked."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hwnas import spaces
from hwnas.documents import Document, inside, read_document
from hwnas.errors import CheckpointError, HwnasError
from hwnas.report.searched import losses_of
from hwnas.search.runs.events import read_events
from hwnas.search.runs.rank_schema import Rank, TableRank
from hwnas.search.runs.run import CONFIG, LOG
from hwnas.search.runs.schema import ANOTHER, AtLeastOne, Count, PathText, Text, with_defaults
from hwnas.search.runs.train_schema import Train
from hwnas.spaces import SearchSpace

__all__ = ["RANK", "TRAIN", "Ranked", "Trained", "read_ranking", "read_training"]

#: What the two commands end with.
TRAIN, RANK = "train.json", "rank.json"


@dataclass(frozen=True, kw_only=True)
class _TrainAsked(Document):
    """What a page says of the configuration of a training."""

    architecture: Text
    network: Text
    space: Text
    arguments: dict[str, Any]
    steps: AtLeastOne | None = None
    seed: Count = 0


@dataclass(frozen=True, kw_only=True)
class _RankAsked(Document):
    """What a page says of the configuration of a ranking."""

    space: Text
    trained: dict[str, Any]
    supernet: PathText
    count: AtLeastOne
    tables: dict[str, Any] | None = None
    seed: Count = 0


@dataclass(frozen=True, eq=False)
class Trained:
    """A network that was trained alone, as far as it went.

    Attributes:
        folder: of the training.
        config: what was asked for.
        space: of the network.
        losses: training step -> loss.
        content: of ``train.json``; None where the training is not finished.
    """

    folder: Path
    config: Mapping[str, Any]
    space: SearchSpace
    losses: Mapping[int, float]
    content: Mapping[str, Any] | None

    @property
    def name(self) -> str:
        """Of the folder."""
        return self.folder.resolve().name


@dataclass(frozen=True, eq=False)
class Ranked:
    """A supernet's ranking beside what the networks are worth, as far as it went.

    Attributes:
        folder: of the check.
        config: what was asked for.
        space: of the networks.
        content: of ``rank.json``; None where the check is not finished.
    """

    folder: Path
    config: Mapping[str, Any]
    space: SearchSpace
    content: Mapping[str, Any] | None

    @property
    def name(self) -> str:
        """Of the folder."""
        return self.folder.resolve().name


def read_training(folder: Path) -> Trained:
    """Read what ``hwnas train`` left so far.

    Raises:
        CheckpointError: a file of it is damaged, or names a space that is not known.
    """
    config = _config(folder, _TrainAsked)
    space = _space(folder, config["space"], config["arguments"])
    log = read_events(inside(folder, LOG, advice=ANOTHER), ANOTHER)
    content = _content(folder / TRAIN, Train)
    return Trained(folder, config, space, losses_of(log), content)


def read_ranking(folder: Path) -> Ranked:
    """Read what ``hwnas rank`` left so far.

    Raises:
        CheckpointError: a file of it is damaged, or names a space that is not known.
    """
    config = _config(folder, _RankAsked)
    space = _space(folder, config["space"], config["trained"])
    shape = Rank if config["tables"] is None else TableRank
    return Ranked(folder, config, space, _content(folder / RANK, shape))


def _config(folder: Path, shape: type) -> dict[str, Any]:
    path = inside(folder, CONFIG, advice=ANOTHER)
    return with_defaults(read_document(path, shape, ANOTHER), shape)


def _content(path: Path, shape: type) -> dict[str, Any] | None:
    if not path.exists():
        return None
    return with_defaults(read_document(path, shape, ANOTHER), shape)


def _space(folder: Path, name: str, arguments: Mapping[str, Any]) -> SearchSpace:
    try:
        return spaces.remake(name, arguments)
    except HwnasError as error:
        raise CheckpointError(
            f"{folder / CONFIG} names no space of this version ({error}); if it is a space of your "
            "own, give it again: --space FILE.py:NAME"
        ) from None
