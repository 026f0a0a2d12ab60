"""A network's milliseconds drawn: a strip of blocks as wide as their share, and a row for each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hwnas.predictors.breakdown import Alternative, Breakdown, Part

__all__ = ["Block", "Drawn", "Row", "drawn"]

#: Colours of the style sheet; choices beyond them begin again.
_COLOURS = 8
#: What a character of a name needs of the strip, percent: on a screen, and on a phone.
_CHARACTER, _CHARACTER_ON_PHONE = 0.9, 2.2
#: Other choices of a block that are named.
_MOST_ALTERNATIVES = 6


@dataclass(frozen=True)
class Block:
    """One block of the strip.

    Attributes:
        x, width: percent of the strip.
        colour: of its choice.
        name: that is written in it; empty where there is no room.
        narrow: whether there is none on a phone.
        text: what is said of it.
    """

    x: float
    width: float
    colour: int
    name: str
    narrow: bool
    text: str


@dataclass(frozen=True)
class Row:
    """One part of the network.

    Attributes:
        part: see `Part`.
        colour: of its choice; None where nothing is chosen.
        share: of the prediction; None where it has none of its own.
        bar: share of the longest part, 0 to 1, and the ends of its interval on the same scale.
        alternatives: the first few of its other choices.
        more: how many others there are.
    """

    part: Part
    colour: int | None
    share: float | None
    bar: float
    interval: tuple[float, float] | None
    alternatives: tuple[Alternative, ...]
    more: int


@dataclass(frozen=True)
class Drawn:
    """A network, taken apart and drawn.

    Attributes:
        breakdown: its numbers.
        strip: blocks from the input to the output; empty where nothing has milliseconds.
        rows: its parts.
        saving: part name and alternative that save the most, most first.
    """

    breakdown: Breakdown
    strip: tuple[Block, ...]
    rows: tuple[Row, ...]
    saving: tuple[tuple[str, Alternative], ...]


def drawn(found: Breakdown) -> Drawn:
    """Draw a breakdown."""
    tokens = dict.fromkeys(part.choice for part in found.parts if part.choice)
    colours = {token: at % _COLOURS for at, token in enumerate(tokens)}
    longest = max((part.high_ms or part.ms or 0.0 for part in found.parts), default=0.0)
    savings = [
        (part.name, other)
        for part in found.parts
        for other in part.alternatives
        if other.ms_change is not None and other.ms_change < 0
    ]
    return Drawn(
        found,
        _strip(found.parts, colours),
        tuple(_row(part, found.predicted_ms, longest, colours) for part in found.parts),
        tuple(sorted(savings, key=lambda pair: pair[1].ms_change or 0.0)),
    )


def _strip(parts: Sequence[Part], colours: Mapping[str, int]) -> tuple[Block, ...]:
    timed = [(part, part.ms) for part in parts if part.ms is not None and part.ms > 0]
    total = sum(ms for _, ms in timed)
    blocks, x = [], 0.0
    for part, ms in timed:
        width, name = 100 * ms / total, part.choice or part.name
        shown = name if width >= _CHARACTER * len(name) else ""
        narrow = width < _CHARACTER_ON_PHONE * len(name)
        text = f"{part.name} {part.choice}: {ms:.3f} ms"
        blocks.append(Block(x, width, colours.get(part.choice, _COLOURS), shown, narrow, text))
        x += width
    return tuple(blocks)


def _row(part: Part, total: float | None, longest: float, colours: Mapping[str, int]) -> Row:
    interval = None
    if part.low_ms is not None and part.high_ms is not None and longest > 0:
        interval = part.low_ms / longest, part.high_ms / longest
    return Row(
        part,
        colours.get(part.choice),
        None if part.ms is None or not total else part.ms / total,
        0.0 if part.ms is None or longest <= 0 else max(part.ms, 0.0) / longest,
        interval,
        part.alternatives[:_MOST_ALTERNATIVES],
        max(0, len(part.alternatives) - _MOST_ALTERNATIVES),
    )
