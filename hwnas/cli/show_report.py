"""What ``hwnas show`` prints: parts of a network, their shares as small bars, and totals."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from rich import box
from rich.table import Column, Table

from hwnas.cli.output import say, stdout

if TYPE_CHECKING:
    from hwnas.kernels import Kernel
    from hwnas.predictors import ModelPrediction
    from hwnas.predictors.breakdown import Alternative, Breakdown, Part

__all__ = ["costliest_kernels", "print_breakdown", "print_operators", "weights_of"]

#: Characters of the longest bar.
_BAR = 6


def print_breakdown(told: "Breakdown") -> None:
    """The parts of an architecture; milliseconds where they are known."""
    stdout.print(told.architecture, soft_wrap=True)
    timed = told.predicted_ms is not None
    heads = ["part", "choice", *(("ms", "share", "") if timed else ()), "MACs", "params", "instead"]
    rows = _table(heads, folded=("part", "choice", "instead"))
    most_ms = max((part.ms or 0.0 for part in told.parts), default=0.0)
    for part in told.parts:
        times = _times(part.ms, told.predicted_ms, most_ms) if timed else []
        sizes = [_count(part.macs), _count(part.params)]
        rows.add_row(part.name, part.choice, *times, *sizes, _instead(part, timed))
    rows.add_section()
    total = [f"{told.predicted_ms:.3f}", "", ""] if timed else []
    rows.add_row("total", "", *total, _count(told.macs), _count(told.params), "")
    stdout.print(rows)
    if told.interval_ms is not None:
        low_ms, high_ms = told.interval_ms
        stdout.print(f"95 % of measurements lie within {low_ms:.3f} to {high_ms:.3f} ms")
    for line in (_guessed(told.parts), told.note):
        if line:
            say(line)


def _guessed(parts: Sequence["Part"]) -> str:
    """Which parts are not measured."""
    guessed = [part.name for part in parts if part.source == "estimated"]
    if not guessed:
        return ""
    if all(part.source != "measured" for part in parts):
        return "no part was measured: all are estimated"
    some = ", ".join(guessed[:5]) + (", ..." if len(guessed) > 5 else "")
    return f"{len(guessed)} of {len(parts)} parts are estimated, not measured: {some}"


def _instead(part: "Part", timed: bool) -> str:
    """The other choice that saves most, and by how much."""
    if not part.alternatives:
        return ""
    other: Alternative = part.alternatives[0]
    if not timed:
        return f"{other.choice} {_signed(other.macs_change)}"
    return f"{other.choice} " + ("?" if other.ms_change is None else f"{other.ms_change:+.3f}")


def costliest_kernels(result: "ModelPrediction", count: int) -> Table:
    """The kernels of a model that take longest."""
    known = [(kernel.ms, kernel) for kernel in result.kernels if kernel.ms]
    known.sort(key=lambda pair: -pair[0])
    rows = _table(["ms", "share", "", "MACs", "kernel"], folded=("kernel",))
    for ms, kernel in known[:count]:
        times = _times(ms, result.predicted_ms, known[0][0])
        rows.add_row(*times, _count(kernel.macs), f"{kernel.name}: {kernel.key}")
    return rows


def print_operators(kernels: Iterable["Kernel"]) -> None:
    """The operators of a model as it was exported: how many, their MACs and weights."""
    found: dict[str, tuple[int, int, int]] = {}
    for kernel in kernels:
        count, macs, weights = found.get(kernel.op, (0, 0, 0))
        found[kernel.op] = count + 1, macs + kernel.macs, weights + weights_of(kernel)
    total = sum(macs for _, macs, _ in found.values())
    most = max((macs for _, macs, _ in found.values()), default=0)
    rows = _table(["operator", "nodes", "MACs", "share", "", "weights"], folded=("operator",))
    for op, (count, macs, weights) in sorted(found.items(), key=lambda item: -item[1][1]):
        share = _times(macs, total, most)[1:] if total else ["", ""]
        rows.add_row(op, str(count), _count(macs), *share, _count(weights))
    rows.add_section()
    sums = [sum(row[at] for row in found.values()) for at in range(3)]
    rows.add_row("total", str(sums[0]), _count(total), "", "", _count(sums[2]))
    stdout.print(rows)


def weights_of(kernel: "Kernel") -> int:
    """Numbers that a node reads and no input of the model gives, indices and sizes left out."""
    return sum(x.elements for x in kernel.inputs if x.constant and "int" not in x.dtype)


def _table(heads: Sequence[str], folded: Sequence[str]) -> Table:
    columns = [
        Column(head, overflow="fold")
        if head in folded
        else Column(head, no_wrap=True, justify="right" if head else "left")
        for head in heads
    ]
    return Table(*columns, box=box.SIMPLE, padding=0, pad_edge=False)


def _times(value: float | None, total: float | None, most: float) -> list[str]:
    """A number of milliseconds, its share of the total, and a bar beside the longest one's."""
    if value is None or not total:
        return ["", "", ""]
    bar = "#" * round(_BAR * max(value, 0.0) / most) if most > 0 else ""
    return [_ms(value), f"{round(value / total, 2) + 0.0:.0%}", bar]


def _ms(value: float) -> str:
    return f"{round(value, 3) + 0.0:.3f}"  # rounding leaves no minus before a zero


def _count(value: int | None) -> str:
    if value is None:
        return ""
    for unit, size in (("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if value >= size:
            return f"{value / size:.1f}{unit}"
    return str(value)


def _signed(value: int) -> str:
    return f"-{_count(-value)}" if value < 0 else f"+{_count(value)}"
