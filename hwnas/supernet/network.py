"""The weight-sharing network: every architecture of a chain-shaped space is one of its paths."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from hwnas.errors import OptionError
from hwnas.ops import Graph
from hwnas.ops.module import GraphModule, initialise
from hwnas.spaces import SearchSpace
from hwnas.spaces.chain import Chain
from hwnas.supernet.kinds import SHARINGS, Sharing
from hwnas.supernet.sharing import Block

__all__ = ["Supernet", "make_network"]


class Supernet(nn.Module):
    """All networks of a search space in one module; a forward pass runs one of them.

    Parameters and activations are kept in the channels-last memory format, which oneDNN needs to
    be fast on CPUs. Parameters off the path that was run get no gradient (None), so that weight
    decay and momentum leave them alone.

    Args:
        space: its layout must be a chain of blocks.
        sharing: ``separate`` gives every candidate its own weights, as in Single Path One-Shot;
            ``slices`` takes them out of one set per block, which learns many times faster.
        seed: of the initial weights.
        zero_init_residual: whether the last batch-norm of a residual branch starts at zero, so that
            a deep path starts as a shallow one.

    Raises:
        OptionError: the space is not a chain, or ``sharing`` is unknown.
    """

    def __init__(
        self,
        space: SearchSpace,
        *,
        sharing: Sharing = "slices",
        seed: int,
        zero_init_residual: bool = True,
    ):
        super().__init__()
        if not isinstance(space.layout, Chain):
            raise OptionError(
                f"a supernet needs a space that is a chain of blocks, such as proxyless; "
                f"{space.name} is a {type(space.layout).__name__}"
            )
        if sharing not in SHARINGS:
            raise OptionError(f"sharing is one of {', '.join(SHARINGS)}, got {sharing!r}")
        self.space = space
        self.sharing: Sharing = sharing
        self._layout = space.layout
        self.slots = nn.ModuleList(Block(slot.workloads, sharing) for slot in self._layout.slots)
        if sharing == "slices":
            initialise(self, seed)
            self._candidates_start_alike()
        else:
            self._start_as(Supernet(space, seed=seed, zero_init_residual=False))
        if zero_init_residual:
            self._zero_residuals()
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def path(self, arch: npt.ArrayLike) -> list[int]:
        """The candidate that an architecture chooses in each slot; 0 in slots without a choice.

        Raises:
            ArchitectureError: it is not one architecture of this space.
        """
        row = self.space.check(np.asarray(arch)[None])[0].tolist()
        return [0 if s.decision is None else row[s.decision] for s in self._layout.slots]

    def run_block(self, slot: int, x: Tensor, choice: int) -> Tensor:
        """Run one candidate of one slot on (n, channels, height, width)."""
        result: Tensor = self.slots[slot](x, choice)
        return result

    def forward(self, x: Tensor, arch: Sequence[int] | npt.NDArray[np.int64]) -> Tensor:
        """Logits (n, classes) of one architecture for images (n, channels, height, width)."""
        x = x.contiguous(memory_format=torch.channels_last)
        for block, choice in zip(self.slots, self.path(arch), strict=True):
            x = block(x, choice)
        return x

    def weights(self, arch: npt.ArrayLike) -> dict[str, npt.NDArray[Any]]:
        """Copies of what one architecture inherits: the state dict of ``space.build(arch)``.

        The batch-norm statistics are those of the last training steps, unless they were
        recalibrated for this architecture (`hwnas.supernet.Evaluator.set_statistics`).
        """
        return {
            f"{slot.name}.{name}": tensor.contiguous().numpy().copy()
            for slot, block, choice in zip(
                self._layout.slots, self._blocks, self.path(arch), strict=True
            )
            for name, tensor in block.state(choice).items()
        }

    @property
    def candidates(self) -> list[nn.ModuleList]:
        """The modules of each slot's candidates."""
        return [block.choices for block in self._blocks]

    @property
    def _blocks(self) -> list[Block]:
        return [block for block in self.slots if isinstance(block, Block)]

    def _candidates_start_alike(self) -> None:
        """What one candidate has more than another starts by adding nothing.

        That is the rim of its kernel, its further channels, and layers named ``extra...``. So all
        candidates of a block begin as one function, which the blocks behind can learn from, and
        part as they are trained; drawn at random they begin as strangers, and a deep supernet
        learns for thousands of steps what a single network learns in a hundred.
        """
        for block in self._blocks:
            block.start_alike()
        for name, parameter in self.named_parameters():
            if parameter.ndim == 4 and ".extra" in name:
                nn.init.dirac_(parameter, groups=parameter.shape[0] // parameter.shape[1])

    def _start_as(self, other: "Supernet") -> None:
        """Every candidate begins with the weights that it has in another supernet."""
        for block, source in zip(self._blocks, other._blocks, strict=True):
            for choice, candidate in enumerate(block.choices):
                candidate.load_state_dict(source.state(choice))

    def _zero_residuals(self) -> None:
        with torch.no_grad():
            for slot, block in zip(self._layout.slots, self._blocks, strict=True):
                for workload, choice in zip(slot.workloads, block.choices, strict=True):
                    for name in _residual_norms(workload.graph()):
                        weight = choice.get_submodule(name).weight
                        assert isinstance(weight, Tensor)
                        weight.zero_()


def make_network(space: SearchSpace, arch: npt.ArrayLike, *, seed: int) -> GraphModule:
    """One network of a chain-shaped space, residual branches starting at zero, to train alone."""
    network = space.build(arch)
    initialise(network, seed)
    row = space.check(arch)[0].tolist()
    assert isinstance(space.layout, Chain)
    with torch.no_grad():
        for slot in space.layout.slots:
            workload = slot.workloads[0 if slot.decision is None else row[slot.decision]]
            for name in _residual_norms(workload.graph()):
                weight = network.get_submodule(f"{slot.name}.{name}").weight
                assert isinstance(weight, Tensor)
                weight.zero_()
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def _residual_norms(graph: Graph) -> list[str]:
    """The batch-norms whose output is added to something that is not one."""
    sums = [[graph.nodes[i] for i in node.inputs] for node in graph.nodes if node.kind == "add"]
    return [
        term.name
        for terms in sums
        if any(term.kind != "batch_norm" for term in terms)
        for term in terms
        if term.kind == "batch_norm"
    ]
