"""ONNX Runtime on another machine, measured through a transport.

Rounds that arrived are kept here, so a broken connection loses only the round on its way, and
nothing needs to stay over there.
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from typing import Any, Literal, get_args

from hwnas.errors import DeviceUnavailableError, MeasurementError, OptionError
from hwnas.latency_tables import Target
from hwnas.profilers.protocol import Plan, Round, Samples
from hwnas.profilers.remote.answers import (
    Host,
    read_conditions,
    read_host,
    read_round,
    target_of,
)
from hwnas.profilers.remote.bundle import Bundle, make_bundle
from hwnas.profilers.remote.transport import (
    BrokenTransportError,
    EndlessError,
    RefusedError,
    Transport,
    session,
)
from hwnas.progress import Progress, silent

__all__ = ["RemoteRuntime"]

Provider = Literal["cpu", "xnnpack"]


#: Rounds beyond the plan, since sums of times may end in another bit there, and other answers.
_SLACK = 20
#: Runs of one measurement; they lie in the memory here. An hour of runs of 200 us each.
_MOST_RUNS = 20_000_000


class RemoteRuntime:
    """ONNX Runtime on another machine.

    Args:
        transport: the way there.
        threads: inside an operator.
        cores: ``any``, ``big``, ``little``, or numbers such as ``0,2-3``.
        provider: ``cpu`` or ``xnnpack``.
        python: the interpreter there: a name on its PATH, or a path.
        waits: seconds before each attempt to take up a broken connection again; a round that
            arrives starts them anew.

    Raises:
        OptionError: no such provider, or an interpreter that is no path.
    """

    precisions = ("fp32", "int8")

    def __init__(
        self,
        transport: Transport,
        *,
        threads: int = 1,
        cores: str = "any",
        provider: str = "cpu",
        python: str = "python3",
        waits: tuple[float, ...] = (1.0, 2.0, 5.0, 10.0, 30.0),
    ):
        if provider not in get_args(Provider):
            raise OptionError(f"a provider is one of cpu, xnnpack, got {provider!r}")
        if not python or not python.isprintable() or python.startswith("-"):
            raise OptionError(f"the remote Python is a name or a path, got {python!r}")
        self.transport, self.threads, self.cores = transport, threads, cores
        self.provider, self.python, self.waits = provider, python, waits
        self.conditions: dict[str, Any] | None = None
        self._host: Host | None = None

    @property
    def host(self) -> Host:
        """What the other machine calls itself; asks it the first time.

        Raises:
            DeviceUnavailableError: it cannot be reached, or lacks Python, numpy or onnxruntime.
            OptionError: more threads than it has cores.
        """
        if self._host is None:
            try:
                with closing(session(self.transport, self.python, b"null\n")) as events:
                    self._host = read_host(next(events)[1])
            except (RefusedError, MeasurementError) as problem:
                raise DeviceUnavailableError(f"{self.transport.name}: {problem}") from None
            except BrokenTransportError as problem:
                raise DeviceUnavailableError(
                    f"{self.transport.name} cannot be reached: {problem}; {self.transport.hint}"
                ) from None
            if not 1 <= self.threads <= self._host.cores:
                raise OptionError(
                    f"threads are 1 to {self._host.cores} (cores of {self.transport.name}), "
                    f"got {self.threads}"
                )
        return self._host

    def target(self, precision: str, batch: int) -> Target:
        """The processor of the other machine."""
        return target_of(self.host, self._settings(), precision, batch)

    def rounds(
        self,
        models: Mapping[str, Callable[[], bytes]],
        reference: Callable[[], bytes],
        samples: Samples,
        plan: Plan,
        *,
        seed: int = 0,
        progress: Progress = silent,
    ) -> Iterator[Round]:
        """Measure over there; each round is added to ``samples`` and yielded, as `run_rounds` does.

        Raises:
            MeasurementError: it failed over there, or the connection broke more often than there
                are ``waits``.
        """
        names = list(models)
        if not samples.pending(names, plan):
            return
        progress("writing models", 0.0, "")
        bundle = make_bundle(models, reference, plan, seed=seed)
        progress("writing models", 1.0, "")
        failed = needless = remarks = runs = 0
        while True:
            try:
                upload = self._upload(bundle, samples)
                with closing(session(self.transport, self.python, upload)) as events:
                    for kind, value in events:
                        remarks += kind != "round"
                        too_many = max(needless, remarks - 2 * len(names)) > _SLACK
                        if too_many or runs > _MOST_RUNS:
                            raise EndlessError("it goes on without end")
                        if kind == "loading" and _is_share(value):
                            progress("loading models", value, "")
                        elif kind == "round":
                            taken = read_round(value, names, self.transport.name)
                            needless += not _is_needed(taken, samples, plan)
                            samples.add(taken)
                            runs += len(taken.runs_ms) + len(taken.reference_ms)
                            failed = remarks = 0
                            yield taken
                        elif kind == "done":
                            self._check_done(samples, names, plan)
                            self.conditions = read_conditions(value, self.transport.name)
                            return
            except RefusedError as problem:
                raise MeasurementError(f"{self.transport.name}: {problem}") from None
            except BrokenTransportError as problem:
                if failed == len(self.waits):
                    raise MeasurementError(
                        f"the connection to {self.transport.name} broke {failed + 1} times in a "
                        f"row: {problem}; what has arrived is kept: the same command goes on"
                    ) from None
                progress("measuring", 0.0, f"connection broke ({problem}), trying again")
                time.sleep(self.waits[failed])
                failed += 1

    def _check_done(self, samples: Samples, names: list[str], plan: Plan) -> None:
        known = sum(len(samples.quotients.get(name, ())) >= plan.min_runs for name in names)
        if known < len(names):
            raise MeasurementError(
                f"{self.transport.name} says that it is done, and {known} of {len(names)} models "
                f"have their {plan.min_runs} runs: is another program than the agent answering?"
            )

    def _settings(self) -> dict[str, Any]:
        return {"threads": self.threads, "cores": self.cores, "provider": self.provider}

    def _upload(self, bundle: Bundle, samples: Samples) -> bytes:
        plan, models = bundle.plan, bundle.models
        at = {name: str(number) for number, name in enumerate(plan["names"])}
        request = {
            "plan": {**plan, "names": [""] * len(at), "request": {}},  # names are of no use there
            "settings": self._settings(),
            "files": [[name, len(model)] for name, model in models.items()],
            "samples": {
                "quotients": {at[name]: q for name, q in samples.quotients.items()},
                "reference_ms": samples.reference_ms,
                "total_ms": samples.total_ms,
            },
        }
        return json.dumps(request).encode() + b"\n" + b"".join(models.values())


def _is_share(value: object) -> bool:
    return isinstance(value, int | float) and 0 <= value <= 1


def _is_needed(taken: Round, samples: Samples, plan: Plan) -> bool:
    """Whether a round brings what the plan asks for beyond all before it."""
    if samples.total_ms < 1000 * plan.min_seconds:
        return True
    return not all(samples.finished(key, plan) for key in taken.runs_ms)
