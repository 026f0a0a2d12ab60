"""Every attribute of TensorRT that the profiler uses exists in every version that it drives.

The records in tensorrt_api/ were made from the versions' real Python bindings by
benchmarks/tensorrt_api.py. Where bindings wheels lie in the folder HWNAS_TENSORRT_WHEELS, and there
is a compiler, they are imported again.
"""

import importlib.util
import json
import os
import shutil
import sys
from pathlib import Path

import pytest

from hwnas.testing import synthetic_tensorrt

ROOT = Path(__file__).parents[3]
RECORDS = sorted((Path(__file__).parent / "tensorrt_api").glob("*.json"))
each_version = pytest.mark.parametrize("path", RECORDS, ids=lambda path: path.stem)


def loaded(name, path):
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def api():
    return loaded("api", ROOT / "benchmarks" / "tensorrt_api.py")


@pytest.fixture(scope="module")
def sources(api):
    return api.sources()


@each_version
def test_everything_used_exists_in_this_version(api, sources, path):
    record = json.loads(path.read_text())
    assert record["version"] == path.stem
    assert api.missing(sources, record) == []


def test_the_three_generations_are_recorded():
    majors = {int(path.stem.split(".")[0]) for path in RECORDS}
    assert majors == {8, 10, 11}
    assert {"8.6.1", "10.4.0"} <= {path.stem for path in RECORDS}  # Titan XP, V100


def test_the_check_sees_what_is_used_and_what_is_missing(api, sources):
    found = [api.used(source) for source in sources]
    names, members = (set().union(*kind) for kind in zip(*found, strict=True))
    assert {"Builder", "BuilderFlag.TF32", "ILogger.ERROR", "DataType.HALF"} <= names
    assert {"IExecutionContext.execute_async_v3", "ICudaEngine.num_io_tensors"} <= members
    assert {"Builder.build_serialized_network", "IBuilderConfig.set_timing_cache"} <= members
    assert {"ITensor.allowed_formats", "ICudaEngine.get_tensor_vectorized_dim"} <= members
    assert {"IExecutionContext.device_memory", "IExecutionContext.profiler"} <= members
    assert len(names | members) > 45
    record = json.loads(RECORDS[0].read_text())
    wrong = [s.replace("execute_async_v3", "execute_async_v9") for s in sources]
    wrong = [s.replace(".TF32", ".TF33") for s in wrong]
    assert api.missing(wrong, record) == ["BuilderFlag.TF33", "IExecutionContext.execute_async_v9"]


@each_version
def test_guarded_names_are_where_they_are_said_to_be(path):
    record = json.loads(path.read_text())
    major = int(path.stem.split(".")[0])
    flags = record["classes"]["NetworkDefinitionCreationFlag"]
    assert ("STRONGLY_TYPED" in flags) == (major >= 10)
    assert ("EXPLICIT_BATCH" in flags) == (major < 11)
    assert ("IProgressMonitor" in record["classes"]) == (major >= 10)
    assert ("progress_monitor" in record["classes"]["IBuilderConfig"]) == (major >= 10)
    precisions = {"FP16", "INT8"} & set(record["classes"]["BuilderFlag"])
    assert precisions == ({"FP16", "INT8"} if major < 11 else set())
    minor = int(path.stem.split(".")[1])
    engine, context = record["classes"]["ICudaEngine"], record["classes"]["IExecutionContext"]
    strategies = record["classes"].get("ExecutionContextAllocationStrategy", [])
    assert ("USER_MANAGED" in strategies) == (major >= 10)
    assert ("create_execution_context_without_device_memory" in engine) == (major < 11)
    assert ("device_memory_size" in engine) == (major < 11)
    assert ("device_memory_size_v2" in engine) == ((major, minor) >= (10, 1))
    assert ("set_device_memory" in context) == ((major, minor) >= (10, 1))
    assert {"LINEAR", "CHW2", "HWC8", "CHW32"} <= set(record["classes"]["TensorFormat"])


@each_version
def test_the_synthetic_tensorrt_has_no_names_of_its_own(path, monkeypatch):
    """What the rehearsals run against offers nothing that the real bindings do not."""
    monkeypatch.setenv("SYNTHETIC_TENSORRT", path.stem)
    version = loaded("synthetic_version", synthetic_tensorrt.__file__)
    record = json.loads(path.read_text())
    checked = 0
    for name, owner in vars(version).items():
        if not isinstance(owner, type) or owner.__module__ != version.__name__:
            continue
        own = {member for member in vars(owner) if not member.startswith("_")}
        assert own <= set(record["classes"][name]), name
        checked += 1
    assert checked > 15


WHEELS = sorted(Path(os.environ.get("HWNAS_TENSORRT_WHEELS", "nowhere")).glob("*.whl"))
PYTHON = f"-cp{sys.version_info.major}{sys.version_info.minor}-"


@pytest.mark.skipif(
    not WHEELS or not all(shutil.which(tool) for tool in ("cc", "nm", "readelf")),
    reason="needs cc, nm, readelf, and bindings wheels in the folder HWNAS_TENSORRT_WHEELS",
)
@pytest.mark.parametrize("wheel", [w for w in WHEELS if PYTHON in w.name], ids=lambda w: w.name)
def test_the_real_bindings_are_as_recorded(api, sources, wheel):
    record = api.attributes(wheel)
    assert api.missing(sources, record) == []
    (path,) = (path for path in RECORDS if path.stem == record["version"])
    assert json.loads(path.read_text()) == record
    found = api.started(wheel)
    assert f"TensorRT {record['version']} does not start on Synthetic V100" in found["said"]
    assert "CUDA initialization failure with error: 35: for this driver" in found["said"]
    assert (found["unguarded"], found["interrupted"]) == ("swallowed", "KeyboardInterrupt")
    assert found["times"] == {"conv": [0.5]}
    assert found["layouts"] == sum(1 << bit for bit in (0, 1, 2, 5))
    logged = [[True, "ERROR"], [False, "WARNING"], [True, "INTERNAL_ERROR"]]
    assert found["logged"] == logged
    assert found["told"] == ([] if path.stem.startswith("8.") else [[0.25, "build"]])
    if not path.stem.startswith("8."):  # a step that Ctrl-C cuts short: false, and not lost
        assert (found["unguarded step"], found["step"], found["step raised"]) == (0, 0, True)
    assert found["flags"] == {"8": 0b01, "10": 0b10, "11": 0b01}[path.stem.split(".")[0]]
