"""Two that measure one device at once are told, both of them."""

import os
import subprocess
import sys
from dataclasses import replace

from hwnas.profilers import Plan, profile_space
from hwnas.profilers.company import noticed_company
from hwnas.testing import SyntheticRuntime

TARGET = SyntheticRuntime().target("fp32", 1)
HOLD = """
import sys
from hwnas.latency_tables import Target
from hwnas.profilers.company import noticed_company
with noticed_company(Target("cpu", "synthetic", "0", "another", "2", "int8", 4, 2)):
    print("holds", flush=True)
    sys.stdin.read()
"""


def test_one_alone_is_told_nothing(caplog, small_space):
    for _ in range(2):
        with noticed_company(TARGET):
            pass
    plan = Plan(tolerance=1.0, min_runs=3, max_runs=3)
    profile_space(small_space, SyntheticRuntime(), plan=plan)
    assert caplog.text == ""


def test_the_second_is_told_and_the_first_when_it_is_done(caplog):
    with noticed_company(TARGET):
        with noticed_company(replace(TARGET, device_id="another one")):
            pass
        assert caplog.text == ""
        with noticed_company(TARGET):
            assert f"another hwnas is measuring this device now (process {os.getpid()})" in (
                caplog.text
            )
        caplog.clear()
    assert f"another hwnas measured this device meanwhile (process {os.getpid()})" in caplog.text
    caplog.clear()
    with noticed_company(TARGET):
        pass
    assert caplog.text == ""


def test_another_process_is_noticed_whatever_it_measures_until_it_is_killed(caplog, small_space):
    plan = Plan(tolerance=1.0, min_runs=3, max_runs=3)
    with subprocess.Popen(
        [sys.executable, "-c", HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout.readline() == "holds\n"
        profile_space(small_space, SyntheticRuntime(), plan=plan)
        assert f"is measuring this device now (process {other.pid})" in caplog.text
        other.kill()
    caplog.clear()
    with noticed_company(TARGET):
        pass
    assert caplog.text == ""


def test_where_no_file_can_be_made_measuring_goes_on(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "nowhere"))
    with noticed_company(TARGET):
        pass
