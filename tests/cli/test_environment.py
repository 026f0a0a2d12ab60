"""Terminals, pipes, full disks, little memory and signals: one line, and the right status."""

import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hwnas.cli import group
from hwnas.cli.errors import guarded

WORDS = [sys.executable, "-m", "hwnas"]


@pytest.mark.parametrize("columns", ["20", "80"])
def test_a_terminal_without_characters_or_room(shell, columns):
    environment = os.environ | {"PYTHONIOENCODING": "ascii", "COLUMNS": columns}
    done = shell("tables", "list", env=environment)
    assert (done.returncode, done.stdout.isascii()) == (0, True), done.stderr
    done = shell("tables", "show", "Grüße\udcff", env=environment)
    assert done.returncode == 2
    assert "Gr\\xfc\\xdfe\\udcff" in done.stderr


def test_a_posix_locale(shell):
    posix = {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = shell("tables", "list", env=os.environ | posix)
    assert (done.returncode, done.stdout.isascii()) == (0, True), done.stderr


@pytest.mark.parametrize("words", [("tables", "list"), ("tables", "list", "--json"), ("--help",)])
def test_a_reader_that_is_gone_does_not_matter(words):
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as out:
        done = subprocess.run([*WORDS, *words], stdout=out, stderr=subprocess.PIPE, check=False)
    assert done.returncode == 0, done.stderr
    assert b"Traceback" not in done.stderr
    assert b"Exception ignored" not in done.stderr


def test_a_full_disk_behind_standard_output():
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*WORDS, "tables", "list", "--json"], stdout=full, stderr=subprocess.PIPE, check=False
        )
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith(b"error: standard output: No space left on device; make room")


def test_a_full_disk_names_the_file(hwnas, monkeypatch, tmp_path):
    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    words = ("--space", "nasbench201", "--input-size", "8", "--out", str(tmp_path / "bundle"))
    status, _, said = hwnas("profile", "bundle", *words)
    assert status == 2
    assert f"error: {tmp_path}/bundle/m00000.onnx: No space left on device; make room" in said


@pytest.mark.parametrize(
    "raised",
    [
        MemoryError(),
        MemoryError("Unable to allocate 3 GiB"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 3 bytes"),
        ImportError("libx.so: failed to map segment from shared object"),
        RuntimeError("can't start new thread"),
    ],
)
def test_memory_that_ends_is_one_line(hwnas, monkeypatch, raised):
    def fail(*given, **named):
        raise raised

    monkeypatch.setattr("hwnas.cli.tables.all_tables", fail)
    status, _, said = hwnas("tables", "list")
    assert status == 1
    assert said.startswith("error: there is too little memory: give this process more")
    assert len(said.splitlines()) == 1


def test_other_faults_stay_faults(hwnas, monkeypatch):
    def fail(*given, **named):
        raise ZeroDivisionError("mine")

    monkeypatch.setattr("hwnas.cli.tables.all_tables", fail)
    with pytest.raises(ZeroDivisionError, match="mine"):
        guarded(lambda standalone_mode: group(["tables", "list"], standalone_mode=False))


@pytest.mark.parametrize("mib", [150, 220])
def test_a_limit_of_memory(mib):
    limit = (mib * 2**20,) * 2
    done = subprocess.run(
        [*WORDS, "tables", "list"],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
        timeout=60,  # what is imported without memory may wait forever
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, limit),
    )
    assert "Traceback" not in done.stderr
    assert done.returncode in (0, 1)


SAYS = {signal.SIGINT: ("interrupted", 130), signal.SIGTERM: ("asked to end", 143)}


@pytest.mark.parametrize("number", SAYS)
def test_a_signal_while_the_command_line_is_imported(number):
    """Python itself has 20 ms or so before that; what it prints then is its own."""
    code = (
        "import os, signal, sys\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a background job ignores it
        "class Slow:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'click':\n"
        f"            os.kill(os.getpid(), {int(number)})\n"
        "sys.meta_path.insert(0, Slow())\n"
        "from hwnas.cli import main\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    words, status = SAYS[number]
    assert done.returncode == status
    assert done.stderr == f"error: {words}; the same command goes on where it stopped\n"


@pytest.mark.parametrize("number", SAYS)
def test_a_signal_while_packages_are_imported(hwnas, monkeypatch, number):
    """Packages in C turn an interrupt into errors of their own."""

    def convert(*given, **named):
        try:
            os.kill(os.getpid(), number)
            time.sleep(1)
        except KeyboardInterrupt:
            raise ImportError("initialization failed") from None

    monkeypatch.setattr("hwnas.cli.tables.all_tables", convert)
    ours = signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job ignores it
    before = signal.getsignal(number)
    try:
        status, _, said = hwnas("tables", "list")
        assert signal.getsignal(number) == before
    finally:
        signal.signal(signal.SIGINT, ours)
    words, expected = SAYS[number]
    assert (status, said.strip()) == (
        expected,
        f"error: {words}; the same command goes on where it stopped",
    )


def test_who_ignores_a_signal_goes_on(hwnas, monkeypatch):
    """As ``nohup`` and a shell's background do."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        monkeypatch.setattr(
            "hwnas.cli.tables.all_tables", lambda: os.kill(os.getpid(), signal.SIGINT) or iter(())
        )
        assert hwnas("tables", "list", "--json")[0] == 0
    finally:
        signal.signal(signal.SIGINT, before)


def test_workers_do_not_hear_an_interrupt():
    from hwnas.search.candidates.parallel import _interrupts_held

    with _interrupts_held():
        code = "import signal; print(signal.SIGINT in signal.pthread_sigmask(0, []))"
        there = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert there.stdout.strip() == b"True"
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, [])
