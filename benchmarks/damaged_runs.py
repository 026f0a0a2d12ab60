"""Every file of finished runs damaged in every place, and read by every command that reads it.

The tries are generated: each field of each JSON file and of each kind of event, each with every
wrong value of `hwnas.testing.damage`; metadata and tensors of checkpoints; the bytes of every file;
folders, pipes, devices and links in place of files. A command may go on, fail or refuse (exit
status 0, 1 or 2) within two seconds of the processor, and 15 of the clock. Counted as faults:
tracebacks, slower answers, 2 GiB of memory, control characters, and refusals that do not end in
one line.

python benchmarks/damaged_runs.py [--share 0.1] [--seed 0]
"""

import argparse
import io
import json
import os
import random
import resource
import shutil
import signal
import tempfile
import time
import traceback
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import onnx
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from hwnas import spaces
from hwnas.cli import group
from hwnas.cli.errors import guarded
from hwnas.predictors import load_predictor
from hwnas.profilers import Plan, profile_space
from hwnas.spaces import SearchSpace, SpaceEntry
from hwnas.testing import SyntheticRuntime
from hwnas.testing.damage import damaged

SLOW_S, HANGS_S, MAKING_S = 2.0, 15, 600
MOST_MIB = 2048
SPACE = "tiny"
#: Of a space this small.
QUICK = ("--population", "4", "--generations", "2", "--parents", "2")
SEARCH = ("--steps", "4", "--train-batch", "8", "--proxy-input-size", "8")
BETANAS = ("--method", "betanas", "--alpha-batch", "8", "--alpha-every", "1", "--warm-up", "0.1")
TRAIN = ("--steps", "2", "--train-batch", "8")
RANK = ("--count", "3", "--steps", "2", "--train-batch", "8")
#: Few images, few random paths, no pauses: what is tried is the reading.
PATCHES: dict[str, Any] = {
    "hwnas.search.searchers.proposals.RANDOM_PATHS": 4,
    "hwnas.search.candidates.evaluation._CALIBRATION_IMAGES": 16,
    "hwnas.search.candidates.evaluation._VALIDATION_IMAGES": 32,
    "hwnas.search.candidates.verification._PAUSES_S": (),
    "hwnas.search.retraining.export_check._IMAGES": 16,
}


def tiny_space(input_size: int = 8, classes: int = 10, width: int = 8) -> SearchSpace:
    """Four decisions."""
    layout = spaces.space(
        "proxyless",
        input_size=input_size,
        classes=classes,
        stage_widths=(width, width),
        stage_depths=(1, 3),
        stage_strides=(1, 2),
        first_width=8,
        stem_width=8,
        head_width=16,
    ).layout
    arguments = {"input_size": input_size, "classes": classes, "width": width}
    return SearchSpace(SPACE, arguments, layout)


def _proxy(deployed: SearchSpace, input_size: int, classes: int, width: float) -> SearchSpace:
    return tiny_space(input_size, classes)


@dataclass(frozen=True)
class Answer:
    """What a command said.

    Attributes:
        status: of its exit; None where it raised.
        text: of stderr, or the traceback.
        seconds: of the processor that it took; the machine may be busy.
        clean: whether nothing that it printed would steer a terminal.
        grew_mib: by how much the most memory so far grew.
    """

    status: int | None
    text: str
    seconds: float
    clean: bool
    grew_mib: float

    @property
    def fault(self) -> str | None:
        """What is wrong with it, if anything."""
        if self.status not in (0, 1, 2):
            return "traceback"
        if self.seconds > SLOW_S:
            return "slow"
        if not self.clean:
            return "control characters"
        if self.grew_mib > MOST_MIB:
            return "memory"
        lines = [line for line in self.text.splitlines() if line.startswith("error: ")]
        if self.status == 2 and (len(lines) != 1 or not self.text.rstrip().endswith(lines[0])):
            return "no one line"
        return None


def run(words: Sequence[str], most_s: int = HANGS_S) -> Answer:
    """Run a command in this process, for so many seconds of the clock."""
    said, out, begun, before = io.StringIO(), io.StringIO(), time.process_time(), most_mib()

    def stop(*_: object) -> None:
        raise TimeoutError(f"more than {most_s} s")

    signal.signal(signal.SIGALRM, stop)
    signal.alarm(most_s)
    try:
        with redirect_stderr(said), redirect_stdout(out):
            guarded(lambda standalone_mode: group(list(words), standalone_mode=standalone_mode))
    except SystemExit as left:
        status = left.code if isinstance(left.code, int) else 0
    except BaseException:
        status = None
        said.write(traceback.format_exc())
    finally:
        signal.alarm(0)
    text = said.getvalue()
    clean = all(c.isprintable() or c in "\n\r\t" for c in text + out.getvalue())
    return Answer(status, text, time.process_time() - begun, clean, most_mib() - before)


def most_mib() -> float:
    """The most memory that this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


class Scene:
    """Finished runs below a folder, and the commands that read them.

    ``run`` is a search of single paths with two finalists, trained and ranked; ``again`` a search
    of its supernet; ``beta`` one of BetaNAS. Use it as a context.
    """

    def __init__(self) -> None:
        self._stack = ExitStack()
        self.base = Path()
        self._limit = ""

    def __enter__(self) -> "Scene":
        self.base = Path(self._stack.enter_context(tempfile.TemporaryDirectory())) / "base"
        known = {**spaces.SPACES._registered, SPACE: SpaceEntry(SPACE, tiny_space, _proxy)}
        self._stack.enter_context(patch.object(spaces.SPACES, "_registered", known))
        for name, value in PATCHES.items():
            self._stack.enter_context(patch(name, value))
        self._make()
        return self

    def __exit__(self, *problem: object) -> None:
        self._stack.close()

    def _make(self) -> None:
        space = tiny_space()
        table = profile_space(space, SyntheticRuntime(), plan=Plan(1.0, min_runs=5, max_runs=5))
        self.base.mkdir()
        table.save(self.base / "table.json")
        ms = sorted(load_predictor(table, space).predict(space.sample(200, seed=0)).tolist())
        self._limit = f"{ms[100]:.6f}ms"
        for name in ("search", "again", "train", "rank", "betanas"):
            answer = run(self.commands(self.base)[name], MAKING_S)
            assert answer.status == 0, answer.text

    def commands(self, base: Path) -> dict[str, list[str]]:
        """Name -> words, on the runs below a folder."""
        source, target = str(base / "run"), ("--latency", self._limit, "--seed", "1")
        table = ("--table", str(base / "table.json"))
        search = ("search", "--space", SPACE, *target, *table, *SEARCH)
        again = ("search", "--supernet", source, *target, *QUICK)
        finalists = ("--finalists", "2", "--finalist-steps", "2")
        words = {
            "search": (*search, *QUICK, *finalists, "--out", source),
            "again": (*again, "--out", str(base / "again")),
            "new": (*again, "--out", str(base / "new")),
            "betanas": (*search, *BETANAS, "--out", str(base / "beta")),
            "train": ("train", source, *TRAIN),
            "rank": ("rank", source, *RANK),
            "verify": ("verify", source, "--seconds", "0"),
        }
        return {name: list(chosen) for name, chosen in words.items()}

    def tried(self, attempt: "Try") -> Answer:
        """Damage a copy of all runs, and run a command on it."""
        with tempfile.TemporaryDirectory() as folder:
            copied = Path(folder) / "base"
            shutil.copytree(self.base, copied)
            for name in attempt.without:
                (copied / name).unlink()
            attempt.damage(copied / attempt.file)
            return run(self.commands(copied)[attempt.command])


@dataclass(frozen=True)
class Try:
    """One damage and one command.

    Attributes:
        file: that is damaged, below the base.
        what: was done to it.
        damage: does it.
        command: that reads it.
        without: files that are removed first, so that the command does not end before it reads.
    """

    file: str
    what: str
    damage: Callable[[Path], object]
    command: str
    without: tuple[str, ...] = ()


def readers(scene: Scene) -> dict[str, list[tuple[str, tuple[str, ...]]]]:
    """File -> the commands that read it, each with what must be removed so that it does."""
    (trained,) = (f"run/{path.name}" for path in (scene.base / "run").glob("train-*"))
    (budget,) = (f"again/{path.name}" for path in (scene.base / "again").glob("latency*"))
    unfinished = ("run/result.json",)
    search = ("search", unfinished)
    train = ("train", (f"{trained}/train.json",))
    ranked = ("rank", ("run/rank/rank.json", "run/rank/log.jsonl"))
    again = ("again", ("again/result.json",))
    beta = ("betanas", ("beta/result.json",))
    finished = [(name, ()) for name in ("search", "new", "train", "rank", "verify")]
    return {
        "run/config.json": finished[:-1],
        "run/result.json": [("search", ()), ("train", ()), ("verify", ())],
        "run/log.jsonl": [("search", ()), search, ("new", ())],
        "run/best.onnx": [("verify", ())],
        "run/supernet.safetensors": [search, ("new", ()), ("rank", ()), train],
        "run/finalists/0/config.json": [search],
        "run/finalists/0/log.jsonl": [search],
        "run/finalists/0/accuracy.json": [search],
        f"{trained}/config.json": [("train", ())],
        f"{trained}/log.jsonl": [("train", ())],
        f"{trained}/train.json": [("train", ())],
        f"{trained}/network.safetensors": [train],
        "run/rank/config.json": [("rank", ())],
        "run/rank/log.jsonl": [("rank", ("run/rank/rank.json",))],
        "run/rank/rank.json": [("rank", ())],
        "run/rank/networks/0/config.json": [ranked],
        "run/rank/networks/0/log.jsonl": [ranked],
        "run/rank/networks/0/network.safetensors": [ranked],
        "again/config.json": [("again", ())],
        "again/result.json": [("again", ())],
        "again/log.jsonl": [again],
        f"{budget}/config.json": [again],
        f"{budget}/log.jsonl": [again],
        "beta/config.json": [beta],
        "beta/log.jsonl": [beta],
        "beta/result.json": [("betanas", ())],
        "beta/supernet.safetensors": [beta],
    }


def tries(scene: Scene) -> Iterator[Try]:
    """All of them."""
    for file, known in readers(scene).items():
        for what, damage in damages(scene.base / file):
            for command, without in known:
                if file not in without:
                    yield Try(file, what, damage, command, without)
    # a run of an earlier version, which kept no digest
    for what, damage in _of_bytes(scene.base / "run/best.onnx"):

        def old(path: Path, damage: Callable[[Path], object] = damage) -> None:
            result = path.with_name("result.json")
            content = json.loads(result.read_text())
            content.pop("digest", None)
            result.write_text(json.dumps(content))
            damage(path)

        yield Try("run/best.onnx", f"no digest, {what}", old, "verify")


def damages(path: Path) -> Iterator[tuple[str, Callable[[Path], object]]]:
    """What is done to a file, and what does it."""
    if path.suffix == ".json":
        for what, text in damaged(json.loads(path.read_text())):
            yield what, _writes(text.encode())
    elif path.suffix == ".jsonl":
        yield from _of_events(path)
    elif path.suffix == ".safetensors":
        yield from _of_metadata(path)
    yield from _of_bytes(path)
    yield from _in_place_of(path)


def _writes(content: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(content)


def _of_events(path: Path) -> Iterator[tuple[str, Callable[[Path], object]]]:
    """The last event of each kind damaged."""
    lines = path.read_text().splitlines()
    last = {json.loads(line)["event"]: at for at, line in enumerate(lines)}
    for kind, at in last.items():
        for what, text in damaged(json.loads(lines[at])):
            changed = "\n".join([*lines[:at], text, *lines[at + 1 :]]) + "\n"
            yield f"{kind}: {what}", _writes(changed.encode())


def _of_metadata(path: Path) -> Iterator[tuple[str, Callable[[Path], object]]]:
    """What a checkpoint says of itself, and its tensors, of another shape, type or value."""
    with safe_open(path, framework="pt") as file:
        about = json.loads(file.metadata()["hwnas"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118

    def saves(changed: dict[str, torch.Tensor], text: str) -> Callable[[Path], object]:
        return lambda path: save_file(changed, path, {"hwnas": text})

    for what, text in damaged(about):
        yield f"metadata: {what}", saves(tensors, text)
    whole = json.dumps(about)
    kinds = {name.split(" ")[0] + name.split(" ")[-1].split(".")[-1]: name for name in tensors}
    for name in kinds.values():
        tensor = tensors[name]
        for what, other in (
            ("of no dimension", torch.tensor(1.0)),
            ("empty", tensor.new_zeros(0)),
            ("of another shape", tensor.new_zeros((3, *tensor.shape))),
            ("as numbers", tensor.to(torch.int16)),
            ("as truths", tensor.bool()),
            ("of nan", torch.full_like(tensor.float(), torch.nan)),
            ("of inf", torch.full_like(tensor.float(), torch.inf)),
            ("of -1", -torch.ones_like(tensor.float())),
            ("of 0", torch.zeros_like(tensor)),
        ):
            yield f"{name} {what}", saves({**tensors, name: other}, whole)
        rest = {key: value for key, value in tensors.items() if key != name}
        yield f"{name} removed", saves(rest, whole)
        yield f"{name} twice", saves({**tensors, f"{name}x": tensor.clone()}, whole)


def _of_bytes(path: Path) -> Iterator[tuple[str, Callable[[Path], object]]]:
    """Bytes that are cut, flipped, or others altogether."""
    content, rng = path.read_bytes(), random.Random(0)
    yield "removed", lambda path: path.unlink()
    yield "as it is", lambda path: None
    for name, other in (
        ("empty", b""),
        ("half", content[: len(content) // 2]),
        ("all but a byte", content[:-1]),
        ("twice", content * 2),
        ("zeros", bytes(len(content))),
        ("no utf-8", b"\xff\xfe\x80" * 20),
        ("a list", b"[]\n"),
        ("null", b"null\n"),
        ("deep", b"[" * 10**6),
        ("an object without end", b'{"a":' * 10**6),
        ("a long number", b"1" * 10**6),
        ("another model", _other_model()),
        ("random", rng.randbytes(len(content))),
    ):
        yield name, _writes(other)
    for at in sorted(rng.sample(range(len(content)), min(12, len(content)))):
        flipped = bytearray(content)
        flipped[at] ^= 1 << rng.randrange(8)
        yield f"byte {at} flipped", _writes(bytes(flipped))


def _in_place_of(path: Path) -> Iterator[tuple[str, Callable[[Path], object]]]:
    """Folders, pipes and links where the file was."""

    def instead(make: Callable[[Path], object]) -> Callable[[Path], object]:
        def damage(path: Path) -> None:
            path.unlink()
            make(path)

        return damage

    yield "a folder", instead(lambda path: path.mkdir())
    yield "a pipe", instead(os.mkfifo)
    yield "a link to zeros", instead(lambda path: path.symlink_to("/dev/zero"))
    yield "a link to itself", instead(lambda path: path.symlink_to(path.name))
    yield "a link to nothing", instead(lambda path: path.symlink_to("nothing/at/all"))
    yield "a link to a secret", instead(lambda path: path.symlink_to("/etc/passwd"))


def _other_model() -> bytes:
    value = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1, 3, 8, 8])
    result = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1, 3, 8, 8])
    node = onnx.helper.make_node("Relu", ["x"], ["y"])
    graph = onnx.helper.make_graph([node], "other", [value], [result])
    return onnx.helper.make_model(graph, ir_version=8).SerializeToString()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--share", type=float, default=1.0, help="of all tries, drawn at random")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--file", default="", help="only files whose path has this part")
    given = parser.parse_args()
    torch.set_num_threads(1)
    # what fills the memory ends with an error, not with the machine
    resource.setrlimit(resource.RLIMIT_DATA, (2 * MOST_MIB * 2**20,) * 2)
    rng = random.Random(given.seed)
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    slowest: dict[str, float] = defaultdict(float)
    with Scene() as scene:
        chosen = [t for t in tries(scene) if given.file in t.file and rng.random() < given.share]
        for attempt in chosen:
            answer = scene.tried(attempt)
            row = counts[attempt.file]
            row["tries"] += 1
            row[f"status {answer.status}"] += 1
            slowest[attempt.file] = max(slowest[attempt.file], answer.seconds)
            if answer.fault:
                row["faults"] += 1
                said = answer.text.strip().splitlines()[-1:]
                print(f"{answer.fault}: {attempt.file}: {attempt.what}: {attempt.command}: {said}")
    names = ("tries", "status 0", "status 1", "status 2", "faults")
    print(f"{'file':46}", *(f"{name:>9}" for name in names), f"{'slowest s':>9}")
    total: Counter[str] = sum(counts.values(), Counter())
    for file, row in [*counts.items(), ("all", total)]:
        print(f"{file:46}", *(f"{row[name]:9}" for name in names), end="")
        print(f" {slowest[file] if file != 'all' else max(slowest.values()):9.2f}")


if __name__ == "__main__":
    main()
