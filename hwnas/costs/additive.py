"""Costs that are sums over decisions, and what can be computed exactly because they are.

An additive cost has one entry per decision and choice. All entries are whole multiples of a unit
(the greatest common divisor for MACs, a small power of two of a millisecond for latencies), so
that sums are exact and dynamic programming over the decisions gives the exact minimum, the exact
number of architectures within a limit, and exactly uniform samples of them.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from hwnas.arrays import FloatArray, IntArray
from hwnas.costs.gather import can_pair, pair_sums
from hwnas.costs.probabilities import checked_probabilities
from hwnas.errors import InfeasibleBudgetError, OptionError

if TYPE_CHECKING:
    import torch

__all__ = ["AdditiveCost", "FeasibleRegion"]

#: A latency's entries are rounded so that the costliest architecture has at most this many units.
_LATENCY_GRID = 2**17
#: Integers of the dynamic programming at a decision; beyond it the grid becomes coarser.
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
        """A cost from floats, each rounded to a power of two that is 2^-17 of the largest sum.

        Raises:
            OptionError: a float is not finite, or all are zero.
        """
        rows = [np.asarray(row, np.float64) for row in entries]
        largest = abs(fixed) + sum(float(np.abs(row).max()) for row in rows)
        if not (math.isfinite(largest) and largest > 0):
            raise OptionError(f"costs must be finite and not all zero, got a total of {largest}")
        unit = 2.0 ** math.ceil(math.log2(largest / _LATENCY_GRID))
        steps = tuple(np.rint(row / unit).astype(np.int64) for row in rows)
        return cls(unit, round(fixed / unit), steps)

    def __call__(self, archs: npt.ArrayLike) -> FloatArray:
        """Costs of an integer array (n, n_decisions), as a float array (n,); fastest of uint8.

        Raises:
            IndexError: an index is negative or no choice.
        """
        rows = np.asarray(archs)
        if can_pair(rows, self.entries):
            costs = np.empty(len(rows))
            for part, sums in pair_sums(rows, self.fixed, self.entries):
                np.multiply(sums, self.unit, out=costs[part], dtype=np.float64)
            return costs
        if rows.size and rows.min() < 0:
            raise IndexError("an index is out of range")
        steps = np.full(len(rows), self.fixed, np.int64)
        for column, entry in zip(rows.T, self.entries, strict=True):
            steps += entry[column]
        return np.multiply(steps, self.unit, dtype=np.float64)

    def minimum(self) -> tuple[IntArray, float]:
        """The cheapest architecture (n_decisions,) and its cost."""
        arch = np.array([int(entry.argmin()) for entry in self.entries], np.int64)
        return arch, float(self(arch[None])[0])

    def maximum(self) -> tuple[IntArray, float]:
        """The costliest architecture (n_decisions,) and its cost."""
        arch = np.array([int(entry.argmax()) for entry in self.entries], np.int64)
        return arch, float(self(arch[None])[0])

    def restrict(self, choices: Sequence[IntArray]) -> "AdditiveCost":
        """The same cost where each decision offers no more than these of its choices, in order."""
        rows = zip(self.entries, choices, strict=True)
        return AdditiveCost(self.unit, self.fixed, tuple(row[kept] for row, kept in rows))

    def expected(self, probabilities: Sequence["torch.Tensor"]) -> "torch.Tensor":
        """Mean cost if each decision is drawn from its own distribution (BetaNAS, eq. 6).

        Args:
            probabilities: one tensor (n_choices,) a decision, not negative, each with sum 1.

        Returns:
            A float64 scalar in the cost's unit, differentiable.

        Raises:
            OptionError: another number of decisions or choices, or no probabilities.
        """
        import torch

        checked_probabilities(probabilities, [len(entry) for entry in self.entries])
        total = torch.tensor(self.fixed * self.unit, dtype=torch.float64)
        for p, steps in zip(probabilities, self.entries, strict=True):
            total = total + (p.double() * torch.from_numpy(steps * self.unit).to(p.device)).sum()
        return total

    def steps_within(self, limit: float) -> int:
        """The largest number of steps that costs no more than ``limit``."""
        return math.floor(limit / self.unit)

    def within(self, limit: float) -> "FeasibleRegion":
        """The set of architectures that cost at most ``limit``.

        Raises:
            InfeasibleBudgetError: it is empty.
        """
        return FeasibleRegion.of(self, limit)


@dataclass(frozen=True, slots=True, eq=False)
class FeasibleRegion:
    """All architectures of an additive cost within limits, counted and ready to be sampled.

    ``_ways[d][:, b]`` is the number of ways to decide d, d+1, ... with at most b columns, in limbs
    of ``_bits`` bits, the lowest first: joint spaces have more than 2^64 architectures. What costs
    more than ``above`` and at most ``limit`` is what ``_top`` columns allow and ``_floor`` do not.
    """

    cost: AdditiveCost
    limit: float
    above: float
    exact: bool
    _slack: tuple[IntArray, ...]
    _ways: tuple[IntArray, ...]
    _bits: int
    _grain: int
    _top: int
    _floor: int

    @classmethod
    def of(cls, cost: AdditiveCost, limit: float) -> "FeasibleRegion":
        """Count by dynamic programming over the decisions, from the last to the first.

        Raises:
            InfeasibleBudgetError: the cheapest architecture costs more than the limit.
        """
        slack = [entry - entry.min() for entry in cost.entries]
        room = _room(cost, limit)
        if room < 0:
            raise InfeasibleBudgetError(
                f"nothing costs at most {limit:g}: {cost.minimum()[1]:g} is least"
            )
        room = min(room, sum(int(row.max()) for row in slack))
        grain = math.gcd(*(int(v) for row in slack for v in row)) or 1
        size = math.prod(len(row) for row in slack)
        # a column's terms are added before carries are taken: they must not fill 63 bits
        bits = 62 if size < 2**62 else 62 - max(len(row) for row in slack).bit_length()
        limbs = -(-size.bit_length() // bits)
        exact = room // grain < _MAX_COLUMNS // limbs
        if not exact:  # floor on a coarser grid: a few architectures too many, which sample() drops
            grain = -(-room // (_MAX_COLUMNS // limbs - 1))
        columns = room // grain + 1
        slack = [row // grain for row in slack]
        ways = [np.ones((limbs, columns), np.int64)]
        ways[0][1:] = 0
        for row in reversed(slack):
            total = np.zeros((limbs, columns), np.int64)
            for step in row:
                if step < columns:
                    total[:, step:] += ways[-1][:, : columns - step]
            ways.append(_carried(total, bits))
        shared = tuple(slack), tuple(reversed(ways)), bits, grain
        return cls(cost, limit, -math.inf, exact, *shared, columns - 1, -1)

    def band(self, above: float, limit: float) -> "FeasibleRegion":
        """Those of them that cost more than ``above`` and at most ``limit``.

        Raises:
            InfeasibleBudgetError: there are none.
        """
        top = min(_room(self.cost, limit) // self._grain, self._top)
        floor = _room(self.cost, above) // self._grain
        if not self.exact:  # a coarse sum may be a column less a decision
            floor -= len(self._slack)
        floor = max(self._floor, min(floor, top))
        band = replace(
            self,
            limit=min(limit, self.limit),
            above=max(above, self.above),
            _top=max(top, -1),
            _floor=floor,
        )
        if band.count <= 0:
            raise InfeasibleBudgetError(f"nothing costs more than {above:g} and at most {limit:g}")
        return band

    @property
    def count(self) -> int:
        """How many architectures there are; an upper bound where ``exact`` is false."""
        top, floor = (self._at(0, np.array([column])) for column in (self._top, self._floor))
        return int(self._whole(top - floor)[0])

    def sample(self, count: int, rng: np.random.Generator) -> IntArray:
        """Independent uniform draws, an int64 array (count, n_decisions), repeats possible.

        Raises:
            InfeasibleBudgetError: a thousand draws from an inexact count gave none within it.
        """
        drawn = self._draw(count, rng)
        for _ in range(1000):  # only an inexact grid can draw anything outside of the limits
            if self.exact:
                return drawn
            costs = self.cost(drawn)
            wrong = np.flatnonzero((costs > self.limit) | (costs <= self.above))
            if not len(wrong):
                return drawn
            drawn[wrong] = self._draw(len(wrong), rng)
        raise InfeasibleBudgetError(f"found no architecture within {self.limit:g} in 1000 draws")

    def _draw(self, count: int, rng: np.random.Generator) -> IntArray:
        top, floor = np.full(count, self._top), np.full(count, self._floor)
        archs = np.empty((count, len(self._slack)), np.int64)
        for d, row in enumerate(self._slack):
            tops, floors = top[:, None] - row, floor[:, None] - row
            ways = _carried(self._at(d + 1, tops) - self._at(d + 1, floors), self._bits)
            running = _carried(np.cumsum(ways, axis=2), self._bits)
            ticket = self._ticket(running[:, :, -1], rng)
            passed = np.ones(running.shape[1:], bool)
            for limb, drawn in zip(running, ticket, strict=True):  # the highest limb decides last
                equal = limb == drawn[:, None]
                passed = (limb < drawn[:, None]) | (equal & passed)
            archs[:, d] = passed.sum(axis=1)
            chosen = np.arange(count), archs[:, d]
            top, floor = tops[chosen], floors[chosen]
        return archs

    def _at(self, decision: int, columns: IntArray) -> IntArray:
        """Ways (limbs, ...) to decide from ``decision`` on; none with less than no column."""
        ways = self._ways[decision][:, np.maximum(columns, 0)]
        found: IntArray = np.where(columns >= 0, ways, 0)
        return found

    def _whole(self, limbs: IntArray) -> npt.NDArray[Any]:
        """Numbers (n,) of limbs (limbs, n), as Python integers."""
        whole = np.zeros(limbs.shape[1], object)
        for at, limb in enumerate(limbs):
            whole += limb.astype(object) << (self._bits * at)
        return whole

    def _ticket(self, highs: IntArray, rng: np.random.Generator) -> IntArray:
        """One uniform number below each of ``highs``, all in limbs (limbs, n)."""
        if len(highs) == 1:
            return rng.integers(0, highs)
        whole = _integers_below(self._whole(highs), rng)
        mask = (1 << self._bits) - 1
        return np.array([(whole >> (self._bits * at)) & mask for at in range(len(highs))], np.int64)


def _room(cost: AdditiveCost, limit: float) -> int:
    """Steps between the cheapest architecture and a limit."""
    least = cost.fixed + sum(int(entry.min()) for entry in cost.entries)
    return cost.steps_within(limit) - least


def _carried(limbs: IntArray, bits: int) -> IntArray:
    """Limbs (limbs, ...) of which each but the highest is brought below ``2**bits``, in place."""
    for at in range(len(limbs) - 1):
        carry = limbs[at] >> bits  # rounds down, so that it borrows where a limb is negative
        limbs[at] -= carry << bits
        limbs[at + 1] += carry
    return limbs


def _integers_below(highs: npt.NDArray[Any], rng: np.random.Generator) -> npt.NDArray[Any]:
    """One uniform integer in [0, high) for each high, Python integers of any length."""
    bits = max(int(high).bit_length() for high in highs) + 64
    words = rng.bytes(len(highs) * (bits // 8 + 1))
    step = bits // 8 + 1
    # 64 bits more than needed: the bias of scaling is below 2^-64
    draws = [int.from_bytes(words[i * step : (i + 1) * step], "big") for i in range(len(highs))]
    return np.array([(d * int(h)) >> (8 * step) for d, h in zip(draws, highs, strict=True)], object)
