"""What ``hwnas predict model.onnx`` shows."""

import math
from collections import Counter
from typing import TYPE_CHECKING, Any

from rich import box
from rich.table import Table

from hwnas.cli.output import say, stdout
from hwnas.cli.show_report import costliest_kernels

if TYPE_CHECKING:
    from hwnas.latency_tables import Target
    from hwnas.predictors import ModelPrediction

__all__ = ["described", "print_prediction", "say_target"]

#: Kernels unlike all measured ones are named where they take more than this share.
_SAID = 0.01


def described(path: str, result: "ModelPrediction", confidence: float) -> dict[str, Any]:
    """A prediction for ``--json``."""
    low, high = result.interval(confidence)
    whole = math.isfinite(high)
    record = {
        "model": path,
        "predicted_ms": result.predicted_ms,
        "interval_ms": [low, high] if whole else None,
        "at_least_ms": None if whole else low,
        "macs": result.macs,
        "operators": {
            op: {"kernels": count, "ms": ms} for op, (count, ms) in result.by_operator().items()
        },
        "call_ms": result.call_ms,
        "unpredicted": [{"name": k.name, "kernel": k.key} for k in result.unpredicted],
        "outside": [
            {"name": k.name, "kernel": k.key, "in": list(k.outside)} for k in result.outside
        ],
        "kernels": [
            {"name": k.name, "kernel": k.key, "ms": k.ms} | ({"note": k.note} if k.note else {})
            for k in result.kernels
        ],
    }
    if result.source:
        record |= {"target": str(result.target), "source": result.source}
    return record


def say_target(result: "ModelPrediction") -> None:
    """Say which device a prediction is of, and what it was made from."""
    say(f"on {result.target}")
    if result.source:
        precision = result.target.precision
        say(f"{result.source}; models are taken to run in {precision}, whatever they are in")
    else:
        _say_where_it_was_optimised(result.target)


def print_prediction(
    path: str, result: "ModelPrediction", confidence: float, costliest: int
) -> None:
    """A prediction for a person; so many of its kernels one by one, the costliest first."""
    from hwnas.costs.written import millions

    low, high = result.interval(confidence)
    time = f"{result.predicted_ms:.3f} ms ({confidence:.0%}: {low:.3f} to {high:.3f})"
    if math.isinf(high):
        time = f"at least {low:.3f} ms"
    macs = "unknown" if result.macs is None else millions(result.macs)
    stdout.print(f"{path}: {time}, {macs} MACs", soft_wrap=True)
    lacking = Counter(kernel.op for kernel in result.unpredicted)
    stdout.print(_by_operator(result, lacking))
    if costliest:
        stdout.print(costliest_kernels(result, costliest))
    _say_notes(path, result)
    _say_outside(path, result)
    if lacking:
        names = ", ".join(f"{op} ({count})" for op, count in lacking.most_common())
        say(
            f"{path}: not predicted, and not in the sum: {names}; so the model takes at least what "
            "is printed, and nobody knows how much more"
        )


def _by_operator(result: "ModelPrediction", lacking: "Counter[str]") -> Table:
    rows = Table("ms", "share", "kernels", "operator", box=box.SIMPLE)
    for op, (count, ms) in result.by_operator().items():
        if ms > 0:
            rows.add_row(f"{ms:.3f}", f"{ms / result.predicted_ms:.1%}", str(count), op)
    if result.call_ms:
        share = result.call_ms / result.predicted_ms
        rows.add_row(f"{result.call_ms:.3f}", f"{share:.1%}", "", "call")
    for op, count in lacking.most_common():
        rows.add_row("?", "", str(count), op)
    return rows


def _say_notes(path: str, result: "ModelPrediction") -> None:
    """What is noted of kernels, each note once, with their share of the time."""
    noted = Counter(k.note for k in result.kernels if k.note and k.ms and not k.outside)
    for note, count in noted.most_common():
        ms = sum(kernel.ms or 0.0 for kernel in result.kernels if kernel.note == note)
        kernels = f"{count} kernel{'s'[: count > 1]}"
        say(f"{path}: {kernels}, {ms / result.predicted_ms:.0%} of the time: {note}")


def _say_outside(path: str, result: "ModelPrediction") -> None:
    """Name the kernels unlike all measured ones, where they take much of the time."""
    outside_ms = sum(kernel.ms or 0.0 for kernel in result.outside)
    if outside_ms <= _SAID * result.predicted_ms:
        return
    far: dict[str, dict[str, None]] = {}
    for kernel in result.outside:
        far.setdefault(kernel.op, {}).update(dict.fromkeys(kernel.outside))
    share = outside_ms / result.predicted_ms
    names = "; ".join(f"{op}: {', '.join(sizes)}" for op, sizes in far.items())
    say(
        f"{path}: {share:.0%} of it are kernels unlike all that were measured ({names}), and "
        "the interval is wider for that"
    )


def _say_where_it_was_optimised(target: "Target") -> None:
    import onnxruntime

    from hwnas.profilers.host import cpu_name

    here = (cpu_name(), onnxruntime.__version__)
    if here != (target.device, target.runtime_version):
        say(
            f"optimised for this machine ({here[0]}, onnxruntime {here[1]}): where the table was "
            "measured, other kernels may run"
        )
