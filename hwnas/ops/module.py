"""The torch reading of a graph: an ordinary `torch.nn.Module`, trainable and printable."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hwnas.ops.graph import INITIAL_ALPHA, Graph, Node, padding
from hwnas.ops.quantize import Pact, QuantizedConv2d

__all__ = [
    "GraphModule",
    "LayerFactory",
    "add_all",
    "called",
    "channels_last",
    "concat_all",
    "initialise",
    "make_layer",
    "node_ranges",
    "seeded",
]

#: Builds the module of one node from the node and the channels of its input; None: no parameters.
LayerFactory = Callable[[Node, int], nn.Module | None]


def make_layer(node: Node, in_channels: int) -> nn.Module | None:
    """The torch layer that holds a node's parameters, or None where it has none."""
    out_channels = node.shape[0]
    if node.kind == "conv":
        layer = partial(QuantizedConv2d, node.bits) if node.bits else nn.Conv2d
        return layer(
            in_channels,
            out_channels,
            node.kernel,
            node.stride,
            padding(node.kernel, node.dilation),
            node.dilation,
            groups=node.groups,
            bias=False,
        )
    if node.kind == "pact":
        return Pact(node.bits)
    if node.kind == "batch_norm":
        return nn.BatchNorm2d(out_channels, affine=node.affine)
    if node.kind == "linear":
        return nn.Linear(in_channels, out_channels, bias=node.bias)
    return None


def add_all(first: Tensor, *others: Tensor) -> Tensor:
    """The sum of tensors of one shape, from the first to the last."""
    for other in others:
        first = first + other
    return first


def _gated(x: Tensor, gate: Tensor) -> Tensor:
    return x * gate.reshape(*gate.shape[:2], 1, 1)


def concat_all(*parts: Tensor) -> Tensor:
    """The channels of the parts (n, channels, height, width), one after the other."""
    return torch.cat(parts, 1)


def _global_avg_pool(x: Tensor) -> Tensor:
    return x.mean((2, 3))


def _take(node: Node) -> Callable[..., Tensor]:
    start, step = node.start, node.stride
    return lambda x: x[:, start::step]


def _crop(node: Node) -> Callable[..., Tensor]:
    start = node.start
    return lambda x: x[:, :, start:, start:]


def _max_pool(node: Node) -> Callable[..., Tensor]:
    kernel, stride, pad = node.kernel, node.stride, padding(node.kernel)
    return lambda x: F.max_pool2d(x, kernel, stride, pad)


def _avg_pool(node: Node) -> Callable[..., Tensor]:
    kernel, stride, pad = node.kernel, node.stride, padding(node.kernel)
    return lambda x: F.avg_pool2d(x, kernel, stride, pad, count_include_pad=False)


#: Kind of a node without parameters -> its function.
_PLAIN: dict[str, Callable[[Node], Callable[..., Tensor]]] = {
    "relu": lambda node: F.relu,
    "relu6": lambda node: F.relu6,
    "hard_swish": lambda node: F.hardswish,
    "hard_sigmoid": lambda node: F.hardsigmoid,
    "mul": lambda node: _gated,
    "channel_shuffle": lambda node: partial(F.channel_shuffle, groups=node.groups),
    "add": lambda node: add_all,
    "zero": lambda node: torch.zeros_like,
    "take": _take,
    "crop": _crop,
    "concat": lambda node: concat_all,
    "max_pool": _max_pool,
    "avg_pool": _avg_pool,
    "global_avg_pool": lambda node: _global_avg_pool,
}


class GraphModule(nn.Module):
    """Runs the nodes of a graph; parameters lie below the nodes' dotted names.

    Args:
        graph: what to run. Its input is a float tensor (n, channels, height, width); the output has
            the shape of the last node, (n, classes) behind a linear layer.
        layers: makes the module of each node; a supernet passes its own to share weights.
    """

    def __init__(self, graph: Graph, layers: LayerFactory = make_layer):
        super().__init__()
        last_use = {i: i for i in range(len(graph.nodes) - 1)}  # at once, where nobody reads it
        last_use |= {i: at for at, node in enumerate(graph.nodes) for i in node.inputs}
        self._steps: list[tuple[Callable[..., Tensor], tuple[int, ...], tuple[int, ...]]] = []
        for at, node in enumerate(graph.nodes[1:], start=1):
            layer = layers(node, graph.shape(node.inputs[0])[0])
            if layer is not None:
                _attach(self, node.name, layer)
            done = tuple(i for i in {*node.inputs, at} if last_use.get(i) == at)
            self._steps.append((layer or _PLAIN[node.kind](node), node.inputs, done))

    def forward(
        self,
        x: Tensor,
        see: Callable[[int, Tensor], None] | None = None,
        change: Mapping[int, Callable[[Tensor], Tensor]] | None = None,
    ) -> Tensor:
        """Run all nodes; intermediate results are let go after their last use.

        Args:
            x: (n, channels, height, width).
            see: shown the index and value of every node as it is computed.
            change: for some nodes what becomes of their value, such as drop path.
        """
        change = change or {}
        values: list[Tensor | None] = [x]
        for at, (run, inputs, done) in enumerate(self._steps, start=1):
            value = run(*(values[i] for i in inputs))
            if at in change:
                value = change[at](value)
            if see is not None:
                see(at, value)
            values.append(value)
            del value
            for i in done:
                values[i] = None
        result = values[-1]
        assert result is not None
        return result


def node_ranges(module: GraphModule, graph: Graph, images: Tensor) -> dict[str, float]:
    """Largest magnitude of every node's value over some images, by node name: int8 scales."""
    ranges = {"input": float(images.abs().max())}

    def see(at: int, value: Tensor) -> None:
        ranges[graph.nodes[at].name] = float(value.abs().max())

    with torch.no_grad():
        module(images, see)
    return ranges


def _attach(root: nn.Module, name: str, layer: nn.Module) -> None:
    *parents, leaf = name.split(".")
    for part in parents:
        if part not in root._modules:
            root.add_module(part, nn.Module())
        root = root.get_submodule(part)
    root.add_module(leaf, layer)


def called(module: nn.Module, inputs: Any) -> Any:
    """What a module makes of one input, or of a tuple of several."""
    return module(*inputs) if isinstance(inputs, tuple) else module(inputs)


def channels_last(x: Any) -> Any:
    """Images in the memory format that oneDNN is fast in; other inputs as they are."""
    if isinstance(x, tuple):
        return tuple(map(channels_last, x))
    return x.contiguous(memory_format=torch.channels_last) if x.ndim == 4 else x


def initialise(module: nn.Module, seed: int) -> None:
    """Fill all parameters from ``seed``: He for convolutions, N(0, 0.01) for linear layers.

    Scales of batch-norms start at 1, biases at 0, and bounds of quantised activations at 3: their
    inputs leave batch-norms.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if parameter.ndim == 4:
                fan_out = parameter.shape[0] * parameter.shape[2] * parameter.shape[3]
                if parameter.shape[1] == 1:
                    fan_out = parameter.shape[2] * parameter.shape[3]
                parameter.normal_(0.0, (2.0 / fan_out) ** 0.5, generator=generator)
            elif parameter.ndim == 2:
                parameter.normal_(0.0, 0.01, generator=generator)
            elif name.endswith("alpha"):
                parameter.fill_(INITIAL_ALPHA)
            else:
                parameter.fill_(0.0 if name.endswith("bias") else 1.0)


@contextmanager
def seeded(*seeds: int) -> Iterator[None]:
    """What draws from torch's own generators draws from these seeds; they are as before behind it.

    A person's own module draws its weights, and what its dropout zeroes, from those.
    """
    begun = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    devices = [torch.cuda.current_device()] if begun else []
    seed = int(np.random.SeedSequence(seeds).generate_state(1, np.uint64)[0] >> 1)
    with torch.random.fork_rng(devices=devices):
        torch.default_generator.manual_seed(seed)
        if begun:
            torch.cuda.manual_seed(seed)
        yield
