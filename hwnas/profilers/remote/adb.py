"""Android devices through the platform's ``adb``: a Python in Termux, or ONNX Runtime's own binary.

Every command that a shell of the device sees is one of the strings of this file, with numbers and
names of our own making in it; docs/devices.md says what to install.
"""

import hashlib
import re
import statistics
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from hwnas.errors import DeviceUnavailableError, MeasurementError, OptionError
from hwnas.latency_tables import Target
from hwnas.profilers.protocol import Job, Plan
from hwnas.profilers.remote.answers import Host, clean, read_ms, target_of
from hwnas.profilers.remote.pipes import Drain, kill
from hwnas.profilers.remote.runtime import RemoteRuntime
from hwnas.profilers.remote.transport import REMOTE_SCRIPT, Transport

__all__ = ["PerfTest", "adb_runtime"]

FOLDER = "/data/local/tmp/hwnas"
_BINARY = f"{FOLDER}/onnxruntime_perf_test"
_PROBE = (
    f"test -x {_BINARY} && echo found perf_test; "
    "run-as com.termux test -x files/usr/bin/python3 && echo found termux; true"
)
_TERMUX = (
    "exec run-as com.termux sh -c '"
    "u=$PWD/files/usr; export PATH=$u/bin:$PATH LD_LIBRARY_PATH=$u/lib TMPDIR=$u/tmp; "
    f"{REMOTE_SCRIPT}'"
)
_FACTS = (
    "getprop ro.product.manufacturer; getprop ro.product.model; getprop ro.soc.model; "
    f"getprop ro.serialno; nproc; uname -srm; sha256sum {_BINARY}"
)
_CLOCKS = (
    "for c in /sys/devices/system/cpu/cpu[0-9]*; do "
    "echo ${c##*cpu} $(cat $c/cpufreq/cpuinfo_max_freq); done"
)
_CLOCK = re.compile(r"^([0-9]{1,4})\s+([0-9]{1,9})\s*$", re.MULTILINE)
_SERIAL = re.compile(r"adb(?::([A-Za-z0-9][A-Za-z0-9._:-]{0,99}))?", re.ASCII)
_ITERATION = re.compile(r"iteration:\d+,\s*time_cost:\s*([0-9.eE+-]+)")
_RUNS = 10
#: What a command may print, and how long it may take.
_MOST_BYTES = 2**20
_CALL_SECONDS = 600.0


def adb_runtime(
    device: str, threads: int, *, cores: str, provider: str, python: str
) -> "RemoteRuntime | PerfTest":
    """The runtime of ``adb`` (the only device) or ``adb:SERIAL``.

    Raises:
        OptionError: no serial number.
        DeviceUnavailableError: no adb, no such device, or neither way to run ONNX Runtime on it.
    """
    found = _SERIAL.fullmatch(device)
    if found is None:
        raise OptionError(
            f"an Android device is written adb or adb:SERIAL (see adb devices), got {device!r}"
        )
    adb = ("adb", *(("-s", found[1]) if found[1] else ()))
    ways = _ask(adb, _PROBE, device)
    if "found termux" in ways:
        hint = "'pkg install python python-numpy python-onnxruntime' in Termux may be missing"
        transport = Transport(device, (*adb, "shell", "-T", _TERMUX), hint)
        return RemoteRuntime(
            transport, threads=threads, cores=cores, provider=provider, python=python
        )
    if "found perf_test" in ways:
        return PerfTest(adb, device, threads, cores=cores, provider=provider)
    raise DeviceUnavailableError(
        f"{device} has neither Termux with Python (reached by run-as) nor {_BINARY}; "
        "docs/devices.md says what to install"
    )


def _ask(adb: Sequence[str], command: str, device: str) -> str:
    """What a shell of the device prints."""
    return _call((*adb, "shell", "-T", command), device, "a shell")


def _call(words: Sequence[str], device: str, what: str) -> str:
    pipe = subprocess.PIPE
    try:
        process = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, start_new_session=True
        )
    except FileNotFoundError:
        raise DeviceUnavailableError(
            f"{device} needs the program adb on PATH: install Android's platform-tools"
        ) from None
    assert process.stdout is not None
    assert process.stderr is not None
    ends = (process.stdout, process.stderr)
    heard = [Drain(end, _MOST_BYTES, _MOST_BYTES, lambda: kill(process)) for end in ends]
    try:
        for drain in heard:
            drain.start()
        status = process.wait(_CALL_SECONDS)
    except subprocess.TimeoutExpired:
        raise MeasurementError(
            f"{device}: {what} did not end within {_CALL_SECONDS:g} seconds"
        ) from None
    finally:
        if process.poll() is None:
            kill(process)
            process.wait()
        for drain, end in zip(heard, ends, strict=True):
            drain.join(2.0)
            end.close()
    if any(drain.too_much for drain in heard):
        raise MeasurementError(f"{device}: {what} says more than {_MOST_BYTES} bytes")
    printed, complained = (drain.kept.decode(errors="replace") for drain in heard)
    if status != 0:
        said = clean(complained or printed)
        raise DeviceUnavailableError(
            f"{device}: {what} failed ({said or f'status {status}'}); 'adb devices' must "
            "list it as 'device'"
        )
    return printed


class PerfTest:
    """``onnxruntime_perf_test`` on an Android device; a run is the median of ten in one process.

    Used as a context, it removes its models from the device at the end.

    Args:
        adb: the program and how it finds the device.
        device: what ``--device`` calls it.
        threads: inside an operator.
        cores: ``any``, ``big``, ``little``, or numbers such as ``0,2-3``.
        provider: ``cpu`` or ``xnnpack``.

    Raises:
        OptionError: no such cores, provider, or number of threads.
    """

    precisions = ("fp32", "int8")
    conditions: dict[str, Any] | None = None

    def __init__(self, adb: Sequence[str], device: str, threads: int, *, cores: str, provider: str):
        if provider not in ("cpu", "xnnpack"):
            raise OptionError(f"a provider is one of cpu, xnnpack, got {provider!r}")
        self._adb, self._device, self._provider = tuple(adb), device, provider
        self.threads, self._cores = threads, cores
        self._count = 0
        mask = self._mask()
        allowed = bin(mask).count("1") if mask else self.host.cores
        if not 1 <= threads <= allowed:
            raise OptionError(f"threads are 1 to {allowed} (cores of {device}), got {threads}")
        self._pinned = f"taskset {mask:x} " if mask else ""

    @cached_property
    def host(self) -> Host:
        """The device, as its properties tell it; ``onnxruntime`` is a digest of the binary.

        Raises:
            MeasurementError: it does not tell what it is.
        """
        lines = [clean(line) for line in _ask(self._adb, _FACTS, self._device).splitlines()]
        if len(lines) < 7 or not re.fullmatch("[1-9][0-9]{0,3}", lines[4]):
            raise MeasurementError(f"{self._device} does not tell what it is: got {lines[:7]}")
        maker, model, chip, serial, cores, system, binary = lines[:7]
        name = " ".join(word for word in (maker, model, chip) if word) or "unknown device"
        return Host(
            device=name,
            device_id=hashlib.sha256(f"hwnas|{serial}|{name}".encode()).hexdigest()[:12],
            cores=int(cores),
            core_groups=[],
            system=f"Android {system}",
            python="none",
            numpy="none",
            onnxruntime=f"perf_test-{binary[:12]}",
            providers=[],
        )

    def __enter__(self) -> "PerfTest":
        _ask(self._adb, f"rm -rf {FOLDER}/models && mkdir {FOLDER}/models", self._device)
        self._count = 0
        return self

    def __exit__(self, *_: object) -> None:
        _ask(self._adb, f"rm -rf {FOLDER}/models", self._device)

    def target(self, precision: str, batch: int) -> Target:
        """The device's processor."""
        settings = {"threads": self.threads, "cores": self._cores, "provider": self._provider}
        return target_of(self.host, settings, precision, batch)

    def coarse(self, plan: Plan) -> Plan:
        """A plan for runs that are ten runs each."""
        fewer = {name: -(-getattr(plan, name) // _RUNS) for name in ("min_runs", "max_runs")}
        return replace(plan, min_runs=max(fewer["min_runs"], 3), max_runs=fewer["max_runs"] + 3)

    def load(self, model: bytes, *, warm: bool = False) -> Job:
        """Copy a model there; the job starts a process that runs it ten times after a first run.

        ``warm`` changes nothing: the process has run the model just before.

        Raises:
            MeasurementError: the model cannot be copied; by the job, it does not say ten times.
        """
        self._count += 1
        there = f"{FOLDER}/models/m{self._count:05}.onnx"
        with tempfile.TemporaryDirectory() as folder:
            here = Path(folder, "model.onnx")
            here.write_bytes(model)
            _call((*self._adb, "push", str(here), there), self._device, "adb push")
        command = (
            f"cd {FOLDER} && LD_LIBRARY_PATH={FOLDER} {self._pinned}./onnxruntime_perf_test "
            f"-I -v -m times -r {_RUNS} -x {self.threads} -y 1 -o 99 -e {self._provider} "
            f"{there} models/times.txt"
        )

        def job() -> float:
            found = _ITERATION.findall(_ask(self._adb, command, self._device))
            if len(found) != _RUNS:
                raise MeasurementError(
                    f"onnxruntime_perf_test on {self._device} printed {len(found)} times instead "
                    f"of {_RUNS}: is it of a release that knows -v and -I?"
                )
            try:
                return read_ms(1000 * statistics.median(float(seconds) for seconds in found))
            except ValueError as problem:
                raise MeasurementError(
                    f"onnxruntime_perf_test on {self._device} printed a time that is none "
                    f"({clean(problem)})"
                ) from None

        return job

    def _mask(self) -> int:
        """Bits of the cores to run on; 0 for all."""
        if self._cores == "any":
            return 0
        if self._cores in ("big", "little"):
            found = _CLOCK.findall(_ask(self._adb, _CLOCKS, self._device))
            clocks = {int(core): int(clock) for core, clock in found}
            if not clocks:
                raise OptionError(f"{self._device} hides its cores' clocks: give their numbers")
            wanted = (max if self._cores == "big" else min)(clocks.values())
            return sum(1 << core for core, clock in clocks.items() if clock == wanted)
        if not re.fullmatch(r"\d{1,3}(-\d{1,3})?(,\d{1,3}(-\d{1,3})?){0,63}", self._cores):
            raise OptionError(
                f"cores are any, big, little or numbers such as 0,2-3, got {self._cores!r}"
            )
        mask = 0
        for part in self._cores.split(","):
            low, _, high = part.partition("-")
            for core in range(int(low), int(high or low) + 1):
                mask |= 1 << core
        return mask
