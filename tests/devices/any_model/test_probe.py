"""What loading takes, in a process of its own that is ended when it goes wrong."""

import pytest

from hwnas.devices.any_model import probe as probes
from hwnas.devices.any_model.probe import Way, probe
from hwnas.errors import ModelRejectedError

HERE = Way("cpu", 1, None)


def test_a_process_tells_times_memory_and_operators(small_space):
    model = small_space.to_onnx([0, 0, 0, 0])
    found = probe(model, HERE)
    assert found.load_ms > 0
    assert found.first_run_ms > 0
    assert 0 < found.loop_ms < found.load_ms
    # the weights are in memory, and no hundred times as much
    assert 0 < found.memory_bytes < 100 * len(model) + 20_000_000
    assert found.loading_bytes > 0
    assert found.operators[0].operator == "Conv"
    assert found.operators_sum == pytest.approx(sum(one.share for one in found.operators))


def test_a_model_that_the_runtime_refuses_says_why():
    with pytest.raises(ModelRejectedError, match="ONNX Runtime cannot load the model: "):
        probe(b"no model", HERE)


@pytest.mark.parametrize(
    ("child", "says"),
    [
        ("import time; time.sleep(60)", r"within 0.3 s: it takes longer, or never ends"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", r"its process \(signal 9\)"),
        ("import sys; sys.exit(3)", r"its process \(status 3\)"),
    ],
)
def test_a_process_that_does_not_answer_is_a_reason(monkeypatch, child, says):
    monkeypatch.setattr("hwnas.devices.any_model.child._CHILD", child)
    monkeypatch.setattr(probes, "_LIMIT_S", 0.3 if "sleep" in child else 30)
    with pytest.raises(ModelRejectedError, match=says):
        probe(b"", HERE)
