"""The workloads of a layout: of one network, of each choice, and what all of them cost."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np

from hwnas.arrays import BoolArray
from hwnas.costs import workload_costs
from hwnas.ops import Workload
from hwnas.spaces.layout import Layout, Slot, followed

__all__ = ["LayoutWorkloads", "N"]

N = TypeVar("N", int, float)


@dataclass(frozen=True, eq=False)
class LayoutWorkloads:
    """What runs where, as far as it follows from a layout's slots.

    Attributes:
        layout: whose slots.
    """

    layout: Layout

    def of(self, arch: Sequence[int]) -> list[Workload]:
        """Those of one architecture; see `SearchSpace.workloads`."""
        path = self.layout.path(arch)
        used = [(s, c) for s, c in zip(self.layout.slots, path, strict=True) if c is not None]
        used.sort(key=lambda pair: -1 if pair[0].decision is None else pair[0].decision)
        return [slot.workloads[choice] for slot, choice in used]

    def of_choice(self, decision: int, choice: int) -> tuple[Workload, ...]:
        """Those of the slots that follow a decision, for one of its choices."""
        picked = [(slot, slot.candidate(choice)) for slot in self._followed[decision]]
        return tuple(slot.workloads[at] for slot, at in picked if at is not None)

    @cached_property
    def fixed(self) -> tuple[Workload, ...]:
        """Those of the slots that follow no decision; in an additive layout each has one."""
        return tuple(s.workloads[0] for s in self.layout.slots if s.decision is None)

    @cached_property
    def distinct(self) -> tuple[Workload, ...]:
        """Every one that costs time, once."""
        others = [w for s in self.layout.slots if s.decision is None for w in s.workloads]
        chosen = [
            workload
            for decision, choices in enumerate(self._choices)
            for choice in choices
            for workload in self.of_choice(decision, choice)
        ]
        return tuple(dict.fromkeys(w for w in (*others, *chosen) if not w.op.no_op))

    @cached_property
    def costs(self) -> dict[Workload, dict[str, int]]:
        """Of each that costs time its analytic costs by name; see `hwnas.costs.workload_costs`."""
        return {workload: workload_costs(workload) for workload in self.distinct}

    def cost(self, quantity: str, workload: Workload) -> int:
        """One analytic cost of a workload; 0 where no kernel runs."""
        return 0 if workload.op.no_op else self.costs[workload][quantity]

    def sums_of(self, value: Callable[[Workload], N]) -> tuple[N, list[list[N]]]:
        """What a number of each workload adds up to, in an additive layout.

        Returns:
            The sum that every architecture has, and of each decision the sum that each choice adds.
        """
        rows = [
            [sum(map(value, self.of_choice(decision, choice))) for choice in choices]
            for decision, choices in enumerate(self._choices)
        ]
        return sum(map(value, self.fixed)), rows

    @cached_property
    def weightless(self) -> tuple[BoolArray, ...]:
        """Which choices of each decision of a cell are operators without parameters, (n_choices,).

        A choice is the same operator in all slots that follow its decision.
        """
        slots = {slot.decision: slot for slot in self.layout.slots}
        return tuple(
            np.array([self.cost("params", workload) == 0 for workload in slots[at].workloads])
            for at in range(len(self.layout.decisions))
        )

    @property
    def _choices(self) -> list[range]:
        return [range(len(decision.choices)) for decision in self.layout.decisions]

    @cached_property
    def _followed(self) -> tuple[tuple[Slot, ...], ...]:
        return followed(self.layout.slots, len(self.layout.decisions))
