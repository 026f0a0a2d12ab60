"""What every operator promises, and three small tools to check networks with."""

import dataclasses
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnxruntime
import torch
from torch import nn

from hwnas.costs import workload_costs
from hwnas.errors import HwnasError, OptionError
from hwnas.onnx_graph import to_onnx
from hwnas.ops import FAMILIES, Graph, Op, Workload, parse_workload
from hwnas.ops.module import GraphModule, initialise

__all__ = [
    "assert_close",
    "assert_computed",
    "assert_graph_is_sound",
    "check_op",
    "count_macs",
    "randomise",
    "run_onnx",
    "run_onnx_whole",
]

Array = np.ndarray[Any, np.dtype[Any]]


def check_op(op: Op, *shapes: tuple[int, int, int, int, int]) -> None:
    """Assert all that the package relies on in an operator, of `hwnas.ops.FAMILIES` or your own.

    Its key and token read back; it writes the same graph alone and inside a network; its MACs and
    parameters are those of its torch module; its ONNX model computes what the module computes.

    Args:
        op: the operator.
        *shapes: in channels, out channels, stride, height and width; include odd sizes, and where
            the operator does not exist everywhere, shapes that it must refuse.

    Raises:
        AssertionError: a promise is broken; the message says which, and at which shape.
    """
    _check_identity(op)
    fitting = 0
    for shape in shapes:
        in_channels, out_channels, stride, _, _ = shape
        if op.fits(in_channels, out_channels, stride):
            _check_workload(Workload(op, *shape))
            fitting += 1
        else:
            try:
                Workload(op, *shape)
            except OptionError:
                continue
            raise AssertionError(f"{op} does not fit {shape}, but a workload takes it")
    assert fitting, f"{op} fits none of {shapes}: give at least one shape where it exists"


def _check_identity(op: Op) -> None:
    assert dataclasses.is_dataclass(op), f"{op!r} is not a dataclass"
    assert type(op).__dataclass_params__.frozen, f"{op!r} is not frozen"
    for field in dataclasses.fields(op):
        value = getattr(op, field.name)
        assert type(value) is int, f"{field.name} of {op!r} is not an integer"
    assert re.fullmatch(r"[\w@.]+", op.token), (
        f"the token of {op!r} must be of letters, digits, '_', '@' and '.', got {op.token!r}"
    )
    assert isinstance(op.no_op, bool), f"no_op of {op!r} is not a bool"
    shipped = FAMILIES.get(type(op).__name__, type(op))
    assert shipped is type(op), f"the name of {op!r} is that of a family that ships"


def _check_workload(workload: Workload) -> None:
    key = workload.key
    try:
        parsed = parse_workload(key, {type(workload.op).__name__: type(workload.op)})
    except HwnasError as error:
        raise AssertionError(f"the key {key!r} does not read back: {error}") from error
    assert parsed == workload, f"the key {key!r} reads back as {parsed}"

    graph = workload.graph()
    assert graph.nodes == workload.graph().nodes, f"{key}: two graphs of it differ"
    assert_graph_is_sound(graph, key)
    _check_embedded(workload, graph)

    costs = workload_costs(workload)
    module = GraphModule(graph)
    randomise(module, seed=0)
    if workload.op.no_op:
        assert costs["macs"] == costs["params"] == 0, f"{key} is free, but costs {costs}"
    trainable = sum(parameter.numel() for parameter in module.parameters())
    assert costs["params"] == trainable, (
        f"{key}: {costs['params']} parameters counted, the module has {trainable}"
    )
    shape = graph.nodes[-1].shape
    for batch in (1, 3):
        x = _input(graph, batch)
        macs, y = count_macs(module, x)
        assert costs["macs"] == macs, f"{key}: {costs['macs']} MACs counted, the module does {macs}"
        got = tuple(y.shape) + (1,) * (4 - y.ndim)
        assert got == (batch, *shape), f"{key}: the graph says {shape}, the module gives {got}"
        weights = {name: tensor.numpy() for name, tensor in module.state_dict().items()}
        model = to_onnx(graph, weights, batch=batch)
        assert_computed(graph, run_onnx(model, x.numpy()), y.numpy(), f"{key} at batch {batch}")


def _check_embedded(workload: Workload, alone: Graph) -> None:
    """The operator behind another node, in a scope, is the operator alone."""
    key = workload.key
    graph = Graph((1, workload.height, workload.width))
    x = graph.conv(0, "before", workload.in_channels)
    with graph.scope("here"):
        y = workload.op.emit(graph, x, workload.out_channels, workload.stride)
    last = len(graph.nodes) - 1
    assert y == last, f"{key}: emit returned node {y}, but the last node it added is {last}"
    assert len(graph.nodes) == len(alone.nodes) + 1, f"{key}: another graph inside a network"
    for inside, node in zip(graph.nodes[2:], alone.nodes[1:], strict=True):
        moved = dataclasses.replace(
            node, name=f"here.{node.name}", inputs=tuple(i + 1 for i in node.inputs)
        )
        assert inside == moved, f"{key}: inside a network it is {inside}, not {moved}"


def assert_graph_is_sound(graph: Graph, what: str) -> None:
    """Assert that nodes read earlier nodes only, and that names and shapes are as they must be."""
    for at, node in enumerate(graph.nodes):
        assert all(0 <= i < at for i in node.inputs), f"{what}: {node} reads a later node"
        assert bool(node.inputs) == (at > 0), f"{what}: {node} reads nothing, or the input does"
        assert min(node.shape) >= 1, f"{what}: {node} is empty"
        same = [graph.shape(i) for i in node.inputs if node.kind == "add"]
        assert all(shape == node.shape for shape in same), f"{what}: {node} adds {same}"
    times = Counter(node.name for node in graph.nodes)
    shared = [name for name, count in times.items() if count > 1]
    assert not shared, f"{what}: nodes share the names {', '.join(shared)}"


def _input(graph: Graph, batch: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(batch)
    return torch.randn(batch, *graph.input_shape, generator=generator)


def count_macs(module: nn.Module, x: torch.Tensor) -> tuple[int, torch.Tensor]:
    """MACs of one input, seen on what convolutions and linear layers really make; and the output.

    Args:
        module: any module; left in evaluation mode.
        x: its input, the batch first.
    """
    seen: list[int] = []

    def conv(layer: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        assert isinstance(layer, nn.Conv2d)
        seen.append(output[0].numel() * layer.weight[0].numel())

    def linear(layer: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        assert isinstance(layer, nn.Linear)
        seen.append(layer.weight.numel())

    hooks = [
        layer.register_forward_hook(conv if isinstance(layer, nn.Conv2d) else linear)
        for layer in module.modules()
        if isinstance(layer, (nn.Conv2d, nn.Linear))
    ]
    try:
        with torch.no_grad():
            y = module.eval()(x)
    finally:
        for hook in hooks:
            hook.remove()
    return sum(seen), y


def randomise(module: nn.Module, seed: int) -> None:
    """Give a module weights and batch-norm statistics that are nowhere 0 or 1, from ``seed``.

    Outputs of linear layers are as large as their inputs, so that no difference before them hides.
    """
    initialise(module, seed)
    generator = torch.Generator().manual_seed(seed)
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            assert layer.running_mean is not None
            assert layer.running_var is not None
            with torch.no_grad():
                if layer.affine:
                    layer.weight.uniform_(0.5, 1.5, generator=generator)
                    layer.bias.normal_(0, 0.2, generator=generator)
                layer.running_mean.normal_(0, 0.2, generator=generator)
                layer.running_var.uniform_(0.5, 1.5, generator=generator)
        elif isinstance(layer, nn.Linear):
            with torch.no_grad():
                for parameter in layer.parameters():
                    parameter.normal_(0, layer.in_features**-0.5, generator=generator)


def run_onnx(model: bytes, x: Array) -> Array:
    """The first output of an ONNX model for one input, by ONNX Runtime on the CPU."""
    return run_onnx_whole(model, [x])[0]


def run_onnx_whole(model: bytes, inputs: Sequence[Array]) -> list[Array]:
    """All outputs of an ONNX model for its inputs, in order."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    names = [value.name for value in session.get_inputs()]
    outputs: list[Array] = session.run(None, dict(zip(names, inputs, strict=True)))
    return outputs


def assert_computed(graph: Graph, got: Array, expected: Array, what: str) -> None:
    """Assert that ONNX and torch give the same, (n, ...), for a graph.

    Where it rounds to few bits, a rounding error of single precision now and then becomes a whole
    step of the grid, and that image is another one: there, more than half of the images are asked.
    """
    if any(node.kind == "pact" for node in graph.nodes):
        axes = tuple(range(1, got.ndim))
        order = np.abs(got - expected).max(axis=axes).argsort()[: len(got) // 2 + 1]
        got, expected = got[order], expected[order]
    assert_close(got, expected, what)


def assert_close(got: Array, expected: Array, what: str) -> None:
    """Assert equal shapes, and values that differ by single-precision rounding only."""
    assert got.shape == expected.shape, f"{what}: shape {got.shape} instead of {expected.shape}"
    assert np.isfinite(expected).all(), f"{what}: the module's output is not finite"
    worst = float(np.abs(got - expected).max())
    allowed = 1e-4 * max(1.0, float(np.abs(expected).max()))
    assert worst <= allowed, f"{what}: ONNX and torch differ by {worst:g}, {allowed:g} is allowed"
