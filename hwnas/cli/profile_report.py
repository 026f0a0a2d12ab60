"""What a finished profile shows."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Column, Table

from hwnas.cli.output import say, stdout
from hwnas.cli.resources import findings_in
from hwnas.latency_tables import LatencyTable

if TYPE_CHECKING:
    from hwnas.predictors import Calibration

__all__ = ["described", "print_table"]


def described(path: Path, table: LatencyTable) -> dict[str, Any]:
    """A finished profile for ``--json``."""
    known = _calibration(table)
    return {
        "table": str(path),
        "target": asdict(table.target),
        "workloads": len(table.workloads),
        "estimates": len(table.estimates),
        "networks": len(table.networks),
        "kernels": 0 if table.kernels is None else len(table.kernels.entries),
        "seconds": table.provenance.seconds,
        "calibration": asdict(known) if known else None,
        "unmeasured": table.unmeasured,
        "findings": [asdict(finding) for finding in findings_in(table)],
    }


def _calibration(table: LatencyTable) -> "Calibration | None":
    """What sums of the table's entries mean; None where some are lacking, or nothing is summed."""
    from hwnas.predictors import load_predictor

    if table.unmeasured or not table.workloads:
        return None
    return load_predictor(table).calibration


def print_table(path: Path, table: LatencyTable) -> None:
    """A finished profile for a person."""
    stdout.print(_summary(path, table))
    transfer = table.provenance.transfer
    if transfer is not None:
        stdout.print(
            f"transferred, not measured: the shape is that of {transfer.source}, fitted to "
            f"{transfer.networks} networks measured here; each left out in turn is off by "
            f"{transfer.residual:.1%} (standard deviation)"
        )
        return
    known = _calibration(table)
    if table.unmeasured:
        say(
            "and are not in the table, the first for this reason: "
            f"{next(iter(table.unmeasured.values()))}",
            warning=f"{len(table.unmeasured)} models could not be measured",
        )
    if known is not None:
        _say_calibration(known)
    conditions = table.provenance.conditions
    if conditions is not None and conditions.warning is not None:
        say("", warning=conditions.warning)
    findings = findings_in(table)
    if findings:
        marked = len({finding.entry for finding in findings})
        say(
            f"{marked} entr{'y is' if marked == 1 else 'ies are'} marked: hwnas tables check {path}"
        )


def _say_calibration(known: "Calibration") -> None:
    stdout.print(
        f"sums of entries x {known.scale:.3f} are off by {known.residual:.1%} (standard deviation, "
        f"each of {known.count} whole networks left out in turn)"
    )


def _summary(path: Path, table: LatencyTable) -> Table:
    seconds = table.provenance.seconds
    errors = sorted(m.relative_error for m in table.workloads.values())
    rows = Table(Column(), Column(overflow="fold"), show_header=False, box=None, pad_edge=False)
    rows.add_row("table", str(path))
    rows.add_row("target", str(table.target))
    if table.provenance.transfer:
        rows.add_row("workloads", f"{len(table.workloads)}, transferred")
    elif errors:
        median = errors[len(errors) // 2]
        rows.add_row("workloads", f"{len(errors)}, median known to {median:.1%}")
    if table.estimates:
        rows.add_row("estimated", f"{len(table.estimates)} other workloads, not measured")
    rows.add_row("networks", str(len(table.networks)))
    if table.kernels is not None:
        known = table.kernels
        rows.add_row("kernels", f"{len(known.entries)}, and {len(known.networks)} networks of such")
    conditions = table.provenance.conditions
    if conditions is not None:
        rows.add_row("driver", f"{conditions.driver}, CUDA {conditions.cuda}")
        repeated = f"{conditions.repeated} repeated since the card throttled"
        rows.add_row("windows", f"{conditions.windows}, {repeated}")
    rows.add_row("seconds", f"{seconds:.0f}")
    return rows
