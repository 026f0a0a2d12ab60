"""What goes to another machine: models without weights, a plan, and the agent in one file."""

import ast
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from importlib.resources import files
from threading import Lock
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from hwnas.profilers.protocol import Plan

__all__ = ["Bundle", "agent_source", "bare", "make_bundle"]

_WEIGHTS = "weights.bin"

#: Module -> the definitions that the agent takes from it; None takes all but those of `_LEFT_OUT`.
_PARTS: dict[str, tuple[str, ...] | None] = {
    "errors": ("HwnasError", "MeasurementError", "OptionError"),
    "profilers/protocol": None,
    "profilers/host": None,
    "kernels/input_notes": None,
    "profilers/onnxruntime_sessions": (
        *("load_session", "new_session", "plugin_devices", "bound", "number_type", "made_up"),
        *("in_stretches", "input_arrays", "output_arrays"),
    ),
    "profilers/remote/device_state": None,
    "profilers/remote/agent": None,
}
_LEFT_OUT = ("__all__", "summarise")
_WRITING = Lock()

_HEAD = '''\
"""Measures models on this machine; written by hwnas {version} from its own modules.

By hand: python agent.py [--threads N] [--cores big|little|0,2-3] [--provider cpu|xnnpack]
"""

from __future__ import annotations

import sys


def _refuse(problem: str) -> None:
    if sys.argv[0] == "-c":
        print('{{"error": "' + problem.replace('"', "'") + '"}}', flush=True)
    sys.exit(problem)


if sys.version_info < (3, 9):
    _refuse("Python 3.9 or newer is needed, this is " + sys.version.split()[0])
try:
    import numpy as np
    import onnxruntime as ort
except ImportError as error:
    _refuse(f"{{error}}; install it there: {{sys.executable}} -m pip install numpy onnxruntime")
'''


@dataclass(frozen=True)
class Bundle:
    """Models and plan of one measurement.

    Attributes:
        plan: what ``plan.json`` holds.
        models: file name -> ONNX model whose weights lie in ``weights.bin``, which the agent makes.
    """

    plan: dict[str, Any]
    models: dict[str, bytes]


def make_bundle(
    models: Mapping[str, Callable[[], bytes]],
    reference: Callable[[], bytes],
    plan: Plan,
    *,
    seed: int = 0,
    request: Mapping[str, Any] | None = None,
) -> Bundle:
    """Strip models of their weights, and plan how they are measured.

    Weights are as large and as spread as they were, but shared: all models read one file of random
    numbers, no two tensors of a model the same ones.

    Args:
        models: name -> what writes the model.
        reference: what writes the model that stands between all runs.
        plan: when to stop.
        seed: of the order of the runs.
        request: what the measurement is for, handed back with its results.
    """
    protos = [onnx.load_from_string(write()) for write in (reference, *models.values())]
    demands: list[list[tuple[TensorProto, tuple[str, float], int]]] = []
    capacity: dict[tuple[str, float], int] = {}
    for proto in protos:
        demand = list(_large_tensors(proto))
        demands.append(demand)
        used: dict[tuple[str, float], int] = {}
        for _, kind, size in demand:
            used[kind] = used.get(kind, 0) + size
        for kind, size in used.items():
            capacity[kind] = max(capacity.get(kind, 0), size)
    segments, starts, end = [], {}, 0
    for (dtype, scale), size in sorted(capacity.items()):
        starts[dtype, scale] = end
        segments.append([dtype, size // np.dtype(dtype).itemsize, scale])
        end += size
    for demand in demands:
        free = dict(starts)
        for tensor, kind, size in demand:
            _point(tensor, free[kind], math.prod(tensor.dims) * np.dtype(kind[0]).itemsize)
            free[kind] += size
    return Bundle(
        plan={
            "format": "hwnas-plan",
            "schema_version": 1,
            "request": dict(request or {}),
            "names": list(models),
            "plan": asdict(plan),
            "seed": seed,
            "weights": segments,
        },
        models={f"m{at:05}.onnx": proto.SerializeToString() for at, proto in enumerate(protos)},
    )


def _large_tensors(
    model: onnx.ModelProto,
) -> Iterator[tuple[TensorProto, tuple[str, float], int]]:
    """Kernels and matrices: the tensor, its dtype and scale, its bytes rounded up to 64."""
    for tensor in model.graph.initializer:
        if len(tensor.dims) < 2 or tensor.data_type not in (TensorProto.FLOAT, TensorProto.INT8):
            continue
        values = numpy_helper.to_array(tensor)
        for field in ("raw_data", "float_data", "int32_data"):
            tensor.ClearField(field)
        size = -(-values.nbytes // 64) * 64
        if tensor.data_type == TensorProto.INT8:
            yield tensor, ("int8", 1.0), size
        else:
            # steps of an eighth of an octave keep the kinds few, and activations in range
            spread = max(float(values.std()), 1e-6)
            yield tensor, ("float32", 2.0 ** (round(8 * math.log2(spread)) / 8)), size


def _point(tensor: TensorProto, offset: int, length: int) -> None:
    """Let a tensor read its values from the file of weights."""
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", _WEIGHTS), ("offset", offset), ("length", length)):
        entry = tensor.external_data.add()
        entry.key, entry.value = key, str(value)


def agent_source() -> str:
    """The agent as one file: its own module, and what it builds on, cut from the modules here.

    The definitions are those of the modules to the last expression; docstrings and comments stay
    behind.
    """
    with _WRITING:  # Python 3.11 cannot parse in two threads at once: several devices are profiled
        return _written()


@cache
def _written() -> str:
    from hwnas.version import __version__

    plain: set[str] = set()
    named: dict[str, set[str]] = {}
    pieces: list[str] = []
    for name, wanted in _PARTS.items():
        source = files("hwnas").joinpath(*f"{name}.py".split("/")).read_text()
        for node in bare(source).body:
            if isinstance(node, ast.Import):
                plain |= {alias.name for alias in node.names if alias.asname is None}
            elif isinstance(node, ast.ImportFrom):
                named.setdefault(node.module or "", set()).update(a.name for a in node.names)
            elif _taken(node, wanted):
                pieces.append(ast.unparse(node))
    head = [
        _HEAD.format(version=__version__) + f"import {', '.join(sorted(plain - {'sys'}))}",
        *(
            f"from {module} import {', '.join(sorted(names))}"
            for module, names in sorted(named.items())
            if not module.startswith("hwnas")
        ),
    ]
    return "\n".join(head) + "\n" + "\n".join(_laid_out(pieces)) + "\n"


def bare(source: str) -> ast.Module:
    """The syntax of a module without docstrings."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and _documented(node):
            node.body = node.body[1:] or [ast.Pass()]
    return tree


def _documented(node: ast.Module | ast.ClassDef | ast.FunctionDef) -> bool:
    return ast.get_docstring(node) is not None


def _laid_out(pieces: list[str]) -> Iterator[str]:
    """Lines of definitions with a blank line around each that is longer than a line."""
    for before, piece in zip(["\n", *pieces], pieces, strict=False):
        if "\n" in before + piece:
            yield ""
        yield from (line for line in piece.split("\n") if line)


def _taken(node: ast.stmt, wanted: tuple[str, ...] | None) -> bool:
    names = [getattr(node, "name", "")]
    if isinstance(node, ast.Assign):
        names = [target.id for target in node.targets if isinstance(target, ast.Name)]
    if wanted is None:
        return not set(names) & set(_LEFT_OUT)
    return bool(set(names) & set(wanted))
