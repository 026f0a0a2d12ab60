"""What ``hwnas measure`` shows."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich import box
from rich.table import Column, Table

from hwnas.cli.output import say, stdout

if TYPE_CHECKING:
    from hwnas.devices.any_model import Comparison, Measured, Report

__all__ = ["compared", "described", "print_report"]

#: Operators of each model that are printed, where one or several models are.
_OPERATORS, _OPERATORS_OF_SEVERAL = 12, 5
#: Of so many comparisons each is printed; of more those with the fastest.
_MOST_COMPARISONS = 10
#: Operators explain the whole where their sum is no farther from it.
_SUM_TOLERANCE = 0.05


def described(report: "Report") -> dict[str, Any]:
    """A measurement for ``--json``."""
    return {
        "models": [_record(one) for one in report.measured],
        "comparisons": [asdict(one) | {"differs": one.differs} for one in report.comparisons],
        "not_measured": dict(report.refused),
        "remarks": list(report.remarks),
    }


def _record(one: "Measured") -> dict[str, Any]:
    probe = one.probe
    return {
        "label": one.label,
        "model": one.model,
        "target": asdict(one.target),
        "inputs": {name: list(sizes) for name, sizes in one.inputs.items()},
        **asdict(one.latency),
        "interval_ms": list(one.interval_ms),
        "load_ms": probe and probe.load_ms,
        "first_run_ms": probe and probe.first_run_ms,
        "loop_ms": probe and probe.loop_ms,
        "memory_bytes": probe and probe.memory_bytes,
        "loading_bytes": probe and probe.loading_bytes,
        "operators": [asdict(share) for share in probe.operators] if probe else [],
        "operators_sum": probe and probe.operators_sum,
        "reference": asdict(one.reference),
        "accuracy": one.accuracy and one.accuracy.share,
        "accuracy_images": one.accuracy and one.accuracy.images,
    }


def print_report(report: "Report") -> None:
    """A measurement for a person."""
    for target in dict.fromkeys(one.target for one in report.measured):
        say(f"on {target}")
    stdout.print(_latencies(report))
    several = len(report.measured) > 1
    for one in report.measured:
        _print_operators(one, _OPERATORS_OF_SEVERAL if several else _OPERATORS)
    for line in (*_comparisons(report), *_accuracies(report)):
        stdout.print(line, soft_wrap=True)
    for remark in report.remarks:
        say(remark)
    if any(one.probe is None for one in report.measured):
        say("loading, memory and operators are told on this machine only")


def _latencies(report: "Report") -> Table:
    rows = Table(
        Column("model", overflow="fold"),
        *(Column(name, justify="right", no_wrap=True) for name in _COLUMNS),
        box=box.SIMPLE,
        padding=(0, 1, 0, 0),
        caption="ms; +- of the median's 95 % interval; steady: while nothing else slows the device",
    )
    for one in report.measured:
        latency, probe = one.latency, one.probe
        cells = [
            _ms(latency.steady_ms),
            f"{_ms(latency.median_ms)} +-{latency.median_error:.1%}",
            _ms(latency.p90_ms),
            _ms(latency.p99_ms),
            _ms(None if probe is None else probe.first_run_ms),
            _ms(None if probe is None else probe.load_ms),
            _megabytes(None if probe is None else probe.memory_bytes),
        ]
        rows.add_row(one.label, *cells)
    return rows


_COLUMNS = ("steady", "median", "p90", "p99", "first", "load", "memory")


def _ms(value: float | None) -> str:
    """Three digits and more, which is more than any measurement knows."""
    if value is None:
        return "-"
    return f"{value:.3f}" if value < 10 else f"{value:.2f}" if value < 100 else f"{value:.0f}"


def _megabytes(value: int | None) -> str:
    return "-" if value is None else f"{value / 1e6:.1f} MB"


def _print_operators(one: "Measured", most: int) -> None:
    latency = one.latency
    inputs = ", ".join(f"{name} {'x'.join(map(str, s)) or '-'}" for name, s in one.inputs.items())
    stdout.print(f"{one.label}: {inputs}; {latency.runs} runs", soft_wrap=True)
    if one.probe is not None and one.probe.loop_ms is not None:
        stdout.print(f"in a loop of its own {_ms(one.probe.loop_ms)} ms")
    if one.probe is None or not one.probe.operators:
        return
    shares = one.probe.operators
    total = sum(share.share for share in shares)
    rows = Table(Column("share", justify="right"), "layers", "operator", box=box.SIMPLE)
    for share in shares[:most]:
        rows.add_row(f"{share.share:.1%}", str(share.layers), share.operator)
    if rest := shares[most:]:
        rows.add_row(
            f"{sum(share.share for share in rest):.1%}",
            str(sum(share.layers for share in rest)),
            f"{len(rest)} others",
        )
    word = "the whole" if abs(total - 1) <= _SUM_TOLERANCE else "the whole, more than 5 % off"
    rows.add_row(f"{total:.1%}", str(sum(share.layers for share in shares)), f"sum, of {word}")
    stdout.print(rows)


def _comparisons(report: "Report") -> Iterator[str]:
    chosen = list(report.comparisons)
    if len(chosen) > _MOST_COMPARISONS:
        fastest = min(report.measured, key=lambda one: one.steady_ms).label
        chosen = [one for one in chosen if fastest in (one.one, one.other)]
    for one in chosen:
        yield compared(one)


def _accuracies(report: "Report") -> Iterator[str]:
    """The accuracy of each model in each precision, which is the same with all other settings."""
    for one in {(one.model, one.target.precision): one for one in report.measured}.values():
        if one.accuracy is not None:
            yield (
                f"accuracy of {one.model}, {one.target.precision}: {one.accuracy.share:.2%} of "
                f"{one.accuracy.images} test images, by ONNX Runtime here"
            )


def compared(one: "Comparison") -> str:
    """Which of two is faster, and by how much of the other's latency."""
    if not one.differs:
        return (
            f"{one.one} and {one.other}: no difference seen ({one.change:+.1%} +-{one.error:.1%})"
        )
    fast, slow, ratio = one.other, one.one, 1 + one.change
    error = one.error
    if ratio > 1:
        fast, slow, ratio, error = slow, fast, 1 / ratio, error / ratio**2
    return f"{fast} is faster than {slow} by {1 - ratio:.1%} +-{error:.1%}"
