"""Machines that never end: bounded in time, in memory and on the disk."""

import sys
import time

import pytest

from hwnas.errors import DeviceUnavailableError
from hwnas.profilers import RemoteRuntime
from hwnas.profilers.remote import pipes, transport
from hwnas.profilers.remote.transport import Transport


def machine(script, *, shell=False):
    command = ("sh", "-c", script) if shell else (sys.executable, "-c", script)
    return RemoteRuntime(Transport("ssh://endless", command, "a hint"), waits=(0.01,))


ENDLESS = {
    "lines": "while True: print('x' * 1000)",
    "one line": "import sys\nwhile True: sys.stdout.write('x' * 65536)",
    "nothing but line ends": "import sys\nwhile True: sys.stdout.write(65536 * chr(10))",
    "errors": "import sys\nwhile True: sys.stderr.write('x' * 65536)",
    "errors, and it stays": (
        "import os, signal\nsignal.signal(signal.SIGPIPE, signal.SIG_IGN)\n"
        "while True:\n    try: os.write(2, b'x' * 65536)\n    except OSError: pass\n"
    ),
}


@pytest.mark.parametrize("what", ENDLESS)
def test_a_machine_that_never_ends_is_left(what, monkeypatch):
    monkeypatch.setattr(transport, "_MOST_WORDS", 2**21)
    started = time.monotonic()
    with pytest.raises(DeviceUnavailableError, match=r"ssh://endless: it .* without end") as caught:
        _ = machine(ENDLESS[what]).host
    assert time.monotonic() - started < 5
    assert "\n" not in str(caught.value)


SILENT = {
    "it sleeps": "import time; time.sleep(600)",
    "it never reads": "import sys, time; print('Welcome', flush=True); time.sleep(600)",
    "it closes its ends": "import os, time; os.close(1); os.close(2); time.sleep(600)",
}


@pytest.mark.parametrize("what", SILENT)
def test_a_machine_that_is_silent_is_left(what, monkeypatch):
    monkeypatch.setattr(transport, "_HELLO_SECONDS", 0.5)
    monkeypatch.setattr(transport, "_FAREWELL_SECONDS", 0.5)
    started = time.monotonic()
    with pytest.raises(DeviceUnavailableError, match=r"gave no answer for 0\.5 s|ended with"):
        _ = machine(SILENT[what]).host
    assert time.monotonic() - started < 5


def test_a_child_that_keeps_the_pipe_is_ended_too(monkeypatch, tmp_path):
    monkeypatch.setattr(transport, "_HELLO_SECONDS", 0.5)
    monkeypatch.setattr(transport, "_FAREWELL_SECONDS", 0.5)
    started = time.monotonic()
    with pytest.raises(DeviceUnavailableError, match="gave no answer"):
        _ = machine("sleep 600 & sleep 600", shell=True).host
    assert time.monotonic() - started < 5


def test_an_upload_that_moves_is_no_silence(monkeypatch):
    monkeypatch.setattr(transport, "_HELLO_SECONDS", 0.6)
    monkeypatch.setattr(pipes, "_CHUNK", 2**12)
    slow = (
        "import sys, time\n"
        "for at in range(5): sys.stdin.buffer.read(2**15); time.sleep(0.3)\n"
        'print(\'{"error": "heard all"}\', flush=True)\n'
    )
    there = Transport("x", (sys.executable, "-c", slow), "")
    with pytest.raises(transport.RefusedError, match="heard all"):
        list(transport.session(there, "python3", b"x" * 2**19))
