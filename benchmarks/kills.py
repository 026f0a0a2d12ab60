"""Commands killed at random moments, and what the same command makes of it.

python benchmarks/kills.py [--kills N] [--only NAME ...] [--ssh ADDRESS] [--seed S]

Each command runs undisturbed once, a few seconds. Then it is killed (SIGKILL) at a random moment of
that time and started again, until it was killed N times; at most three times in a row. In the end
its results must equal those of the undisturbed run to the last bit, and nothing that was complete
may be measured again: every round, evaluated architecture and trained network that was on the disk
at a kill is still there, once.

Measurements are fixed, so that results can be equal: a device of this script says what a run took
by its model alone, and so does the far Python's clock. Profiles of another machine go through
a stand-in for ``ssh`` that is a shell of this machine; ``--ssh ssh://localhost`` takes the real
one. A profile that was killed behind its end, its table saved and its journals removed, is
finished.
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: A device whose runs take what their model's size says, and a moment of real time.
DEVICE = """
import hashlib, time
from hwnas.latency_tables import Target
from hwnas.profilers import kernels

kernels._POOL = 18  # random networks that kernels are drawn from: fewer are drawn sooner
kernels._LOOSE = 2

class Fixed:
    precisions = ("fp32", "int8")

    def __init__(self, threads=1):
        self.threads = threads

    def target(self, precision, batch):
        return Target("cpu", "fixed", "0", "fixed", "1", precision, batch, self.threads)

    def load(self, model, *, warm=False):
        ms = 5.0 + int(hashlib.sha256(model).hexdigest()[:6], 16) / 1e11 + len(model) / 1e6

        def job():
            time.sleep(1e-4)
            return ms

        return job
"""
#: The far Python: by its clock a run takes what the model's size says, and a round takes a moment.
FAR = """
import os, select, time
import onnxruntime

now = [0]

class Session(onnxruntime.InferenceSession):
    def __init__(self, model, *given, **named):
        super().__init__(model, *given, **named)
        self.size = os.path.getsize(model)

    def run_with_iobinding(self, *given):
        now[0] += 100_000 + 100 * self.size

onnxruntime.InferenceSession = Session
time.perf_counter_ns = lambda: now[0]
real = select.select
select.select = lambda *given: (time.sleep(0.03), real(*given))[1]
"""
SSH = '#!/bin/sh\nfor last; do :; done\nexec sh -c "$last"\n'
SMALL = ("--space", "nasbench201", "--input-size", "8")
TRAIN = ("--steps", "24", "--train-batch", "16")


@dataclass(frozen=True)
class Case:
    """A command that is killed.

    Attributes:
        words: of the command, ``{out}`` being where its results go.
        complete: what is complete in such a place, counted.
        result: what must be equal in the end.
    """

    words: tuple[str, ...]
    complete: Callable[[Path], Counter[str]]
    result: Callable[[Path], Any]


def rounds(out: Path) -> Counter[str]:
    """The rounds in the journals of an unfinished profile; each may be as any other."""
    found: Counter[str] = Counter()
    for journal in out.parent.glob(f"{out.name}*.partial"):
        lines = journal.read_text().split("\n")[1:-1]
        found[journal.name] = sum(line.startswith('{"runs"') for line in lines)
    return found


def events(out: Path) -> Counter[str]:
    """What a run has evaluated or trained to its end, by its log."""
    found: Counter[str] = Counter()
    for log in out.rglob("log.jsonl"):
        for line in log.read_text().split("\n")[:-1]:
            record = json.loads(line)
            if record["event"] in ("evaluated", "measured", "trained alone"):
                where = log.parent.relative_to(out)
                found[f"{where} {json.dumps(_without_times(record), sort_keys=True)}"] += 1
    return found


def table(out: Path) -> Any:
    """All of a table but when it was made."""
    record = json.loads(out.read_text())
    del record["provenance"]
    return record


def files(*names: str) -> Callable[[Path], Any]:
    """The contents of files of a run, without times in those that are JSON."""

    def read(out: Path) -> Any:
        return {
            name: _without_times(json.loads((out / name).read_text()))
            if name.endswith(".json")
            else (out / name).read_bytes()
            for name in names
        }

    return read


def _without_times(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_times(v) for k, v in value.items() if "seconds" not in k}
    return [_without_times(v) for v in value] if isinstance(value, list) else value


def cases(folder: Path, address: str, python: str) -> dict[str, Case]:
    """The commands, some on a run that lies in the folder."""
    runtime = ("--runtime", f"{folder / 'device.py'}:Fixed")
    search = ("search", *SMALL, *TRAIN, *runtime, "--macs", "2M", "--out", "{out}")
    small = ("--population", "8", "--generations", "4", "--parents", "4")
    alpha = ("--method", "betanas", "--alpha-batch", "16")
    found = files("result.json", "best.onnx")
    profile = ("profile", *SMALL, "--seconds", "0", "--out", "{out}")
    return {
        "profile": Case((*profile, *runtime, "--kernels", "20"), rounds, table),
        "profile ssh": Case((*profile, "--device", address, "--python", python), rounds, table),
        "search spos": Case((*search, *small), events, found),
        "search betanas": Case((*search, *alpha), events, found),
        "train": Case(
            ("train", str(folder / "run"), *TRAIN, "--out", "{out}"),
            events,
            files("train.json", "network.onnx"),
        ),
        "rank": Case(
            ("rank", str(folder / "run"), "--count", "4", *TRAIN, "--out", "{out}"),
            events,
            files("rank.json"),
        ),
    }


class Home:
    """A folder with the stand-ins, and commands that run in it."""

    def __init__(self, folder: Path, real_ssh: bool):
        self.folder = folder
        (folder / "device.py").write_text(DEVICE)
        (folder / "far").mkdir()
        (folder / "far" / "sitecustomize.py").write_text(FAR)
        self.python = folder / "far-python"
        self.python.write_text(f'#!/bin/sh\nPYTHONPATH={folder}/far exec {sys.executable} "$@"\n')
        self.python.chmod(0o755)
        (folder / "bin").mkdir()
        if not real_ssh:
            (folder / "bin" / "ssh").write_text(SSH)
            (folder / "bin" / "ssh").chmod(0o755)

    def start(self, words: tuple[str, ...], out: Path) -> "subprocess.Popen[str]":
        """Start a command; every place has tables of its own."""
        environment = {
            **os.environ,
            "HWNAS_HOME": f"{out}.home",
            "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}",
            "OMP_NUM_THREADS": "1",
        }
        command = [sys.executable, "-m", "hwnas", *(w.replace("{out}", str(out)) for w in words)]
        pipe = subprocess.PIPE
        return subprocess.Popen(
            command, env=environment, stdout=subprocess.DEVNULL, stderr=pipe, text=True
        )

    def finish(self, words: tuple[str, ...], out: Path) -> str:
        """Run a command to its end; what it says."""
        return self.start(words, out).communicate()[1]

    def kill(self, words: tuple[str, ...], out: Path, seconds: float) -> bool:
        """Start a command and kill it after so long; whether it had not ended by then."""
        process = self.start(words, out)
        try:
            process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.communicate()
            return True
        return False


def kill_case(home: Home, name: str, case: Case, kills: int, rng: random.Random) -> str:
    """Kill a command so often; a line of the table."""
    whole = home.folder / f"{name} whole" / "out"
    whole.parent.mkdir()
    started = time.monotonic()
    said = home.finish(case.words, whole)
    assert whole.exists(), said
    seconds = time.monotonic() - started
    wanted, once = case.result(whole), case.complete(whole)
    killed = runs = equal = again = kept = 0
    while killed < kills:
        out = home.folder / f"{name} {runs}" / "out"
        out.parent.mkdir()
        runs += 1
        for _ in range(rng.randint(1, 3)):
            before = case.complete(out)
            if not home.kill(case.words, out, rng.uniform(0, seconds)):
                break
            killed += 1
            now = case.complete(out)
            kept += bool(now)
            if case.complete is rounds and out.exists() and not now:
                break  # saved, and its journals removed: nothing is left to do
            again += bool(before - now)
        else:
            said = home.finish(case.words, out)
        after = case.complete(out)
        again += any(count > once[key] for key, count in after.items() if once)
        try:
            is_equal = case.result(out) == wanted
        except OSError:
            is_equal = False
        equal += is_equal
        if is_equal:
            shutil.rmtree(out.parent)
        else:
            print(f"{name}: run {runs} ends otherwise: {said[-300:]}", flush=True)
    return f"{name:15s} {seconds:8.1f} {killed:6d} {kept:10d} {equal:6d} of {runs:<4d} {again:12d}"


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--kills", type=int, default=10)
    words.add_argument("--only", nargs="*", default=[])
    words.add_argument("--ssh", default="")
    words.add_argument("--seed", type=int, default=0)
    given = words.parse_args()
    with tempfile.TemporaryDirectory() as name:
        home = Home(Path(name), bool(given.ssh))
        every = cases(home.folder, given.ssh or "ssh://near", str(home.python))
        chosen = {key: case for key, case in every.items() if key in (given.only or every)}
        if {"train", "rank"} & chosen.keys():
            home.finish(every["search spos"].words, home.folder / "run")
        print("command          seconds  kills  with work  equal runs   work lost or done twice")
        for key, case in chosen.items():
            rng = random.Random(f"{given.seed} {key}")
            print(kill_case(home, key, case, given.kills, rng), flush=True)


if __name__ == "__main__":
    main()
