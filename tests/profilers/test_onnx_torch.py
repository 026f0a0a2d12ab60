"""The project's ONNX models as torch functions, against ONNX Runtime."""

import numpy as np
import pytest
import torch

import hwnas.spaces
from hwnas.errors import ModelRejectedError
from hwnas.profilers.onnx_torch import OnnxFunction
from hwnas.testing.ops import assert_close, run_onnx

PROXYLESS = hwnas.spaces.space("proxyless", input_size=36, classes=7, width_mult=0.25)
CELLS = hwnas.spaces.space("nasbench201", input_size=12, classes=7, channels=4, cells=1)
S1 = hwnas.spaces.space("darts-s1", input_size=8, classes=7, channels=4, cells=3)
NAO = hwnas.spaces.space("nao", input_size=8, classes=7, channels=4, repeats=1)


@pytest.mark.parametrize("space", [PROXYLESS, CELLS, S1, NAO], ids=lambda space: space.name)
@pytest.mark.parametrize("channels_last", [False, True])
def test_computes_what_onnx_runtime_computes(space, channels_last):
    for arch in space.sample(4, seed=1):
        model = space.to_onnx(arch, batch=2)
        function = OnnxFunction(model, "cpu", channels_last=channels_last)
        (x,) = function.examples()
        assert tuple(x.shape) == (2, *space.input_shape)
        with torch.no_grad():
            got = function(x).numpy()
        assert_close(got, run_onnx(model, x.contiguous().numpy()), space.format(arch))


def test_zeros_on_every_edge():
    arch = CELLS.parse("|none~0|+|none~0|none~1|+|none~0|none~1|none~2|")
    model = CELLS.to_onnx(arch, batch=2)
    function = OnnxFunction(model, "cpu")
    (x,) = function.examples()
    assert_close(function(x).numpy(), run_onnx(model, x.numpy()), "zeros")


def test_fp16_stays_fp16():
    arch = PROXYLESS.sample(1, seed=2)[0]
    model = PROXYLESS.to_onnx(arch, precision="fp16")
    function = OnnxFunction(model, "cpu")
    (x,) = function.examples()
    assert x.dtype == torch.float16
    got = function(x)
    assert got.dtype == torch.float16
    expected = run_onnx(model, x.numpy())
    assert np.abs(got.float().numpy() - expected).max() <= 0.05 * np.abs(expected).max()


def test_int8_is_refused():
    model = CELLS.to_onnx(CELLS.sample(1, seed=0)[0], precision="int8")
    with pytest.raises(ModelRejectedError, match=r"DequantizeLinear, QuantizeLinear.*tensorrt"):
        OnnxFunction(model, "cpu")
