"""Which engines can be predicted without a card, by name: a precision and a batch."""

import re
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path

from hwnas.errors import OptionError
from hwnas.latency_tables import Target

__all__ = ["MOST_IMAGES", "SOURCE", "Engine", "engine_names", "is_engine", "parse_engine"]

#: Batches of up to so many images were measured.
MOST_IMAGES = 128
#: Where all times come from: said wherever one is printed.
SOURCE = (
    "from public measurements of another V100, TensorRT version not stated; "
    "nothing was measured here"
)
_PREFIX = "v100-tensorrt-"
_PRECISIONS = ("fp32", "fp16", "int8")
_CARD = "V100, from public measurements of another V100"


@dataclass(frozen=True, slots=True)
class Engine:
    """How a V100 runs a model: ``v100-tensorrt-fp16-b32``; without ``-b32`` one image a run."""

    precision: str
    batch: int = 1

    @property
    def name(self) -> str:
        """What ``--table`` takes."""
        batch = "" if self.batch == 1 else f"-b{self.batch}"
        return f"{_PREFIX}{self.precision}{batch}"

    @property
    def target(self) -> Target:
        """What its predictions are of; no machine is equal to it, so nothing is measured."""
        precision = self.precision
        return Target(
            "gpu",
            _CARD,
            "public measurements",
            "tensorrt",
            "version not stated",
            precision,  # type: ignore[arg-type] # one of three
            self.batch,
            1,
        )


def engine_names() -> list[str]:
    """The names that ship; each takes a batch at its end, such as ``-b32``."""
    return [f"{_PREFIX}{precision}" for precision in _PRECISIONS]


def is_engine(source: object) -> bool:
    """Whether a name, which is not that of a file, is meant to be an engine's."""
    return isinstance(source, str) and source.startswith(_PREFIX) and not Path(source).exists()


def parse_engine(name: str, batch: int | None = None) -> Engine:
    """The engine of a name.

    Args:
        name: of `engine_names`, or one with a batch behind it.
        batch: images a run, where that is said beside the name.

    Raises:
        OptionError: a precision or batch that was not measured, or two batches.
    """
    match = re.fullmatch(
        rf"{_PREFIX}({'|'.join(_PRECISIONS)})(?:-b([1-9]\d{{0,5}}))?", name, re.ASCII
    )
    if match is None:
        raise OptionError(
            f"a V100 was measured as {', '.join(engine_names())}, with a batch of 1 to "
            f"{MOST_IMAGES} behind it such as {engine_names()[1]}-b32, got {name!r}"
        )
    named = None if match[2] is None else int(match[2])
    if named is not None and batch is not None and named != batch:
        raise OptionError(f"{name} has a batch of {named}, got {batch}: leave one of them out")
    images = next(count for count in (named, batch, 1) if count is not None)
    is_count = isinstance(images, Integral) and not isinstance(images, bool)
    if not is_count or not 1 <= images <= MOST_IMAGES:
        raise OptionError(
            f"batches of 1 to {MOST_IMAGES} were measured on the V100, got {images!r}: give one of "
            "these, or profile a card of your own"
        )
    return Engine(match[1], int(images))
