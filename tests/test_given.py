"""What a program gives that is nothing of the kind: refused in one sentence, before work begins."""

import numpy as np
import pytest

import hwnas
from hwnas.errors import HwnasError, OptionError
from hwnas.given import MOST_SECONDS, MOST_SEED, check_seconds, check_seed, check_whole

SPACE = hwnas.space("nasbench201", input_size=8)
MODEL = SPACE.to_onnx([0] * 6)
NO_NUMBERS = (None, True, "3", -1, 1.5, float("nan"), 2**70, np.float32(2), [1])


@pytest.mark.parametrize("value", NO_NUMBERS)
def test_what_is_no_whole_number(value):
    with pytest.raises(OptionError, match="a count is a whole number from 0 to 9, got"):
        check_whole("a count", value, 0, 9)
    with pytest.raises(OptionError, match="a seed is a whole number"):
        check_seed(value)


def test_whole_numbers_become_those_of_python():
    for value in (3, np.int64(3), np.uint8(3)):
        assert (check_whole("a count", value, 3, 3), type(check_seed(value))) == (3, int)
    assert check_seed(MOST_SEED) == MOST_SEED


def test_seconds_have_an_end():
    assert [check_seconds(n) for n in (0, 1.5, np.float32(2), MOST_SECONDS)] == [0, 1.5, 2, 86400]
    for wrong in (None, True, "6", -1, float("nan"), float("inf"), 86401):
        with pytest.raises(OptionError, match="seconds are a number from 0 to 86400, got"):
            check_seconds(wrong)


CALLS = {
    "a seed of a sample": lambda v: SPACE.sample(3, seed=v),
    "a count of a sample": lambda v: SPACE.sample(v, seed=0),
    "a seed of weights": lambda v: SPACE.to_onnx([0] * 6, seed=v),
    "a batch of a network": lambda v: SPACE.to_onnx([0] * 6, batch=v),
    "a seed of data": lambda v: hwnas.load_data("digits", input_size=8, seed=v),
    "a seed of a measurement": lambda v: hwnas.measure(MODEL, seed=v),
    "a batch of an engine": lambda v: hwnas.predict_onnx(
        MODEL, "v100-tensorrt-fp16", batch=0 if v is None else v
    ),
}


@pytest.mark.parametrize("what", CALLS)
def test_numbers_are_looked_at_before_work_begins(what, monkeypatch):
    def never(*given, **named):
        raise AssertionError("something was measured")

    monkeypatch.setattr("hwnas.devices.any_model.measuring._probes", never)
    for value in NO_NUMBERS:
        with pytest.raises(OptionError):
            CALLS[what](value)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: hwnas.load_data(None, input_size=8), "data are named by a text: digits, .*None"),
        (lambda: hwnas.parse_budget(None), "a budget is one of latency, .*got None"),
        (lambda: SPACE.parse(None), "an architecture of nasbench201 is a text, got None"),
        (lambda: hwnas.breakdown(None, [0] * 6), "a breakdown is of a space .*got None"),
        (lambda: hwnas.breakdown(SPACE, [0] * 6, "x"), "reads what load_predictor makes, got 'x'"),
        (lambda: hwnas.load_predictor("amd-epyc-1thread", 3), "a space is what .*got 3"),
        (lambda: hwnas.register_data((1, 2), print), r"registered by a name .*got \(1, 2\)"),
        (lambda: hwnas.find_network(SPACE, "digits", ["macs<=9M"], method=None), "method None"),
        (lambda: hwnas.find_network(SPACE, "digits", ["macs<=9M"], device=None), "device None"),
        (lambda: hwnas.measure(MODEL, device=None), "device is a str, got None"),
        (lambda: hwnas.measure(MODEL, runtime=True), "a name, or a runtime itself, got True"),
        (lambda: hwnas.measure(MODEL, shapes="1x3"), "shapes is a Mapping, got '1x3'"),
        (lambda: hwnas.measure(MODEL, save=3), "save is a str or Path or NoneType, got 3"),
        (lambda: hwnas.measure(MODEL, seconds=float("nan")), "seconds are a number"),
    ],
)
def test_what_is_of_another_kind(call, says):
    with pytest.raises(HwnasError, match=says):
        call()


def test_sizes_may_come_one_by_one():
    from torch import nn

    def build(width):
        return nn.Sequential(nn.Flatten(), nn.Linear(48, width), nn.Linear(width, 2))

    sizes = (size for size in (3, 4, 4))
    assert hwnas.family(build, {"width": [1, 2]}, input_shape=sizes).size == 2
