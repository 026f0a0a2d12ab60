"""What runs on another machine: Python 3.9, numpy and onnxruntime are all it needs.

`hwnas.profilers.remote.bundle` writes one file from this one and the modules it builds on. Started
by hand (``python agent.py``) beside ``plan.json`` and its models it writes ``results.json``;
started by hwnas through a transport it takes all that from stdin and answers one JSON object a line
on stdout.
"""

import argparse
import json
import os
import platform
import re
import select
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort

from hwnas.errors import MeasurementError, OptionError
from hwnas.profilers.host import cpu_cores, cpu_name, machine_digest
from hwnas.profilers.onnxruntime_sessions import load_session
from hwnas.profilers.protocol import Plan, Round, Samples, run_rounds
from hwnas.profilers.remote.device_state import Cooling, choose_cores, core_groups, pin, read_state

__all__ = ["facts", "measure", "write_weights"]

_SILENT_SECONDS = 60.0  # the other end gives a sign every five


def facts() -> dict[str, Any]:
    """What this machine and its runtime call themselves."""
    return {
        "device": cpu_name(),
        "device_id": machine_digest(),
        "cores": cpu_cores(),
        "core_groups": core_groups(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
        "numpy": np.__version__,
        "onnxruntime": ort.__version__,
        "providers": ort.get_available_providers(),
    }


def write_weights(path: Path, segments: list[list[Any]]) -> None:
    """Random weights that all models share: [dtype, count, scale] each, aligned to 64 bytes."""
    sizes = [-(-count * np.dtype(dtype).itemsize // 64) * 64 for dtype, count, _ in segments]
    if path.exists() and path.stat().st_size == sum(sizes):
        return
    rng = np.random.default_rng(0)
    with path.open("wb") as file:
        for (dtype, count, scale), size in zip(segments, sizes):  # noqa: B905 - Python 3.9
            if dtype == "int8":
                values = rng.integers(-127, 128, count, np.int8)
            else:
                values = rng.standard_normal(count, np.float32) * np.float32(scale)
            file.write(values.tobytes().ljust(size, b"\0"))


def measure(
    plan: dict[str, Any],
    settings: dict[str, Any],
    folder: Path,
    samples: Samples,
    tell: Callable[[str, Any], None],
    check: Callable[[], None],
) -> dict[str, Any]:
    """Measure the models of a plan; returns the state of the device meanwhile.

    Args:
        plan: of ``plan.json``; job ``i`` is the model of number ``i + 1``, number 0 the reference.
        settings: threads, cores and provider.
        folder: holds the models.
        samples: earlier rounds.
        tell: is told ``loading`` with a share, and ``round`` with a `Round` of job numbers.
        check: called between runs; may raise to end it.

    Raises:
        OptionError: more threads than cores, or a provider that this onnxruntime lacks.
    """
    threads, provider = int(settings["threads"]), str(settings["provider"])
    cores = choose_cores(str(settings["cores"]))
    if not 1 <= threads <= len(cores):
        raise OptionError(f"threads are 1 to {len(cores)} (cores chosen there), got {threads}")
    if provider == "xnnpack" and "XnnpackExecutionProvider" not in ort.get_available_providers():
        raise OptionError(f"this onnxruntime {ort.__version__} was built without XNNPACK")
    write_weights(folder / "weights.bin", plan["weights"])
    pin(cores)
    loaded = []
    for number in range(len(plan["names"]) + 1):
        check()
        loaded.append(load_session(str(folder / f"m{number:05}.onnx"), threads, provider))
        tell("loading", (number + 1) / (len(plan["names"]) + 1))
    jobs = {str(at): job for at, job in enumerate(loaded[1:])}
    stop, cooling, throttled = Plan(**plan["plan"]), Cooling(lambda: read_state(cores)), 0
    for taken in run_rounds(jobs, loaded[0], samples, stop, seed=int(plan["seed"])):
        tell("round", taken)
        check()
        throttled += cooling.after(taken, samples.steady_reference_ms)
    return {
        "cores": cores,
        "first": cooling.first,
        "last": cooling.last,
        "throttled_rounds": throttled,
        "paused_seconds": cooling.paused_seconds,
    }


def _line(kind: str, value: Any) -> str:
    if kind == "round":
        runs = [[int(key), ms] for key, ms in value.runs_ms.items()]
        value = {"runs": runs, "reference": value.reference_ms}
    return json.dumps({kind: value})


def _serve() -> int:
    """Talk over stdin and stdout, ended by the other end's silence."""
    source = sys.stdin.buffer
    heard = time.monotonic()

    def say(kind: str, value: Any) -> None:
        print(_line(kind, value), flush=True)

    def check() -> None:
        nonlocal heard
        if select.select([0], [], [], 0)[0]:
            if not os.read(0, 4096):
                raise BrokenPipeError
            heard = time.monotonic()
        if time.monotonic() - heard > _SILENT_SECONDS:
            raise BrokenPipeError

    try:
        say("hello", facts())
        request = json.loads(source.readline())
        if request is None:
            return 0
        for name, size in request["files"]:
            if not re.fullmatch(r"m\d{5}\.onnx", name):
                raise OptionError(f"{name!r} is no model's name")
            data = source.read(size)
            if len(data) < size:
                return 1
            Path(name).write_bytes(data)
        samples = Samples(**request["samples"])
        say("done", measure(request["plan"], request["settings"], Path(), samples, say, check))
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # nobody is there to flush to
        return 1
    except (OptionError, MeasurementError, OSError) as error:
        say("error", str(error))
        return 1
    return 0


def _by_hand() -> int:
    """Measure the plan beside this file; the results hold what hwnas would have been told."""
    words = argparse.ArgumentParser(description="Measure the models beside this file.")
    words.add_argument("--threads", type=int, default=1)
    words.add_argument("--cores", default="any", help="any, big, little, or numbers such as 0,2-3")
    words.add_argument("--provider", choices=["cpu", "xnnpack"], default="cpu")
    words.add_argument("--out", type=Path, default=Path("results.json"))
    given = words.parse_args()
    settings = {"threads": given.threads, "cores": given.cores, "provider": given.provider}
    folder = Path(__file__).resolve().parent
    plan = json.loads((folder / "plan.json").read_text())
    stop, samples = Plan(**plan["plan"]), Samples()
    partial = given.out.with_name(given.out.name + ".partial")
    first = json.dumps({"plan": plan, "settings": settings, "hello": facts()})
    lines = partial.read_text().split("\n") if partial.exists() else [""]
    told = [line for line in lines if line.endswith("}}")]  # others were cut short
    told = told if len(told) > 1 else []  # a first line alone holds nothing
    if told and told[0] != first:
        sys.exit(f"error: {partial} is of another plan, machine or flags: give --out, or delete it")
    for line in told[1:]:
        past = json.loads(line)["round"]
        samples.add(Round({str(at): ms for at, ms in past["runs"]}, tuple(past["reference"])))
    book = partial.open("a" if told else "w")
    book.write("\n" if told and lines[-1] else "")

    def keep(line: str) -> None:
        told.append(line)
        print(line, file=book, flush=True)

    if not told:
        keep(first)

    def tell(kind: str, value: Any) -> None:
        share = value if kind == "loading" else 0.0
        if kind == "round":
            keep(_line(kind, value))
            share = min(
                sum(min(len(q), stop.min_runs) for q in samples.quotients.values())
                / max(stop.min_runs * len(plan["names"]), 1),
                samples.total_ms / 1000 / (stop.min_seconds or 1e-9),
            )
        print(f"\r{kind} {share:4.0%}  ", end="", file=sys.stderr, flush=True)

    try:
        state = measure(plan, settings, folder, samples, tell, lambda: None)
    except KeyboardInterrupt:
        print("\ninterrupted; the same command goes on where it stopped", file=sys.stderr)
        return 130
    except (OptionError, MeasurementError, OSError) as error:
        sys.exit(f"\nerror: {error}")
    book.close()
    whole = given.out.with_name(given.out.name + ".new")
    whole.write_text("[" + ",\n".join([*told, _line("done", state)]) + "]\n")
    whole.replace(given.out)
    partial.unlink()
    print(f"\nwritten: {given.out}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(_serve() if sys.argv[0] == "-c" else _by_hand())
