"""What a space promises whose networks are a person's own modules."""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from hwnas.arrays import IntArray
from hwnas.data import mapped, parts_of
from hwnas.ops.module import called
from hwnas.spaces import SearchSpace
from hwnas.testing.ops import assert_close, run_onnx_whole

__all__ = ["check_modules"]


def check_modules(space: SearchSpace, archs: IntArray) -> None:
    """Assert that costs, equal networks and ONNX files of a family are those of its modules.

    MACs are those that torch's FlopCounterMode counts when the module really runs; parameters and
    outputs are the module's; ONNX Runtime gives what torch gives; equal networks compute the same
    with the same weights.

    Args:
        space: whose `SearchSpace.modules` are there.
        archs: (n, n_decisions).

    Raises:
        AssertionError: a promise is broken; the message says which, and for which architecture.
    """
    modules = space.modules
    assert modules is not None, f"{space.name} has no modules of its own"
    macs, params = space.macs(archs), space.params(archs)
    for at, arch in enumerate(archs):
        text = space.format(arch)
        (number,) = space.layout.path(arch.tolist())
        assert number is not None, f"{text}: no candidate runs"
        assert modules.arch(number) == arch.tolist(), f"{text}: candidate {number} is another"
        module = space.drawn(arch, seed=0).eval()
        same = space.drawn(arch, seed=0).state_dict()
        assert all(torch.equal(t, same[k]) for k, t in module.state_dict().items()), (
            f"{text}: one seed draws two sets of weights"
        )
        trainable = sum(p.numel() for p in module.parameters() if p.requires_grad)
        assert params[at] == trainable, f"{text}: {params[at]} params, the module has {trainable}"
        x = _example(modules.inputs.zeros(2))
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            y = called(module, x)
        seen = counter.get_total_flops() // 4  # two inputs, and two FLOPs a MAC
        assert macs[at] == seen, f"{text}: {macs[at]} MACs, the module does {seen}"
        weights = {name: tensor.numpy() for name, tensor in module.state_dict().items()}
        model = space.to_onnx(arch, weights, batch=2)
        got = run_onnx_whole(model, [part.numpy() for part in parts_of(x)])
        for output, part in zip(got, parts_of(y), strict=True):
            assert_close(output, part.numpy(), text)
        _check_equal(space, arch, module, x, y)


def _example(zeros: Any) -> Any:
    """Random numbers in the place of zeros; whole numbers stay 0, which any table of words has."""
    generator = torch.Generator().manual_seed(0)

    def drawn(part: Tensor) -> Tensor:
        return torch.randn(part.shape, generator=generator) if part.is_floating_point() else part

    return mapped(drawn, zeros)


def _check_equal(space: SearchSpace, arch: IntArray, module: nn.Module, x: Any, y: Any) -> None:
    written = space.canonical(arch)
    text, other = space.format(arch), space.format(written)
    assert np.array_equal(space.canonical(written), written), f"{other} is written in two ways"
    twin = space.build(written).eval()
    twin.load_state_dict(module.state_dict())
    with torch.no_grad():
        pairs = zip(parts_of(called(twin, x)), parts_of(y), strict=True)
        equal = all(torch.equal(one, part) for one, part in pairs)
        assert equal, f"{text} and {other} are called equal, and are not"
