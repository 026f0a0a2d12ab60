"""Every field of ONNX models with wrong values, read by the commands that read a model.

python benchmarks/hostile_models.py [--share 0.05] [--seed 0] [--readers show,engine,shape,runnable]

The fields are found by protobuf's own descriptions, so that none is forgotten: numbers, texts,
types and sizes become others, messages are left out, doubled and put in other orders. Readers are
``hwnas show``, ``hwnas predict`` for a card that is not here, ``hwnas show --shape``, and what
``hwnas measure`` reads before it runs a model. Prints tries and failures, and exits with 1 if there
was one: a traceback, a process that ended, more than 10 s of the processor, more than 2 GB, a
control character that reaches the terminal, or a refusal of more lines than one.
"""

import argparse
import io
import json
import os
import random
import resource
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from onnx import ModelProto, TensorProto, helper, numpy_helper

from hwnas.cli import group
from hwnas.cli.errors import guarded
from hwnas.errors import HwnasError
from hwnas.kernels.runnable import runnable
from hwnas.visible import visible

SECONDS, BYTES, AT_ONCE = 10.0, 2 * 10**9, 50
READERS: dict[str, tuple[str, ...]] = {
    "show": ("show", "m.onnx"),
    "engine": ("predict", "--table", "v100-tensorrt-fp16", "m.onnx"),
    "shape": ("show", "m.onnx", "--shape", "x=1x3x8x8"),
    "runnable": (),
}
EVIL = "\x1b]0;owned\x07\x1b[2J\r\u202e"
TEXTS = ("", EVIL, "../x", "a\0b", "x" * 100_000, "x", "y", "w", "\n", "-1", "9" * 20)
NUMBERS = (-1, 0, 1, 2, 999, 2**31 - 1, 2**40, 2**62, -(2**63))
KINDS = (*range(30), 999, -1)
WRONG: dict[int, tuple[Any, ...]] = {
    FieldDescriptor.TYPE_STRING: TEXTS,
    FieldDescriptor.TYPE_BYTES: (b"", bytes(7), EVIL.encode(), b"\xff\xfe", b"x" * 10**6),
    FieldDescriptor.TYPE_FLOAT: (float("nan"), float("inf"), -1.0, 0.0, 1e38),
    FieldDescriptor.TYPE_DOUBLE: (float("nan"), float("inf"), -1.0, 0.0, 1e308),
    FieldDescriptor.TYPE_ENUM: KINDS,
    FieldDescriptor.TYPE_INT32: KINDS,
}


@dataclass(frozen=True)
class Change:
    """What is done to one field: ``way`` leads there by names and places."""

    way: tuple[str | int, ...]
    what: str
    value: Any = None

    def of(self, model: ModelProto) -> bytes | None:
        """The changed model; None where protobuf cannot write it."""
        copy = ModelProto.FromString(model.SerializeToString())
        inner: Any = copy
        for step in self.way[:-1]:
            inner = inner[step] if isinstance(step, int) else getattr(inner, step)
        try:
            self._apply(inner, self.way[-1])
            return bytes(copy.SerializeToString())
        except (TypeError, ValueError):
            return None

    def _apply(self, inner: Any, last: Any) -> None:
        if self.what == "cleared":
            inner.ClearField(last)
        elif self.what == "empty":
            getattr(inner, last).SetInParent()
        elif self.what == "set":
            setattr(inner, last, self.value)
        else:
            parts = list(getattr(inner, last))
            changed = {
                "twice": parts * 2,
                "without the last": parts[:-1],
                "backwards": parts[::-1],
                "first": [self.value, *parts[1:]],
                "one more": [*parts, self.value],
                "all": [self.value] * max(1, len(parts)),
            }[self.what]
            copies = [type(p).FromString(p.SerializeToString()) for p in changed if _is(p)]
            inner.ClearField(last)
            getattr(inner, last).extend(copies or changed)


def _is(part: Any) -> bool:
    return isinstance(part, Message)


def changes(message: Any, way: tuple[str | int, ...] = ()) -> Iterator[Change]:
    """All of a message and what is in it; of several messages the first two and the last."""
    for field in message.DESCRIPTOR.fields:
        here, value = (*way, field.name), getattr(message, field.name)
        inner = field.type == FieldDescriptor.TYPE_MESSAGE
        wrong = () if inner else WRONG.get(field.type, NUMBERS)
        if isinstance(value, Message):
            present = message.HasField(field.name)
            yield Change(here, "cleared" if present else "empty")
            yield from changes(value, here) if present else ()
        elif isinstance(value, str | bytes | int | float):
            yield Change(here, "cleared")
            yield from (Change(here, "set", other) for other in wrong)
        else:
            if value:
                yield from (Change(here, w) for w in ("cleared", "twice", "without the last"))
                yield Change(here, "backwards")
            yield from (Change(here, w, o) for o in wrong for w in ("first", "one more", "all"))
            for at in sorted({0, 1, len(value) - 1} & {*range(len(value))}) if inner else ():
                yield from changes(value[at], (*here, at))


def models() -> dict[str, ModelProto]:
    """Small models of every kind: images, text, branches, loops, functions, bytes, other files."""

    def node(op: str, inputs: str, outputs: str, **attributes: Any) -> Any:
        return helper.make_node(op, inputs.split(), outputs.split(), **attributes)

    def info(name: str, sizes: Sequence[Any] | None, kind: int = TensorProto.FLOAT) -> Any:
        return helper.make_tensor_value_info(name, kind, sizes)

    def weights(name: str, *sizes: int) -> TensorProto:
        return numpy_helper.from_array(np.ones(sizes, np.float32), name)

    def model(nodes: Any, x: Any, held: Any = (), functions: Any = ()) -> ModelProto:
        opsets = [helper.make_opsetid("", 17), helper.make_opsetid("mine", 1)]
        graph = helper.make_graph(nodes, "g", [x], [info("y", None)], list(held))
        made: ModelProto = helper.make_model(
            graph, opset_imports=opsets, functions=list(functions), ir_version=8
        )
        return made

    truth = helper.make_tensor("t", TensorProto.BOOL, [], [True])
    branch = helper.make_graph([node("Relu", "x", "w")], "b", [], [info("w", [4])])
    states = [info("i", [], TensorProto.INT64), info("c", [], TensorProto.BOOL), info("v", [4])]
    body = helper.make_graph(
        [node("Identity", "c", "d"), node("Add", "v v", "u")],
        "body",
        states,
        [info("d", [], TensorProto.BOOL), info("u", [4])],
    )
    function = helper.make_function(
        "mine", "f", ["x"], ["y"], [node("Relu", "x", "y")], [helper.make_opsetid("", 17)]
    )
    outside = TensorProto(name="w", data_type=1, dims=[4], data_location=TensorProto.EXTERNAL)
    for key, value in (("location", "w.bin"), ("offset", "0"), ("length", "16")):
        outside.external_data.add(key=key, value=value)
    scale = [helper.make_tensor("s", 1, [], [0.1]), helper.make_tensor("z", 2, [], [3])]
    count = numpy_helper.from_array(np.array(3, np.int64), "n")
    loop = helper.make_node("Loop", ["n", "", "x"], ["y"], body=body)
    return {
        "images": model(
            [
                node(
                    "Conv", "x w", "a", kernel_shape=[3, 3], pads=[1] * 4, strides=[1, 1], group=1
                ),
                node("MaxPool", "a", "p", kernel_shape=[2, 2]),
                node("GlobalAveragePool", "p", "q"),
                node("Flatten", "q", "f", axis=1),
                node("Gemm", "f v", "y", transB=1),
            ],
            info("x", ["n", 3, 8, 8]),
            [weights("w", 4, 3, 3, 3), weights("v", 5, 4)],
        ),
        "text": model(
            [node("Gather", "e x", "t", axis=0), node("MatMul", "t m", "y")],
            info("x", ["batch", "sequence"], TensorProto.INT64),
            [weights("e", 16, 8), weights("m", 8, 8)],
        ),
        "branches": model(
            [
                node("Constant", "", "c", value=truth),
                node("If", "c", "y", then_branch=branch, else_branch=branch),
            ],
            info("x", [4]),
        ),
        "loops": model([loop], info("x", [4]), [count]),
        "functions": model([node("f", "x", "y", domain="mine")], info("x", [4]), (), [function]),
        "bytes": model(
            [node("QuantizeLinear", "x s z", "a"), node("DequantizeLinear", "a s z", "y")],
            info("x", [1, 3, 8, 8]),
            scale,
        ),
        "other files": model([node("Add", "x w", "y")], info("x", [4]), [outside]),
    }


def problems_of(reader: str) -> tuple[list[str], str]:
    """What is wrong with a reader's answer to the model of this folder, and what it said."""
    out, said, status = io.StringIO(), io.StringIO(), None
    began = time.process_time()
    try:
        with redirect_stdout(out), redirect_stderr(said):
            if words := list(READERS[reader]):
                guarded(lambda standalone_mode: group(words, standalone_mode=standalone_mode))
            runnable("m.onnx", batch=3)
            status = 0
    except HwnasError:
        status = 1
    except SystemExit as left:
        status = left.code if isinstance(left.code, int) else 0
    except BaseException:
        said.write(traceback.format_exc())
    shown, errors = said.getvalue(), said.getvalue().count("error: ")
    found = {
        "traceback": status not in (0, 1, 2),
        "slow": time.process_time() - began > SECONDS,
        "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 > BYTES,
        "escape": visible(out.getvalue() + shown) != out.getvalue() + shown,
        "no one line": status == 2 and errors == 0,
    }
    return [name for name, is_so in found.items() if is_so], visible(shown)[-300:]


def run(tries: Sequence[tuple[str, ModelProto, Change, str]]) -> Counter[str]:
    """Run tries, some at once in a process that is a copy of this one; print what is wrong."""
    counts: Counter[str] = Counter()
    at = 0
    while at < len(tries):
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            for place in range(at, min(at + AT_ONCE, len(tries))):
                _, model, change, reader = tries[place]
                os.write(writing, f"{place}\n".encode())
                data = change.of(model)
                if data is not None:
                    Path("m.onnx").write_bytes(data)
                    os.write(writing, (json.dumps([place, *problems_of(reader)]) + "\n").encode())
            os._exit(0)
        os.close(writing)
        with os.fdopen(reading) as lines:
            for line in lines:
                told = json.loads(line)
                if isinstance(told, int):
                    at = told + 1
                    continue
                place, problems, said = told
                counts.update(("tries", *problems))
                if problems:
                    _tell(tries[place], problems, said)
        if os.waitpid(child, 0)[1]:
            counts.update(("tries", "ended"))
            _tell(tries[at - 1], ["ended"], "")
    return counts


def _tell(tried: tuple[str, ModelProto, Change, str], problems: list[str], said: str) -> None:
    name, _, change, reader = tried
    way, value = ".".join(map(str, change.way)), repr(change.value)[:40]
    found = ", ".join(problems)
    print(f"{reader}: {name}: {way} {change.what} {value}: {found}: {said!r}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--share", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--readers", default=",".join(READERS))
    asked = parser.parse_args()
    tries = [
        (name, model, change, reader)
        for reader in asked.readers.split(",")
        for name, model in models().items()
        for change in changes(model)
    ]
    chosen = random.Random(asked.seed).sample(tries, round(asked.share * len(tries)))
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        Path("w.bin").write_bytes(bytes(16))
        counts = run(chosen)
        os.chdir("/")
    others = {name: count for name, count in counts.items() if name != "tries"}
    print(f"{counts['tries']} tries, drawn from {len(tries)}: {others or 'no failure'}")
    return int(bool(others))


if __name__ == "__main__":
    sys.exit(main())
