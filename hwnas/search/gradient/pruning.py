"""Selective drop (BetaNAS, section 3.3 and eq. 7): choices that are far behind are pruned."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hwnas.arrays import BoolArray, FloatArray, IntArray
from hwnas.costs import Constraint, can_be_kept
from hwnas.errors import OptionError

__all__ = ["PruneRule", "active_choices", "keeps_budgets", "prune"]


@dataclass(frozen=True, slots=True)
class PruneRule:
    """When a choice is pruned; both ways may be given, none means never.

    Attributes:
        margin: prune where alpha is this much, in nats, below the mean alpha of the other active
            choices of its decision: where its probability is below ``exp(-margin)`` of theirs
            (geometric mean). What the paper calls "much lower than the average of the others".
        threshold: prune where alpha itself is below this (eq. 7 to the letter). Alphas start at 0.
        start: share of the steps of alpha before the first pruning, 0 to 1.
        every: steps of alpha from one look to the next.

    Raises:
        OptionError: a margin that is not above 0 or a threshold that is not below 0 would prune
            everything; a start that is no share, or ``every`` below 1.
    """

    margin: float | None = None
    threshold: float | None = None
    start: float = 0.0
    every: int = 1

    def __post_init__(self) -> None:
        if self.margin is not None and not self.margin > 0:
            raise OptionError(
                "a prune margin, in nats below the other choices, is above 0 (else everything "
                f"would be pruned), got {self.margin:g}"
            )
        if self.threshold is not None and not self.threshold < 0:
            raise OptionError(
                "a prune threshold is below 0, where every alpha starts (else everything would be "
                f"pruned at once), got {self.threshold:g}"
            )
        if not 0 <= self.start <= 1 or self.every < 1:
            raise OptionError(
                "pruning starts at a share of the steps from 0 to 1, and happens every 1 or more "
                f"steps, got {self.start:g} and {self.every}"
            )

    def due(self, step: int, steps: int) -> bool:
        """Whether to look after step ``step`` (1 to ``steps``) of alpha."""
        return step >= self.start * steps and step % self.every == 0

    def behind(self, alphas: FloatArray) -> BoolArray:
        """Which active choices (n,) of a decision are to go; never the one with the most alpha."""
        behind = np.zeros(len(alphas), bool)
        if self.margin is not None and len(alphas) > 1:
            others = (alphas.sum() - alphas) / (len(alphas) - 1)
            behind |= alphas < others - self.margin
        if self.threshold is not None:
            behind |= alphas < self.threshold
        behind[alphas.argmax()] = False
        return behind


def prune(
    rule: PruneRule, alpha: FloatArray, active: BoolArray, constraints: Sequence[Constraint]
) -> list[tuple[int, int]]:
    """The (decision, choice) pairs that are pruned now, in order.

    The best choice of each decision stays. A choice also stays where no active architecture would
    keep all budgets without it.

    Args:
        rule: says which.
        alpha: (n_decisions, most choices).
        active: bool, of the same shape; not changed.
        constraints: the budgets.
    """
    pruned: list[tuple[int, int]] = []
    left = active.copy()
    for decision, choices in enumerate(active_choices(active)):
        for choice in choices[rule.behind(alpha[decision, choices])].tolist():
            left[decision, choice] = False
            if keeps_budgets(left, constraints):
                pruned.append((decision, choice))
            else:
                left[decision, choice] = True
    return pruned


def active_choices(active: BoolArray) -> list[IntArray]:
    """The active choices of each decision, ascending."""
    return [np.flatnonzero(row) for row in active]


def keeps_budgets(active: BoolArray, constraints: Sequence[Constraint]) -> bool:
    """Whether some architecture of active choices keeps every budget."""
    choices = active_choices(active)
    return not constraints or can_be_kept([c.restrict(choices) for c in constraints])
