"""Measuring at the far end of a line: one process there, fed by stdin, heard on stdout.

The line is a command of this machine (``ssh ...``, ``adb shell ...``) that runs `FAR_COMMAND` over
there. That string is all a shell ever sees; what is to be measured goes through stdin, and what
comes back is read as numbers. Rounds that arrived are kept here, so a broken line loses only the
round on its way, and nothing needs to stay over there.
"""

import json
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import IO, Any, Literal, get_args

from hwnas.errors import DeviceUnavailableError, MeasurementError, OptionError
from hwnas.latency_tables import Target
from hwnas.profilers.far.answers import (
    Host,
    clean,
    read_conditions,
    read_host,
    read_round,
    target_of,
)
from hwnas.profilers.far.kit import agent_source, make_kit
from hwnas.profilers.protocol import Plan, Round, Samples
from hwnas.progress import Progress, silent

__all__ = ["FAR_COMMAND", "FAR_SCRIPT", "Line", "RemoteRuntime"]

#: Makes a folder for all that is written, runs in it the Python whose path is the first line of
#: stdin, and removes the folder. That Python reads its program from the next lines. The same string
#: for every device.
FAR_SCRIPT = (
    'd=$(mktemp -d) || exit 73; trap "cd /; rm -rf \\"$d\\"" EXIT; trap "exit 129" HUP INT TERM; '
    'export TMPDIR="$d" XDG_CACHE_HOME="$d" ORT_DISABLE_TELEMETRY=1; '
    'cd "$d" && IFS= read -r python && "$python" -u -c '
    '"import sys; i = sys.stdin.buffer; exec(i.read(int(i.readline())))"'
)
FAR_COMMAND = f"exec sh -c '{FAR_SCRIPT}'"

#: One line of a far end; a longer one is no agent's.
_LONGEST_LINE = 2**22
_SIGN_SECONDS = 5.0
_SILENT_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class Line:
    """A way to another machine.

    Attributes:
        name: what ``--device`` calls it.
        command: program and arguments, without a shell.
        hint: what to look at where it does not come up.
    """

    name: str
    command: tuple[str, ...]
    hint: str


class _BrokenError(Exception):
    """The far end fell silent before it was done."""


class _RefusedError(Exception):
    """The far end said that it cannot do what it was asked."""


Provider = Literal["cpu", "xnnpack"]


class RemoteRuntime:
    """ONNX Runtime on another machine.

    Args:
        line: the way there.
        threads: inside an operator.
        cores: ``any``, ``big``, ``little``, or numbers such as ``0,2-3``.
        provider: ``cpu`` or ``xnnpack``.
        python: the interpreter there: a name on its PATH, or a path.
        waits: seconds before each attempt to take up a broken line again; a round that arrives
            starts them anew.

    Raises:
        OptionError: no such provider, or an interpreter that is no path.
    """

    precisions = ("fp32", "int8")

    def __init__(
        self,
        line: Line,
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
            raise OptionError(f"the far Python is a name or a path, got {python!r}")
        self.line, self.threads, self.cores, self.provider = line, threads, cores, provider
        self.python, self.waits = python, waits
        self.conditions: dict[str, Any] | None = None
        self._host: Host | None = None

    @property
    def host(self) -> Host:
        """The machine at the far end; asks it the first time.

        Raises:
            DeviceUnavailableError: it cannot be reached, or lacks Python, numpy or onnxruntime.
        """
        if self._host is None:
            try:
                with closing(self._session(b"null\n")) as events:
                    self._host = read_host(next(events)[1])
            except (_RefusedError, MeasurementError) as problem:
                raise DeviceUnavailableError(f"{self.line.name}: {problem}") from None
            except _BrokenError as problem:
                raise DeviceUnavailableError(
                    f"{self.line.name} cannot be reached: {problem}; {self.line.hint}"
                ) from None
            if not 1 <= self.threads <= self._host.cores:
                raise OptionError(
                    f"threads are 1 to {self._host.cores} (cores of {self.line.name}), "
                    f"got {self.threads}"
                )
        return self._host

    def target(self, precision: str, batch: int) -> Target:
        """The far machine's processor."""
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
            MeasurementError: it failed over there, or the line broke more often than ``waits``.
        """
        names = list(models)
        if not samples.pending(names, plan):
            return
        progress("writing models", 0.0, "")
        kit = make_kit(models, reference, plan, seed=seed)
        progress("writing models", 1.0, "")
        failed = 0
        while True:
            try:
                with closing(self._session(self._upload(kit.plan, kit.models, samples))) as events:
                    for kind, value in events:
                        if kind == "loading" and isinstance(value, float):
                            progress("loading models", min(max(value, 0.0), 1.0), "")
                        elif kind == "round":
                            taken = read_round(value, names, self.line.name)
                            samples.add(taken)
                            failed = 0
                            yield taken
                        elif kind == "done":
                            self.conditions = read_conditions(value, self.line.name)
                            return
            except _RefusedError as problem:
                raise MeasurementError(f"{self.line.name}: {problem}") from None
            except _BrokenError as problem:
                if failed == len(self.waits):
                    raise MeasurementError(
                        f"the line to {self.line.name} broke {failed + 1} times in a row: "
                        f"{problem}; what has arrived is kept: the same command goes on"
                    ) from None
                progress("measuring", 0.0, f"line broke ({problem}), trying again")
                time.sleep(self.waits[failed])
                failed += 1

    def _settings(self) -> dict[str, Any]:
        return {"threads": self.threads, "cores": self.cores, "provider": self.provider}

    def _upload(self, plan: dict[str, Any], models: dict[str, bytes], samples: Samples) -> bytes:
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

    def _session(self, upload: bytes) -> Generator[tuple[str, Any], None, None]:
        """Start the agent, feed it, and yield what it says: pairs of kind and value."""
        agent = agent_source().encode()
        first = b"%s\n%d\n%s" % (self.python.encode(), len(agent), agent)
        with tempfile.TemporaryFile() as said:
            try:
                process = subprocess.Popen(
                    self.line.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said
                )
            except OSError as error:
                raise _BrokenError(f"{self.line.command[0]}: {error.strerror}") from None
            assert process.stdin is not None
            assert process.stdout is not None
            heard_on = process.stdout
            feeder = _Feeder(process, process.stdin, first + upload)
            feeder.start()
            try:
                while line := heard_on.readline(_LONGEST_LINE):
                    feeder.heard = time.monotonic()
                    event = _event(line)
                    if event is None:
                        continue  # a greeting of the far shell
                    if event[0] == "error":
                        raise _RefusedError(clean(event[1]))
                    yield event
                status = process.wait()
                raise _BrokenError(_reason(status, said, self.python))
            finally:
                feeder.over.set()
                feeder.join(2.0)  # closes stdin, and so ends the agent
                if feeder.is_alive():
                    process.kill()
                try:
                    process.wait(10.0)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
                heard_on.close()


class _Feeder(threading.Thread):
    """Writes to the far end: what it needs, then a sign of life every few seconds."""

    def __init__(self, process: "subprocess.Popen[bytes]", pipe: IO[bytes], content: bytes):
        super().__init__(daemon=True)
        self.over = threading.Event()
        self.heard = time.monotonic()
        self._process, self._pipe, self._content = process, pipe, content

    def run(self) -> None:
        with suppress(OSError, ValueError):
            self._pipe.write(self._content)
            self._pipe.flush()
            while not self.over.wait(_SIGN_SECONDS):
                self._pipe.write(b"\n")
                self._pipe.flush()
                if time.monotonic() - self.heard > _SILENT_SECONDS:
                    self._process.kill()
        with suppress(OSError, ValueError):
            self._pipe.close()


def _event(line: bytes) -> tuple[str, Any] | None:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(record, dict) or len(record) != 1:
        return None
    ((kind, value),) = record.items()
    return kind, value


def _reason(status: int, said: IO[bytes], python: str) -> str:
    """Why a line ended, from its exit status and its last words."""
    said.seek(0)
    words = [clean(line.decode(errors="replace")) for line in said.read()[-4000:].splitlines()]
    last = " / ".join([line for line in words if line][-3:])
    if status == 127:
        return f"there is no {python!r} there, or no such command here ({last})"
    if status == 73:
        return f"no folder can be made there ({last})"
    return last or f"it ended with status {status}"
