"""The management library against a compiled stand-in."""

from hwnas.profilers.gpu import nvml
from hwnas.profilers.gpu.cuda_driver import CudaDriver
from hwnas.profilers.gpu.nvml import Nvml


def test_reads_the_state_of_the_card(card):
    card()
    reader = Nvml.find(CudaDriver().card.uuid)
    assert reader.driver_version() == "550.54.15"
    state = reader.state("before")
    assert (state.clock_mhz, state.memory_clock_mhz, state.temperature_c) == (1530, 877, 40)
    assert state.power_w == 212.5  # the library says milliwatts
    assert state.throttled_by == ()
    assert not reader.throttles()
    card(gpu_throttle="always")
    assert reader.throttles()
    assert reader.state("during").throttled_by == ("software thermal slowdown",)
    assert reader.state("during").clock_mhz == 900


def test_what_the_library_lacks_is_unknown(card):
    card()
    reader = Nvml.find(CudaDriver().card.uuid)
    assert reader._read("nvmlDeviceGetFanSpeedOfTomorrow", nvml.c_uint) is None


def test_no_library_and_no_such_card_are_nobody_to_ask(card, monkeypatch):
    card()
    assert Nvml.find("00") is None
    monkeypatch.setattr(nvml, "LIBRARIES", ("libnvidia-ml-that-is-not.so",))
    assert Nvml.find("0" * 32) is None
