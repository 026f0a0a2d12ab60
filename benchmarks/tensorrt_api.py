"""What each TensorRT version's real Python bindings offer, recorded on a machine without a GPU.

pip download --no-deps --only-binary :all: -d WHEELS tensorrt_bindings==8.6.1
pip download --no-deps --only-binary :all: -d WHEELS tensorrt-cu12-bindings==10.4.0   (and others)
python benchmarks/tensorrt_api.py WHEELS [OUT]

The bindings wheels hold no TensorRT, so importing them fails for want of libnvinfer. The binding
itself names the few factory functions that it expects; a C file that defines each as returning
null, linked once for every library it asks for, lets it import. Every class and attribute that
the files in ``hwnas/profilers/gpu/tensorrt`` use is checked against each version, and the profiler
itself is run on it as far as null goes: up to TensorRT's builder, which logs through the binding,
and must end in a clear error, or in an interrupt if Ctrl-C came meanwhile. With OUT the attributes
are written there, one JSON file a version; the tests read the files in
tests/profilers/gpu/tensorrt_api.

Needs cc, nm and readelf. Wheels of another Python than this one are skipped.
"""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

ROOT = Path(__file__).parents[1]
PROFILER = ROOT / "hwnas" / "profilers" / "gpu" / "tensorrt"
TOOLS = ("cc", "nm", "readelf")
#: Members, and the type of those that are no function, of all classes that a profiler may touch.
_INSPECT = """
import json, sys
sys.path.insert(0, sys.argv[1])
import tensorrt_bindings as trt
names = ("Builder IBuilderConfig INetworkDefinition OnnxParser ParserError Runtime ICudaEngine "
    "IExecutionContext ITensor ITimingCache IHostMemory ILogger Logger IProfiler IProgressMonitor "
    "EngineInspector BuilderFlag NetworkDefinitionCreationFlag MemoryPoolType TacticSource "
    "ProfilingVerbosity LayerInformationFormat TensorIOMode DataType TensorFormat "
    "ExecutionContextAllocationStrategy").split()
public = lambda owner: sorted(n for n in dir(owner) if not n.startswith("_"))
known = {n: public(getattr(trt, n)) for n in names if hasattr(trt, n)}
print(json.dumps({"version": trt.__version__, "module": public(trt), "classes": known}))
"""

#: The profiler on the real bindings and the synthetic card: classes derived from those of TensorRT
#: are made and called, flags become bits, and a builder that is null becomes an error of ours.
_START = """
import ctypes, json, os, sys, tensorrt as trt
from pathlib import Path
from types import SimpleNamespace
from hwnas.errors import DeviceUnavailableError
from hwnas.profilers.gpu.deferred import deferred_interrupts
from hwnas.profilers.gpu.tensorrt.building import free_layouts, network_flags
from hwnas.profilers.gpu.tensorrt.callbacks import Log, layer_times, monitor
from hwnas.profilers.gpu.tensorrt.runtime import TensorRt

def started():
    try:
        TensorRt()
    except (DeviceUnavailableError, KeyboardInterrupt) as error:
        return str(error) or type(error).__name__
    return "it started"

found = {"said": started()}
os.environ["STUB_INTERRUPTS"] = "yes"
try:
    trt.Builder(Log(trt).logger)
except TypeError:
    found["unguarded"] = "swallowed"
found["interrupted"] = started()
log = Log(trt)
for severity in (trt.ILogger.ERROR, trt.ILogger.WARNING, trt.ILogger.INTERNAL_ERROR):
    log.logger.log(severity, str(severity).split(".")[-1])
found["logged"], found["flags"] = log.entries, network_flags(trt)
times = {}
layer_times(trt, times).report_layer_time("conv", 0.5)
found["times"] = times
tensor = SimpleNamespace(dtype=trt.DataType.HALF, shape=(1, 16, 8, 8), allowed_formats=1)
free_layouts(trt, SimpleNamespace(num_inputs=1, num_outputs=0, get_input=lambda index: tensor))
found["layouts"] = tensor.allowed_formats
found["told"] = []
if hasattr(trt, "IProgressMonitor"):
    told = monitor(trt, lambda share, phase: found["told"].append([share, phase]) or True)
    assert isinstance(told, trt.IProgressMonitor)
    told.phase_start("build", None, 4)
    assert told.step_complete("build", 0)
    told.phase_finish("build")
    stub = ctypes.CDLL(str(next(Path(sys.argv[1], "stubs").glob("libnvinfer.so.*"))))
    step = stub.stub_step_complete
    step.argtypes = (ctypes.c_void_p,)

    def interrupted_step(go_on):
        made = monitor(trt, go_on)
        return step(ctypes.c_void_p.from_address(id(made) + object.__basicsize__))

    found["unguarded step"] = interrupted_step(lambda share, phase: True)
    try:
        with deferred_interrupts() as deferred:
            found["step"] = interrupted_step(lambda share, phase: not deferred)
    except KeyboardInterrupt:
        found["step raised"] = True
print(json.dumps(found))
"""

#: What the stubs do besides returning null: they call the virtual functions of what a profiler
#: hands over, as TensorRT does. Instead of a builder there is what is logged where CUDA does not
#: start; a step of a build can be told. Ctrl-C may come before either.
_CALLS = """
#include <signal.h>
#include <stdlib.h>
void *createInferBuilder_INTERNAL(void *logger, int version) {
    typedef void (*Log)(void *, int, const char *);
    int place = version < 110000 ? 0 : 4; /* behind the version and the destructors, since 11 */
    if (getenv("STUB_INTERRUPTS")) raise(SIGINT);
    (*(Log **)logger)[place](logger, 2, "CUDA initialization failure with error: 35");
    return 0;
}
int stub_step_complete(void *monitor) {
    typedef _Bool (*Step)(void *, const char *, int);
    if (getenv("STUB_INTERRUPTS")) raise(SIGINT);
    return (*(Step **)monitor)[5](monitor, "build", 0);
}
"""


def main(folder: Path, out: Path | None) -> None:
    wheels = sorted(folder.glob("tensorrt*bindings*.whl"))
    python = f"cp{sys.version_info.major}{sys.version_info.minor}"
    failed = not wheels
    for wheel in wheels:
        if f"-{python}-" not in wheel.name:
            print(f"{wheel.name}: of another Python than this one ({python}), skipped")
            continue
        record = attributes(wheel)
        lacking = missing(sources(), record)
        failed |= bool(lacking)
        found = started(wheel)
        failed |= "does not start" not in found["said"]
        print(f"{record['version']:14s} {'lacks ' + ', '.join(lacking) if lacking else 'has all'}")
        print(f"{'':14s} started without TensorRT's libraries: {found['said']}")
        if out is not None:
            out.mkdir(parents=True, exist_ok=True)
            (out / f"{record['version']}.json").write_text(_compact(record))
    if not wheels:
        print(f"no bindings wheels in {folder}")
    sys.exit(1 if failed else 0)


def attributes(wheel: Path) -> dict:
    """What a bindings wheel offers."""
    return _run(wheel, _INSPECT)


def started(wheel: Path) -> dict:
    """What the profiler says and does on a bindings wheel and the synthetic card."""
    return _run(wheel, _START)


def _run(wheel: Path, code: str) -> dict:
    """Import a wheel with stub libraries in its own process, and run code that prints JSON."""
    from hwnas.testing.synthetic_gpu import build_synthetic_gpu

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        zipfile.ZipFile(wheel).extractall(folder)
        binding = folder / "tensorrt_bindings" / "tensorrt.so"
        _write_stubs(binding, folder / "stubs")
        problem = build_synthetic_gpu(folder / "card")
        if problem is not None:
            raise RuntimeError(problem)
        (folder / "tensorrt.py").write_text(
            "from tensorrt_bindings import *\nfrom tensorrt_bindings import __version__\n"
        )
        environment = {
            "LD_LIBRARY_PATH": f"{folder / 'stubs'}:{folder / 'card'}",
            "PYTHONPATH": f"{name}:{ROOT}",
            "HWNAS_HOME": name,
            "SYNTHETIC_GPU_CAPABILITY": "9.0",
        }
        done = subprocess.run(
            [sys.executable, "-c", code, name],
            env=dict(os.environ) | environment,
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        raise RuntimeError(f"{wheel.name} does not import: {done.stderr}")
    return json.loads(done.stdout)


def _write_stubs(binding: Path, folder: Path) -> None:
    """One library for each that the binding needs, all with every factory function it expects."""
    folder.mkdir()
    needed = subprocess.check_output(["readelf", "-d", binding], text=True)
    sonames = re.findall(r"\[(libnv\w+\.so\.\d+)\]", needed)
    undefined = subprocess.check_output(["nm", "-D", "--undefined-only", binding], text=True)
    functions = [
        name
        for name in (line.split()[-1] for line in undefined.splitlines())
        if re.fullmatch(r"(create\w+_INTERNAL|get\w*PluginRegistry|getNvOnnxParserVersion|"
                        r"initLibNvInferPlugins|_ZN\d+nv(uff|caffe)parser\w+)", name)
    ]  # fmt: skip
    source = folder / "stub.c"
    lines = [f"void *{name}(void) {{ return 0; }}\n" for name in functions if name not in _CALLS]
    source.write_text(_CALLS + "".join(lines))
    for soname in sonames:
        command = ["cc", "-shared", "-fPIC", f"-Wl,-soname,{soname}", "-o", folder / soname]
        subprocess.run([*command, source], check=True)


def sources() -> list[str]:
    """The files of the profiler."""
    return [path.read_text() for path in sorted(PROFILER.glob("*.py"))]


def used(source: str) -> tuple[set[str], set[str]]:
    """What a file needs of TensorRT: names below the module, and attributes of its objects.

    The module is called ``api`` or ``self._api`` there. A name that the source itself asks for with
    ``hasattr`` or ``getattr`` is guarded, not needed. The objects are named by annotations,
    ``x: trt.Builder = ...``; their attributes come out as ``Builder.create_network``.
    """
    tree = ast.parse(source)
    guarded = {
        node.args[1].value
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in ("hasattr", "getattr")
        and len(node.args) > 1
        and isinstance(node.args[1], ast.Constant)
    }
    kinds: dict[str, str] = {}  # variable or attribute -> class of the object in it
    for node in ast.walk(tree):
        if isinstance(node, ast.AnnAssign):
            note, name = node.annotation, ast.unparse(node.target)
        elif isinstance(node, ast.arg) and node.annotation is not None:
            note, name = node.annotation, node.arg
        else:
            continue
        if ast.unparse(note).startswith("trt."):
            kinds[name] = ast.unparse(note).removeprefix("trt.")
    names, members = set(), set()
    for node in ast.walk(tree):
        if not isinstance(node, ast.Attribute) or node.attr == "__init__":
            continue
        text = ast.unparse(node)
        owner = ast.unparse(node.value)
        for module in ("api.", "self._api."):
            if text.startswith(module) and node.attr not in guarded:
                names.add(text.removeprefix(module))
        if owner in kinds and node.attr not in guarded:
            members.add(f"{kinds[owner]}.{node.attr}")
    return names, members


def missing(files: Iterable[str], record: Mapping) -> list[str]:
    """What a profiler's files need and a version does not have."""
    needed = {name for source in files for found in used(source) for name in found}
    known = set(record["module"]) | {"__version__"}
    for owner, attributes_ in record["classes"].items():
        known |= {f"{owner}.{name}" for name in attributes_}
    return sorted(needed - known)


def _compact(record: Mapping) -> str:
    """JSON with a line for every class, so that versions can be compared line by line."""
    classes = [
        f"    {json.dumps(name)}: {json.dumps(members)}"
        for name, members in record["classes"].items()
    ]
    body = ",\n".join(classes)
    return (
        f'{{\n  "version": {json.dumps(record["version"])},\n'
        f'  "module": {json.dumps(record["module"])},\n  "classes": {{\n{body}\n  }}\n}}\n'
    )


if __name__ == "__main__":
    absent = [tool for tool in TOOLS if shutil.which(tool) is None]
    if absent or len(sys.argv) < 2:
        sys.exit(f"{__doc__}\nnot found here: {', '.join(absent)}" if absent else __doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None)
