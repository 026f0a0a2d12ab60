"""The terms that a Gaussian process is a sum of: their covariances, and their predictions.

Linear terms (an effect for each operator, for each entry of a view, ...) predict by adding up table
entries. The others compare with every training sample.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal, Protocol

import numpy as np

from hwnas.arrays import FloatArray, IntArray
from hwnas.predictors.regression.views import Batch

__all__ = [
    "Alike",
    "Effects",
    "Linear",
    "Near",
    "Placed",
    "PlacedNear",
    "Smooth",
    "Term",
    "Trend",
    "table_sums",
]

Alike = Literal["operator", "place", "entry", "costs"]

#: Length scale of `Near`: a share of the slots.
_NEAR = 0.3
#: Covariances held at once while predicting, and rows from which on they are in single precision.
_CACHE, _MANY = 250_000, 4096


@dataclass(frozen=True, eq=False)
class Linear:
    """A function linear in entries and quantities.

    ``f = offset + sum_b basis_b(quantities) * (slope_b + sum of tables_b[view] over slots)``;
    basis 0 is the constant 1.
    """

    offset: float
    tables: dict[tuple[str, int], FloatArray]
    slopes: FloatArray

    def __add__(self, other: "Linear") -> "Linear":
        tables = dict(self.tables)
        for key, table in other.tables.items():
            tables[key] = tables[key] + table if key in tables else table
        size = max(len(self.slopes), len(other.slopes))
        slopes = np.zeros(size)
        slopes[: len(self.slopes)] += self.slopes
        slopes[: len(other.slopes)] += other.slopes
        return Linear(self.offset + other.offset, tables, slopes)

    def scaled(self, by: float, offset: float = 0.0) -> "Linear":
        """``by * f + offset``."""
        tables = {key: table * by for key, table in self.tables.items()}
        return Linear(by * self.offset + offset, tables, by * self.slopes)

    def __call__(self, batch: Batch) -> FloatArray:
        """Values (n,)."""
        total = np.full(len(batch), self.offset)
        if len(self.slopes):
            functions = basis(batch.numbers)
            total += functions[:, : len(self.slopes)] @ self.slopes
        for (view, number), table in self.tables.items():
            part = table_sums(table, batch.entries(view))
            total += part if number == 0 else functions[:, number] * part
        return total


def table_sums(table: FloatArray, entries: IntArray) -> FloatArray:
    """Sums over the slots of a table (size,) or (size, k): (n,) or (n, k). Past its end is 0."""
    padded = np.concatenate([table, np.zeros((1, *table.shape[1:]))])
    total = np.zeros((len(entries), *table.shape[1:]))
    for column in entries.T:
        total += padded[column]
    return total


def basis(numbers: FloatArray) -> FloatArray:
    """Functions of standardised quantities (n, q): 1, then each one and its square, (n, 1 + 2q)."""
    limited = np.clip(numbers, -4, 4)
    return np.concatenate([np.ones((len(numbers), 1)), limited, limited**2 - 1], axis=1)


class Placed(Protocol):
    """A term on training samples."""

    @property
    def covariance(self) -> FloatArray:
        """Covariance of the training samples, (n, n), its diagonal 1 on average."""
        ...

    def predictor(self, alpha: FloatArray) -> "Linear | Smooth":
        """The function ``sum_i alpha_i k(., train_i)``."""
        ...


class Term(Protocol):
    """One term of the sum."""

    def on(self, train: Batch) -> Placed:
        """The term, centred and scaled on training samples."""
        ...


@dataclass(frozen=True, eq=False)
class Effects:
    """Random effects of a view's entries, alike where they are the same operator.

    Attributes:
        view: of which view.
        alike: ``operator`` (one effect for each operator), ``place`` (effects of one operator
            change slowly along the network), ``entry`` (every entry for itself) or ``costs`` (in
            proportion to the entries' ``costs``).
        times: the basis function of the quantities that multiplies them; 0 for none.
        costs: (size, n_costs), for ``costs``.
    """

    view: str
    alike: Alike
    times: int = 0
    costs: FloatArray | None = None

    def on(self, train: Batch) -> "PlacedEffects":
        """See `Term`."""
        view = train.views[self.view]
        one_hot = view.one_hot(train.entries(self.view))
        mean = one_hot.mean(axis=0)
        centred = one_hot - mean
        if self.alike in ("operator", "costs"):
            table = view.operators() if self.costs is None else self.costs
            half = centred @ table
            matrix, right = half @ half.T, half @ table.T
        else:
            right = centred @ view.likeness() if self.alike == "place" else centred
            matrix = right @ centred.T
        if self.times:
            by = basis(train.numbers)[:, self.times]
            matrix, right = matrix * by[:, None] * by, right * by[:, None]
        scale = float(np.trace(matrix)) / len(train) or 1.0
        return PlacedEffects(self, matrix / scale, right / scale, mean)


@dataclass(frozen=True, eq=False)
class PlacedEffects:
    """`Effects` on training samples; ``right`` (n, size) makes effects of weights of samples."""

    term: Effects
    covariance: FloatArray
    right: FloatArray
    mean: FloatArray

    def predictor(self, alpha: FloatArray) -> Linear:
        """See `Placed`."""
        table = alpha @ self.right
        centre = float(table @ self.mean)
        times = self.term.times
        slopes = np.zeros(times + 1)
        slopes[times] = -centre
        return Linear(0.0, {(self.term.view, times): table}, slopes)


@dataclass(frozen=True)
class Trend:
    """A constant, or the basis functions of the quantities, linearly."""

    constant: bool

    def on(self, train: Batch) -> "PlacedTrend":
        """See `Term`."""
        functions = basis(train.numbers)
        functions = functions[:, :1] if self.constant else functions[:, 1:]
        functions = functions / max(np.sqrt((functions**2).sum(axis=1).mean()), 1e-12)
        return PlacedTrend(self, functions @ functions.T, functions, basis(train.numbers))


@dataclass(frozen=True, eq=False)
class PlacedTrend:
    """`Trend` on training samples."""

    term: Trend
    covariance: FloatArray
    functions: FloatArray
    unscaled: FloatArray

    def predictor(self, alpha: FloatArray) -> Linear:
        """See `Placed`."""
        scale = float((self.functions**2).sum(axis=1).mean())
        slopes = alpha @ self.unscaled
        if self.term.constant:
            slopes = slopes[:1]
        else:
            slopes[0] = 0.0
            scale /= max(float((self.unscaled[:, 1:] ** 2).sum(axis=1).mean()), 1e-24)
        return Linear(0.0, {}, slopes * scale)


@dataclass(frozen=True)
class Near:
    """A smooth function: nearby architectures have similar values.

    Attributes:
        by: ``matches`` (share of equal slots: every interaction, higher orders less), ``counts``
            (distance between operator counts), ``quantities``, or ``both`` of the last two.
        view: whose slots and operators; quantities come without one.
        reach: length scale of the quantities, in standard deviations.
    """

    by: Literal["matches", "counts", "quantities", "both"]
    view: str = "decisions"
    reach: float = 1.0

    def raw(self, batch: Batch) -> FloatArray:
        """What distances are taken of, (n, features)."""
        numbers = np.clip(batch.numbers, -4, 4)
        if self.by == "quantities":
            return numbers
        view = batch.views[self.view]
        entries = batch.entries(self.view)
        if self.by == "matches":
            return view.one_hot(entries)
        counts = table_sums(view.operators(), entries)
        return counts if self.by == "counts" else np.concatenate([counts, numbers], axis=1)

    def on(self, train: Batch) -> "PlacedNear":
        """See `Term`."""
        raw = self.raw(train)
        if self.by == "matches":
            centre = np.zeros(raw.shape[1])
            scale = np.full(raw.shape[1], np.sqrt(_NEAR * len(train.views[self.view].members)))
        else:
            centre = raw.mean(axis=0)
            square = ((raw - centre) ** 2).mean(axis=0)
            q = {"counts": 0, "both": train.numbers.shape[1]}.get(self.by, len(square))
            counts = len(square) - q
            scale = np.sqrt(np.repeat([square[:counts].sum(), square[counts:].sum()], [counts, q]))
            scale[counts:] *= self.reach
            scale[scale == 0] = 1.0
        return PlacedNear(self, centre, scale, (raw - centre) / scale)


@dataclass(frozen=True, eq=False)
class PlacedNear:
    """`Near` on training samples, whose points are (n, features)."""

    term: Near
    centre: FloatArray
    scale: FloatArray
    points: FloatArray

    @cached_property
    def covariance(self) -> FloatArray:
        """See `Placed`."""
        return np.exp(self._with_norms(self.points) @ self.keys.T)

    @cached_property
    def keys(self) -> FloatArray:
        """(n, features + 2); the exponent of the covariance is their product with a query."""
        swapped = self._with_norms(self.points)
        swapped[:, -2:] = swapped[:, :-3:-1]
        return swapped

    def queries(self, batch: Batch) -> FloatArray:
        """Rows (n, features + 2) to multiply with ``keys``."""
        return self._with_norms((self.term.raw(batch) - self.centre) / self.scale)

    def _with_norms(self, points: FloatArray) -> FloatArray:
        # a query is (x, -|x|^2 / 2, 1), a key (x, 1, -|x|^2 / 2): the exponent is -distance^2 / 2
        norms = -0.5 * (points**2).sum(axis=1, keepdims=True)
        return np.concatenate([points, norms, np.ones_like(norms)], axis=1)

    def predictor(self, alpha: FloatArray) -> "Smooth":
        """See `Placed`."""
        return Smooth(self, alpha)


@dataclass(frozen=True, eq=False)
class Smooth:
    """``sum_i alpha_i exp(-distance(x, point_i)^2 / 2)``."""

    near: PlacedNear
    alpha: FloatArray

    def scaled(self, by: float) -> "Smooth":
        """``by * f``."""
        return Smooth(self.near, self.alpha * by)

    def __call__(self, batch: Batch) -> FloatArray:
        """Values (n,), in chunks that stay in the cache."""
        keys, values = self.near.keys, self.alpha
        if len(batch) > _MANY:  # single precision: half the time, 1e-6 of the value
            keys, values = keys.astype(np.float32), values.astype(np.float32)
        total = np.empty(len(batch))
        chunk = max(16, _CACHE // max(len(values), 1))
        for start in range(0, len(batch), chunk):
            rows = slice(start, start + chunk)
            exponents = self.near.queries(batch.take(rows)).astype(keys.dtype) @ keys.T
            np.exp(exponents, out=exponents)
            total[rows] = exponents @ values
        return total
