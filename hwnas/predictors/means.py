"""Means of operators that somebody else measured, with no spread: what sums them, and their files.

Two kinds of files hold such. A CSV file has a row an operator: hwnas' own ``workload`` and
``mean_ms``; or ``op``, ``input``, ``output``, ``expand``, ``kernel``, ``stride``, ``skip`` and
``mean_ms``, the fields of the tables of phones that ProxylessNAS and Once-for-All publish. A JSON
file is a latency table whose workloads have nothing but ``latency_ms``.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from hwnas.arrays import FloatArray
from hwnas.costs import AdditiveCost
from hwnas.csv_files import CsvFile, read_csv
from hwnas.errors import OptionError, TableFormatError, WorkloadNotInTableError
from hwnas.latency_tables import LatencyTable, SpaceRecord
from hwnas.ops import ConvHead, MBConv, Stem, Workload
from hwnas.reading import MIB, parse_json, read_bytes
from hwnas.spaces import SearchSpace

if TYPE_CHECKING:
    import torch

__all__ = [
    "MeansPredictor",
    "OperatorMeans",
    "is_csv",
    "load_measured",
    "read_means",
    "read_means_table",
]

_MOST_BYTES = 64 * MIB
#: Columns of the two kinds of rows.
_KEYED = ("workload", "mean_ms")
_MOBILE = ("op", "input", "output", "expand", "kernel", "stride", "skip", "mean_ms")
#: At most this many lacking operators are named; of the others only the number is given.
_NAMED = 3


@dataclass(frozen=True)
class OperatorMeans:
    """What somebody measured.

    Attributes:
        name: of the file.
        target: of the device, in words.
        ms: name of an operator -> its mean.
        names: what of that a workload takes, the names as ``ms`` has them.
        call_ms: what is in each mean beside the operator.
        origin: the space that was measured, where the file says it.
    """

    name: str
    target: str
    ms: Mapping[str, float]
    names: Callable[[Workload], Sequence[str]]
    call_ms: float = 0.0
    origin: SpaceRecord | None = None


class MeansPredictor:
    """A network takes the sum of the means of its operators; how far that is off nobody knows.

    Args:
        means: of operators.
        space: whose architectures are predicted.

    Raises:
        WorkloadNotInTableError: the means of some of its operators are lacking.
        OptionError: latencies of the space are no sums over its decisions.
    """

    additive = True

    def __init__(self, means: OperatorMeans, space: SearchSpace):
        if space.modules is not None or not space.additive or space.may_be_cut:
            raise OptionError(
                f"means of operators are added up over decisions, and networks of {space.name} are "
                "no such sums: give a table that hwnas profile made"
            )
        wanted = [
            name for w in space.distinct_workloads if not w.op.no_op for name in means.names(w)
        ]
        lacking = list(dict.fromkeys(name for name in wanted if name not in means.ms))
        if lacking:
            more = f" and {len(lacking) - _NAMED} others" if len(lacking) > _NAMED else ""
            raise WorkloadNotInTableError(
                f"{means.name} lacks {len(lacking)} of the {len(set(wanted))} operators of "
                f"{space.name}: {'; '.join(lacking[:_NAMED])}{more}; add a row for each, or choose "
                "a space that does without them"
            )
        self.means, self.space, self.name = means, space, means.name

    @property
    def target(self) -> str:
        """The device, as far as it is said."""
        return self.means.target

    @property
    def notes(self) -> dict[str, str]:
        """What a reader should know: the ``target``, and that no spread is known."""
        spread = "unknown: means of operators, no whole network was measured"
        return {"target": self.target, "spread": spread}

    @cached_property
    def cost(self) -> AdditiveCost:
        """The prediction in ms as a sum over decisions."""
        fixed, rows = self.space.sums_of(self._ms)
        return AdditiveCost.from_floats(self.means.call_ms + fixed, rows)

    def predict(self, archs: npt.ArrayLike) -> FloatArray:
        """Latencies in ms, (n,), of an integer array (n, n_decisions)."""
        return self.cost(self.space.check(archs))

    def expected(self, probabilities: Sequence["torch.Tensor"]) -> "torch.Tensor":
        """Mean latency in ms if each decision is drawn from its own distribution; differentiable.

        Args:
            probabilities: one tensor (n_choices,) a decision.
        """
        return self.cost.expected(probabilities)

    def _ms(self, workload: Workload) -> float:
        if workload.op.no_op:
            return 0.0
        known = (self.means.ms[name] - self.means.call_ms for name in self.means.names(workload))
        return sum(max(0.0, ms) for ms in known)


def is_csv(source: str | Path) -> bool:
    """Whether a file is one of rows, by its name."""
    return str(source).endswith((".csv", ".csv.gz"))


def read_means(path: Path) -> OperatorMeans:
    """The means of a CSV file.

    Raises:
        TableFormatError: it has other columns, or a number that is none.
        DataError: it cannot be read.
    """
    file = read_csv(path)
    if set(_KEYED) <= set(file.header):
        return _means(path, _rows(file, _KEYED), _key)
    if set(_MOBILE) <= set(file.header):
        return _means(path, _rows(file, _MOBILE), _mobile_names)
    raise TableFormatError(
        f"{path} has the columns {', '.join(file.header[:12])}; means of operators have "
        f"{', '.join(_KEYED)}, or {', '.join(_MOBILE)}; of latencies of whole networks, fit a "
        "predictor first (hwnas.LatencyRegressor), and give what it saved"
    )


def read_means_table(path: Path) -> OperatorMeans | None:
    """The means of a JSON table whose workloads tell no spread; None where it is another file."""
    try:
        record = parse_json(read_bytes(path, _MOST_BYTES))
        entries = record["workloads"]
        bare = any("relative_error" not in entry for entry in entries.values())
        if not bare or record["format"] != "hwnas-latency-table":
            return None
        ms = {str(key): _positive(entry["latency_ms"]) for key, entry in entries.items()}
        call_ms = _positive(record["call"]["latency_ms"]) if "call" in record else 0.0
        device = str(record.get("target", {}).get("device", "not said"))
        origin = SpaceRecord(str(record["space"]["name"]), dict(record["space"]["arguments"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return OperatorMeans(str(path), _words(path, device), ms, _key, call_ms, origin)


def load_measured(source: str | Path) -> LatencyTable:
    """A table that hwnas measured, where means of operators will not do.

    Raises:
        TableFormatError: there is no such table, it cannot be read, or it holds means.
    """
    try:
        return LatencyTable.load(source)
    except TableFormatError:
        if not _holds_means(Path(source)):
            raise
    raise TableFormatError(
        f"{source} holds means of operators that somebody else measured, which predict "
        f"architectures: 'hwnas predict --table {source} --space NAME ARCH', and 'hwnas search'; "
        "here give a table of 'hwnas profile'"
    )


def _holds_means(path: Path) -> bool:
    return path.exists() if is_csv(path) else read_means_table(path) is not None


def _key(workload: Workload) -> list[str]:
    return [workload.key]


def _words(path: Path, device: str) -> str:
    return f"means of operators in {path.name}, device {device}"


def _rows(file: CsvFile, columns: Sequence[str]) -> dict[str, float]:
    """Name of an operator -> ms; an operator that has several rows takes their mean."""
    found: dict[str, list[float]] = {}
    read = file.columns(columns)
    for line, (*fields, ms) in zip(read.lines, read.rows, strict=True):
        try:
            found.setdefault(_name(*fields), []).append(_positive(ms))
        except ValueError:
            raise TableFormatError(
                f"line {line} of {file.path}: mean_ms is ms above 0, got {ms!r}"
            ) from None
    return {name: sum(values) / len(values) for name, values in found.items()}


def _positive(value: Any) -> float:
    number = float(value)
    if not (isfinite(number) and number > 0):
        raise ValueError(value)
    return number


def _means(
    path: Path, ms: Mapping[str, float], names: Callable[[Workload], Sequence[str]]
) -> OperatorMeans:
    return OperatorMeans(str(path), _words(path, "not said"), ms, names)


def _name(*fields: str) -> str:
    """What a row is called: its fields but those that are empty, and zeros of ``skip``."""
    if len(fields) == 1:
        return fields[0]
    op, source, result, *numbers = fields
    words = [
        f"{key} {n}" for key, n in zip(_MOBILE[3:], numbers, strict=False) if n not in ("", "0")
    ]
    return " ".join([op, source, "to", result, *words])


def _mobile_names(workload: Workload) -> list[str]:
    """The rows of a phone's table that an operator of ``proxyless`` is."""
    op, size = workload.op, (workload.height, workload.width)
    out = tuple(-(-n // workload.stride) for n in size)
    source, result = _map(size, workload.in_channels), _map(out, workload.out_channels)
    if isinstance(op, MBConv):
        added = workload.stride == 1 and workload.in_channels == workload.out_channels
        numbers = (str(op.expand), str(op.kernel), str(workload.stride), str(int(added)))
        return [_name("expanded_conv", source, result, *numbers)]
    if isinstance(op, Stem) and op.relu6:
        return [_name("Conv", source, result, "", str(op.kernel), str(workload.stride), "")]
    if isinstance(op, ConvHead):
        hidden = _map(size, op.hidden)
        return [
            _name("Conv_1", source, hidden, "", "1", "1", ""),
            _name("Logits", hidden, str(workload.out_channels), "", "", "", ""),
        ]
    return [workload.key]  # which no such table has


def _map(size: tuple[int, ...], channels: int) -> str:
    return f"{size[0]}x{size[1]}x{channels}"
