"""PACT and DoReFa: the papers' formulas, their values, and straight-through gradients."""

import numpy as np
import pytest
import torch

from hwnas.errors import OptionError
from hwnas.onnx_graph import to_onnx
from hwnas.onnx_graph.kinds import low_bit
from hwnas.ops import Graph, QuantizedBasicBlock, Workload
from hwnas.ops.module import GraphModule, node_ranges
from hwnas.ops.quantize import dorefa, pact
from hwnas.testing.ops import randomise, run_onnx


def test_pact_by_hand() -> None:
    x = torch.tensor([-1.0, 0.0, 0.4, 0.6, 1.4, 2.9, 3.0, 9.0])
    # 2 bits up to 3: the values 0, 1, 2 and 3
    expected = torch.tensor([0.0, 0.0, 0.0, 1.0, 1.0, 3.0, 3.0, 3.0])
    assert torch.equal(pact(x, torch.tensor([3.0]), 2), expected)


def test_gradients_of_pact() -> None:
    x = torch.tensor([-1.0, 0.4, 2.9, 3.0, 9.0], requires_grad=True)
    alpha = torch.tensor([3.0], requires_grad=True)
    grad = torch.tensor([1.0, 2.0, 4.0, 8.0, 16.0])
    pact(x, alpha, 2).backward(grad)
    assert x.grad is not None
    assert x.grad.tolist() == [0, 2, 4, 0, 0]
    assert alpha.grad is not None
    assert alpha.grad.tolist() == [8 + 16]  # where x >= alpha


def test_a_bound_that_training_lost_counts_as_a_small_one() -> None:
    y = pact(torch.tensor([-1.0, 0.5]), torch.tensor([-2.0]), 2)
    torch.testing.assert_close(y, torch.tensor([0.0, 0.01]))


def test_pact_keeps_what_it_is_given() -> None:
    x = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(0)).contiguous(
        memory_format=torch.channels_last
    )
    before = x.clone()
    y = pact(x, torch.tensor([3.0]), 4)
    assert torch.equal(x, before)
    assert y.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("bits", [1, 2, 3, 4])
def test_dorefa_by_its_formula(bits: int) -> None:
    weight = torch.randn(6, 5, 3, 3, generator=torch.Generator().manual_seed(bits)).double()
    levels = 2**bits - 1
    squashed = np.tanh(weight.numpy())
    normal = squashed / (2 * np.abs(squashed).max()) + 0.5
    expected = 2 * (np.rint(normal * levels) / levels) - 1
    np.testing.assert_allclose(dorefa(weight, bits).numpy(), expected, atol=1e-12)
    assert len(np.unique(expected.round(9))) == 2**bits
    assert np.abs(expected).max() == 1


def test_gradient_of_dorefa_passes_the_rounding() -> None:
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(40, dtype=torch.float64, generator=generator, requires_grad=True)
    grad = torch.randn(40, dtype=torch.float64, generator=generator)
    dorefa(weight, 2).backward(grad)
    squashed = weight.detach().tanh()
    # 2 n - 1 = tanh(w) / max, whose slope is (1 - tanh^2) / max
    torch.testing.assert_close(weight.grad, grad * (1 - squashed**2) / squashed.abs().max())


def test_few_bit_weights_need_a_few_bit_input() -> None:
    graph = Graph((4, 5, 5))
    with pytest.raises(OptionError, match="2-bit weights, so it needs an input that a pact"):
        graph.conv(0, "conv", 4, bits=2)
    with pytest.raises(OptionError, match="at least 1 bit, got 0"):
        graph.pact(0, "pact", 0)


def test_int8_model_holds_few_bit_weights_and_activations_to_8_bits() -> None:
    # with activations of 8 bits, the int8 model rounds just where the module does
    graph = Workload(QuantizedBasicBlock(4, 8), 8, 8, 1, 8, 8).graph()
    module = GraphModule(graph).eval()
    randomise(module, seed=1)
    x = torch.rand(1, 8, 8, 8, generator=torch.Generator().manual_seed(0)) * 3
    weights = {name: tensor.numpy() for name, tensor in module.state_dict().items()}
    with torch.no_grad():
        expected = module(x).numpy()
    ranges = node_ranges(module, graph, x)
    got = run_onnx(to_onnx(graph, weights, precision="int8", ranges=ranges), x.numpy())
    assert np.abs(got - expected).max() < 0.05 * np.abs(expected).max()
    assert np.corrcoef(got.ravel(), expected.ravel())[0, 1] > 0.995


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize("value", [0.0, 1e-44, 1e-7])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_weights_that_are_all_zero_have_values_and_gradients(
    bits: int, value: float, dtype: torch.dtype
) -> None:
    weight = torch.full((3, 4), value, dtype=dtype, requires_grad=True)
    low = dorefa(weight, bits)
    low.sum().backward()
    assert low.isfinite().all()
    assert weight.grad is not None
    assert weight.grad.isfinite().all()
    exported = low_bit(np.full((3, 4), value, np.float32), bits)
    assert np.isfinite(exported).all()
    if value == 0 and dtype == torch.float32:
        np.testing.assert_allclose(exported, low.detach().numpy(), atol=1e-6)
