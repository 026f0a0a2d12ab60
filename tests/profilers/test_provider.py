"""Execution providers of ONNX Runtime by name."""

from dataclasses import replace
from types import SimpleNamespace

import onnxruntime as ort
import pytest

from hwnas.devices.target import runtime_for, runtime_of_table
from hwnas.errors import OptionError, UnknownNameError
from hwnas.onnx_graph import to_onnx
from hwnas.ops import MBConv, Workload
from hwnas.profilers import check_kernels, onnxruntime_provider, runtime
from hwnas.testing import check_runtime


def test_the_cpu_provider_is_the_runtime_that_is_taken_anyway():
    assert runtime("cpu", 1, "CPUExecutionProvider").target("fp32", 1) == runtime("cpu").target(
        "fp32", 1
    )


def test_another_provider_is_a_runtime_of_its_own():
    others = [name for name in ort.get_available_providers() if name != "CPUExecutionProvider"]
    if not others:
        pytest.skip("this onnxruntime has its CPU provider only")
    chosen = runtime("cpu", 1, others[0])
    check_runtime(chosen)
    target = chosen.target("fp32", 1)
    assert target.runtime == others[0]
    assert runtime_of_table(target, "cpu") == others[0]  # a table leads back to it
    assert runtime_for(target).target("fp32", 1) == target
    with pytest.raises(OptionError, match="own CPU provider"):
        check_kernels(target, 500)


def test_what_is_not_there_is_named():
    with pytest.raises(UnknownNameError, match=r"'NoneExecutionProvider': choose one of .*CPUExec"):
        runtime("cpu", 1, "NoneExecutionProvider")
    with pytest.raises(OptionError, match=r"CUDAExecutionProvider runs on cards.*--device gpu"):
        runtime("cpu", 1, "CUDAExecutionProvider")


PLUGIN = "PlugExecutionProvider"


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    """A library that an onnxruntime with plugins takes; a path, what was registered, what added."""
    library, seen = tmp_path / "libplug.so", SimpleNamespace(registered=[], added=[])
    library.write_bytes(b"\x7fELF")
    device = SimpleNamespace(type=ort.OrtHardwareDeviceType.CPU)
    card = SimpleNamespace(type=ort.OrtHardwareDeviceType.GPU)
    offered = [SimpleNamespace(ep_name=PLUGIN, device=one) for one in (device, card)]

    class Options(ort.SessionOptions):
        def add_provider_for_devices(self, devices, options):
            seen.added.append(devices)

    monkeypatch.setattr(
        ort, "register_execution_provider_library", lambda *words: seen.registered.append(words)
    )
    monkeypatch.setattr(
        ort, "unregister_execution_provider_library", lambda name: seen.registered.clear()
    )
    monkeypatch.setattr(ort, "get_ep_devices", lambda: offered if seen.registered else [])
    monkeypatch.setattr(ort, "SessionOptions", Options)
    monkeypatch.setattr(onnxruntime_provider, "_LIBRARIES", {})
    return SimpleNamespace(path=library, offered=offered, seen=seen)


def test_a_plugin_is_registered_once_and_runs_on_this_processor(plugin):
    for _ in range(2):
        chosen = runtime("cpu", 1, f"{PLUGIN}={plugin.path}")
    assert plugin.seen.registered == [(PLUGIN, str(plugin.path))]
    assert chosen.target("fp32", 1).runtime == PLUGIN
    assert chosen.load(to_onnx(Workload(MBConv(3, 3), 8, 8, 1, 8, 8).graph()))() > 0
    assert plugin.seen.added == [plugin.offered[:1]]
    assert runtime("cpu", 1, PLUGIN).target("fp32", 1) == chosen.target("fp32", 1)


def test_no_file_loads_a_library(plugin):
    table = runtime("cpu", 1, f"{PLUGIN}={plugin.path}").target("fp32", 1)
    assert runtime_of_table(table, "cpu") == PLUGIN
    for text in (f"{PLUGIN}={plugin.path}", f"X={plugin.path.parent}/ExecutionProvider"):
        assert not onnxruntime_provider.is_provider(text)
        assert runtime_of_table(replace(table, runtime=text), "cpu") is None


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        (f"{PLUGIN}=/no/such.so", "no library at /no/such.so"),
        ("CPUExecutionProvider={path}", "there is a provider CPUExecutionProvider already"),
        ("OtherExecutionProvider={path}", "offers no provider OtherExecutionProvider"),
    ],
)
def test_a_library_that_cannot_be_used(plugin, typed, says):
    with pytest.raises(OptionError, match=says):
        runtime("cpu", 1, typed.format(path=plugin.path))


def test_what_is_no_plugin_is_said_by_onnxruntime_itself(tmp_path):
    (tmp_path / "lib.so").write_bytes(b"no library")
    with pytest.raises(OptionError, match=r"lib.so is no plugin of onnxruntime .*Failed to load"):
        runtime("cpu", 1, f"{PLUGIN}={tmp_path / 'lib.so'}")


def test_an_onnxruntime_without_plugins(plugin, monkeypatch):
    monkeypatch.delattr(ort, "register_execution_provider_library")
    with pytest.raises(OptionError, match=r"knows no plugins: install 1\.23 or newer"):
        runtime("cpu", 1, f"{PLUGIN}={plugin.path}")
