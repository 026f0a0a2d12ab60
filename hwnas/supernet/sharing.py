"""How the candidates of one slot share their weights.

``separate`` gives every candidate its own parameters (Single Path One-Shot). ``slices`` keeps one
parameter per node name, as large as the largest candidate needs, and each candidate takes the first
channels and the middle of the kernel (once-for-all, Single-Path NAS): a 7x7 depthwise convolution
contains the 5x5 and the 3x3, expansion 6 contains expansion 3. Batch-norms are never shared: each
candidate needs its own scale and statistics. Where candidates read some of several joined values
(`Slot.reads`), both ways keep one set of weights for each value.

A step gives a gradient to the whole of each kernel of which its path took a slice: zero outside the
slice. The optimizer moves what lies outside all the same, by the momentum (Adam's moments, SGD's
velocity and weight decay) of earlier steps that did take it. Kernels of which no slice was taken,
and all of a candidate's own under ``separate``, have no gradient and stay bit for bit.
docs/spos.md says what this is worth, `benchmarks/unused_slices.py` measures it.
"""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hwnas.ops import Graph, Node, Workload
from hwnas.ops.graph import padding
from hwnas.ops.module import GraphModule, make_layer
from hwnas.ops.quantize import dorefa
from hwnas.supernet.kinds import Sharing

__all__ = ["Block", "SlicedLayer"]

#: For each candidate the joined values that it reads.
Reads = Sequence[Sequence[int]]
#: Kinds of nodes whose parameters can be sliced.
_SLICED_KINDS = ("conv", "linear")
_IN_PLACE: dict[str, Callable[..., nn.Module]] = {"relu": nn.ReLU, "relu6": nn.ReLU6}


class Block(nn.Module):
    """One slot of the network: its candidates, and the parameters that they share.

    Args:
        workloads: the candidates at their shapes.
        sharing: one of `hwnas.supernet.SHARINGS`; a lone candidate shares with nobody.
        reads: see `Slot.reads`.
    """

    def __init__(self, workloads: Sequence[Workload], sharing: Sharing, reads: Reads | None = None):
        super().__init__()
        self._graphs = graphs = [workload.graph() for workload in workloads]
        sliced = reads is not None or (sharing == "slices" and len(graphs) > 1)
        self._shapes = _shared_shapes(graphs, reads) if sliced else {}
        self.shared = nn.ParameterDict(
            {name: nn.Parameter(torch.empty(_most(s))) for name, s in self._shapes.items()}
        )
        shared = self.shared if sliced else None
        self.choices = nn.ModuleList(
            GraphModule(graph, partial(_layer, graph, shared, parts))
            for graph, parts in zip(graphs, _each(reads, len(graphs)), strict=True)
        )

    def forward(self, x: Tensor, choice: int) -> Tensor:
        """Run one candidate on (n, channels, height, width)."""
        result: Tensor = self.choices[choice](x)
        return result

    def candidate(self, choice: int) -> nn.Module:
        """The module of one candidate."""
        return self.choices[choice]

    def identity(self, choice: int) -> object:
        """Equal and printed alike for candidates that compute the same."""
        return choice

    def graph(self, choice: int) -> Graph | None:
        """The nodes of one candidate."""
        return self._graphs[choice]

    @torch.no_grad()
    def start_alike(self) -> None:
        """Zero what only some candidates see of a shared kernel: its rim, and further inputs.

        Few-bit weights are left as they are: they are rounded to levels of which none is zero.
        """
        layers = [m for m in self.choices.modules() if isinstance(m, SlicedLayer)]
        rounded = {name for layer in layers for name in layer.rounded}
        for name, shapes in self._shapes.items():
            whole = self.shared[name]
            if name not in rounded:
                seen_by_all = (whole.shape[0], *_least(shapes)[1:])
                margins = _margins(whole, seen_by_all)
                whole.copy_(F.pad(_crop(whole, margins), [-margin for margin in margins]))

    @torch.no_grad()
    def start_as(self, other: "Block") -> None:
        """Begin with the weights that another block of the same candidates has."""
        for name, parameter in self.shared.items():
            parameter.copy_(other.shared[name])
        for choice, candidate in enumerate(self.choices):
            own = candidate.state_dict().keys()
            state = other.state(choice)
            candidate.load_state_dict({name: state[name] for name in own})

    def state(self, choice: int) -> dict[str, Tensor]:
        """What ``GraphModule(graph).state_dict()`` of one candidate alone would hold, detached."""
        state: dict[str, Tensor] = {}
        for name, module in self.choices[choice].named_modules():
            if isinstance(module, SlicedLayer):
                state |= {f"{name}.{leaf}": t.detach() for leaf, t in module.slices().items()}
        return state | self.choices[choice].state_dict()


class SlicedLayer(nn.Module):
    """A convolution or linear layer of one candidate, on slices of parameters held elsewhere.

    It registers no parameter itself, so that each appears once in ``parameters()`` and
    ``state_dict()``.

    Args:
        node: the layer.
        in_channels: channels of its input.
        shared: holds the parameters, under `_shared_name`.
        parts: which of the joined values its input holds; None where it is not made of such.
    """

    def __init__(
        self,
        node: Node,
        in_channels: int,
        shared: nn.ParameterDict,
        parts: Sequence[int] | None = None,
    ):
        super().__init__()
        self._shared = (shared,)  # a tuple hides it from torch's registry; deepcopy still follows
        self._crops: list[tuple[str, str, Callable[[Tensor], Tensor]]] = []
        for leaf, shape in _leaf_shapes(node, in_channels).items():
            name = _shared_name(node, leaf)
            if parts is not None and leaf == "weight":
                taken = partial(_take_parts, parts=parts, width=in_channels // len(parts))
            else:
                taken = partial(_crop, margins=_margins(shared[name], shape))
            self._crops.append((leaf, name, taken))
        self._run: Callable[..., Tensor] = F.linear
        if node.kind == "conv":
            self._run = partial(
                F.conv2d,
                bias=None,
                stride=node.stride,
                padding=padding(node.kernel, node.dilation),
                dilation=node.dilation,
                groups=node.groups,
            )
        self._bits = node.bits

    def slices(self) -> dict[str, Tensor]:
        """The layer's own parameters by their names; gradients flow back into the shared ones."""
        (shared,) = self._shared
        return {leaf: taken(shared[name]) for leaf, name, taken in self._crops}

    @property
    def rounded(self) -> list[str]:
        """The names of the shared parameters that the layer rounds to few bits."""
        return [name for leaf, name, _ in self._crops if self._bits and leaf == "weight"]

    def forward(self, x: Tensor) -> Tensor:
        """Run the layer; a quantised one rounds what it takes, not what it is taken from."""
        slices = self.slices()
        if self._bits:
            slices["weight"] = dorefa(slices["weight"], self._bits)
        return self._run(x, **slices)


def _each(reads: Reads | None, count: int) -> Sequence[Sequence[int] | None]:
    return [None] * count if reads is None else reads


def _margins(whole: Tensor, shape: Sequence[int]) -> tuple[int, ...]:
    """The padding, negative, that takes a tensor's first channels and the middle of its kernel.

    In the order of `torch.nn.functional.pad` (last dimension first); empty where nothing is cut.
    """
    margins: list[int] = []
    for dimension in reversed(range(whole.ndim)):
        excess = whole.shape[dimension] - shape[dimension]
        before = excess // 2 if dimension >= 2 else 0
        margins += [-before, before - excess]
    return tuple(margins) if any(margins) else ()


def _crop(whole: Tensor, margins: tuple[int, ...]) -> Tensor:
    """Cut with `_margins`: one differentiable operation, however many dimensions are cut."""
    return F.pad(whole, margins) if margins else whole


def _take_parts(whole: Tensor, parts: Sequence[int], width: int) -> Tensor:
    """The weights (out, channels, ...) that read some of several values of equal width."""
    return torch.cat([whole[:, part * width : (part + 1) * width] for part in parts], 1)


def _shared_name(node: Node, leaf: str) -> str:
    """The name of a shared parameter in its block; a dot would not be allowed there."""
    return f"{node.name}.{node.kind}.{leaf}".replace(".", "/")


def _layer(
    graph: Graph,
    shared: nn.ParameterDict | None,
    parts: Sequence[int] | None,
    node: Node,
    in_channels: int,
) -> nn.Module | None:
    """The module of one node of a candidate."""
    if shared is not None and node.kind in _SLICED_KINDS:
        return SlicedLayer(node, in_channels, shared, parts)
    if node.kind in _IN_PLACE and _alone_behind_norm(graph, node):
        return _IN_PLACE[node.kind](inplace=True)
    return make_layer(node, in_channels)


def _alone_behind_norm(graph: Graph, node: Node) -> bool:
    """Whether a node may overwrite its input: a batch-norm's output that nobody else reads."""
    (source,) = node.inputs
    readers = sum(other.inputs.count(source) for other in graph.nodes)
    return graph.nodes[source].kind == "batch_norm" and readers == 1


def _leaf_shapes(node: Node, in_channels: int) -> dict[str, tuple[int, ...]]:
    """The shapes of a node's parameters."""
    with torch.device("meta"):
        layer = make_layer(node, in_channels)
    assert layer is not None, node
    return {leaf: tuple(parameter.shape) for leaf, parameter in layer.named_parameters()}


def _shared_shapes(
    graphs: Sequence[Graph], reads: Reads | None
) -> dict[str, list[tuple[int, ...]]]:
    """Every parameter name that any candidate uses, and its shapes over them.

    With ``reads`` it is the shape that reads all joined values.
    """
    shapes: dict[str, list[tuple[int, ...]]] = {}
    for at, graph in enumerate(graphs):
        for node in graph.nodes:
            if node.kind in _SLICED_KINDS:
                in_channels = graph.shape(node.inputs[0])[0]
                if reads is not None:
                    values = 1 + max(part for parts in reads for part in parts)
                    in_channels = in_channels // len(reads[at]) * values
                for leaf, shape in _leaf_shapes(node, in_channels).items():
                    shapes.setdefault(_shared_name(node, leaf), []).append(shape)
    return shapes


def _most(shapes: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    return tuple(max(sizes) for sizes in zip(*shapes, strict=True))


def _least(shapes: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    return tuple(min(sizes) for sizes in zip(*shapes, strict=True))
