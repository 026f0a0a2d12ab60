"""The agent: one source with the local profiler, small, of Python 3.9, honest about its device."""

import ast
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock

import numpy as np
import onnxruntime as ort
import pytest

from hwnas import errors
from hwnas.errors import MeasurementError, OptionError, TableFormatError
from hwnas.profilers import collect, host, onnxruntime_sessions, protocol, space_bundle
from hwnas.profilers.protocol import Plan, Round
from hwnas.profilers.remote import agent, bundle, device_state
from hwnas.profilers.remote.bundle import agent_source, bare, make_bundle
from hwnas.profilers.remote.device_state import Cooling, choose_cores, core_groups, read_state
from hwnas.spaces import space as make_space

PLAN = Plan(tolerance=1.0, min_runs=30, max_runs=30, warm_up=1)


@pytest.fixture
def kit_folder(small_space, tmp_path):
    return write_bundle(space_bundle(small_space, n_networks=3, plan=PLAN), tmp_path / "bundle")


def write_bundle(bundle, folder):
    folder.mkdir()
    for name, model in bundle.models.items():
        (folder / name).write_bytes(model)
    (folder / "plan.json").write_text(json.dumps(bundle.plan))
    (folder / "agent.py").write_text(agent_source())
    return folder


def run_agent(folder, *words, **options):
    command = [sys.executable, str(folder / "agent.py"), *words]
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, **options
    )


def definitions(source):
    return {
        node.name: ast.dump(node)
        for node in bare(source).body
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
    }


def test_several_devices_at_once_parse_in_one_thread_at_a_time(monkeypatch):
    """CPython 3.11 raises SystemError where two threads build syntax trees."""
    busy, parsed = Lock(), []

    def watched(source):
        assert busy.acquire(blocking=False), "two threads parse"
        try:
            time.sleep(0.01)
            parsed.append(source)
            return bare(source)
        finally:
            busy.release()

    monkeypatch.setattr("hwnas.profilers.remote.bundle.bare", watched)
    bundle._written.cache_clear()
    with ThreadPoolExecutor(4) as pool:
        sources = set(pool.map(lambda _: agent_source(), range(8)))
    assert len(sources) == 1
    assert len(parsed) == len(set(parsed)) == len(bundle._PARTS)


def test_every_definition_of_the_agent_is_the_modules_own():
    sources = [
        Path(module.__file__).read_text()
        for module in (errors, host, onnxruntime_sessions, device_state, agent, protocol)
    ]
    own = {name: text for source in sources for name, text in definitions(source).items()}
    shipped = definitions(agent_source())
    del shipped["_refuse"]
    assert {name: own[name] for name in shipped} == shipped
    # and nothing of the protocol is left behind, but what makes table entries of it
    assert definitions(sources[-1]).keys() - shipped.keys() == {"summarise"}


def test_the_agent_is_small_and_of_python_3_9():
    source = agent_source()
    assert len(source.splitlines()) < 480
    ast.parse(source, feature_version=(3, 9))
    imported = {
        name.split(".")[0]
        for node in ast.walk(ast.parse(source))
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert imported - set(sys.stdlib_module_names) == {"numpy", "onnxruntime"}
    calls = {
        n.func.id
        for n in ast.walk(ast.parse(source))
        if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)
    }
    assert not calls & {"exec", "eval", "compile", "__import__"}


def test_a_real_python_3_9_takes_the_agent(tmp_path):
    python = shutil.which("python3.9")
    if python is None or subprocess.run([python, "-V"], capture_output=True).returncode:
        pytest.skip("no python3.9 on PATH; the agent is parsed as one in any case")
    (tmp_path / "agent.py").write_text(agent_source())
    subprocess.run([python, "-m", "py_compile", str(tmp_path / "agent.py")], check=True)


def test_the_agent_starts_within_half_a_second_beside_its_imports(tmp_path):
    (tmp_path / "agent.py").write_text(agent_source())
    code = "import numpy, onnxruntime, time, runpy, sys; s = time.process_time()\n"
    code += "sys.argv = ['agent.py', '--help']\n"
    code += "try: runpy.run_path('agent.py', run_name='__main__')\nexcept SystemExit: pass\n"
    code += "print(time.process_time() - s)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert float(done.stdout.splitlines()[-1]) < 0.5


def test_an_agent_without_onnxruntime_says_what_to_install(kit_folder, tmp_path):
    (tmp_path / "onnxruntime.py").write_text("raise ModuleNotFoundError('No module \"x\"')")
    done = run_agent(kit_folder, env={**os.environ, "PYTHONPATH": str(tmp_path)})
    assert done.returncode == 1
    assert "-m pip install numpy onnxruntime" in done.stderr


def test_by_hand_killed_and_taken_up_nothing_is_measured_twice(kit_folder, small_space):
    partial = kit_folder / "results.json.partial"
    process = subprocess.Popen(
        [sys.executable, "agent.py"], cwd=kit_folder, stderr=subprocess.DEVNULL
    )
    while process.poll() is None:
        if partial.exists() and len(partial.read_text().splitlines()) > 8:
            process.send_signal(signal.SIGKILL)
            break
        time.sleep(0.002)
    process.wait()
    with partial.open("a") as file:
        file.write('{"round": {"runs": [[0, 1')  # a line that the kill cut short
    before = partial.read_text().splitlines()[1:-1]
    assert 8 <= len(before) < 30
    done = run_agent(kit_folder)
    assert done.returncode == 0, done.stderr
    results = json.loads((kit_folder / "results.json").read_text())
    assert [json.dumps(event) for event in results[1 : 1 + len(before)]] == before
    assert len(results) == 1 + 30 + 1
    assert not partial.exists()
    table = collect(kit_folder / "results.json")
    assert table.missing(small_space.distinct_workloads) == []
    assert len(table.networks) == 3
    assert {m.runs for m in table.workloads.values()} == {30}
    assert table.space.arguments == dict(small_space.arguments)


def test_by_hand_with_other_settings_wipes_nothing(kit_folder):
    plan = json.loads((kit_folder / "plan.json").read_text())
    names = plan["names"]
    first = {"plan": plan, "settings": {"threads": 9, "cores": "any", "provider": "cpu"}}
    taken = {"runs": [[at, 1.0] for at in range(len(names))], "reference": [1.0]}
    lines = [json.dumps({**first, "hello": agent.facts()}), json.dumps({"round": taken})]
    partial = kit_folder / "results.json.partial"
    partial.write_text("".join(line + "\n" for line in lines))
    done = run_agent(kit_folder)
    assert done.returncode == 1
    assert "is of another plan, machine or flags: give --out, or delete it" in done.stderr
    assert partial.read_text().splitlines() == lines


def test_by_hand_on_chosen_cores_in_int8(small_space, tmp_path):
    bundle = space_bundle(small_space, precision="int8", n_networks=3, plan=Plan(1.0, 2, 2))
    folder = write_bundle(bundle, tmp_path / "bundle")
    core = min(os.sched_getaffinity(0))
    done = run_agent(folder, "--cores", str(core), "--out", "my results;$(x).json")
    assert done.returncode == 0, done.stderr
    table = collect(folder / "my results;$(x).json")
    assert table.target.precision == "int8"
    assert table.target.device.endswith(f", cores {core}")
    assert table.provenance.host_state["cores"] == [core]
    for words, says in (
        (("--threads", "0"), "threads are 1 to"),
        (("--cores", "x"), "cores are any, big, little"),
    ):
        done = run_agent(folder, *words)
        assert done.returncode == 1
        assert says in done.stderr


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        ((0, "hello", "cores"), -1, "answers as no agent does"),
        ((0, "plan", "names", 0), 7, "its models have no names"),
        ((0, "plan", "request", "space", "name"), "../../etc", "unknown space"),
        ((0, "plan", "request", "space", "arguments"), {"x": 1}, "cannot be used"),
        ((0, "plan", "request", "precision"), "int4", "precision"),
        ((0, "plan", "request", "batch"), 0, "batch"),
        ((0, "settings", "threads"), "two", "threads"),
        ((0, "settings", "cores"), "\x1b[2J", "settings are no words"),
        ((1, "round", "runs", 0, 1), -5, "is no time"),
        ((1, "round", "runs", 0, 0), 4000, "none"),
        ((-1, "done"), [1], "a state of the device"),
        ((1,), {"error": "x"}, "not the results file"),
    ],
)
def test_damaged_and_hostile_results_are_refused(results, tmp_path, path, value, says):
    record = json.loads(json.dumps(results))
    at = record
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    (tmp_path / "r.json").write_text(json.dumps(record))
    with pytest.raises(TableFormatError, match=says):
        collect(tmp_path / "r.json")


@pytest.fixture(scope="session")
def results(tmp_path_factory, small_space):
    folder = tmp_path_factory.mktemp("results") / "bundle"
    write_bundle(space_bundle(small_space, n_networks=3, plan=Plan(1.0, 3, 3)), folder)
    assert run_agent(folder).returncode == 0
    return json.loads((folder / "results.json").read_text())


def test_unfinished_results_and_files_that_are_none(results, tmp_path):
    path = tmp_path / "r.json"
    path.write_text(json.dumps([results[0], results[1], results[-1]]))
    with pytest.raises(TableFormatError, match=r"unfinished: start agent\.py there again"):
        collect(path)
    for text in ("", "{", "[]", "null", "[1, 2, 3]", "[" * 100_000):
        path.write_text(text)
        with pytest.raises(TableFormatError, match="not the results file of an agent"):
            collect(path)
    with pytest.raises(TableFormatError, match="no results at"):
        collect(tmp_path / "nowhere.json")


def test_a_kit_shares_its_weights_and_a_model_never_shares_with_itself(small_space, tmp_path):
    import onnx

    bundle = space_bundle(small_space, n_networks=3, plan=PLAN)
    agent.write_weights(tmp_path / "weights.bin", bundle.plan["weights"])
    size = (tmp_path / "weights.bin").stat().st_size
    largest = max(
        len(small_space.to_onnx(small_space.parse(name.removeprefix("network "))))
        for name in bundle.plan["names"]
        if name.startswith("network ")
    )
    assert size < 4 * largest
    for model in bundle.models.values():
        end = 0
        spans = []
        for tensor in onnx.load_from_string(model).graph.initializer:
            if tensor.data_location == onnx.TensorProto.EXTERNAL:
                entry = {e.key: e.value for e in tensor.external_data}
                assert entry["location"] == "weights.bin"
                spans.append((int(entry["offset"]), int(entry["length"])))
        for offset, length in sorted(spans):
            assert offset >= end
            end = offset + length
        assert end <= size


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_networks_without_their_weights_still_compute_something(tmp_path, precision):
    space = make_space("proxyless", input_size=32, classes=10)
    bundle = make_bundle(
        {"deep": lambda: space.to_onnx([5] * 21, precision=precision)},
        lambda: space.to_onnx([0] * 21, precision=precision),
        PLAN,
    )
    write_bundle(bundle, tmp_path / "bundle")
    agent.write_weights(tmp_path / "bundle" / "weights.bin", bundle.plan["weights"])
    session = ort.InferenceSession(str(tmp_path / "bundle" / "m00001.onnx"))
    image = np.random.default_rng(0).standard_normal((1, 3, 32, 32)).astype(np.float32)
    (output,) = session.run(None, {"input": image})
    assert np.isfinite(output).all()
    assert np.abs(output).max() > 1e-6  # far from the denormals, which would be timed otherwise


def test_the_bundle_of_proxyless_at_224_is_far_below_60_mb():
    space = make_space("proxyless")
    bundle = space_bundle(space)
    there = sum(count * 4 for _, count, _ in bundle.plan["weights"])
    assert sum(map(len, bundle.models.values())) + there < 60e6
    assert len(bundle.models) == 1 + len(space.distinct_workloads) + 12 + 1


@pytest.fixture
def sysfs(tmp_path, monkeypatch):
    """Eight cores, the first four little, and a battery."""
    monkeypatch.setattr(device_state, "usable_cores", lambda: list(range(8)))
    for core in range(8):
        folder = tmp_path / f"devices/system/cpu/cpu{core}/cpufreq"
        folder.mkdir(parents=True)
        (folder / "cpuinfo_max_freq").write_text("1800000\n" if core < 4 else "2400000\n")
        (folder / "scaling_cur_freq").write_text(f"{1000 + core}000\n")
        (folder / "scaling_governor").write_text("schedutil\n")
    for zone, (kind, heat) in enumerate([("battery", 80000), ("cpu-0", 45500), ("soc", 300000)]):
        folder = tmp_path / f"class/thermal/thermal_zone{zone}"
        folder.mkdir(parents=True)
        (folder / "type").write_text(kind)
        (folder / "temp").write_text(str(heat))
    folder = tmp_path / "class/power_supply/bat"
    folder.mkdir(parents=True)
    for name, text in (("type", "Battery"), ("capacity", "83"), ("status", "Discharging")):
        (folder / name).write_text(text)
    return tmp_path


def test_cores_are_chosen_by_strength_or_number(sysfs):
    assert core_groups(sysfs) == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert choose_cores("any", sysfs) == list(range(8))
    assert choose_cores("big", sysfs) == [4, 5, 6, 7]
    assert choose_cores("little", sysfs) == [0, 1, 2, 3]
    assert choose_cores("6,0-1", sysfs) == [0, 1, 6]
    for wrong in ("", "huge", "0-", "8", "3-1", "-1", "0,,1", "0;1"):
        with pytest.raises(OptionError, match="cores"):
            choose_cores(wrong, sysfs)


def test_the_state_of_a_device_is_read_and_what_is_hidden_lacks(sysfs, tmp_path):
    assert read_state([5, 6], sysfs) == {
        "governor": "schedutil",
        "mhz": 1005.0,
        "celsius": 45.5,  # of the processor, not the battery, and no impossible one
        "battery_percent": 83.0,
        "battery": "discharging",
    }
    assert read_state([0], tmp_path / "nowhere") == {}


class Stove:
    """A device that heats by two degrees a round, throttles at 60, and cools in pauses."""

    def __init__(self, clocks=True):
        self.celsius, self.clocks, self.slept = 40.0, clocks, 0.0

    def read(self):
        state = {"celsius": self.celsius}
        return state | ({"mhz": self.mhz} if self.clocks else {})

    @property
    def mhz(self):
        return 1000.0 if self.celsius >= 60 else 2000.0

    def sleep(self, seconds):
        self.slept += seconds
        self.celsius -= 0.5 * seconds


@pytest.mark.parametrize("clocks", [True, False])
def test_a_throttling_device_gets_pauses(clocks):
    stove = Stove(clocks)
    cooling = Cooling(stove.read, stove.sleep)
    throttled = []
    for number in range(40):
        stove.celsius += 2
        ms = 10.0 * 2000 / stove.mhz
        if cooling.after(Round({"a": 1.0}, (ms,)), 10.0):
            throttled.append(number)
    assert throttled[0] == 9  # 40 + 2 * 10 = 60 degrees
    assert 2 <= len(throttled) <= 8
    assert cooling.paused_seconds == stove.slept > 0


def test_pauses_end_and_a_cool_or_silent_device_gets_none():
    stove = Stove()
    stove.sleep = lambda seconds: None  # never cools
    cooling = Cooling(stove.read, stove.sleep)
    cooling.after(Round({"a": 1.0}, (10.0,)), 10.0)
    stove.celsius = 90
    for _ in range(100):
        cooling.after(Round({"a": 1.0}, (20.0,)), 10.0)
    assert cooling.paused_seconds == 600
    silent = Cooling(dict, stove.sleep)
    assert not silent.after(Round({"a": 1.0}, (99.0,)), 10.0)


def test_a_job_keeps_the_memory_that_its_session_writes_to(small_space):
    job = onnxruntime_sessions.load_session(small_space.to_onnx([0, 0, 0, 0]), 1)
    kept = [value for _, value in job.__defaults__[0]]
    assert [value.shape() for value in kept] == [[1, 3, 32, 32], [1, 10]]
    before = kept[1].numpy().copy()
    job()
    assert not np.array_equal(kept[1].numpy(), before)


def test_a_clock_that_stands_still_ends_a_measurement(monkeypatch, tmp_path, small_space):
    folder = write_bundle(space_bundle(small_space, n_networks=3, plan=PLAN), tmp_path / "bundle")
    monkeypatch.setattr(agent, "load_session", lambda *_: lambda: 0.0)
    plan = json.loads((folder / "plan.json").read_text())
    settings = {"threads": 1, "cores": "any", "provider": "cpu"}
    with pytest.raises(MeasurementError, match="was the clock set"):
        agent.measure(plan, settings, folder, protocol.Samples(), lambda *_: None, lambda: None)
