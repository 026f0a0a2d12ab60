"""What goes through a transport: measured truly, checked on arrival, never executed."""

import json
import sys

import pytest

from hwnas.errors import DeviceUnavailableError, MeasurementError, OptionError
from hwnas.onnx_graph import to_onnx
from hwnas.profilers import Plan, RemoteRuntime, measure_models, profile_space
from hwnas.profilers.profile import profile_graphs
from hwnas.profilers.protocol import Samples
from hwnas.profilers.remote.answers import clean, read_conditions
from hwnas.profilers.remote.transport import REMOTE_COMMAND, Transport

HOST = {
    "device": "A",
    "device_id": "1",
    "cores": 4,
    "core_groups": [[0, 1], [2, 3]],
    "system": "S",
    "python": "3.9",
    "numpy": "1",
    "onnxruntime": "2",
    "providers": ["CPUExecutionProvider"],
}


def liar(*lines, cores=4):
    """A machine that says what it likes."""
    said = [json.dumps({"hello": HOST}), *lines]
    script = f"import sys; print({chr(10).join(said)!r}, flush=True); sys.stdin.read()"
    return RemoteRuntime(Transport("ssh://liar", (sys.executable, "-c", script), "x"), waits=())


def rounds_of(runtime, quick, names=("a", "b")):
    model = to_onnx_of_nothing
    return list(runtime.rounds(dict.fromkeys(names, model), model, Samples(), quick))


def to_onnx_of_nothing():
    from hwnas.ops import MBConv, Workload

    return to_onnx(Workload(MBConv(3, 3), 8, 8, 1, 8, 8).graph())


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_a_remote_profile_equals_the_jobs_of_a_near_one(near, small_space, quick, precision):
    table = profile_space(small_space, near, precision=precision, plan=quick, n_networks=3)
    assert table.missing(small_space.distinct_workloads) == []
    assert len(table.networks) == 3
    assert table.target == near.target(precision, 1)
    found = measure_models(
        {"net": small_space.to_onnx([0, 0, 0, 0], precision=precision)},
        small_space,
        near,
        precision=precision,
        plan=quick,
    )
    assert found["net"].runs == 3


def test_threads_cores_and_provider_belong_to_the_target(near_transport, remote_python):
    python = remote_python()
    pinned = RemoteRuntime(near_transport, cores="0", python=python)
    assert pinned.target("fp32", 1).device.endswith(", cores 0")
    xnnpack = RemoteRuntime(near_transport, provider="xnnpack", python=python)
    assert xnnpack.target("int8", 2).runtime == "onnxruntime+xnnpack"
    with pytest.raises(OptionError, match="threads are 1 to"):
        RemoteRuntime(near_transport, threads=999, python=python).target("fp32", 1)
    with pytest.raises(OptionError, match="a provider is one of cpu, xnnpack"):
        RemoteRuntime(near_transport, provider="cuda")


def test_cores_and_runtimes_that_are_not_there_fail_over_there(
    near_transport, remote_python, small_space, quick
):
    python = remote_python()
    for options, says in (
        ({"cores": "9999"}, "ssh://near: the cores here are"),
        ({"cores": "0;reboot"}, "cores are any, big, little"),
        ({"threads": 2, "cores": "0"}, "threads are 1 to 1"),
        ({"provider": "xnnpack"}, "built without XNNPACK"),
    ):
        runtime = RemoteRuntime(near_transport, python=python, waits=(), **options)
        with pytest.raises(MeasurementError, match=says):
            profile_space(small_space, runtime, plan=quick, n_networks=3)


def test_a_missing_onnxruntime_is_named(near_transport, remote_python):
    runtime = RemoteRuntime(near_transport, python=remote_python("onnxruntime"))
    with pytest.raises(DeviceUnavailableError, match=r"onnxruntime.*-m pip install numpy onnxrunt"):
        _ = runtime.host


def test_a_full_disk_over_there_is_an_error_and_leaves_nothing(
    near_transport, remote_python, small_space, quick
):
    runtime = RemoteRuntime(near_transport, python=remote_python(shell="ulimit -f 8"), waits=())
    with pytest.raises(MeasurementError, match="File too large"):
        profile_space(small_space, runtime, plan=quick, n_networks=3)


def test_a_calendar_that_jumps_changes_nothing(near_transport, remote_python, small_space, quick):
    jump = (
        "import itertools, time\nback = itertools.count()\ntime.time = lambda: -1e6 * next(back)\n"
    )
    runtime = RemoteRuntime(near_transport, python=remote_python(before=jump))
    table = profile_space(small_space, runtime, plan=quick, n_networks=3)
    assert all(0 < m.latency_ms < 1000 for m in table.workloads.values())


def test_a_clock_that_jumps_back_ends_the_measurement(
    near_transport, remote_python, small_space, quick
):
    jump = (
        "import itertools, time\ncalls, real = itertools.count(), time.perf_counter_ns\n"
        "time.perf_counter_ns = lambda: real() - (10**15 if next(calls) > 200 else 0)\n"
    )
    runtime = RemoteRuntime(near_transport, python=remote_python(before=jump), waits=())
    with pytest.raises(MeasurementError, match="was the clock set"):
        profile_space(small_space, runtime, plan=quick, n_networks=3)


@pytest.mark.parametrize(
    "line",
    [
        '{"round": {"runs": [[0, 1.0]], "reference": []}}',
        '{"round": {"runs": [], "reference": [1.0]}}',
        '{"round": {"runs": [[2, 1.0]], "reference": [1.0]}}',
        '{"round": {"runs": [[-1, 1.0]], "reference": [1.0]}}',
        '{"round": {"runs": [[0, -1.0]], "reference": [1.0]}}',
        '{"round": {"runs": [[0, NaN]], "reference": [1.0]}}',
        '{"round": {"runs": [[0, 1e99]], "reference": [1.0]}}',
        '{"round": {"runs": [[0, 1e-300]], "reference": [1.0]}}',
        '{"round": {"runs": [[0, 1.0]], "reference": [1e-300]}}',
        '{"round": {"runs": [[0, 1.0]], "reference": [0]}}',
        '{"round": {"runs": [[0, true]], "reference": [1.0]}}',
        '{"round": {"runs": [[0, 1' + 400 * "0" + ']], "reference": [1.0]}}',
        '{"round": {"runs": {"0": 1.0}, "reference": [1.0]}}',
        '{"round": ' + 500 * "[" + 500 * "]" + "}",
        '{"error": ' + 500 * "[" + 500 * "]" + "}",
        '{"done": ' + 30 * '{"a": ' + "1" + 30 * "}" + "}",
        '{"done": {}}',
        '{"round": {"runs": [[0, "1"]], "reference": [1.0]}}',
        '{"round": {"runs": [["__import__(\'os\')", 1.0]], "reference": [1.0]}}',
        '{"round": null}',
        '{"done": "all"}',
        '{"error": "\\u001b[2Jno \\u0007room"}',
    ],
)
def test_what_another_machine_says_is_checked(line, quick):
    with pytest.raises(MeasurementError, match="ssh://liar") as caught:
        rounds_of(liar(line), quick)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('{"done": {}}', "0 of 2 models have their 3 runs"),
        ('{"round": {"runs": [[0, 1.0]], "reference": [1.0]}}', "goes on without end"),
        ('{"loading": NaN}', "goes on without end"),
        ('{"hello": {}}', "goes on without end"),
    ],
)
def test_a_machine_that_repeats_one_thing_is_left(line, says, quick):
    with pytest.raises(MeasurementError, match=says):
        rounds_of(liar(*(400 * [line])), quick)


def test_a_state_of_a_device_is_small_and_finite():
    given = {"a": float("nan"), "b": float("-inf"), "c": 10**400, "d": [10**400], "e": 1.5}
    state = read_conditions({**given, "f": {"mhz": 7}, "g": None, "h": [1, 2]}, "x")
    assert state["e"] == 1.5
    assert (state["f"], state["g"], state["h"]) == ({"mhz": 7}, None, [1, 2])
    assert all(isinstance(state[key], str) and len(state[key]) <= 400 for key in "abcd")
    with pytest.raises(MeasurementError, match="a state of the device that is none"):
        read_conditions({"a": {"b": {"c": {}}}}, "x")


def test_the_rounds_of_another_machine_survive_a_kill(small_space, tmp_path):
    class KilledError(Exception):
        pass

    names = [w.key for w in small_space.distinct_workloads]
    count = len(list(profile_graphs(small_space, 3, 0)))
    line = json.dumps(
        {"round": {"runs": [[at, 1.0 + count - at] for at in range(count)], "reference": [2.0]}}
    )
    plan, journal = Plan(tolerance=0.0, min_runs=9, max_runs=9), tmp_path / "t.partial"

    def kill(task, share, remark):
        if task == "measuring" and share > 0.5:
            raise KilledError

    options = {"plan": plan, "n_networks": 3, "journal": journal}
    with pytest.raises(KilledError):
        profile_space(small_space, liar(*(9 * [line])), progress=kill, **options)
    kept = len(journal.read_text().splitlines()) - 1
    assert kept == 5
    # the rest comes from a machine that says no more than that
    table = profile_space(small_space, liar(*((9 - kept) * [line]), '{"done": {}}'), **options)
    assert {entry.runs for entry in table.workloads.values()} == {9}
    assert table.workloads.keys() == set(names)


@pytest.mark.parametrize("noise", ["Welcome!", "{", "[1, 2]", '{"a": 1, "b": 2}', "[" * 5000])
def test_greetings_of_a_remote_shell_are_passed_over(noise, quick):
    good = '{"round": {"runs": [[0, 1.0], [1, 2.0]], "reference": [1.0]}}'
    taken = rounds_of(liar(noise, good, good, good, '{"done": {}}'), quick)
    assert [dict(t.runs_ms) for t in taken] == [{"a": 1.0, "b": 2.0}] * 3


@pytest.mark.parametrize(
    "change",
    [
        *({"cores": 0}, {"cores": 10**400}, {"device": ""}, {"device": 7}, {"numpy": None}),
        *({"core_groups": 20_000 * [[]]}, {"providers": 1000 * ["x"]}, {"more": 1}),
    ],
)
def test_a_host_that_is_none_is_refused(change):
    script = f"print({json.dumps({'hello': {**HOST, **change}})!r})"
    transport = Transport("ssh://liar", (sys.executable, "-c", script), "x")
    if "more" in change:  # a newer agent may say more
        assert RemoteRuntime(transport).host.cores == 4
        return
    with pytest.raises(DeviceUnavailableError, match=r"answers as no agent does \(wrong: "):
        _ = RemoteRuntime(transport).host


def test_words_of_another_machine_are_no_markup_and_no_terminal_codes():
    assert clean("\x1b[31m[red]Pi\n 4[/red]") == "(31m(red)Pi 4(/red)"
    runtime = liar()
    runtime.transport = Transport(
        "x",
        (sys.executable, "-c", f"print({json.dumps({'hello': {**HOST, 'device': 'a[b]c'}})!r})"),
        "",
    )
    assert runtime.target("fp32", 1).device == "a(b)c"


@pytest.mark.parametrize("python", ["", "-c", "--help", "a\nb"])
def test_hostile_interpreters_are_refused(near_transport, python):
    with pytest.raises(OptionError, match="the remote Python is a name or a path"):
        RemoteRuntime(near_transport, python=python)


def test_an_interpreter_is_a_path_and_no_shell_text(near_transport, tmp_path):
    marker = tmp_path / "executed"
    with pytest.raises(DeviceUnavailableError, match="there is no"):
        _ = RemoteRuntime(near_transport, python=f"python3; touch {marker}").host
    assert not marker.exists()
    assert "touch" not in " ".join(near_transport.command)
    assert REMOTE_COMMAND in near_transport.command


def test_a_finished_measurement_asks_nobody(near_transport, quick):
    samples = Samples({"a": [1.0] * 3}, [1.0], 1.0)
    nobody = RemoteRuntime(Transport("x", ("/no/such/program",), ""), waits=())
    assert list(nobody.rounds({"a": to_onnx_of_nothing}, to_onnx_of_nothing, samples, quick)) == []


def test_plans_reach_the_other_machine(near, small_space):
    models = {"a": to_onnx_of_nothing}
    plan = Plan(tolerance=1.0, min_runs=7, max_runs=7, warm_up=0)
    samples = Samples()
    assert len(list(near.rounds(models, to_onnx_of_nothing, samples, plan))) == 7
