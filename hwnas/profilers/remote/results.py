"""From the results file of an agent that was started by hand to a latency table."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hwnas import spaces
from hwnas.errors import HwnasError, MeasurementError, TableFormatError
from hwnas.latency_tables import LatencyTable, Provenance
from hwnas.profilers.measuring import onnx_models, reference_model
from hwnas.profilers.profile import profile_graphs, table_of
from hwnas.profilers.protocol import Plan, Samples
from hwnas.profilers.remote.answers import read_conditions, read_host, read_round, target_of
from hwnas.profilers.remote.bundle import Bundle, make_bundle
from hwnas.reading import parse_json, read_bytes
from hwnas.spaces import SearchSpace
from hwnas.version import __version__

__all__ = ["collect", "space_bundle"]

_MAX_BYTES = 2**28


def space_bundle(
    space: SearchSpace,
    *,
    precision: str = "fp32",
    batch: int = 1,
    n_networks: int | None = None,
    plan: Plan | None = None,
    seed: int = 0,
) -> Bundle:
    """All that a profile of a space needs on another machine; arguments as of `profile_space`."""
    request = {
        "space": {"name": space.name, "arguments": dict(space.arguments)},
        "precision": precision,
        "batch": batch,
    }
    graphs = profile_graphs(space, n_networks, seed)
    return make_bundle(
        onnx_models(graphs, precision, batch),
        reference_model(space, precision, batch),
        plan or Plan(),
        seed=seed,
        request=request,
    )


def collect(path: Path) -> LatencyTable:
    """The table of a results file; every number in it is checked, nothing is executed.

    Raises:
        TableFormatError: it is no results file, an unfinished one, or of another space.
    """
    try:
        events = parse_json(read_bytes(path, _MAX_BYTES))
        if not isinstance(events, list) or len(events) < 3:
            raise ValueError("it is no list of events")
        first, *rounds, last = events
        return _table(first, rounds, last, path.name)
    except OSError as error:
        raise TableFormatError(f"no results at {str(path)!r} ({error.strerror})") from None
    except HwnasError as error:
        raise TableFormatError(f"{path.name} cannot be used: {error}") from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        words = " ".join(str(error).split())[:200]
        raise TableFormatError(
            f"{path.name} is not the results file of an agent ({type(error).__name__}: {words}): "
            "hwnas profile bundle makes the bundle that writes one"
        ) from None


def _table(first: Any, rounds: list[Any], last: Any, source: str) -> LatencyTable:
    request, names = first["plan"]["request"], first["plan"]["names"]
    if not all(isinstance(name, str) for name in names) or len(set(names)) != len(names):
        raise ValueError("its models have no names")
    settings = {key: first["settings"][key] for key in ("threads", "cores", "provider")}
    if not all(word.isprintable() for word in (settings["cores"], settings["provider"])):
        raise ValueError("its settings are no words")
    host = read_host(first["hello"])
    space = spaces.space(request["space"]["name"], **request["space"]["arguments"])
    samples = Samples()
    for event in rounds:
        samples.add(read_round(event["round"], names, source))
    if samples.pending(names, Plan(**first["plan"]["plan"])):
        raise MeasurementError("it is unfinished: start agent.py there again, it goes on")
    table = table_of(
        space,
        samples,
        target_of(host, settings, request["precision"], request["batch"]),
        Provenance(
            hwnas_version=__version__,
            created_utc=datetime.now(UTC).isoformat(timespec="seconds"),
            seconds=round(samples.total_ms / 1000, 1),
            system=host.system,
            python_version=host.python,
            host_state=read_conditions(last["done"], source),
        ),
    )
    for name in table.networks:
        space.parse(name)
    return LatencyTable.from_json(table.to_json(), source)
