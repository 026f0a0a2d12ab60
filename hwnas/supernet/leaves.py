"""The parameters of a family's networks: which are one tensor, and which part of it each takes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.conv import _ConvNd

from hwnas.errors import OptionError
from hwnas.spaces import SearchSpace
from hwnas.spaces.family_layout import ends_so

__all__ = ["Leaf", "crop", "holds", "least_shapes", "leaves_of", "margins_of", "merged", "paste"]

#: Mismatches that a message tells in full.
_TOLD = 3
#: Layers of torch that stack parts, and how many, by a part of their parameters' names.
_STACKED: tuple[tuple[type[nn.Module], str, int], ...] = ((nn.MultiheadAttention, "in_proj_", 3),)


@dataclass(frozen=True, slots=True)
class Leaf:
    """A parameter of one network.

    Attributes:
        shape: of the tensor.
        owner: the class of the layer that holds it.
        kernel: whether what follows the first two dimensions is a kernel, cut in the middle.
        parts: stacked along the first dimension.
        trained: whether it is to be trained.
    """

    shape: tuple[int, ...]
    owner: type[nn.Module]
    kernel: bool
    parts: int
    trained: bool

    @property
    def kind(self) -> tuple[object, ...]:
        """Equal for parameters that can be one tensor."""
        return self.owner, len(self.shape), self.kernel, self.parts

    def __str__(self) -> str:
        parts = f" in {self.parts} parts" if self.parts > 1 else ""
        return f"{self.shape}{parts} of a {self.owner.__name__}"


def leaves_of(module: nn.Module, told: Mapping[str, int]) -> dict[str, Leaf]:
    """The parameters of a network by name, shared ones once.

    Args:
        module: the network; its values are not looked at.
        told: parameters that stack parts, by the end of their name, and how many.
    """
    leaves = {}
    for name, parameter in module.named_parameters():
        path, _, last = name.rpartition(".")
        owner = module.get_submodule(path)
        parts = next((n for end, n in told.items() if ends_so(name, end)), _parts(owner, last))
        leaves[name] = Leaf(
            tuple(parameter.shape),
            type(owner),
            parameter.ndim > 3 or (isinstance(owner, _ConvNd) and parameter.ndim > 2),
            parts,
            parameter.requires_grad,
        )
    return leaves


def _parts(owner: nn.Module, last: str) -> int:
    """Parts that a layer of torch stacks in a parameter."""
    if isinstance(owner, _ConvNd) and 1 < owner.groups < owner.in_channels:
        return owner.groups
    known = (n for layer, begin, n in _STACKED if isinstance(owner, layer) and begin in last)
    return next(known, 1)


def merged(
    space: SearchSpace, looked_at: Sequence[tuple[Sequence[int], Mapping[str, Leaf]]]
) -> dict[str, Leaf]:
    """Each parameter name with the largest shape that a network needs.

    Raises:
        OptionError: parameters of one name are of different kinds, or cannot be cut.
    """
    wholes: dict[str, Leaf] = {}
    first: dict[str, Sequence[int]] = {}
    wrong: dict[str, str] = {}
    for arch, leaves in looked_at:
        for name, leaf in leaves.items():
            whole = wholes.setdefault(name, leaf)
            where = space.format(first.setdefault(name, arch))
            if issubclass(leaf.owner, nn.RNNBase):
                wrong[name] = f"{name} is of a {leaf.owner.__name__}, whose weights torch copies"
            elif leaf.kind != whole.kind:
                here = space.format(arch)
                wrong[name] = f"{name} is {whole} in {where}, and {leaf} in {here}"
            elif leaf.shape and leaf.shape[0] % leaf.parts:
                wrong[name] = f"{name} is {leaf} in {space.format(arch)}, which does not divide"
            else:
                shape = tuple(max(sizes) for sizes in zip(whole.shape, leaf.shape, strict=True))
                wholes[name] = Leaf(shape, leaf.owner, leaf.kernel, leaf.parts, whole.trained)
    if wrong:
        told = "; ".join(list(wrong.values())[:_TOLD])
        more = f"; and {len(wrong) - _TOLD} more" if len(wrong) > _TOLD else ""
        raise OptionError(
            f"networks of {space.name} cannot share weights by name: {told}{more}. Give layers of "
            "different kinds different names, or train each network for itself: "
            "hwnas.family(..., evaluate=)"
        )
    return wholes


def least_shapes(
    looked_at: Sequence[tuple[Sequence[int], Mapping[str, Leaf]]],
) -> dict[str, tuple[int, ...]]:
    """The smallest shape of each parameter."""
    least: dict[str, tuple[int, ...]] = {}
    for _, leaves in looked_at:
        for name, leaf in leaves.items():
            known = least.setdefault(name, leaf.shape)
            least[name] = tuple(min(sizes) for sizes in zip(known, leaf.shape, strict=True))
    return least


def margins_of(whole: Leaf, shape: Sequence[int]) -> tuple[int, ...]:
    """The padding, negative, that takes the first channels and the middle of a kernel.

    In the order of `torch.nn.functional.pad`, last dimension first, of the tensor with its parts
    apart; empty where nothing is cut.
    """
    margins: list[int] = []
    for dimension in reversed(range(len(shape))):
        excess = whole.shape[dimension] - shape[dimension]
        if dimension == 0:
            excess //= whole.parts
        before = excess // 2 if whole.kernel and dimension >= 2 else 0
        margins += [-before, before - excess]
    return tuple(margins) if any(margins) else ()


def crop(whole: Tensor, margins: tuple[int, ...], parts: int) -> Tensor:
    """Cut with `margins_of`, in each of the parts: one differentiable operation."""
    if not margins:
        return whole
    if parts == 1:
        return F.pad(whole, margins)
    apart = whole.reshape(parts, -1, *whole.shape[1:])
    return F.pad(apart, margins).flatten(0, 1)


def paste(whole: Tensor, own: Tensor, leaf: Leaf) -> Tensor:
    """Write into a shared tensor what a network would take from it; returns it."""
    back = tuple(-margin for margin in margins_of(leaf, own.shape))
    inside = crop(torch.ones_like(own), back, leaf.parts).bool()
    return whole.copy_(torch.where(inside, crop(own, back, leaf.parts), whole))


def holds(whole: Sequence[int], shape: Sequence[int]) -> bool:
    """Whether a shape can be cut from a larger one."""
    return all(most >= size for most, size in zip(whole, shape, strict=True))
