"""The latency table: its schema, and how it is read and written."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from difflib import get_close_matches
from errno import EFBIG
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import MinLen

from hwnas.errors import TableFormatError, WorkloadNotInTableError
from hwnas.files import write_atomically
from hwnas.html_text import html_table
from hwnas.latency_tables.names import known_tables, shipped
from hwnas.latency_tables.records import (
    STRICT,
    Estimate,
    KernelNetwork,
    KernelRecord,
    Measurement,
    Ms,
    Provenance,
    SpaceRecord,
    Transfer,
)
from hwnas.latency_tables.target import Target
from hwnas.ops import Workload
from hwnas.reading import check_json_size, read_bytes

__all__ = [
    "Estimate",
    "KernelNetwork",
    "KernelRecord",
    "LatencyTable",
    "Measurement",
    "Provenance",
    "SpaceRecord",
    "Transfer",
]

#: Profiles of a target whose scale is pooled; older ones are forgotten.
_SESSIONS = 8
#: Keys that one which is missing is compared with, to name the nearest.
_COMPARED = 1000
#: A file larger than this is no table of ours; refuse it before reading it whole.
_MAX_BYTES = 64 * 2**20


@dataclass(frozen=True, eq=False)
class LatencyTable:
    """Workloads and whole networks, measured in one interleaved run on one target.

    Attributes:
        target: what was measured.
        space: whose workloads these are.
        reference_ms: steady latency of the reference network that stood between all other runs; the
            scale of all entries.
        reference_sessions_ms: what the last profiles of this target saw it take; their mean is
            ``reference_ms``.
        call: an almost empty model: what it costs to call the runtime once.
        workloads: workload key -> measurement of the workload alone, the call included.
        networks: architecture string -> measurement of the whole network.
        provenance: when and by what.
        estimates: workload key -> what was inferred, not measured; never of a key in ``workloads``.
        kernels: what predicts any ONNX model; None where no kernels were profiled.
        unmeasured: workload key or architecture string -> why the runtime refused it.
    """

    __pydantic_config__ = STRICT

    target: Target
    space: SpaceRecord
    reference_ms: Ms
    reference_sessions_ms: Annotated[tuple[Ms, ...], MinLen(1)]
    call: Measurement
    workloads: dict[str, Measurement]
    networks: dict[str, Measurement]
    provenance: Provenance
    estimates: dict[str, Estimate] = field(default_factory=dict)
    kernels: KernelRecord | None = None
    unmeasured: dict[str, str] = field(default_factory=dict)
    format: Literal["hwnas-latency-table"] = "hwnas-latency-table"
    schema_version: Literal[1] = 1

    @classmethod
    def load(cls, source: str | Path) -> "LatencyTable":
        """Read and validate a table; nothing in the file is executed.

        Args:
            source: a path, or the name of a table that ships (see ``hwnas tables list``).

        Raises:
            TableFormatError: no such file or name, or the file is not a valid table.
        """
        path = shipped().get(str(source), Path(source))
        try:
            text = read_bytes(path, _MAX_BYTES)
        except OSError as error:
            if error.errno == EFBIG:
                raise TableFormatError(
                    f"{source} is larger than any latency table (64 MiB)"
                ) from None
            raise TableFormatError(
                f"no latency table at {str(source)!r} ({error.strerror}): give the path of one, or "
                f"a table's name ({known_tables()})"
            ) from None
        return cls.from_json(text, str(source))

    @classmethod
    def from_json(cls, text: str | bytes, source: str = "table") -> "LatencyTable":
        """Validate a table's JSON; ``source`` names it in errors.

        Raises:
            TableFormatError: it is no table of schema 1; the message names what is wrong first.
        """
        from pydantic import ValidationError

        try:
            check_json_size(text)
            table: LatencyTable = _schema().validate_json(text)
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False)[0]
            where = ".".join(str(part) for part in first["loc"]) or "the file"
            raise TableFormatError(
                f"{source} is not a latency table of schema 1: {where}: {first['msg']} "
                f"({error.error_count()} problem{'s'[: error.error_count() > 1]}); "
                "make one with 'hwnas profile'"
            ) from None
        except ValueError as error:
            raise TableFormatError(f"{source} is no latency table: {error}") from None
        if both := sorted(table.estimates.keys() & table.workloads.keys()):
            raise TableFormatError(
                f"{source} has {both[0]} both measured and estimated, and an entry is one or the "
                "other: remove the estimate"
            )
        return table

    def to_json(self) -> str:
        """The table as JSON text, one workload a line; sections that are empty are left out."""
        record = asdict(self)
        kernels = record.pop("kernels") or {}
        rows = {"workloads": record["workloads"], "networks": record["networks"]}
        rows |= {"estimates": record["estimates"]} if self.estimates else {}
        first = ("format", "schema_version")
        others = {key: record[key] for key in (*first, *record)}
        parts = [
            _line(key, value)
            for key, value in others.items()
            if key not in ("workloads", "networks", "estimates", "provenance")
        ]
        parts += [_rows(key, value) for key, value in rows.items()]
        if kernels:
            inner = [f"  {_line('call', kernels.pop('call'))}"]
            inner += [_rows(key, value, "    ") for key, value in kernels.items()]
            parts.append('  "kernels": {\n' + ",\n".join(inner) + "\n  }")
        parts.append(_line("provenance", record["provenance"]))
        return "{\n" + ",\n".join(parts) + "\n}\n"

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        known = [m.latency_ms for m in self.networks.values()]
        rows = [
            ("target", str(self.target)),
            ("space", self.space.name),
            ("workloads", f"{len(self.workloads)} measured, {len(self.estimates)} estimated"),
            ("networks", f"{len(known)} measured whole"),
            ("made", f"{self.provenance.created_utc} by hwnas {self.provenance.hwnas_version}"),
        ]
        if known:
            rows.append(("their latency", f"{min(known):.3f} to {max(known):.3f} ms"))
        if self.kernels is not None:
            rows.append(("kernels", f"{len(self.kernels.entries)}, for any ONNX model"))
        if self.unmeasured:
            rows.append(("refused", f"{len(self.unmeasured)}, by the runtime"))
        return html_table("latency table", rows)

    def save(self, path: str | Path) -> None:
        """Write the table; the old file stays until the new one is whole.

        Raises:
            OSError: the file cannot be written.
        """
        write_atomically(Path(path), self.to_json().encode())

    def pooled(self, earlier: "LatencyTable") -> "LatencyTable":
        """This table at the mean scale of itself and the profiles behind an earlier one.

        A shared machine is a few percent slower or faster for minutes at a time, all models alike.
        The entries stay those of this profile; only their common factor is shared. What only the
        earlier table measured, workloads and kernels, is kept and takes the place of estimates.
        """
        sessions = (*earlier.reference_sessions_ms, *self.reference_sessions_ms)[-_SESSIONS:]
        mean_ms = sum(sessions) / len(sessions)
        factor, earlier_factor = mean_ms / self.reference_ms, mean_ms / earlier.reference_ms
        kernels = None if self.kernels is None else self.kernels.scaled(factor)
        if kernels is None and earlier.kernels is not None:
            kernels = earlier.kernels.scaled(earlier_factor)
        only_earlier = {
            key: m.scaled(earlier_factor)
            for key, m in earlier.workloads.items()
            if key not in self.workloads
        }
        workloads = {key: m.scaled(factor) for key, m in self.workloads.items()} | only_earlier
        return replace(
            self,
            reference_ms=mean_ms,
            reference_sessions_ms=sessions,
            call=self.call.scaled(factor),
            workloads=workloads,
            networks={key: m.scaled(factor) for key, m in self.networks.items()},
            estimates={
                key: e.scaled(factor) for key, e in self.estimates.items() if key not in workloads
            },
            unmeasured={key: why for key, why in self.unmeasured.items() if key not in workloads},
            kernels=kernels,
        )

    def missing(self, workloads: Iterable[Workload]) -> list[Workload]:
        """Those of the workloads that cost time and were not measured, estimated or not."""
        return [w for w in workloads if not w.op.no_op and w.key not in self.workloads]

    def latency_ms(self, workload: Workload) -> float:
        """The median latency of a workload alone in ms, the runtime's call included.

        Where it was not measured it is the estimate that was filled in; `spread` tells both apart.
        It is 0 for operators that run no kernel.

        Raises:
            WorkloadNotInTableError: it is neither; the message names the nearest ones.
        """
        if workload.op.no_op:
            return 0.0
        entry = self.workloads.get(workload.key) or self.estimates.get(workload.key)
        if entry is None:
            if workload.key in self.unmeasured:
                raise WorkloadNotInTableError(
                    f"{workload.key} is not in the table since it could not be measured "
                    f"({self.unmeasured[workload.key]}): use a space without it, or another runtime"
                )
            near = get_close_matches(workload.key, self._comparable(workload), n=3, cutoff=0.0)
            raise WorkloadNotInTableError(
                f"{workload.key} is not in the table, which holds {len(self.workloads)} workloads, "
                f"the nearest {'; '.join(near)}: profile the space that needs it"
            )
        return entry.latency_ms

    def _comparable(self, workload: Workload) -> list[str]:
        """Keys to look for near ones among: of a large table some of the same operator."""
        keys = list(self.workloads)
        if len(keys) > _COMPARED:
            family = workload.key.partition("(")[0]
            keys = [key for key in keys if key.startswith(f"{family}(")] or keys
        return keys[:: -(-len(keys) // _COMPARED)] if keys else keys

    def spread(self, workload: Workload) -> float:
        """Standard deviation of the logarithm of a workload's estimate; 0 where it was measured."""
        estimate = self.estimates.get(workload.key)
        return 0.0 if estimate is None else estimate.spread


@cache
def _schema() -> Any:
    """What validates a table's JSON; it takes longer to make than a small table to read."""
    from pydantic import TypeAdapter

    return TypeAdapter(LatencyTable)


def _line(key: str, value: Any) -> str:
    return f"  {json.dumps(key)}: {json.dumps(value)}"


def _rows(key: str, section: Mapping[str, Any], indent: str = "  ") -> str:
    """A section of many entries, one a line."""
    rows = [f"{indent}  {json.dumps(name)}: {json.dumps(row)}" for name, row in section.items()]
    return f"{indent}{json.dumps(key)}: {{\n" + ",\n".join(rows) + f"\n{indent}}}"
