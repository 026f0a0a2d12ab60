"""Android through a stand-in for adb: which commands it gets, and what becomes of its answers."""

import os
import stat

import pytest

from hwnas.errors import DeviceUnavailableError, MeasurementError, OptionError
from hwnas.profilers import Plan, RemoteRuntime, profile_space, remote_runtime
from hwnas.profilers.remote.adb import PerfTest

ADB = """#!/bin/sh
if [ "$1" = -s ]; then
  [ "$2" = R58:5555 ] || { echo "error: device '$2' not found" >&2; exit 1; }
  shift 2
fi
echo "$3" >>"$PHONE/commands"
there=$(printf %s "$3" | sed "s|/data/local/tmp|$PHONE/tmp|g; s|/sys/|$PHONE/sys/|g")
case "$1 $2" in
  "shell -T") PATH="$PHONE/bin:$PATH" exec sh -c "$there" ;;
  push*) exec cp "$2" "$there" ;;
esac
exit 1
"""

#: Takes as long as its model is large, over its threads; one run in ten is three times as slow.
PERF_TEST = """#!/bin/sh
[ -n "$OLD_PERF_TEST" ] && exit 0
[ "$1 $2 $3 $4 $5 $6 $7" = "-I -v -m times -r 10 -x" ] || exit 2
[ "$9 ${10} ${11} ${12} ${13}" = "-y 1 -o 99 -e" ] || exit 2
size=$(wc -c <"${15}") && : >"${16}"
for at in 1 2 3 4 5 6 7 8 9 10; do
  times=1; [ $at = 5 ] && times=3
  echo "iteration:$at,time_cost:$((size * times / $8))e-8"
done
"""


def program(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


@pytest.fixture
def phone(tmp_path, monkeypatch):
    folder = tmp_path / "phone"
    program(tmp_path / "bin" / "adb", ADB)
    program(
        folder / "bin" / "getprop",
        "#!/bin/sh\ncase $1 in ro.product.model) echo 'Pix[el] 8';; ro.serialno) echo S1;; "
        "ro.soc.model) echo;; *) echo Maker;; esac\n",
    )
    program(
        folder / "bin" / "taskset",
        '#!/bin/sh\necho "taskset $1" >> "$PHONE/commands"; shift; exec "$@"\n',
    )
    program(folder / "bin" / "nproc", "#!/bin/sh\necho 8\n")
    program(
        folder / "bin" / "run-as",
        '#!/bin/sh\n[ "$1" = com.termux ] || exit 1\nshift\n'
        'cd "$PHONE/termux" 2>/dev/null || exit 1\nexec "$@"\n',
    )
    (folder / "tmp" / "hwnas").mkdir(parents=True)
    for core in range(8):
        path = folder / f"sys/devices/system/cpu/cpu{core}/cpufreq/cpuinfo_max_freq"
        path.parent.mkdir(parents=True)
        path.write_text("3000000\n" if core > 5 else "1800000\n")
    monkeypatch.setenv("PHONE", str(folder))
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    return folder


@pytest.fixture
def with_binary(phone):
    program(phone / "tmp" / "hwnas" / "onnxruntime_perf_test", PERF_TEST)
    return phone


def test_the_native_binary_is_measured_and_its_models_removed(with_binary, small_space):
    runtime = remote_runtime("adb", threads=2, cores="big")
    assert isinstance(runtime, PerfTest)
    plan = Plan(tolerance=1.0, min_runs=20, max_runs=20, warm_up=0)
    progress = []
    table = profile_space(
        small_space, runtime, plan=plan, n_networks=3, progress=lambda *told: progress.append(told)
    )
    assert table.missing(small_space.distinct_workloads) == []
    assert table.target.device == "Maker Pix(el) 8, cores big"
    assert table.target.runtime_version.startswith("perf_test-")
    assert table.provenance.system.startswith("Android ")
    # twice the threads, half the time; the median does not see one slow run in ten
    sizes = {text: len(small_space.to_onnx(small_space.parse(text))) for text in table.networks}
    for text, entry in table.networks.items():
        assert entry.latency_ms == pytest.approx(sizes[text] / 1e5 / 2, rel=0.02)
    assert not (with_binary / "tmp" / "hwnas" / "models").exists()
    commands = (with_binary / "commands").read_text()
    assert "taskset c0" in commands  # cores 6 and 7
    assert "-o 99 -e cpu" in commands


def test_a_python_in_termux_is_preferred_and_speaks_the_same_protocol(
    with_binary, remote_python, small_space, quick
):
    termux = with_binary / "termux"
    (termux / "files/usr/tmp").mkdir(parents=True)
    (termux / "files/usr/bin").mkdir()
    (termux / "files/usr/bin/python3").symlink_to(remote_python())
    runtime = remote_runtime("adb:R58:5555")
    assert isinstance(runtime, RemoteRuntime)
    table = profile_space(small_space, runtime, plan=quick, n_networks=3)
    assert table.missing(small_space.distinct_workloads) == []
    assert list((termux / "files/usr/tmp").iterdir()) == []


def test_what_is_lacking_is_named(phone, monkeypatch, small_space, quick):
    with pytest.raises(DeviceUnavailableError, match=r"neither Termux with Python .* docs/devices"):
        remote_runtime("adb")
    with pytest.raises(DeviceUnavailableError, match=r"device 'other' not found.* must list it"):
        remote_runtime("adb:other")
    program(phone / "tmp" / "hwnas" / "onnxruntime_perf_test", PERF_TEST)
    monkeypatch.setenv("OLD_PERF_TEST", "1")
    with pytest.raises(MeasurementError, match="printed 0 times instead of 10"):
        profile_space(small_space, remote_runtime("adb"), plan=quick, n_networks=3)
    assert not (phone / "tmp" / "hwnas" / "models").exists()
    with pytest.raises(OptionError, match="threads are 1 to 2"):
        remote_runtime("adb", threads=3, cores="big")
    with pytest.raises(OptionError, match="cores are any, big"):
        remote_runtime("adb", cores="0; reboot")
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(DeviceUnavailableError, match="needs the program adb on PATH"):
        remote_runtime("adb")


@pytest.mark.parametrize(
    "seconds", ["0", "1e-300", "1e999", "-1", "1e--", "9" * 500, "e", "99999999"]
)
def test_times_that_are_none_are_refused(with_binary, small_space, quick, seconds):
    path = with_binary / "tmp" / "hwnas" / "onnxruntime_perf_test"
    line = f"echo 'iteration:1,time_cost:{seconds}'"
    program(path, f"#!/bin/sh\nfor at in 1 2 3 4 5 6 7 8 9 0; do {line}; done\n")
    with pytest.raises(MeasurementError, match="printed a time that is none") as caught:
        profile_space(small_space, remote_runtime("adb"), plan=quick, n_networks=3)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("cores", ["", "0", "²", "٣", "-1", "9" * 30, "8; reboot"])
def test_a_phone_that_does_not_tell_its_cores_is_refused(with_binary, cores):
    program(with_binary / "bin" / "nproc", f"#!/bin/sh\necho '{cores}'\n")
    with pytest.raises(MeasurementError, match="does not tell what it is"):
        remote_runtime("adb")


def test_clocks_that_are_none_are_passed_over(with_binary):
    for core, text in (("0", "²"), ("1", "9" * 40), ("999999999", "1"), ("x", "1"), ("2", "")):
        path = with_binary / f"sys/devices/system/cpu/cpu{core}/cpufreq/cpuinfo_max_freq"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    assert remote_runtime("adb", threads=2, cores="big").target("fp32", 1).threads == 2
    assert remote_runtime("adb", threads=3, cores="little")._mask() == 0b00111000


@pytest.mark.parametrize("end", ["1", "2"])
def test_a_phone_that_talks_without_end_is_left(phone, tmp_path, end):
    program(tmp_path / "bin" / "adb", f"#!/bin/sh\nexec yes welcome >&{end}\n")
    with pytest.raises(MeasurementError, match="says more than 1048576 bytes"):
        remote_runtime("adb")


def test_a_phone_that_is_silent_is_left(phone, tmp_path, monkeypatch):
    monkeypatch.setattr("hwnas.profilers.remote.adb._CALL_SECONDS", 0.3)
    program(tmp_path / "bin" / "adb", "#!/bin/sh\nsleep 600 & sleep 600\n")
    with pytest.raises(MeasurementError, match=r"did not end within 0\.3 seconds"):
        remote_runtime("adb")


@pytest.mark.parametrize("device", ["adb:", "adb:-e", "adb:a b", "adb:$(x)", "adb:a;b", "adb:\n"])
def test_hostile_serial_numbers_are_refused(device):
    with pytest.raises(OptionError, match="written adb or adb:SERIAL"):
        remote_runtime(device)


def test_other_devices_are_not_remote():
    assert remote_runtime("cpu") is None
    assert remote_runtime("gpu") is None
    assert remote_runtime("adbx") is None
