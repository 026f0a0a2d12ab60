"""What another machine answers, checked on arrival: numbers in range, words that are only words."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Annotated, Any

from annotated_types import Ge, Le, MaxLen, MinLen

from hwnas.errors import MeasurementError
from hwnas.latency_tables import Target
from hwnas.profilers.protocol import Round

__all__ = [
    "Host",
    "clean",
    "read_conditions",
    "read_host",
    "read_ms",
    "read_round",
    "target_of",
]

#: No machine that measures has more, and no number of a core is larger.
_MOST_CORES = 10_000
#: Milliseconds that a run may take: clocks count nanoseconds, and a machine that says nothing for
#: so many minutes is taken to be silent.
_SHORTEST_MS, _LONGEST_MS = 1e-6, 1e6
#: A state of a device holds values, and states of parts.
_DEEPEST = 3

_Name = Annotated[str, MinLen(1), MaxLen(200)]


@dataclass(frozen=True, slots=True)
class Host:
    """What another machine and its runtime call themselves."""

    device: _Name
    device_id: _Name
    cores: Annotated[int, Ge(1), Le(_MOST_CORES)]
    core_groups: Annotated[list[Annotated[list[int], MaxLen(_MOST_CORES)]], MaxLen(_MOST_CORES)]
    system: _Name
    python: _Name
    numpy: _Name
    onnxruntime: _Name
    providers: Annotated[list[_Name], MaxLen(100)]


def clean(text: object) -> str:
    """Words of another machine as one printable line; terminals and markup see no command in it."""
    line = "".join(c if c.isprintable() else " " for c in str(text)[:400])
    return " ".join(line.replace("[", "(").replace("]", ")").split())


def read_host(record: object) -> Host:
    """Check what another machine says of itself.

    Raises:
        MeasurementError: it is not what an agent says.
    """
    from pydantic import TypeAdapter, ValidationError

    try:
        host = TypeAdapter(Host).validate_python(record)
    except ValidationError as error:
        wrong = ".".join(str(part) for part in error.errors()[0]["loc"]) or "all of it"
        raise MeasurementError(f"it answers as no agent does (wrong: {clean(wrong)})") from None
    words: dict[str, Any] = {
        key: clean(value) or "unknown"
        for key, value in asdict(host).items()
        if isinstance(value, str)
    }
    return replace(host, **words)


def read_round(record: object, names: list[str], name: str) -> Round:
    """Check a round from another machine; its numbers become names.

    Raises:
        MeasurementError: not a round of these jobs.
    """
    try:
        runs = {names[_index(at)]: read_ms(ms) for at, ms in record["runs"]}  # type: ignore[index]
        reference = tuple(read_ms(ms) for ms in record["reference"])  # type: ignore[index]
        if not runs or not reference:
            raise ValueError("an empty round")
    except (TypeError, ValueError, KeyError, IndexError) as error:
        raise MeasurementError(f"{name} sent a round that is none ({clean(error)})") from None
    return Round(runs, reference)


def read_conditions(record: object, name: str, levels: int = _DEEPEST) -> dict[str, Any]:
    """Check the state of a device: names, and numbers or words.

    Raises:
        MeasurementError: it is something else.
    """
    if not isinstance(record, dict) or len(record) > 20 or levels == 0:
        raise MeasurementError(f"{name} sent a state of the device that is none")
    return {
        clean(key): read_conditions(value, name, levels - 1)
        if isinstance(value, dict)
        else value
        if value is None or _is_number(value) or _numbers(value)
        else clean(value)
        for key, value in record.items()
    }


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and abs(value) < 1e15  # so neither NaN nor infinite


def _numbers(value: object) -> bool:
    return (
        isinstance(value, list)
        and len(value) < 1000
        and all(type(v) is int and _is_number(v) for v in value)
    )


def target_of(host: Host, settings: Mapping[str, Any], precision: str, batch: int) -> Target:
    """The target of another machine that was measured with these settings."""
    cores = f", cores {settings['cores']}" if settings["cores"] != "any" else ""
    return Target(
        kind="cpu",
        device=host.device + cores,
        device_id=host.device_id,
        runtime="onnxruntime" if settings["provider"] == "cpu" else "onnxruntime+xnnpack",
        runtime_version=host.onnxruntime,
        precision=precision,  # type: ignore[arg-type]
        batch=batch,
        threads=settings["threads"],
    )


def _index(value: object) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(f"{value!r:.80} is no job")
    return value


def read_ms(value: object) -> float:
    """Check what a run took, ms.

    Raises:
        ValueError: no run takes that.
    """
    if type(value) not in (int, float) or not _SHORTEST_MS <= value <= _LONGEST_MS:  # type: ignore[operator]
        raise ValueError(f"{value!r:.80} is no time of a run in ms")
    return float(value)  # type: ignore[arg-type]
