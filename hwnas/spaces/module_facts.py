"""What a person's own module is and costs, found out by running its shapes and nothing else.

A module runs once on torch's meta device, where tensors have shapes and no storage; one that needs
numbers to run (it looks at a value, say) runs once on the CPU. What is seen is counted: MACs of
convolutions, linear layers and matrix products, those of attention included, as torch's own
FlopCounterMode counts them. What was run, on what, and with which constants is the module's digest.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.dropout import _DropoutNd
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from hwnas.data import parts_of
from hwnas.ops.module import seeded
from hwnas.spaces.inputs import Inputs

__all__ = ["Facts", "Layer", "facts_of", "shapes_of", "unfilled"]

_FLOAT = 4  # bytes
#: What gives a tensor of its input's shape. The meta device takes a millisecond to work that out,
#: as it does for convolutions and linear layers.
_SAME_SHAPE: tuple[type[nn.Module], ...] = (
    *(nn.ReLU, nn.ReLU6, nn.GELU, nn.SiLU, nn.Hardswish, nn.Hardsigmoid, nn.Sigmoid, nn.Tanh),
    *(nn.LeakyReLU, nn.ELU, nn.Mish, nn.Softplus, nn.Identity, nn.LayerNorm, nn.GroupNorm),
    *(nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d),
)
_ATEN = torch.ops.aten
#: Operations that give a tensor like their first one, where others are of its shape or numbers.
_LIKE_FIRST = {
    *(_ATEN.add.Tensor, _ATEN.sub.Tensor, _ATEN.mul.Tensor, _ATEN.div.Tensor, _ATEN.relu.default),
    *(_ATEN.gelu.default, _ATEN.silu.default, _ATEN.sigmoid.default, _ATEN.tanh.default),
    *(_ATEN._softmax.default, _ATEN._safe_softmax.default),
}
#: What fills a tensor at random.
_DRAWS = {Tensor.normal_, Tensor.uniform_, Tensor.erfinv_}


@dataclass(frozen=True, slots=True)
class Layer:
    """What one operation does: for each of its groups a product of matrices, or a convolution.

    Attributes:
        kind: ``conv``, ``depthwise``, ``linear``, ``matmul``; ``other`` for all that has no MACs.
        inputs, outputs: channels that are read and written in each group.
        kernel: its area, in pixels.
        positions: at which channels are written; of ``other`` numbers that are.
        groups: that do not see each other.
        stride: its area, in pixels.
    """

    kind: str
    inputs: int = 1
    outputs: int = 1
    kernel: int = 1
    positions: int = 1
    groups: int = 1
    stride: int = 1

    @property
    def macs(self) -> int:
        """Multiply-accumulates."""
        if self.kind == "other":
            return 0
        return self.inputs * self.outputs * self.kernel * self.positions * self.groups

    @property
    def numbers(self) -> int:
        """Numbers that are read and written, the weights among them."""
        weights = self.inputs * self.outputs * self.kernel
        return self.groups * (self.positions * (self.inputs + self.outputs) + weights)


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of one network.

    Attributes:
        output: shape of what it gives for one input, without the batch; of each tensor where it
            gives a tuple or dict of several.
        macs: multiply-accumulates at batch 1.
        params: trainable parameters, shared ones once.
        bytes: that the layers with MACs read and write at fp32 and batch 1.
        digest: equal for modules that print alike, hold parameters of equal names and shapes and
            equal buffers, and run the same operations on them.
        layers: what it runs, and how often.
    """

    output: tuple[Any, ...]
    macs: int
    params: int
    bytes: int
    digest: str
    layers: Mapping[Layer, int]


def unfilled(make: Callable[[], nn.Module]) -> nn.Module:
    """The module that a function makes, its parameters without their first, random values.

    Buffers are what they are. Drawing what nobody reads would be most of the time that it takes.
    """
    with seeded(0), _Unfilled():
        return make()


class _Unfilled(TorchFunctionMode):
    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: Iterable[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        given = kwargs or {}
        if function in _DRAWS or getattr(function, "__module__", "") == "torch.nn.init":
            filled = args[0] if args else given.get("tensor")
            if isinstance(filled, nn.Parameter):
                return filled
        return function(*args, **given)


def shapes_of(module: nn.Module) -> dict[str, tuple[int, ...]]:
    """Names and shapes of what a module's ``state_dict`` holds."""
    return {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}


def facts_of(make: Callable[[], nn.Module], inputs: Inputs) -> Facts:
    """Count and name what a module does with one example.

    Args:
        make: makes it anew at each call.
        inputs: what it is called with.

    Raises:
        Exception: whatever the module raises when it is made, or runs on the CPU.
        ValueError: it gives something else than tensors whose first axis is the batch.
    """
    module = unfilled(make).eval()
    text, shapes = repr(module), shapes_of(module)
    constants = [_bytes(tensor) for _, tensor in module.named_buffers()]
    params = sum(p.numel() for p in module.parameters() if p.requires_grad)
    watch = _Watch()
    try:
        output = watch.run(_without_values(module, watch), inputs, "meta")
    except Exception:  # perhaps it needs values; if it is something else, that is seen with them
        with seeded(0):
            watch, module = _Watch(), make().eval()
        output = watch.run(module, inputs, "cpu")
    given = parts_of(output)
    for part in given:
        if not isinstance(part, Tensor) or part.ndim < 1 or part.shape[0] != 1:
            got = tuple(part.shape) if isinstance(part, Tensor) else type(part).__name__
            raise ValueError(f"a network gives tensors, the batch first, got {got}")
    whole = tuple(tuple(part.shape[1:]) for part in given)
    shape = whole[0] if isinstance(output, Tensor) else whole
    seen = blake2b(f"{text} {sorted(shapes.items())}".encode(), digest_size=16)
    for constant in (*constants, watch.trace.digest()):
        seen.update(constant)
    layers = watch.layers + Counter([Layer("other", positions=max(1, watch.others))])
    return Facts(shape, watch.macs, params, watch.bytes, seen.hexdigest(), dict(layers))


class _Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Sees every operation: counts it, and notes what it ran on."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.macs = self.bytes = self.others = 0
        self.layers: Counter[Layer] = Counter()
        self._blind = False
        self.trace = blake2b(digest_size=16)
        self._names: dict[int, str] = {}
        self._kept: list[Tensor] = []  # so that no other tensor gets the id of one that is gone

    def run(self, module: nn.Module, inputs: Inputs, device: str) -> Any:
        """What a module gives for zeros."""
        for name, tensor in (*module.named_parameters(), *module.named_buffers()):
            self._name(tensor, name)
        given = inputs.tensors(1, device)
        for name, x in zip(inputs.names, given, strict=True):
            self._name(x, name)
        with self:
            return module(*given)

    def skip(self, name: str, layer: nn.Module, x: Tensor) -> Tensor:
        """In place of a layer whose costs and output follow from its input's shape."""
        shape, run = _known_layer(layer, tuple(x.shape))
        if run is None:
            self.others += math.prod(shape)
        else:
            weights = sum(p.numel() for p in layer.parameters(False))
            self._count(run, run.macs, math.prod(x.shape) + math.prod(shape) + weights)
        self.trace.update(f"{name} {self._known(x)}".encode())
        self._blind = True
        result = torch.empty(shape, dtype=x.dtype, device=x.device)
        self._blind = False
        self._name(result, str(len(self._kept)))
        return result

    def __torch_dispatch__(
        self,
        operation: Any,
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        given = dict(kwargs or {})
        if self._blind:
            return operation(*args, **given)
        result = _like_first(operation, args, given)
        if result is None:
            result = operation(*args, **given)
        made = [t for t in tree_leaves(result) if isinstance(t, Tensor)]
        ends = [t for t in tree_leaves((args, given)) if isinstance(t, Tensor)] + made
        formula = flop_registry.get(operation._overloadpacket)
        if formula is not None:
            macs = int(formula(*args, **given, out_val=result)) // 2
            run = _layer_of(operation.overloadpacket.__name__, args, ends[-1], macs)
            self._count(run, macs, sum(math.prod(t.shape) for t in ends))
        elif all(end.alias_info is None for end in operation._schema.returns):  # neither view
            self.others += sum(math.prod(t.shape) for t in made)  # nor in place
        told = [self._known(leaf) for leaf in tree_leaves((args, given))]
        self.trace.update(f"{operation} {told}".encode())
        for tensor in made:
            self._name(tensor, str(len(self._kept)))
        return result

    def _count(self, layer: Layer, macs: int, numbers: int) -> None:
        self.layers[layer] += 1
        self.macs += macs
        self.bytes += _FLOAT * numbers

    def _known(self, leaf: object) -> str:
        """How a tensor or constant is called, alike in every process."""
        if not isinstance(leaf, Tensor):
            return repr(leaf)
        name = self._names.get(id(leaf))
        if name is None and not leaf.is_meta:
            name = blake2b(_bytes(leaf), digest_size=16).hexdigest()
        return f"{name} {tuple(leaf.shape)}"

    def _name(self, tensor: Tensor, name: str) -> None:
        if id(tensor) not in self._names:
            self._names[id(tensor)] = name
            self._kept.append(tensor)


def _bytes(tensor: Tensor) -> bytes:
    return tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes()


def _like_first(operation: Any, args: Sequence[Any], given: Mapping[str, Any]) -> Tensor | None:
    """What an operation gives on the meta device, where that is known at once."""
    if operation not in _LIKE_FIRST or not isinstance(args[0], Tensor) or not args[0].is_meta:
        return None
    first = args[0]
    others = [leaf for leaf in (*args[1:], *given.values()) if isinstance(leaf, Tensor)]
    alike = all(t.shape in (first.shape, ()) and t.dtype == first.dtype for t in others)
    return torch.empty_like(first) if alike and first.is_floating_point() else None


def _without_values(module: nn.Module, watch: _Watch) -> nn.Module:
    """The module on the meta device, its simple layers replaced by what is known of them."""
    module.to("meta")
    for name, layer in module.named_modules():
        simple = type(layer) in (*_SAME_SHAPE, nn.Linear) or isinstance(layer, _DropoutNd)
        if simple or (type(layer) is nn.Conv2d and not isinstance(layer.padding, str)):
            layer.forward = partial(watch.skip, name, layer)
    return module


def _known_layer(layer: nn.Module, shape: tuple[int, ...]) -> tuple[tuple[int, ...], Layer | None]:
    """The output's shape of a layer on an input of this shape, and what it runs if it has MACs."""
    if isinstance(layer, nn.Linear):
        if shape[-1] != layer.in_features:
            raise ValueError(f"a linear layer of {layer.in_features} features got {shape}")
        run = Layer("linear", layer.in_features, layer.out_features, 1, math.prod(shape[:-1]))
        return (*shape[:-1], layer.out_features), run
    if not isinstance(layer, nn.Conv2d):
        return shape, None
    if len(shape) != 4 or shape[1] != layer.in_channels:
        raise ValueError(f"a convolution of {layer.in_channels} channels got {shape}")
    paddings: Any = layer.padding
    settings = zip(
        layer.kernel_size, paddings, layer.dilation, layer.stride, shape[2:], strict=True
    )
    sizes = [(n + 2 * pad - dilated * (k - 1) - 1) // s + 1 for k, pad, dilated, s, n in settings]
    if min(sizes) < 1:
        raise ValueError(f"nothing is left of {shape} behind {layer}")
    output = (shape[0], layer.out_channels, *sizes)
    areas = math.prod(layer.kernel_size), math.prod(layer.stride)
    return output, _conv(layer.in_channels, output, areas, layer.groups)


def _conv(channels: int, output: Sequence[int], areas: tuple[int, int], groups: int) -> Layer:
    kind = "depthwise" if 1 < groups == channels else "conv"
    positions = math.prod(output) // output[1]
    area, stride = areas
    return Layer(kind, channels // groups, output[1] // groups, area, positions, groups, stride)


def _layer_of(name: str, args: Sequence[Any], result: Tensor, macs: int) -> Layer:
    """What an operation of torch's own runs; one that is not known here, by its MACs alone."""
    if name in ("mm", "addmm", "bmm", "baddbmm"):
        left, right = args[-2:] if name in ("mm", "bmm") else args[1:3]
        batch, (rows, inner) = math.prod(left.shape[:-2]), left.shape[-2:]
        return Layer("matmul", inner, right.shape[-1], 1, rows, batch)
    if name == "convolution" and not args[6]:
        kernel, stride, groups = args[1].shape[2:], args[3], args[8]
        of_all = stride * len(kernel) if len(stride) == 1 else stride
        areas = math.prod(kernel), math.prod(of_all)
        return _conv(args[0].shape[1], result.shape, areas, groups)
    side = max(1, round(macs ** (1 / 3)))
    return Layer("matmul", side, side, 1, max(1, macs // side**2))
