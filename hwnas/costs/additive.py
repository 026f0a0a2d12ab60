"""Costs that are sums over decisions, and what can be computed exactly because they are.

An additive cost has one entry per decision and choice. All entries are whole multiples of a unit
(the greatest common divisor for MACs, a small power of two of a millisecond for latencies), so
that sums are exact and dynamic programming over the decisions gives the exact minimum, the exact
number of architectures within a limit, and exactly uniform samples of them.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from hwnas.errors import InfeasibleBudgetError, OptionError

if TYPE_CHECKING:
    import torch

__all__ = ["AdditiveCost", "Within"]

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]

#: A latency's entries are rounded so that the dearest architecture has at most this many units.
_LATENCY_GRID = 2**17
#: Columns of the dynamic programming; beyond it an integer cost is asked for on a coarser grid.
_MAX_COLUMNS = 2**23


@dataclass(frozen=True, slots=True, eq=False)
class AdditiveCost:
    """``cost(arch) = unit * (fixed + sum_d entries[d][arch[d]])``.

    Attributes:
        unit: the size of one step, in the cost's own unit (ms, MACs).
        fixed: steps that every architecture pays.
        entries: for each decision an int64 array (n_choices,) of steps.
    """

    unit: float
    fixed: int
    entries: tuple[IntArray, ...]

    @classmethod
    def from_integers(cls, fixed: int, entries: Sequence[Sequence[int]]) -> "AdditiveCost":
        """An exact cost from integers; the unit is their greatest common divisor."""
        unit = math.gcd(fixed, *(value for row in entries for value in row)) or 1
        rows = tuple(np.array(row, np.int64) // unit for row in entries)
        return cls(float(unit), fixed // unit, rows)

    @classmethod
    def from_floats(cls, fixed: float, entries: Sequence[npt.ArrayLike]) -> "AdditiveCost":
        """A cost from floats, each rounded to a power of two that is 2^-17 of the largest sum."""
        rows = [np.asarray(row, np.float64) for row in entries]
        largest = abs(fixed) + sum(float(np.abs(row).max()) for row in rows)
        if not (math.isfinite(largest) and largest > 0):
            raise OptionError(f"costs must be finite and not all zero, got a total of {largest}")
        unit = 2.0 ** math.ceil(math.log2(largest / _LATENCY_GRID))
        steps = tuple(np.rint(row / unit).astype(np.int64) for row in rows)
        return cls(unit, round(fixed / unit), steps)

    def __call__(self, archs: npt.ArrayLike) -> FloatArray:
        """Costs of an integer array (n, n_decisions), as a float array (n,)."""
        rows = np.asarray(archs)
        steps = np.full(len(rows), self.fixed, np.int64)
        for column, entry in zip(rows.T, self.entries, strict=True):
            steps += entry[column]
        return np.multiply(steps, self.unit, dtype=np.float64)

    def minimum(self) -> tuple[IntArray, float]:
        """The cheapest architecture (n_decisions,) and its cost."""
        arch = np.array([int(entry.argmin()) for entry in self.entries], np.int64)
        return arch, float(self(arch[None])[0])

    def maximum(self) -> tuple[IntArray, float]:
        """The dearest architecture (n_decisions,) and its cost."""
        arch = np.array([int(entry.argmax()) for entry in self.entries], np.int64)
        return arch, float(self(arch[None])[0])

    def only(self, choices: Sequence[IntArray]) -> "AdditiveCost":
        """The same cost where each decision offers no more than these of its choices, in order."""
        rows = zip(self.entries, choices, strict=True)
        return AdditiveCost(self.unit, self.fixed, tuple(row[kept] for row, kept in rows))

    def expected(self, probabilities: Sequence["torch.Tensor"]) -> "torch.Tensor":
        """Mean cost if each decision is drawn from its own distribution (BetaNAS, eq. 6).

        Args:
            probabilities: one tensor (n_choices,) a decision.

        Returns:
            A float64 scalar in the cost's unit, differentiable.
        """
        import torch

        total = torch.tensor(self.fixed * self.unit, dtype=torch.float64)
        for p, steps in zip(probabilities, self.entries, strict=True):
            total = total + (p.double() * torch.from_numpy(steps * self.unit).to(p.device)).sum()
        return total

    def steps_within(self, limit: float) -> int:
        """The largest number of steps that costs no more than ``limit``."""
        return math.floor(limit / self.unit)

    def within(self, limit: float) -> "Within":
        """The set of architectures that cost at most ``limit``.

        Raises:
            InfeasibleBudgetError: it is empty.
        """
        return Within.of(self, limit)


@dataclass(frozen=True, slots=True, eq=False)
class Within:
    """All architectures of an additive cost within a limit, counted and ready to be sampled.

    ``_ways[d][b]`` is the number of ways to decide d, d+1, ... with b columns left.
    """

    cost: AdditiveCost
    limit: float
    exact: bool
    _slack: tuple[IntArray, ...]
    _ways: tuple[npt.NDArray[Any], ...]

    @classmethod
    def of(cls, cost: AdditiveCost, limit: float) -> "Within":
        """Count by dynamic programming over the decisions, from the last to the first."""
        slack = [entry - entry.min() for entry in cost.entries]
        room = cost.steps_within(limit) - cost.fixed - sum(int(e.min()) for e in cost.entries)
        if room < 0:
            raise InfeasibleBudgetError(
                f"nothing costs at most {limit:g}: {cost.minimum()[1]:g} is least"
            )
        room = min(room, sum(int(row.max()) for row in slack))
        grain = math.gcd(*(int(v) for row in slack for v in row)) or 1
        exact = room // grain < _MAX_COLUMNS
        if not exact:  # floor on a coarser grid: a few architectures too many, which sample() drops
            grain = -(-room // (_MAX_COLUMNS - 1))
        columns = room // grain + 1
        slack = [row // grain for row in slack]
        size = math.prod(len(row) for row in slack)
        dtype: Any = np.int64 if size < 2**62 else object
        ways = [np.ones(columns, dtype)]
        for row in reversed(slack):
            total = np.zeros(columns, dtype)
            for step in row:
                if step < columns:
                    total[step:] += ways[-1][: columns - step]
            ways.append(total)
        return cls(cost, limit, exact, tuple(slack), tuple(reversed(ways)))

    @property
    def count(self) -> int:
        """How many architectures there are; an upper bound where ``exact`` is false."""
        return int(self._ways[0][-1])

    def sample(self, count: int, rng: np.random.Generator) -> IntArray:
        """Independent uniform draws, an int64 array (count, n_decisions), repeats possible."""
        drawn = self._draw(count, rng)
        for _ in range(1000):  # only an inexact grid can draw anything that is too expensive
            wrong = np.flatnonzero(self.cost(drawn) > self.limit)
            if self.exact or not len(wrong):
                return drawn
            drawn[wrong] = self._draw(len(wrong), rng)
        raise InfeasibleBudgetError(f"found no architecture within {self.limit:g} in 1000 draws")

    def _draw(self, count: int, rng: np.random.Generator) -> IntArray:
        left = np.full(count, len(self._ways[0]) - 1)
        archs = np.empty((count, len(self._slack)), np.int64)
        for d, row in enumerate(self._slack):
            after = left[:, None] - row[None, :]
            ways = np.where(after >= 0, self._ways[d + 1][np.maximum(after, 0)], 0)
            running = np.cumsum(ways, axis=1)
            ticket = _integers_below(running[:, -1], rng)
            archs[:, d] = (running <= ticket[:, None]).sum(axis=1)
            left = after[np.arange(count), archs[:, d]]
        return archs


def _integers_below(highs: npt.NDArray[Any], rng: np.random.Generator) -> npt.NDArray[Any]:
    """One uniform integer in [0, high) for each high; highs may exceed 64 bits."""
    if highs.dtype != object:
        return rng.integers(0, highs)
    bits = max(int(high).bit_length() for high in highs) + 64
    words = rng.bytes(len(highs) * (bits // 8 + 1))
    step = bits // 8 + 1
    # 64 bits more than needed: the bias of scaling is below 2^-64
    draws = [int.from_bytes(words[i * step : (i + 1) * step], "big") for i in range(len(highs))]
    return np.array([(d * int(h)) >> (8 * step) for d, h in zip(draws, highs, strict=True)], object)
