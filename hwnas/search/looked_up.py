"""Accuracies from a table or a person's own function in place of training; what tables are for."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from hwnas.arrays import FloatArray, IntArray
from hwnas.costs import Budget
from hwnas.data import ACCURACY, Metric, NoImages
from hwnas.errors import DataError, OptionError, quoting
from hwnas.predictors import LookedUpLatency, UnknownLatency
from hwnas.spaces import SearchSpace
from hwnas.spaces.tabulated import ArchitectureTable, read_tables

__all__ = [
    "Accuracies",
    "Missing",
    "OwnAccuracies",
    "Tables",
    "check_looks_up",
    "read",
    "rows_in_both",
]

Missing = Literal["error", "infeasible"]


class Accuracies:
    """The accuracy of each architecture of a table.

    Args:
        table: accuracies from 0 to 1, or in percent if one of them is above 1.

    Attributes:
        table: the argument, in its own unit.
        unit: ``"%"`` or ``"0 to 1"``.

    Raises:
        DataError: a number is below 0, or above 100.
    """

    def __init__(self, table: ArchitectureTable):
        wrong = (table.values < 0) | (table.values > 100)
        if wrong.any():
            raise DataError(
                f"accuracies are 0 to 1, or 0 to 100 %, got {table.values[wrong][0]:g} of "
                f"{table.space.format(table.archs[wrong][0])} in {table.name}: name a column of "
                "accuracies"
            )
        self.table = table
        self.unit: Literal["%", "0 to 1"] = "%" if (table.values > 1).any() else "0 to 1"

    metric = ACCURACY
    #: Architectures that are looked up between two entries of a log.
    chunk = 1000

    @property
    def name(self) -> str:
        """Of the table."""
        return self.table.name

    @property
    def space(self) -> SearchSpace:
        """Of the architectures."""
        return self.table.space

    @property
    def no_images(self) -> NoImages:
        """What stands in the place of data."""
        table = self.table
        return NoImages(table.name, table.space.classes, table.space.input_shape, table.digest)

    def __call__(self, archs: npt.ArrayLike) -> FloatArray:
        """Accuracies (n,), 0 to 1, of architectures (n, n_decisions).

        Raises:
            ArchitectureError: one has no row.
        """
        found = self.table(archs)
        return found / 100 if self.unit == "%" else found

    def shown(self, arch: IntArray, accuracy: float) -> float:
        """The accuracy of an architecture in the table's own unit."""
        return float(self.table(arch)[0])

    def __str__(self) -> str:
        unit = "percent" if self.unit == "%" else "numbers from 0 to 1"
        return (
            f"accuracies of {len(self.table):,} architectures of {self.space.name} are looked up "
            f"in {self.name}, {unit}; nothing is trained"
        )


class OwnAccuracies:
    """What a person's own ``evaluate(model)`` says of a family's networks.

    Each is built with fresh weights, whatever the function then does with it.

    Args:
        space: whose `SearchSpace.modules` have ``evaluate``.
    """

    #: Each evaluation is logged at once, since it may take minutes.
    chunk = 1
    unit: Literal["%", "0 to 1"] = "0 to 1"

    def __init__(self, space: SearchSpace):
        self.space = space

    @property
    def metric(self) -> Metric:
        """What the function gives: accuracies, unless it says another metric."""
        own = getattr(self.space.modules and self.space.modules.evaluate, "metric", ACCURACY)
        return own if isinstance(own, Metric) else ACCURACY

    @property
    def name(self) -> str:
        """Of the function."""
        return f"evaluate of {self.space.name}"

    @property
    def no_images(self) -> NoImages:
        """What stands in the place of data."""
        return NoImages(self.name, 1, self.space.input_shape, self.space.identifier)

    def __call__(self, archs: npt.ArrayLike) -> FloatArray:
        """Accuracies (n,), 0 to 1, or scores by another metric, of architectures (n, n_decisions).

        Raises:
            OptionError: the function raises, or gives no number from 0 to 1.
        """
        return np.array([self._one(arch) for arch in self.space.check(archs)], np.float64)

    def shown(self, arch: IntArray, accuracy: float) -> float:
        """The accuracy itself, or the metric of a score."""
        return float(self.metric.value(accuracy))

    def __str__(self) -> str:
        return f"networks of {self.space.name} are evaluated by its own function, one by one"

    def _one(self, arch: IntArray) -> float:
        modules = self.space.modules
        assert modules is not None, f"{self.space.name} has operators"
        assert modules.evaluate is not None, f"{self.space.name} has no function of its own"
        text = self.space.format(arch)
        with quoting(OptionError, f"{self.name} failed for {text}:"):
            value: Any = modules.evaluate(self.space.drawn(arch, seed=0))
            accuracy = float(value)
        if not math.isfinite(accuracy) or (self.metric.is_accuracy and not 0 <= accuracy <= 1):
            raise OptionError(
                f"{self.name} gives an accuracy from 0 to 1, got {accuracy:g} for {text}: scale it"
            )
        return accuracy


@dataclass(frozen=True)
class Tables:
    """What is looked up; None where it is not.

    Attributes:
        accuracies, latencies: of architectures.
    """

    accuracies: Accuracies | OwnAccuracies | None = None
    latencies: LookedUpLatency | None = None

    @property
    def no_images(self) -> NoImages:
        """What the data are where accuracies are looked up."""
        assert self.accuracies is not None
        return self.accuracies.no_images

    def latency_source(self, named: Any, space: SearchSpace, budgets: Sequence[Budget]) -> Any:
        """Where latencies come from: a table of architectures, what is named, or this machine.

        Where no latency is limited, and accuracies are looked up or networks are measured whole,
        none is known, and none measured.

        Args:
            named: a latency table or predictor, or None.
            space: of the architectures.
            budgets: of the search.

        Raises:
            OptionError: there are two sources.
        """
        if self.latencies is not None:
            if named is not None:
                raise OptionError(
                    "latencies are of --latencies or of --table: leave one of them out"
                )
            return self.latencies
        limited = any(budget.quantity == "latency" for budget in budgets)
        spared = self.accuracies is not None or space.modules is not None
        unknown = spared and named is None and not limited
        return UnknownLatency(space) if unknown else named


def check_looks_up(method: object, name: str, data: object) -> None:
    """Refuse what would train, where accuracies are looked up.

    Args:
        method, name: the recipe, and what it is called; ``LOOKS_UP`` says that it can do without.
        data: what was given, if anything was.

    Raises:
        OptionError: the method trains, or data are given.
    """
    if not getattr(method, "LOOKS_UP", False):
        raise OptionError(
            f"method {name} trains networks, and accuracies are looked up: leave --accuracies out, "
            "or take --method spos"
        )
    if data is not None:
        raise OptionError("accuracies are looked up, and not trained for: leave --data out")


def read(
    space: SearchSpace, accuracies: str | None, latencies: str | None, missing: Missing
) -> Tables:
    """The tables that a person names.

    Args:
        space: of the architectures.
        accuracies, latencies: ``FILE.csv[.gz]:COLUMN``; see `read_tables`.
        missing: whether an architecture without a row is an error, or infeasible.

    Raises:
        DataError: one cannot be read, or architectures are missing and that is an error.
    """
    given = [spec for spec in (accuracies, latencies) if spec is not None]
    tables = read_tables(space, given) if given else []
    own = space.modules is not None and space.modules.evaluate is not None
    if missing == "error":
        for table in tables:
            _refuse_missing(table)
    return Tables(
        Accuracies(tables[0]) if accuracies is not None else OwnAccuracies(space) if own else None,
        None if latencies is None else LookedUpLatency(tables[-1]),
    )


def rows_in_both(*tables: ArchitectureTable) -> IntArray:
    """The architectures (n, n_decisions) that have a row in each of one or more tables."""
    archs = tables[0].archs
    for other in tables[1:]:
        archs = archs[other.places(archs) >= 0]
    return archs


def _refuse_missing(table: ArchitectureTable) -> None:
    if not table.complete:
        space = table.space
        raise DataError(
            f"{table.name} has rows of {len(table):,} of the {space.size:,} architectures of "
            f"{space.name}: give all, or search among these with --missing infeasible"
        )
