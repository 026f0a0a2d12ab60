"""Numbers that a person types: finite, within what is allowed, and within what anyone needs."""

import math
from typing import Any

import click

from hwnas.given import MOST_SECONDS, MOST_SEED

__all__ = ["Number", "Whole", "seconds_type", "seed_type"]


class _Sensible:
    """Refuses words, infinite numbers, and numbers larger than anyone needs.

    Attributes:
        most: the largest that is accepted, either way from 0; no part of the help.
        infinite: whether infinity is accepted all the same.
    """

    most: float = math.inf
    infinite: bool = False
    min: Any
    max: Any

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The number, if it is a sensible one."""
        number = super().convert(value, param, ctx)  # type: ignore[misc]
        if isinstance(number, float) and not math.isfinite(number):
            if math.isnan(number) or not self.infinite:
                self.fail(f"{number} is no finite number.", param, ctx)  # type: ignore[attr-defined]
        elif abs(number) > self.most:
            self.fail(  # type: ignore[attr-defined]
                f"{number} is more than anyone needs: it is at most {self.most:g}.", param, ctx
            )
        return number

    def _describe_range(self) -> str:
        """For the help: nothing, where any number is allowed."""
        if self.min is None and self.max is None:
            return ""
        return super()._describe_range()  # type: ignore[misc, no-any-return]


class Whole(_Sensible, click.IntRange):
    """A whole number; see `_Sensible`."""

    def __init__(self, *, most: float, **bounds: Any):
        super().__init__(**bounds)
        self.most = most


class Number(_Sensible, click.FloatRange):
    """A number; see `_Sensible`."""

    def __init__(self, *, most: float, infinite: bool = False, **bounds: Any):
        super().__init__(**bounds)
        self.most, self.infinite = most, infinite


def seed_type() -> Whole:
    """What any seed is."""
    return Whole(min=0, most=MOST_SEED)


def seconds_type() -> Number:
    """How long something is measured."""
    return Number(min=0, most=MOST_SECONDS)
