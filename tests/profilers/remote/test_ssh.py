"""A real sshd on the loopback, and what can go wrong with one."""

import os
import random
import signal
import threading
import time
from pathlib import Path

import pytest

from hwnas.errors import DeviceUnavailableError, MeasurementError, OptionError
from hwnas.onnx_graph import to_onnx
from hwnas.profilers import Plan, RemoteRuntime, profile_space
from hwnas.profilers.protocol import Samples
from hwnas.profilers.remote.ssh import ssh_transport
from hwnas.profilers.remote.transport import REMOTE_COMMAND


def over_ssh(sshd, python, **options):
    return RemoteRuntime(
        ssh_transport(sshd.address), python=python, **{"waits": (0.05,) * 3, **options}
    )


def some_models(space, count=4):
    graphs = {w.key: w.graph() for w in space.distinct_workloads[:count]}
    models = {name: (lambda graph=graph: to_onnx(graph)) for name, graph in graphs.items()}
    return models, lambda: space.to_onnx([0, 0, 0, 0])


def test_a_machine_without_torch_is_profiled_and_nothing_stays(
    sshd, remote_python, small_space, quick
):
    runtime = over_ssh(sshd, remote_python())
    table = profile_space(small_space, runtime, plan=quick, n_networks=3)
    assert table.missing(small_space.distinct_workloads) == []
    assert table.target == runtime.target("fp32", 1)
    assert table.target.runtime == "onnxruntime"
    assert table.provenance.host_state["cores"] == sorted(os.sched_getaffinity(0))
    assert all(entry.runs == 3 for entry in table.workloads.values())


@pytest.mark.slow
def test_a_connection_cut_at_five_random_moments_measures_nothing_twice(
    sshd, remote_python, small_space, tmp_path
):
    log = tmp_path / "log"
    # what the agent says is copied to a file before it goes on its way; a round takes 10 ms
    python = remote_python(
        before="import os, select, sys, threading, time\n"
        "real = select.select; select.select = lambda *a: (time.sleep(0.01), real(*a))[1]\n"
        "if sys.argv[:1] == ['-c']:\n"
        "    r, w = os.pipe(); out = os.dup(1); os.dup2(w, 1); os.close(w)\n"
        "    def copy():\n"
        f"        with open({str(log)!r}, 'ab', 0) as log:\n"
        "            while data := os.read(r, 65536):\n"
        "                log.write(data)\n"
        "                try: os.write(out, data)\n"
        "                except OSError: os._exit(1)\n"
        "        os.close(out)\n"
        "    t = threading.Thread(target=copy, daemon=True); t.start()\n"
        "    import atexit; atexit.register(lambda: (os.close(1), t.join()))\n"
    )
    plan = Plan(tolerance=0.0, min_runs=300, max_runs=300, warm_up=1)
    models, reference = some_models(small_space)
    runtime = over_ssh(sshd, python, waits=(0.05,) * 8)
    assert runtime.host.cores > 0
    rng = random.Random(7)
    moments = sorted(rng.sample(range(5, 280), 5))
    samples, cuts, kept = Samples(), 0, 0
    for taken in runtime.rounds(models, reference, samples, plan):
        kept += 1
        assert set(taken.runs_ms) == set(models)
        if moments and kept >= moments[0] and sshd.cut():
            del moments[0]
            cuts += 1
    assert cuts == 5
    assert {len(q) for q in samples.quotients.values()} == {300}
    assert kept == 300
    measured = log.read_text().count('"round"')
    # what was on its way when the connection was cut is lost: the round in work, and one unread
    assert kept <= measured <= kept + 5 * 2


def test_a_killed_agent_is_taken_up_again(sshd, remote_python, small_space, tmp_path):
    pid = tmp_path / "pid"
    runtime = over_ssh(sshd, remote_python(shell=f"echo $$ > '{pid}'"))
    plan = Plan(tolerance=0.0, min_runs=60, max_runs=60, warm_up=1)
    models, reference = some_models(small_space)
    samples = Samples()
    for kept, _ in enumerate(runtime.rounds(models, reference, samples, plan), start=1):
        if kept == 20:
            os.kill(int(pid.read_text()), signal.SIGKILL)
    assert {len(q) for q in samples.quotients.values()} == {60}


def test_a_line_that_stays_broken_fails_and_keeps_what_it_has(
    sshd, remote_python, small_space, tmp_path, quick
):
    journal = tmp_path / "t.partial"
    runtime = over_ssh(sshd, remote_python())
    assert runtime.host.cores > 0

    def stop(task, share, remark):
        if task == "measuring" and share > 0:
            sshd.stop()

    plan = Plan(tolerance=0.0, min_runs=4000, max_runs=4000, warm_up=1)
    with pytest.raises(MeasurementError, match=r"broke 4 times in a row: .*the same command goes"):
        profile_space(small_space, runtime, plan=plan, journal=journal, progress=stop)
    assert len(journal.read_text().splitlines()) > 1


def test_a_wrong_host_key_is_refused(sshd, remote_python):
    sshd.trust("other")
    with pytest.raises(DeviceUnavailableError, match="Host key verification failed"):
        _ = over_ssh(sshd, remote_python()).host


def test_a_closed_port_and_a_missing_python_say_so(sshd):
    with pytest.raises(DeviceUnavailableError, match="there is no '/no/such/python' there"):
        _ = over_ssh(sshd, "/no/such/python").host
    sshd.stop()
    with pytest.raises(DeviceUnavailableError, match=r"Connection refused.* must log in there"):
        _ = over_ssh(sshd, "python3").host


def test_no_ssh_at_all_says_so(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(DeviceUnavailableError, match="ssh: No such file"):
        _ = RemoteRuntime(ssh_transport("ssh://a")).host


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("ssh://board", ["--", "board", REMOTE_COMMAND]),
        ("ssh://me@board.local/", ["-l", "me", "--", "board.local", REMOTE_COMMAND]),
        ("ssh://me@10.0.0.7:2222", ["-p", "2222", "-l", "me", "--", "10.0.0.7", REMOTE_COMMAND]),
        ("ssh://[fe80::1]:22", ["-p", "22", "--", "fe80::1", REMOTE_COMMAND]),
    ],
)
def test_addresses_become_arguments_and_never_shell_text(address, words):
    command = ssh_transport(address).command
    assert list(command[-len(words) :]) == words
    assert command[0] == "ssh"


@pytest.mark.parametrize(
    "address",
    [
        "ssh://-oProxyCommand=x",
        "ssh://-l@host",
        "ssh://a b",
        "ssh://a;reboot",
        "ssh://$(reboot)",
        "ssh://`reboot`@a",
        "ssh://a|b",
        "ssh://a/path",
        "ssh://me:secret@a",
        "ssh://a:0",
        "ssh://a:99999",
        "ssh://a\n-b",
        "ssh://",
        "ssh://@a",
        "ssh://ä",
        "ssh://" + "a" * 400,
    ],
)
def test_hostile_addresses_are_refused(address):
    with pytest.raises(OptionError, match="is written ssh://user@host"):
        ssh_transport(address)


def test_two_connections_at_once_do_not_disturb_each_other(sshd, remote_python, small_space, quick):
    models, reference = some_models(small_space)
    python = remote_python()
    found = {}

    def measure(name):
        found[name] = Samples()
        list(over_ssh(sshd, python).rounds(models, reference, found[name], quick))

    threads = [threading.Thread(target=measure, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert [len(found[name].quotients) for name in "ab"] == [4, 4]


def test_an_abandoned_measurement_ends_over_there(sshd, remote_python, small_space, remote_folder):
    plan = Plan(tolerance=0.0, min_runs=10**6, max_runs=10**6, warm_up=1)
    models, reference = some_models(small_space)
    rounds = over_ssh(sshd, remote_python()).rounds(models, reference, Samples(), plan)
    next(rounds)
    assert len(list(remote_folder.iterdir())) == 1
    rounds.close()
    end = time.monotonic() + 10
    while any(Path(remote_folder).iterdir()) and time.monotonic() < end:
        time.sleep(0.05)
    assert not any(remote_folder.iterdir())
