"""Files and environments of strangers against the command line: nothing escapes, hangs or spills.

python benchmarks/hostile.py [COUNT [SEED]]

Generates inputs: every field of a table and of a predictor with wrong values and damaged bytes,
ONNX models that name other files or compute without end, packed images, what is no regular file
wherever a path is read, terminals, pipes and limits. Each command runs in a process of its own,
which is ended after 10 seconds. Of all that is generated COUNT tries are run, drawn by SEED; all by
default. Prints tries and failures, and exits with 1 if there was one: a traceback, a hang, more
than 2 GB, a control character that reaches the terminal, or another exit status than 0, 1 and 2.
"""

import gzip
import io
import itertools
import json
import os
import random
import resource
import shutil
import signal
import struct
import sys
import tempfile
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from hwnas import spaces
from hwnas.predictors import LatencyRegressor
from hwnas.profilers import Plan, profile_space
from hwnas.testing import SyntheticRuntime
from hwnas.visible import visible

SECONDS, BYTES = 10.0, 2 * 10**9
EVIL = "\x1b]0;owned\x07\x1b[2J\x9b5A\r\u202e\udcff"
WRONG: dict[str, Any] = {
    "null": None,
    "text": "wrong",
    "escapes": EVIL,
    "empty": "",
    "long": "x" * 10**6,
    "minus": -1,
    "zero": 0,
    "true": True,
    "nan": float("nan"),
    "inf": float("inf"),
    "tiny": 1e-300,
    "huge": 1e308,
    "large": 10**30,
    "many": 10**7,
    "list": [],
    "object": {},
    "nested": json.loads("[" * 60 + "]" * 60),
    "wide": [1] * 10**5,
}
REMOVED = object()


@dataclass(frozen=True)
class Try:
    """One command in one folder.

    Attributes:
        kind: what is wrong.
        name: which one.
        write: makes the files in the current folder, which is empty.
        words: of the command.
        environment: variables beside those of this process.
        prepare: called in the process before the command.
    """

    kind: str
    name: str
    write: Callable[[], None]
    words: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    prepare: Callable[[], None] = lambda: None


# What is generated


def paths_in(document: Any, here: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place of a document: its keys one behind the other."""
    if here:
        yield here
    parts: Any = ()
    if isinstance(document, dict):
        parts = document.items()
    elif isinstance(document, list):
        parts = enumerate(document[:2])
    for key, part in parts:
        yield from paths_in(part, (*here, key))


def changed(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    copy = json.loads(json.dumps(document))
    place = copy
    for key in path[:-1]:
        place = place[key]
    if value is REMOVED:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return copy


def damaged(content: bytes, count: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """Cut short, with bits turned, and with parts written twice."""
    rng = random.Random(seed)
    for at in range(count):
        cut = rng.randrange(len(content))
        yield f"cut {at}", content[:cut]
        flipped = bytearray(content)
        for _ in range(rng.choice((1, 3, 30))):
            flipped[rng.randrange(len(content))] = rng.randrange(256)
        yield f"flipped {at}", bytes(flipped)
        yield f"twice {at}", content[:cut] + content[max(0, cut - 99) :]


def file(name: str, make: Callable[[], bytes]) -> Callable[[], None]:
    """What writes a file, whose content is made when it is written: there are gigabytes of them."""
    return lambda: write_file(name, make())


def write_file(name: str, content: bytes) -> None:
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Path(name).write_bytes(content)


def tables() -> Iterator[Try]:
    space = spaces.space("nasbench201", input_size=8)
    plan = Plan(tolerance=1.0, min_runs=5, max_runs=5)
    whole = json.loads(profile_space(space, SyntheticRuntime(), plan=plan).to_json())
    text = next(iter(whole["networks"]))
    commands = itertools.cycle(
        (
            ("predict", "--table", "t.json", text),
            ("tables", "show", "t.json"),
            ("tables", "check", "t.json"),
            ("tables", "report", "t.json"),
            ("search", "--latency", "0.000001ms", "--table", "t.json"),
            ("tables", "list"),
            ("tables", "show", "t.json", "--json"),
        )
    )
    extra = {"unmeasured": {"x": "refused"}, "estimates": {"y": {"latency_ms": 1.0, "spread": 0.1}}}
    few = {**whole, **extra}
    for path in paths_in(few):
        first = next(iter(few[path[0]])) if path[0] in ("workloads", "networks") else None
        if len(path) > 1 and first not in (None, path[1]):
            continue
        for name, value in {**WRONG, "removed": REMOVED}.items():
            where = ".".join(map(str, path))
            make = partial(altered, few, path, value)
            yield Try("table", f"{where}={name}", table_files(make), next(commands))
    for section in [name for name, part in few.items() if isinstance(part, dict)]:
        for key in list(few[section])[:12]:
            make = partial(renamed, few, section, key)
            yield Try("table", f"key {section}.{key}", table_files(make), next(commands))
    for name, content in damaged(json.dumps(few).encode(), 60, 1):
        yield Try("table bytes", name, table_files(partial(bytes, content)), next(commands))
    printed = json.dumps(few)
    makes: dict[str, Callable[[], bytes]] = {
        "60 MB of lists": lambda: b"[" + b"[]," * 20_000_000 + b"1]",
        "deep": lambda: b"[" * 10**7,
        "deep arguments": lambda: printed.replace('"cells": 5', '"cells": ' + "[" * 10**6).encode(),
        "utf-16": lambda: printed.encode("utf-16"),
        "nothing": bytes,
        "zeros": lambda: bytes(10**6),
    }
    for name, make_bytes in makes.items():
        for _ in range(4):
            yield Try("table bytes", name, table_files(make_bytes), next(commands))


def altered(document: Any, path: tuple[Any, ...], value: Any) -> bytes:
    return json.dumps(changed(document, path, value)).encode()


def renamed(document: Any, section: str, key: str) -> bytes:
    copy = changed(document, (section, key), REMOVED)
    copy[section][EVIL] = document[section][key]
    return json.dumps(copy).encode()


def table_files(make: Callable[[], bytes]) -> Callable[[], None]:
    def write() -> None:
        content = make()
        write_file("t.json", content)
        write_file("home/tables/evil.json", content)

    return write


def predictors() -> Iterator[Try]:
    space = spaces.space("nasbench201", input_size=8)
    archs = space.sample(20, seed=0)
    fitted = LatencyRegressor(space).fit(archs, 1.0 + archs.sum(1))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "p.npz"
        fitted.save(path)
        packed = path.read_bytes()
        with np.load(path) as opened:
            arrays = {name: opened[name] for name in opened.files}
    described = json.loads(str(arrays["description"]))
    words = ("predict", "--table", "p.npz", space.format(archs[0]))
    for path_in in paths_in(described):
        for name, value in {**WRONG, "removed": REMOVED}.items():
            if name in ("long", "wide", "zero", "tiny", "large") and len(path_in) % 2:
                continue
            where = ".".join(map(str, path_in))[-40:]
            make = partial(described_so, arrays, described, path_in, value)
            yield Try("predictor", f"{where}={name}", file("p.npz", make), words)
    for name in arrays:
        for kind, array in (
            ("empty", np.zeros(0)),
            ("nan", np.full(arrays[name].shape, np.nan)),
            ("text", np.array(["x"] * 3)),
            ("void", np.zeros(3, "V8")),
            ("large", np.zeros(2**20)),
            ("deep", np.zeros((1,) * 30)),
        ):
            make = partial(npz, {**arrays, name: array})
            yield Try("predictor", f"{name} {kind}", file("p.npz", make), words)
    for name, content in damaged(packed, 60, 2):
        yield Try("predictor bytes", name, file("p.npz", partial(bytes, content)), words)
    bomb = file("p.npz", lambda: npz({"description": np.zeros(2**29, np.uint8)}))
    yield Try("predictor bytes", "bomb", bomb, words)


def described_so(arrays: Any, described: Any, path: tuple[Any, ...], value: Any) -> bytes:
    text = json.dumps(changed(described, path, value))
    return npz({**arrays, "description": np.array(text)})


def npz(arrays: Mapping[str, Any]) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def node(op: str, inputs: str, outputs: str, **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(op, inputs.split(), outputs.split(), **attributes)


def model(
    nodes: list[onnx.NodeProto], functions: Any = (), held: Any = (), shape: Any = (4,)
) -> bytes:
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("mine", 1)]
    infos = [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in (("x", shape),)]
    last = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, EVIL.replace("\udcff", ""), infos, [last], list(held))
    made = helper.make_model(graph, opset_imports=opsets, functions=functions, ir_version=8)
    return bytes(made.SerializeToString())


def models() -> Iterator[Try]:
    predict = ("predict", "--table", "amd-epyc-1thread", "m.onnx")
    verify = ("verify", ".", "--seconds", "0")
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("mine", 1)]
    truth = node("Constant", "", "c", value=helper.make_tensor("t", TensorProto.BOOL, [], [True]))

    def branch(nodes: list[onnx.NodeProto]) -> onnx.NodeProto:
        out = helper.make_tensor_value_info("w", TensorProto.FLOAT, [4])
        graph = helper.make_graph(nodes, "b", [], [out])
        return node("If", "c", "y", then_branch=graph, else_branch=graph)

    def function(name: str, nodes: list[onnx.NodeProto]) -> onnx.FunctionProto:
        return helper.make_function("mine", name, ["x"], ["y"], nodes, opsets)

    call = node("f", "x", "y", domain="mine")
    for location in ("/etc/hostname", "../secret", "link", "fifo", "", EVIL, "a/../../b", "m.onnx"):
        tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[4])
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value=location.replace("\udcff", ""))
        held = node("Constant", "", "w", value=tensor)
        for name, content in (
            ("initializer", model([node("Add", "x w", "y")], held=[tensor])),
            ("node", model([held, node("Add", "x w", "y")])),
            ("branch", model([truth, branch([held])])),
            ("function", model([call], [function("f", [held, node("Add", "x w", "y")])])),
            ("branch in function", model([call], [function("f", [truth, branch([held])])])),
        ):

            def write(content: bytes = content) -> None:
                write_file("m.onnx", content)
                os.mkfifo("fifo")
                Path("link").symlink_to("/etc/hostname")
                Path("best.onnx").write_bytes(content)
                result_file()

            for words in (predict, verify):
                yield Try("external data", f"{name} {location!r} {words[0]}", write, words)
    for name, content in bombs(function, call):
        yield Try("bomb", name, model_and_run(content), predict)
        yield Try("bomb", f"verify {name}", model_and_run(content), verify)
    space = spaces.space("nasbench201", input_size=8)
    whole = space.to_onnx([3, 1, 0, 2, 4, 3])
    for name, content in damaged(whole, 60, 3):
        yield Try("model bytes", name, model_and_run(content), predict)
        yield Try("model bytes", f"verify {name}", model_and_run(content), verify)


def model_and_run(content: bytes) -> Callable[[], None]:
    """Writes a model that stands alone, and as that of a run."""

    def write() -> None:
        write_file("m.onnx", content)
        write_file("best.onnx", content)
        result_file()

    return write


def bombs(function: Any, call: onnx.NodeProto) -> Iterator[tuple[str, bytes]]:
    for size in (10, 3000, 10**5, 10**9):
        shape = numpy_helper.from_array(np.array([size, size], np.int64), "s")
        nodes = [node("Constant", "", "s", value=shape), node("ConstantOfShape", "s", "m0")]
        for op, arity in (("MatMul", 2), ("Neg", 1), ("Softmax", 1)):
            chain = [node(op, " ".join([f"m{at}"] * arity), f"m{at + 1}") for at in range(200)]
            end = [node("ReduceSum", "m200", "r"), node("Add", "x r", "y")]
            yield f"{op} of {size}", model([*nodes, *chain, *end])
        random_end = [node("ReduceSum", "m0", "r"), node("Add", "x r", "y")]
        uniform = node("RandomUniform", "", "m0", shape=[size, size])
        yield f"random {size}", model([uniform, *random_end])
    for levels in (3, 20, 45):
        calls = [
            function(
                f"f{at}",
                [node(f"f{at - 1}", "x", "z", domain="mine"),
                 node(f"f{at - 1}", "z", "y", domain="mine")],
            )
            for at in range(1, levels)
        ]  # fmt: skip
        first = function("f0", [node("Relu", "x", "y")])
        top = node(f"f{levels - 1}", "x", "y", domain="mine")
        yield f"functions {levels}", model([top], [first, *calls])
    again = function("f", [call])
    yield "a function of itself", model([call], [again])
    for size in (2**31, 2**62):
        tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[size])
        yield f"dims {size}", model([node("Add", "x w", "y")], held=[tensor])
    yield "names", model([node("Relu", "x", EVIL[:-1]), node("Relu", EVIL[:-1], "y")])
    yield "an unknown operator", model([node(EVIL[:-1], "x", "y")])
    yield "input of a terabyte", model([node("Relu", "x", "y")], shape=(2**20, 2**20))


def result_file() -> None:
    space = spaces.space("nasbench201", input_size=8)
    result = {"space": space.name, "deployed": dict(space.arguments), "budget": ["latency<=1ms"]}
    result |= {"architecture": space.format([0] * 6), "predicted_ms": 1.0}
    write_file("result.json", json.dumps(result).encode())


def sparse(path: Path) -> None:
    """A file that says it is of 64 GB, and holds nothing."""
    path.touch()
    os.truncate(path, 2**36)


def irregular() -> Iterator[Try]:
    """No regular file wherever a path is read."""
    run = ("config.json", "result.json", "best.onnx", "table.json", "log.jsonl")
    data = tuple(f"d/{part}-images-idx3-ubyte" for part in ("train", "t10k"))
    places = {
        "t.json": ("predict", "--table", "t.json", "x"),
        "home/tables/t.json": ("tables", "list"),
        "home/tables/x.json": ("predict", "--table", "amd-epyc-1thread", "x"),
        "p.npz": ("predict", "--table", "p.npz", "x"),
        "m.onnx": ("predict", "--table", "amd-epyc-1thread", "m.onnx"),
        "r.json": ("profile", "collect", "r.json"),
        **{f"run/{name}": ("verify", "run", "--seconds", "0") for name in run},
        "run1/config.json": ("train", "run1"),
        "run2/config.json": ("rank", "run2"),
        "run3/config.json": ("search", "--supernet", "run3", "--latency", "9ms"),
        **dict.fromkeys(data, ("search", "--latency", "9ms", "--data", "fashion-mnist:d")),
        "d/data_batch_1.bin": ("search", "--latency", "9ms", "--data", "cifar10:d"),
        "d/cifar10_jpeg_train.npz": ("search", "--latency", "9ms", "--data", "cifar10:d"),
        "d/a/x.png": ("search", "--latency", "9ms", "--data", "imagefolder:d"),
    }
    makes: dict[str, Callable[[Path], object]] = {
        "fifo": os.mkfifo,
        "zero": lambda path: path.symlink_to("/dev/zero"),
        "random": lambda path: path.symlink_to("/dev/urandom"),
        "tty": lambda path: path.symlink_to("/dev/tty"),
        "stdin": lambda path: path.symlink_to("/dev/stdin"),
        "folder": lambda path: path.mkdir(),
        "itself": lambda path: path.symlink_to(path.name),
        "sparse": sparse,
        "maps": lambda path: path.symlink_to("/proc/self/maps"),
        "unreadable": lambda path: path.touch(0),
    }
    for name, words in places.items():
        for kind, make in makes.items():

            def write(name: str = name, make: Callable[[Path], object] = make) -> None:
                path = Path(name)
                path.parent.mkdir(parents=True, exist_ok=True)
                if name.startswith("run/"):
                    write_file("run/best.onnx", b"x")
                    os.chdir("run")
                    result_file()
                    os.chdir("..")
                if name.startswith("d/a"):
                    write_file("d/b/x.png", b"x")
                path.unlink(missing_ok=True)
                make(path)

            yield Try("no regular file", f"{name} {kind}", write, words)


def images() -> Iterator[Try]:
    count = 60
    head = struct.pack(">BBBBIII", 0, 0, 8, 3, count, 8, 8)
    pixels = head + np.random.default_rng(0).integers(0, 256, count * 64, np.uint8).tobytes()
    labels = struct.pack(">BBBBI", 0, 0, 8, 1, count) + bytes(range(10)) * (count // 10)
    mnist = ("search", "--latency", "0.000001ms", "--table", "t.json", "--data", "fashion-mnist:d")

    def idx(name: str, make: Callable[[], bytes]) -> Callable[[], None]:
        def write() -> None:
            for part in ("train", "t10k"):
                write_file(f"d/{part}-images-idx3-ubyte", pixels)
                write_file(f"d/{part}-labels-idx1-ubyte", labels)
            Path(f"d/{name.removesuffix('.gz')}").unlink()
            write_file(f"d/{name}", make())

        return write

    for plain in ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"):
        content = pixels if "images" in plain else labels
        for name, bad in damaged(content, 15, 4):
            yield Try("images", f"{plain} {name}", idx(plain, partial(bytes, bad)), mnist)
        for name, bad in damaged(gzip.compress(content), 15, 5):
            packed = idx(f"{plain}.gz", partial(bytes, bad))
            yield Try("images", f"{plain}.gz {name}", packed, mnist)
    bomb = idx("train-images-idx3-ubyte.gz", lambda: gzip.compress(bytes(2**30), 9))
    yield Try("images", "gzip bomb", bomb, mnist)
    folder = ("search", "--latency", "0.000001ms", "--data", "imagefolder:d")
    for width, height in ((9000, 9000), (2**20, 2**20), (2**31 - 1, 1), (0, 0), (8, 8)):
        picture = png(width, height)

        def write(picture: bytes = picture) -> None:
            for name in ("a", "b"):
                write_file(f"d/{name}/{EVIL[:4]}.png", picture)

        yield Try("images", f"png {width} x {height}", write, folder)


def png(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def environments() -> Iterator[Try]:
    commands = (
        ("tables", "list"),
        ("tables", "list", "--json"),
        ("tables", "show", "amd-epyc-1thread"),
        ("tables", "check", "amd-epyc-1thread"),
        ("search", "--help"),
        ("predict", "--table", "amd-epyc-1thread", EVIL[:-1]),
        ("tables", "show", EVIL[:-1]),
        ("search", "--latency", "9ms", "--data", f"imagefolder:{EVIL[:-1]}"),
        (EVIL[:-1],),
    )
    for words, columns in itertools.product(commands, ("1", "20", "80", "x", "-5", "10000")):
        for encoding in ("ascii", "latin-1", "utf-8", "utf-16"):
            yield Try(
                "terminal",
                f"{columns} {encoding} {words[:2]!r}",
                lambda: None,
                words,
                {"COLUMNS": columns, "PYTHONIOENCODING": encoding},
                lambda encoding=encoding: [  # type: ignore[misc]
                    s.reconfigure(encoding=encoding) for s in (sys.stdout, sys.stderr)
                ],
            )
    for words in commands:
        for name, prepare in (
            ("closed pipe", closed_pipe),
            ("full disk", full_disk),
            ("closed", lambda: os.close(1)),
            ("no files", lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))),
            ("few files", lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (5, 5))),
        ):
            yield Try("stream", f"{name} {words[:2]!r}", lambda: None, words, {}, prepare)
        for home in ("/dev/null", "/proc/1", EVIL[:-1], "x" * 5000):
            yield Try(
                "home", f"{home[:9]!r} {words[:2]!r}", lambda: None, words, {"HWNAS_HOME": home}
            )


def closed_pipe() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    os.dup2(writer, 1)


def full_disk() -> None:
    os.dup2(os.open("/dev/full", os.O_WRONLY), 1)


# How each is run


@dataclass(frozen=True)
class Outcome:
    """What a command did; ``problems`` is empty where it did as it should."""

    status: int
    seconds: float
    bytes: int
    problems: tuple[str, ...]
    said: str


def outcome_of(tried: Try, folder: Path) -> Outcome:
    """Run a try in a process that is a copy of this one."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    os.chdir(folder)
    tried.write()
    started = time.monotonic()
    child = os.fork()
    if child == 0:
        _command(tried, folder)
    status, usage, late = _waited(child, started)
    seconds = time.monotonic() - started
    out, said = (
        (folder.parent / name).read_bytes().decode(errors="surrogateescape")
        for name in ("out", "said")
    )
    if "utf-16" in tried.environment.get("PYTHONIOENCODING", ""):
        ends = "\udcff\udcfe"
        out, said = (text.replace("\0", "").replace(ends, "") for text in (out, said))
    size = usage.ru_maxrss * 1024
    shown = f"{out}{said}".replace("\udc9b", "\x9b")
    problems = {
        "traceback": "Traceback" in said or "Exception ignored" in said,
        "hang": late,
        "memory": size > BYTES,
        "escape": any(mark in shown for mark in EVIL[:-2] if not mark.isprintable()),
        f"status {status}": status not in (0, 1, 2) and not late,
        "many lines": sum(line.startswith("error:") for line in said.splitlines()) > 1,
    }
    if "--json" in tried.words and status == 0 and out and tried.kind != "terminal":
        try:
            json.loads(out, parse_constant=lambda name: 1 / 0)
        except (ValueError, ZeroDivisionError):
            problems["no JSON"] = True
    found = tuple(name for name, is_so in problems.items() if is_so)
    return Outcome(status, seconds, size, found, said)


def _command(tried: Try, folder: Path) -> None:
    """The command itself, in the copy; never returns."""
    status = 99
    try:
        os.setsid()
        for number, name in ((1, "out"), (2, "said")):
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
            os.dup2(os.open(folder.parent / name, flags), number)
        os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
        os.environ |= {"HWNAS_HOME": str(folder / "home"), **tried.environment}
        for stream in (sys.stdout, sys.stderr):
            stream.reconfigure(encoding="utf-8", errors="strict")  # type: ignore[union-attr]
        from hwnas.cli import main

        tried.prepare()
        sys.argv = ["hwnas", *tried.words]
        main()
    except SystemExit as left:
        status = left.code if isinstance(left.code, int) else int(left.code is not None)
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        except OSError:
            status = 98
        os._exit(status)


def _waited(child: int, started: float) -> tuple[int, resource.struct_rusage, bool]:
    late = False
    while True:
        ended, status, usage = os.wait4(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status), usage, late
        if time.monotonic() - started > SECONDS and not late:
            late = True
            os.killpg(child, signal.SIGKILL)
        time.sleep(0.002)


def all_tries() -> list[Try]:
    """Everything that is generated, in one order."""
    makers = (tables, predictors, models, irregular, images, environments)
    return [tried for make in makers for tried in make()]


def main(count: int | None, seed: int) -> int:

    tries = all_tries()
    generated = len(tries)
    if count is not None:
        tries = random.Random(seed).sample(tries, min(count, generated))
    counts: dict[str, Counter[str]] = {}
    slowest, largest = 0.0, 0
    with tempfile.TemporaryDirectory() as place:
        for tried in tries:
            done = outcome_of(tried, Path(place) / "try")
            counts.setdefault(tried.kind, Counter()).update(("tries", *done.problems))
            slowest, largest = max(slowest, done.seconds), max(largest, done.bytes)
            if done.problems:
                last = visible(done.said)[-300:].replace("\n", " | ")
                print(f"{tried.kind}: {tried.name}: {', '.join(done.problems)}: {last}", flush=True)
        os.chdir("/")
    most = f"slowest {slowest:.1f} s, largest {largest / 1e9:.2f} GB"
    print(f"{len(tries)} of {generated} tries; {most}")
    for kind, found in counts.items():
        others = {name: n for name, n in found.items() if name != "tries"}
        print(f"  {kind:16} {found['tries']:5}  {others or 'no failure'}")
    return int(any(set(found) - {"tries"} for found in counts.values()))


if __name__ == "__main__":
    numbers = [int(word) for word in sys.argv[1:]]
    sys.exit(main(numbers[0] if numbers else None, numbers[1] if len(numbers) > 1 else 0))
