"""Still charts: from numbers to the coordinates of an SVG that the page's template draws.

Coordinates are in pixels of a view box of `WIDTH` by `HEIGHT`; how wide it is shown, and in which
colours, is the style sheet's.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from hwnas.data import Metric

__all__ = [
    "Axis",
    "Chart",
    "Dot",
    "Line",
    "Rule",
    "axis",
    "band",
    "dots",
    "line",
    "score_axis",
    "thinned",
]

WIDTH, HEIGHT = 640, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 12, 10, 40
#: Points of a line that a person can tell apart.
_MOST_POINTS = 400
#: Larger numbers, such as the loss of a training that diverged, are none to draw.
_MOST = 1e100


@dataclass(frozen=True)
class Axis:
    """A range of numbers, and where it is labelled.

    Attributes:
        label: what it is, with its unit.
        low, high: the range that is shown.
        ticks: numbers within it, and how they are written.
    """

    label: str
    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]

    def share(self, value: float) -> float:
        """Where a number lies, 0 to 1."""
        return (value - self.low) / (self.high - self.low)

    def x(self, value: float) -> float:
        """Its pixel, where the axis lies below the chart."""
        return round(_LEFT + self.share(value) * (WIDTH - _LEFT - _RIGHT), 1)

    def y(self, value: float) -> float:
        """Its pixel, where the axis stands left of the chart."""
        return round(HEIGHT - _BOTTOM - self.share(value) * (HEIGHT - _TOP - _BOTTOM), 1)


@dataclass(frozen=True)
class Line:
    """A line, or an area. ``colour`` counts the colours of the style sheet from 0."""

    name: str
    colour: int
    points: str
    filled: bool = False


@dataclass(frozen=True)
class Dot:
    """A point, what is said of it, and the ends of its error bar.

    Attributes:
        x, y: pixels.
        text: shown where it is pointed at.
        ends: two pairs (x, y), or none.
    """

    x: float
    y: float
    text: str
    ends: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True)
class Rule:
    """A straight line with a word beside it, between two pairs (x, y)."""

    name: str
    ends: tuple[tuple[float, float], tuple[float, float]]


@dataclass(frozen=True)
class Chart:
    """What is drawn, in order; ``title`` describes it to those who cannot see it."""

    title: str
    x: Axis
    y: Axis
    lines: tuple[Line, ...] = ()
    dots: tuple[Dot, ...] = ()
    rules: tuple[Rule, ...] = ()
    width: int = WIDTH
    height: int = HEIGHT

    @property
    def named(self) -> tuple[Line, ...]:
        """The lines that a legend names."""
        return tuple(line for line in self.lines if line.name)


def axis(
    label: str, values: Iterable[float], *, percent: bool = False, least: float | None = None
) -> Axis:
    """An axis that holds some numbers, with four to eight round ones as ticks.

    Args:
        label: with its unit.
        values: what must be seen; what is not finite, or beyond all meaning, is left out.
        percent: whether shares are written as percent.
        least: where the axis begins; by default a little below the smallest number.
    """
    known = [float(value) for value in values if abs(value) < _MOST] or [0.0]
    low, high = min(known), max(known)
    if high - low <= 1e-12 * max(abs(low), abs(high), 1e-12):
        low, high = low - (abs(low) or 1.0) / 10, high + (abs(high) or 1.0) / 10
    room = 0.04 * (high - low)
    low, high = (low - room if least is None else min(least, low)), high + room
    factor = 100 if percent else 1
    step = _round_step(factor * (high - low) / 4) / factor
    first = math.ceil(low / step - 1e-9)
    digits = max(0, -math.floor(math.log10(step * factor) + 1e-9))
    ticks = [
        (at * step, f"{at * step * factor:.{digits}f}")
        for at in range(first, math.floor(high / step + 1e-9) + 1)
    ]
    return Axis(label, low, high, tuple(ticks))


def score_axis(metric: Metric, values: Iterable[float], how: str = "") -> Axis:
    """An axis of values of a metric, such as ``accuracy with shared weights (%)``."""
    name = f"{metric.name} {how}".rstrip()
    percent = metric.is_accuracy
    return axis(f"{name} (%)" if percent else name, values, percent=percent)


def _round_step(size: float) -> float:
    """The largest of 1, 2, 5 times a power of ten that is no larger than a size."""
    power = 10.0 ** math.floor(math.log10(size))
    return power * max(step for step in (1, 2, 5) if step * power <= size * (1 + 1e-9))


def line(name: str, colour: int, at: tuple[Axis, Axis], points: Sequence[Sequence[float]]) -> Line:
    """A line through points (x, y); those that are not finite are left out."""
    return Line(name, colour, _path(at, thinned(points)))


def band(
    name: str,
    colour: int,
    at: tuple[Axis, Axis],
    lower: Sequence[Sequence[float]],
    upper: Sequence[Sequence[float]],
) -> Line:
    """The area between two lines of points (x, y)."""
    return Line(name, colour, _path(at, [*thinned(lower), *reversed(thinned(upper))]), filled=True)


def dots(
    at: tuple[Axis, Axis],
    points: Sequence[Sequence[float]],
    texts: Sequence[str],
    spans: Sequence[Sequence[float]] | None = None,
) -> tuple[Dot, ...]:
    """Points (x, y), what is said of each, and the ends (low, high) of its error bar along y."""
    x, y = at
    return tuple(
        Dot(
            x.x(point[0]),
            y.y(point[1]),
            text,
            ends=()
            if spans is None
            else tuple((x.x(point[0]), y.y(min(max(end, y.low), y.high))) for end in spans[which]),
        )
        for which, (point, text) in enumerate(zip(points, texts, strict=True))
    )


def thinned(points: Sequence[Sequence[float]]) -> list[Sequence[float]]:
    """At most some hundred of many points, evenly, with the first and the last."""
    if len(points) <= _MOST_POINTS:
        return list(points)
    return [points[at] for at in np.linspace(0, len(points) - 1, _MOST_POINTS).round().astype(int)]


def _path(at: tuple[Axis, Axis], points: Sequence[Sequence[float]]) -> str:
    x, y = at
    finite = [(a, b) for a, b in points if abs(a) < _MOST and abs(b) < _MOST]
    return " ".join(f"{x.x(a)},{y.y(b)}" for a, b in finite)
