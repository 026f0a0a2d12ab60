"""Other machines: one within this, Pythons that lack things, a real sshd."""

import getpass
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from hwnas.profilers import Plan, RemoteRuntime
from hwnas.profilers.remote.transport import REMOTE_COMMAND, Transport

QUICK = Plan(tolerance=1.0, min_runs=3, max_runs=3, warm_up=1)


@pytest.fixture
def quick() -> Plan:
    return QUICK


@pytest.fixture
def remote_folder(tmp_path):
    """Where the other machine makes its folder; it must be empty in the end."""
    folder = tmp_path / "remote tmp"
    folder.mkdir()
    yield folder
    end = time.monotonic() + 10
    while any(folder.iterdir()) and time.monotonic() < end:
        time.sleep(0.05)
    assert list(folder.iterdir()) == []


@pytest.fixture
def remote_python(tmp_path):
    """Makes a Python for over there that lacks modules, runs code first, or has shell limits."""
    lacking = ("torch", "onnx", "scipy", "sklearn", "pydantic", "hwnas")

    def make(*more_lacking: str, before: str = "", shell: str = "", name: str = "remote-python"):
        site = tmp_path / f"site-{name}"
        site.mkdir()
        for module in (*lacking, *more_lacking):
            (site / f"{module}.py").write_text(
                f"raise ModuleNotFoundError(\"No module named '{module}'\")\n"
            )
        (site / "sitecustomize.py").write_text(before)
        path = tmp_path / name
        path.write_text(f"#!/bin/sh\n{shell}\nPYTHONPATH='{site}' exec '{sys.executable}' \"$@\"\n")
        path.chmod(0o755)
        return str(path)

    return make


@pytest.fixture
def near_transport(remote_folder):
    """A transport to a shell of this machine."""
    home = (f"TMPDIR={remote_folder}", f"HOME={remote_folder}")  # nothing may stay in either
    command = ("env", *home, "sh", "-c", REMOTE_COMMAND)
    return Transport("ssh://near", command, "a hint")


@pytest.fixture
def near(near_transport, remote_python):
    return RemoteRuntime(near_transport, python=remote_python(), waits=(0.05,) * 3)


class Sshd:
    """An sshd of this user on a free port of the loopback, with keys of its own."""

    def __init__(self, folder: Path, remote_folder: Path):
        program = shutil.which("sshd", path=os.environ.get("PATH", "") + ":/usr/sbin")
        if program is None or shutil.which("ssh") is None:
            pytest.skip("no sshd here: install openssh-server to test profiles over ssh")
        self.folder = folder
        for key in ("host", "user", "other"):
            subprocess.run(
                ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / key)], check=True
            )
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        (folder / "sshd_config").write_text(
            f"Port {self.port}\nListenAddress 127.0.0.1\nHostKey {folder}/host\n"
            f"AuthorizedKeysFile {folder}/user.pub\nStrictModes no\nUsePAM no\n"
            f'PidFile none\nPasswordAuthentication no\nSetEnv "TMPDIR={remote_folder}"\n'
        )
        if os.getuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)
        self.process = subprocess.Popen(
            [program, "-D", "-E", str(folder / "log"), "-f", str(folder / "sshd_config")]
        )
        self.trust("host")
        ssh = folder / "bin" / "ssh"
        ssh.parent.mkdir()
        ssh.write_text(
            f"#!/bin/sh\nexec '{shutil.which('ssh')}' -F none -i '{folder}/user' "
            f"-o UserKnownHostsFile='{folder}/known' -o StrictHostKeyChecking=yes \"$@\"\n"
        )
        ssh.chmod(0o755)
        (folder / "log").touch()
        end = time.monotonic() + 10
        while "Server listening" not in (folder / "log").read_text():
            if self.process.poll() is not None or time.monotonic() > end:
                pytest.skip(f"sshd does not start here: {(folder / 'log').read_text()[-300:]}")
            time.sleep(0.02)

    @property
    def address(self) -> str:
        return f"ssh://{getpass.getuser()}@localhost:{self.port}"

    def trust(self, key: str) -> None:
        """Take a key for the host's."""
        kind, value, *_ = (self.folder / f"{key}.pub").read_text().split()
        (self.folder / "known").write_text(f"[localhost]:{self.port} {kind} {value}\n")

    def cut(self) -> int:
        """Kill the processes that serve connections; how many there were."""
        killed = 0
        for child in _children(self.process.pid):
            with suppress(ProcessLookupError):  # it ended meanwhile
                os.kill(child, signal.SIGKILL)
                killed += 1
        return killed

    def stop(self) -> None:
        self.cut()
        self.process.kill()
        self.process.wait()


def _children(parent: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            words = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(words[1]) == parent:
            found.append(int(stat.parent.name))
    return found


@pytest.fixture
def sshd(tmp_path, remote_folder, monkeypatch):
    folder = tmp_path / "sshd"
    folder.mkdir()
    server = Sshd(folder, remote_folder)
    monkeypatch.setenv("PATH", f"{folder / 'bin'}:{os.environ['PATH']}")
    yield server
    server.stop()
