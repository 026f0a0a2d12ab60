"""The graph that ONNX Runtime makes of a model, in bounded time and memory."""

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import onnx
from onnx import ModelProto, TensorProto, helper

from hwnas.errors import ModelFormatError
from hwnas.kernels.cuts import LONG, NoTensorError, parts, value_info
from hwnas.kernels.model import computes_when_loaded
from hwnas.progress import Progress, silent
from hwnas.reading import MIB, parse_json, read_bytes

__all__ = ["FOLDED", "WHOLE", "Values", "optimise"]

#: Name, sizes (None where they are not known before a run) and type of each tensor.
Values = list[tuple[str, list[int] | None, str]]

#: What a model that computes when it is loaded may take: seconds of a processor, and memory.
_SECONDS = 5
_NODES_A_SECOND = 5000
_BYTES = 1536 * MIB
#: Levels of ONNX Runtime's optimiser: what is constant computed, and everything.
FOLDED, WHOLE = "ORT_ENABLE_BASIC", "ORT_ENABLE_ALL"
_READING = "reading the model"
_PATIENCE = 1.6  # times as long may pass on a busy machine
_MODEL, _RESULT, _VALUES = "model.onnx", "optimised.onnx", "values.json"
#: Of what ONNX Runtime says, so much is looked at.
_TOLD = 2000
_NO_MEMORY = ("bad_alloc", "bad allocation", "Failed to allocate")
#: Exit status of a child whose last line is a reason for the parent.
_REFUSED = 3
#: The module is found where this process finds it, and not in the current folder.
_CHILD = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from hwnas.kernels.optimise import work; work(*sys.argv[2:])"
)


def optimise(
    proto: ModelProto, source: str, progress: Progress = silent, level: str = WHOLE
) -> list[tuple[ModelProto, Values]]:
    """A model as ONNX Runtime would run it here, and its tensors; a long one in parts, in order.

    What is constant in a model is computed when it is loaded. Where that may take long, another
    process does it that is ended when it takes too long, or too much memory.

    Args:
        proto: read by `hwnas.kernels.model.read_model`.
        source: names it in errors.
        progress: told after each part of a long model.
        level: `WHOLE`, or `FOLDED` for what is constant alone.

    Raises:
        ModelFormatError: ONNX Runtime cannot load it, or not within the limits.
    """
    if len(proto.graph.node) <= LONG:
        return [_bounded(proto, source, level)]
    # what is constant is folded first, in one piece: shapes may be computed across any cut
    progress(_READING, 0.0, "")
    folded, _ = _bounded(proto, source, FOLDED, shapes=False)
    try:
        return _in_parts(folded, source, level, progress)
    except NoTensorError:
        return [_bounded(proto, source, level)]


def _in_parts(
    folded: ModelProto, source: str, level: str, progress: Progress
) -> list[tuple[ModelProto, Values]]:
    known = {value.name: value for value in folded.graph.input}
    found, done, count = [], 0, len(folded.graph.node)
    for part in parts(folded, known):
        done += len(part.graph.node)
        optimised, values = _bounded(part, source, level)
        for name, sizes, dtype in values:
            known.setdefault(name, value_info(name, sizes, dtype))
        found.append((optimised, values))
        progress(_READING, done / count, "")
    return found


def _bounded(
    proto: ModelProto, source: str, level: str, shapes: bool = True
) -> tuple[ModelProto, Values]:
    if not computes_when_loaded(proto):
        return _here(proto, source, level, shapes)
    with tempfile.TemporaryDirectory() as folder:
        return _in_child(proto, source, Path(folder), level, shapes)


def _here(proto: ModelProto, source: str, level: str, shapes: bool) -> tuple[ModelProto, Values]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / _RESULT
        _session(proto.SerializeToString(), source, level, path)
        optimised = ModelProto.FromString(path.read_bytes())
    return optimised, _values(optimised, source) if shapes else []


def _in_child(
    proto: ModelProto, source: str, folder: Path, level: str, shapes: bool
) -> tuple[ModelProto, Values]:
    model = proto.SerializeToString()
    (folder / _MODEL).write_bytes(model)
    seconds = _SECONDS + len(proto.graph.node) // _NODES_A_SECOND
    memory = _BYTES + 4 * len(model)
    words = [json.dumps(sys.path), str(folder), source, str(seconds), str(memory), level]
    words.append("shapes" if shapes else "")
    refusal = ModelFormatError(
        f"{source} computes constants, branches, loops or functions when it is loaded, and that "
        f"takes more than {seconds} s or {memory / MIB:.0f} MiB: export it without them, or fold "
        "its constants first"
    )
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-c", _CHILD, *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            timeout=_PATIENCE * seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise refusal from None
    if done.returncode == _REFUSED:
        raise ModelFormatError(done.stderr.decode(errors="replace").splitlines()[-1])
    try:
        if done.returncode:
            raise refusal
        optimised = ModelProto.FromString(read_bytes(folder / _RESULT, memory))
        return optimised, parse_json(read_bytes(folder / _VALUES, memory))
    except (OSError, ValueError):
        raise refusal from None


def work(folder: str, source: str, seconds: str, memory: str, level: str, shapes: str) -> None:
    """What the other process does: optimise the model in a folder, within limits."""
    _limit(int(seconds), int(memory))
    place = Path(folder)
    try:
        model = (place / _MODEL).read_bytes()
        _session(model, source, level, place / _RESULT)
        values = _values(onnx.load(place / _RESULT), source) if shapes else []
    except MemoryError:
        sys.exit(1)
    except ModelFormatError as error:
        if any(words in str(error) for words in _NO_MEMORY):
            sys.exit(1)
        print(str(error), file=sys.stderr)
        sys.exit(_REFUSED)
    (place / _VALUES).write_text(json.dumps(values))


def _limit(seconds: int, memory: int) -> None:
    try:
        import resource
    except ImportError:  # Windows has no such limits: its parent ends it
        return
    pages = Path("/proc/self/statm")
    now = int(pages.read_text().split()[0]) * resource.getpagesize() if pages.exists() else 0
    for kind, most in (
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_AS, now + memory),
        (resource.RLIMIT_FSIZE, memory // 4),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(kind)
        least = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (least, hard))


def _session(model: bytes, source: str, level: str, save: Path | None = None) -> Any:
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.graph_optimization_level = getattr(ort.GraphOptimizationLevel, level)
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    options.add_session_config_entry("session.disable_prepacking", "1")  # it is never run
    if save is not None:
        options.optimized_model_filepath = str(save)
    try:
        return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its errors share no class but this one
        raise ModelFormatError(
            f"ONNX Runtime {ort.__version__} cannot load {source}: {_reason(str(error))}"
        ) from None


def _reason(text: str) -> str:
    """What ONNX Runtime says, without the place in its code, and what to do about it."""
    # names of a stranger's model in it may be of any length
    words = re.sub(r"\S+\.(?:cc|h):\d+ .*?\) (?=[A-Z])", "", " ".join(text[:_TOLD].split()))
    newer = re.search(r"model IR version: (\d+), max supported IR version: (\d+)", words)
    if newer:
        return (
            f"it is of IR version {newer[1]}, and this one reads versions up to {newer[2]}: "
            "install a newer onnxruntime, or set the model's ir_version to "
            f"{newer[2]} with the onnx package and save it again"
        )
    newest = re.search(r"support for domain (\S+) is till opset (\d+)", words)
    if newest:
        return (
            f"it uses a newer operator set of {newest[1]} than {newest[2]}, the newest of this "
            f"one: install a newer onnxruntime, or export it with opset {newest[2]} or older"
        )
    return f"{words[:300]}; check it with onnx.checker.check_model"


def _values(optimised: ModelProto, source: str) -> Values:
    """Sizes and types of all tensors that are not constant, as ONNX Runtime infers them."""
    every = ModelProto(ir_version=optimised.ir_version, opset_import=optimised.opset_import)
    for part in ("node", "output"):
        getattr(every.graph, part).extend(getattr(optimised.graph, part))
    weights = {tensor.name for tensor in optimised.graph.initializer}  # may be inputs as well
    every.graph.input.extend(v for v in optimised.graph.input if v.name not in weights)
    every.graph.name = "shapes"
    for tensor in optimised.graph.initializer:  # megabytes of weights say nothing about shapes
        if tensor.data_type == TensorProto.FLOAT and len(tensor.dims) > 1:
            info = helper.make_tensor_value_info(tensor.name, TensorProto.FLOAT, tensor.dims)
            every.graph.input.append(info)
        else:
            every.graph.initializer.append(tensor)
    seen = {value.name for value in every.graph.output}
    for node in every.graph.node:
        for name in node.output:
            if name and name not in seen:
                every.graph.output.append(onnx.ValueInfoProto(name=name))
                seen.add(name)
    session = _session(every.SerializeToString(), source, "ORT_DISABLE_ALL")
    found: Values = []
    for value in (*session.get_inputs(), *session.get_outputs()):
        sizes = value.shape
        fixed = sizes is not None and all(isinstance(size, int) and size > 0 for size in sizes)
        dtype = value.type.removeprefix("tensor(").removesuffix(")")
        found.append((value.name, list(sizes) if fixed else None, dtype))
    return found
