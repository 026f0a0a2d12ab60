"""The weight-sharing network: every architecture of a space is one of its paths."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, get_args

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from hwnas.errors import OptionError
from hwnas.ops import Graph
from hwnas.ops.module import add_all, channels_last, concat_all, initialise
from hwnas.spaces import SearchSpace
from hwnas.supernet.kinds import SHARINGS, BatchNorms, InitialWeights, Sharing
from hwnas.supernet.named import NamedBlock
from hwnas.supernet.sharing import Block

__all__ = ["Supernet", "concat_values", "make_network", "sum_values", "used"]


class Supernet(nn.Module):
    """All networks of a search space in one module; a forward pass runs one of them.

    Parameters and activations are kept in the channels-last memory format, which oneDNN needs to
    be fast on CPUs. Parameters off the path that was run get no gradient (None), so that weight
    decay and momentum leave them alone; of a kernel that candidates share, that is said of the
    whole kernel, and not of the part that the path did not take (`hwnas.supernet.sharing`).

    Networks that are a person's own modules (`SearchSpace.modules`) share parameters by name
    (`hwnas.supernet.named`), and start with the weights that the modules draw.

    Args:
        space: its architectures are the paths.
        sharing: ``separate`` gives every candidate its own weights, as in Single Path One-Shot;
            ``slices`` takes them out of one set per block, which learns many times faster.
        seed: of the initial weights.
        zero_init_residual: whether the last batch-norm of a residual branch starts at zero, so that
            a deep path starts as a shallow one.
        initial_weights: ``alike`` makes the candidates of a block start as one function; ``drawn``
            leaves each weight as it is drawn, as the paper does, residual branches included.
        batch_norms: ``affine`` ones learn a scale and a shift; ``plain`` ones keep 1 and 0, as in
            the release of Single Path One-Shot, so that residual branches do not start at zero.

    Raises:
        OptionError: ``sharing``, ``initial_weights`` or ``batch_norms`` is unknown.
    """

    def __init__(
        self,
        space: SearchSpace,
        *,
        sharing: Sharing = "slices",
        seed: int,
        zero_init_residual: bool = True,
        initial_weights: InitialWeights = "alike",
        batch_norms: BatchNorms = "affine",
    ):
        super().__init__()
        for name, value, known in (
            ("sharing", sharing, SHARINGS),
            ("initial_weights", initial_weights, get_args(InitialWeights)),
            ("batch_norms", batch_norms, get_args(BatchNorms)),
        ):
            if value not in known:
                raise OptionError(f"{name} is one of {', '.join(known)}, got {value!r}")
        self.space = space
        self.sharing: Sharing = sharing
        self._layout = space.layout
        alike, affine = initial_weights == "alike", batch_norms == "affine"
        if space.modules is not None:
            self._share_by_name(seed, alike, affine)
        else:
            self._share_by_slot(seed, alike, affine, zero_init_residual)
        for parameter in self.parameters():
            parameter.data = channels_last(parameter.data)

    def _share_by_name(self, seed: int, alike: bool, affine: bool) -> None:
        """One block holds whole networks, which share parameters by their names."""
        if self.sharing != "slices":
            raise OptionError(
                f"networks of {self.space.name} share slices of parameters of equal name, got "
                f"sharing {self.sharing}: to train each for itself, give the family evaluate="
            )
        block = NamedBlock(self.space, seed=seed)
        if self.space.modules is not None and self.space.modules.pretrained:
            block.start_with(self.space.modules.pretrained)
        elif alike:
            block.start_alike()
        if not affine:
            block.fix_norms()
        self.slots = nn.ModuleList([block])

    def _share_by_slot(
        self, seed: int, alike: bool, affine: bool, zero_init_residual: bool
    ) -> None:
        """A block for each slot holds its candidates."""
        space, sharing = self.space, self.sharing
        self.slots = nn.ModuleList(
            Block(slot.workloads, sharing, slot.reads) for slot in self._layout.slots
        )
        if alike and sharing == "separate":
            self._start_as(Supernet(space, seed=seed, zero_init_residual=False))
        else:
            initialise(self, seed)
        if alike and sharing == "slices":
            self._candidates_start_alike()
        if alike and affine and zero_init_residual:
            self._zero_residuals()
        if not affine:
            self._fix_norms()

    def path(self, arch: npt.ArrayLike) -> list[int | None]:
        """The candidate that an architecture runs in each slot; None where a slot is not used.

        Raises:
            ArchitectureError: it is not one architecture of this space.
        """
        return list(self._layout.path(self.space.check(np.asarray(arch)[None])[0].tolist()))

    def run_block(self, slot: int, x: Tensor, choice: int) -> Tensor:
        """Run one candidate of one slot on (n, channels, height, width)."""
        result: Tensor = self.slots[slot](x, choice)
        return result

    def forward(self, x: Tensor, arch: Sequence[int] | npt.NDArray[np.int64]) -> Tensor:
        """Logits (n, classes) of one architecture for images (n, channels, height, width).

        A person's own modules may read and give something else.
        """
        path = self.path(arch)
        return self.wire(path, x, lambda slot, x: self.run_block(slot, x, used(path[slot])))

    def wire(
        self,
        path: Sequence[int | None],
        x: Tensor,
        run: Callable[[int, Tensor], Tensor],
        concat: Callable[[str, Sequence[Tensor]], Tensor] | None = None,
    ) -> Tensor:
        """Let images (n, channels, height, width) flow through the slots of a path, as logits.

        Args:
            path: from `path`; says which slots are used.
            x: the images.
            run: what is done at a slot, such as `run_block` of one candidate.
            concat: what joins channels, given where; by default `concat_values`.
        """
        start: Tensor = channels_last(x)
        return self._layout.wire(tuple(path), start, run, sum_values, concat or concat_values)

    def weights(self, arch: npt.ArrayLike) -> dict[str, npt.NDArray[Any]]:
        """Copies of what one architecture inherits: the state dict of ``space.build(arch)``.

        The batch-norm statistics are those of the last training steps, unless they were
        recalibrated for this architecture (`hwnas.supernet.Evaluator.set_statistics`).
        """
        return {
            f"{slot.name}.{name}".removeprefix("."): tensor.contiguous().numpy().copy()
            for slot, block, choice in zip(
                self._layout.slots, self._any_blocks, self.path(arch), strict=True
            )
            if choice is not None
            for name, tensor in block.state(choice).items()
        }

    def candidate(self, slot: int, choice: int) -> nn.Module:
        """The module of one candidate of one slot."""
        return self._any_blocks[slot].candidate(choice)

    def identity(self, slot: int, choice: int) -> object:
        """Equal and printed alike for candidates of a slot that compute the same."""
        return self._any_blocks[slot].identity(choice)

    def graph(self, slot: int, choice: int) -> Graph | None:
        """The nodes of one candidate; None where it is a module of another making."""
        return self._any_blocks[slot].graph(choice)

    @property
    def candidates(self) -> list[nn.ModuleList]:
        """The modules of each slot's candidates, where these are operators."""
        return [block.choices for block in self._blocks]

    @property
    def _any_blocks(self) -> list[Block | NamedBlock]:
        return [block for block in self.slots if isinstance(block, Block | NamedBlock)]

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
            block.start_as(source)

    def _fix_norms(self) -> None:
        """Scales and shifts of batch-norms get no gradient, so that they stay 1 and 0."""
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.requires_grad_(False)

    def _zero_residuals(self) -> None:
        for slot, block in zip(self._layout.slots, self._blocks, strict=True):
            for workload, choice in zip(slot.workloads, block.choices, strict=True):
                _zero_scales(choice, _residual_norms(workload.graph()))


def make_network(space: SearchSpace, arch: npt.ArrayLike, *, seed: int) -> nn.Module:
    """One network of a space to train alone, from a seed.

    Residual branches start at zero; a person's own module starts as it draws its weights.
    """
    if space.modules is not None:
        return space.drawn(arch, seed)
    network = space.build(arch)
    initialise(network, seed)
    path = space.layout.path(space.check(arch)[0].tolist())
    for slot, choice in zip(space.layout.slots, path, strict=True):
        if choice is not None:
            norms = _residual_norms(slot.workloads[choice].graph())
            _zero_scales(network, [f"{slot.name}.{name}" for name in norms])
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def sum_values(name: str, terms: Sequence[Tensor]) -> Tensor:
    """The sum of a wiring, as the network of one architecture computes it."""
    return add_all(*terms)


def concat_values(name: str, parts: Sequence[Tensor]) -> Tensor:
    """The joined channels of a wiring, as the network of one architecture computes them."""
    return concat_all(*parts)


def used(choice: int | None) -> int:
    """The candidate of a slot that a wiring runs, which its path must use."""
    assert choice is not None, "the wiring runs a slot that the path does not use"
    return choice


@torch.no_grad()
def _zero_scales(module: nn.Module, norms: Iterable[str]) -> None:
    for name in norms:
        weight = module.get_submodule(name).weight
        assert isinstance(weight, Tensor)
        weight.zero_()


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
