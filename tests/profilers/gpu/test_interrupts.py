"""Ctrl-C while TensorRT works: its bindings swallow it, and a profile must end all the same."""

import signal
from concurrent.futures import ThreadPoolExecutor

import pytest

from hwnas.onnx_graph import to_onnx
from hwnas.ops import MBConv, Workload
from hwnas.profilers import Plan, profile_space, runtime

MODEL = to_onnx(Workload(MBConv(3, 3), 8, 8, 1, 8, 8).graph())
PLAN = Plan(min_runs=10, max_runs=10)
#: The callbacks that the bindings make during a build, of each version.
CALLBACKS = [("8.6.1", "log")]
CALLBACKS += [(v, c) for v in ("10.4.0", "11.4.0") for c in ("log", "phase_start", "step_complete")]
CALLBACKS += [("10.4.0", "phase_finish")]


@pytest.fixture(autouse=True)
def _interruptible():
    """A shell's background job, and all that it starts, ignores Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def set_card(card):
    def set_(version, interrupted):
        capability = {"8": "6.1", "10": "7.0", "11": "9.0"}[version.split(".")[0]]
        card(tensorrt=version, gpu_capability=capability, tensorrt_interrupted=interrupted)

    return set_


@pytest.mark.parametrize(("version", "callback"), CALLBACKS)
def test_ctrl_c_before_a_callback_ends_the_profile(set_card, small_space, version, callback):
    set_card(version, f"3 {callback}")
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        profile_space(small_space, runtime("gpu"), plan=PLAN, n_networks=2)
    assert signal.getsignal(signal.SIGINT) is before
    set_card(version, "")
    runtime("gpu").load(MODEL)  # and nothing of it is left


def test_what_was_measured_is_kept_and_nothing_is_called_unmeasured(
    set_card, small_space, tmp_path
):
    journal = tmp_path / "journal"
    arguments = {"n_networks": 2, "journal": journal, "plan": Plan(min_runs=10, max_runs=10)}

    def stop(task, share, remark):
        if task == "measuring" and share > 0.4:
            raise KeyboardInterrupt

    set_card("10.4.0", "")
    with pytest.raises(KeyboardInterrupt):
        profile_space(small_space, runtime("gpu"), progress=stop, **arguments)
    measured = journal.read_text()
    assert measured.count("\n") > 4
    for path in (tmp_path / "home" / "engines").glob("engine-*"):
        path.unlink()
    set_card("10.4.0", "2 step_complete")
    with pytest.raises(KeyboardInterrupt):
        profile_space(small_space, runtime("gpu"), **arguments)
    assert journal.read_text() == measured
    table = profile_space(small_space, runtime("gpu"), **arguments)
    assert table.unmeasured == {}
    assert journal.read_text().startswith(measured)


def test_a_second_signal_reaches_its_handler_at_once(set_card):
    """So that the command line's handler, which ends the process then, can do so."""
    heard = []

    def handler(number, frame):
        heard.append(number)
        raise KeyboardInterrupt

    set_card("10.4.0", "1 step_complete")
    chosen = runtime("gpu")
    chosen.compiling = lambda share, phase: heard.append(phase)
    before = signal.signal(signal.SIGINT, handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            chosen.load(MODEL)
    finally:
        signal.signal(signal.SIGINT, before)
    assert heard == [signal.SIGINT]  # while it was built, and nothing was begun after it


def test_what_a_progress_function_raises_ends_the_build_and_is_not_lost(set_card):
    set_card("10.4.0", "")
    chosen = runtime("gpu")

    def told(share, phase):
        raise BrokenPipeError("nobody reads this")

    chosen.compiling = told
    with pytest.raises(BrokenPipeError, match="nobody reads this"):
        chosen.load(MODEL)


def test_a_thread_that_hears_no_signals_loads_as_well(set_card):
    set_card("10.4.0", "")
    chosen = runtime("gpu")
    with ThreadPoolExecutor(1) as threads:
        assert threads.submit(lambda: chosen.load(MODEL)()).result() > 0


def test_ctrl_c_while_layers_are_explained(set_card):
    set_card("10.4.0", "1 report_layer_time")
    with pytest.raises(KeyboardInterrupt):
        runtime("gpu").explain(MODEL)
