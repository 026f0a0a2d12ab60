"""The ctypes driver against a compiled stand-in, so that real pointers cross the border."""

import ctypes

import pytest

from hwnas.errors import DeviceMemoryError, DeviceUnavailableError, MeasurementError
from hwnas.profilers.gpu import cuda_driver
from hwnas.profilers.gpu.cuda_driver import CudaDriver, driver_problem


@pytest.fixture
def enqueue(card):
    function = card().synthetic_enqueue
    function.argtypes = (ctypes.c_void_p, ctypes.c_double)
    return function


def test_describes_the_card(card):
    card(gpu_capability="6.1", gpu_name="Synthetic TITAN Xp", gpu_memory="12e9")
    described = CudaDriver().card
    assert described.name == "Synthetic TITAN Xp"
    assert described.capability == (6, 1)
    assert described.memory_bytes == 12_000_000_000
    assert described.cuda == "12.4"  # the driver says 12040
    assert len(described.uuid) == 32
    assert described.uuid[10:12] == "00"  # a zero byte does not cut it short
    card(gpu_name="Synthetic V100")
    assert CudaDriver().card.uuid != described.uuid


def test_memory_is_taken_given_back_and_limited(card):
    library = card(gpu_memory="1e6")
    driver = CudaDriver()
    address = driver.allocate(600_000)
    assert address > 2**32  # no pointer is cut to 32 bits
    driver.upload(address, b"abc")
    assert driver.download(address, 3) == b"\0\0\0"
    assert library.synthetic_used_bytes() == 600_000
    with pytest.raises(DeviceMemoryError, match=r"CUDA_ERROR_OUT_OF_MEMORY.*smaller --batch"):
        driver.allocate(600_000)
    driver.free(address)


def test_events_measure_what_was_put_on_the_stream(card, enqueue):
    driver = CudaDriver()
    stream, start, end = driver.stream(), driver.event(), driver.event()
    enqueue(stream, 1000.0)  # the card is warm now
    times = [driver.elapsed_ms(stream, lambda: enqueue(stream, 2.0), start, end) for _ in range(50)]
    assert sorted(times)[25] == pytest.approx(2.0, rel=0.01)


def test_a_graph_replays_what_was_captured_and_runs_nothing_before(card, enqueue):
    library = card()
    driver = CudaDriver()
    stream, start, end = driver.stream(), driver.event(), driver.event()
    enqueue(stream, 1000.0)
    before = library.synthetic_clock_ms()

    def five():
        for _ in range(5):
            enqueue(stream, 0.4)

    graph = driver.capture(stream, five)
    assert library.synthetic_clock_ms() == before
    times = [
        driver.elapsed_ms(stream, lambda: driver.launch(graph, stream), start, end)
        for _ in range(21)
    ]
    assert sorted(times)[10] == pytest.approx(5 * 0.4, rel=0.01)
    driver.free_graph(graph)


def test_a_capture_that_fails_leaves_the_stream_usable(card):
    library = card()
    driver = CudaDriver()
    stream = driver.stream()

    def broken():
        raise ValueError("no such kernel")

    with pytest.raises(ValueError, match="no such kernel"):
        driver.capture(stream, broken)
    assert not library.synthetic_is_capturing()
    driver.synchronise(stream)
    with pytest.raises(MeasurementError, match="cuStreamSynchronize returned 900"):
        driver.capture(stream, lambda: driver.synchronise(stream))
    driver.synchronise(stream)


@pytest.mark.parametrize(
    ("variables", "problem"),
    [
        ({"gpu_init": "100"}, r"does not start \(cuInit returned 100\).*nvidia-smi"),
        ({"gpu_cards": "0"}, "sees no card"),
    ],
)
def test_a_driver_without_a_card_is_named(card, variables, problem):
    card(**variables)
    with pytest.raises(DeviceUnavailableError, match=problem):
        CudaDriver()


def test_no_driver_says_what_to_install(monkeypatch):
    monkeypatch.setattr(cuda_driver, "LIBRARIES", ("libcuda-that-is-not.so",))
    assert "no NVIDIA driver is installed" in driver_problem()
    assert "install the card's driver" in driver_problem()


def test_an_old_driver_is_named(monkeypatch, card, gpu_folder):
    card()
    monkeypatch.setitem(cuda_driver._FUNCTIONS, "cuFunctionOfTomorrow", ())
    with pytest.raises(DeviceUnavailableError, match="lacks cuFunctionOfTomorrow: it is older"):
        CudaDriver()
