"""What is searched, stated once."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from hwnas.arrays import IntArray
from hwnas.costs import Budget, Constraint, FeasibleSet, ListedSet
from hwnas.data import Dataset, Metric, Task, shapes_of, shown_shape, task_of
from hwnas.errors import OptionError
from hwnas.latency_tables import Target
from hwnas.predictors import LatencyPredictor, LookedUpLatency, predictor_name
from hwnas.progress import Progress
from hwnas.search.constraints import check_confidence_used, constraints_for, runs_factor
from hwnas.search.looked_up import Accuracies, OwnAccuracies, rows_in_both
from hwnas.spaces import SearchSpace

__all__ = ["Measure", "Problem"]

#: Measures an ONNX model on the device: ``latency_ms``, and what else is to be logged.
Measure = Callable[[bytes, Progress], Mapping[str, Any]]


@dataclass(frozen=True, eq=False)
class Problem:
    """A space, data, and budgets that a network of the space is to keep.

    Attributes:
        space: the deployed networks, whose costs and latency count.
        proxy: the same decisions, smaller: what is trained; may be ``space`` itself.
        data: images at the input shape of ``proxy``.
        predictor: of the latency of ``space``.
        budgets: all of them are kept.
        measure: asks the device; None where it is not at hand, so that nothing is measured.
        confidence: that the latency budget is kept, see `constraints_for`; None for the prediction.
        seed: of everything random.
        accuracies: looked up, or found out by a person's own function, in place of training;
            ``proxy`` is then ``space``, and ``data`` has no images (`hwnas.data.NoImages`).

    Raises:
        OptionError: spaces of different decisions, data of another input shape, a predictor of
            another space, or a confidence without a latency budget.
    """

    space: SearchSpace
    proxy: SearchSpace
    data: Dataset
    predictor: LatencyPredictor
    budgets: Sequence[Budget]
    measure: Measure | None = None
    confidence: float | None = None
    seed: int = 0
    accuracies: Accuracies | OwnAccuracies | None = None

    def __post_init__(self) -> None:
        check_confidence_used(self.confidence, self.budgets)
        if self.proxy.n_choices != self.space.n_choices:
            raise OptionError(
                f"a proxy has the decisions of the space, got {self.proxy.n_choices} choices of "
                f"{self.proxy.name} for {self.space.n_choices} of {self.space.name}"
            )
        shape, wanted = self.data.input_shape, self.proxy.input_shape
        if shapes_of(shape) != shapes_of(wanted):
            raise OptionError(
                f"the trained network of {self.proxy.name} takes images of {shown_shape(wanted)}, "
                f"and {self.data.name} has {shown_shape(shape)}: give data, or a space, of that "
                "size"
            )
        if self.predictor.space.identifier != self.space.identifier:
            raise OptionError(
                f"{predictor_name(self.predictor)} predicts {self.predictor.space.identifier}, got "
                f"the space {self.space.identifier}: load what it was made from for this space"
            )
        looked_up = self.accuracies
        if looked_up is not None and looked_up.space.identifier != self.space.identifier:
            raise OptionError(
                f"{looked_up.name} holds accuracies of {looked_up.space.identifier}, got the "
                f"space {self.space.identifier}: read the table for this space"
            )

    @cached_property
    def constraints(self) -> list[Constraint]:
        """Each budget with what it limits.

        Raises:
            BudgetError: the space has nothing of a quantity.
            OptionError: the predictor cannot give what ``confidence`` needs.
        """
        return constraints_for(
            self.budgets,
            self.space,
            self.predictor,
            self.confidence,
            measured=self.measure is not None,
        )

    @cached_property
    def feasible(self) -> FeasibleSet:
        """The architectures that keep all budgets, and have a row in each table there is.

        Raises:
            InfeasibleBudgetError: there are none.
        """
        return self.within(self.constraints)

    def within(self, constraints: Sequence[Constraint]) -> FeasibleSet:
        """The same for other constraints.

        Raises:
            InfeasibleBudgetError: there are none.
        """
        if self.listed is None:
            return FeasibleSet(constraints, self.space.format)
        return ListedSet(constraints, self.listed, self.space.format)

    @cached_property
    def listed(self) -> IntArray | None:
        """The architectures (n, n_decisions) of which all is known that is looked up.

        None where nothing is looked up, so that every architecture of the space may be asked for.
        """
        sources = (self.accuracies, self.predictor)
        tables = [s.table for s in sources if isinstance(s, Accuracies | LookedUpLatency)]
        return rows_in_both(*tables) if tables else None

    @property
    def task(self) -> Task:
        """What networks are trained for."""
        return task_of(self.data)

    @property
    def metric(self) -> Metric:
        """By what networks are compared."""
        return self.task.scored if self.accuracies is None else self.accuracies.metric

    @property
    def target(self) -> Target | None:
        """What predictions are of, where they say it so that it can be compared."""
        target = self.predictor.target
        return target if isinstance(target, Target) else None

    @property
    def latency_budgets(self) -> list[Budget]:
        """Those that are checked on the device."""
        return [budget for budget in self.budgets if budget.quantity == "latency"]

    @property
    def latency_limit_ms(self) -> float | None:
        """The steady latency that the latency budgets allow, if there are any."""
        limits = [b.limit / runs_factor(b, self.predictor) for b in self.latency_budgets]
        return min(limits, default=None)

    @property
    def trains_deployed(self) -> bool:
        """Whether the network that is trained is the one that is deployed."""
        return self.proxy.identifier == self.space.identifier
