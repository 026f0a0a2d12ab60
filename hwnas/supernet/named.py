"""How the networks of a family share weights: by the names of their parameters.

Parameters of equal name are one tensor, as large as the largest network needs. A network takes the
first channels of it, and the middle of a convolution's kernel, as candidates of a block do
(`hwnas.supernet.sharing`), and runs on what it took. A parameter that stacks parts, such as query,
key and value, is cut part by part. Each network has batch-norm statistics of its own, which are
recalibrated before they are used (`hwnas.supernet.evaluate`); scales and shifts are shared.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd

from hwnas.errors import OptionError
from hwnas.ops import Graph
from hwnas.ops.module import channels_last
from hwnas.progress import say
from hwnas.spaces import SearchSpace
from hwnas.spaces.layout import Modules
from hwnas.supernet.leaves import (
    Leaf,
    crop,
    holds,
    least_shapes,
    leaves_of,
    margins_of,
    merged,
    paste,
)

__all__ = ["NamedBlock"]

#: Networks without weights that are kept; to build one takes milliseconds.
_KEPT = 512
#: Random networks that are looked at for their parameters, besides those that differ from the
#: largest in one choice.
_DRAWN = 32


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A network without weights of its own.

    Attributes:
        module: its parameters are empty.
        cuts: for each of its parameters what takes it from the shared tensor.
        names: of its state, each parameter by the name under which it is shared.
    """

    module: nn.Module
    cuts: Mapping[str, Callable[[Tensor], Tensor]]
    names: Mapping[str, str]


class NamedBlock(nn.Module):
    """The only slot of a family's supernet: its candidates are all networks of the family.

    Args:
        space: has `SearchSpace.modules`.
        seed: of the initial weights, which are those that the modules themselves draw.

    Raises:
        OptionError: parameters of one name are of different kinds, so that they cannot be shared.
    """

    def __init__(self, space: SearchSpace, *, seed: int):
        super().__init__()
        modules = space.modules
        assert modules is not None, f"{space.name} has operators"
        self._space, self._networks = space, modules
        self._candidates: OrderedDict[int, _Candidate] = OrderedDict()
        looked_at = [(arch, _leaves(modules, arch)) for arch in _probes(space, modules)]
        self._leaves = merged(space, looked_at)
        first_weights = _first_weights(space, looked_at, seed)
        self.shared = nn.ParameterDict(
            {
                _key(name): nn.Parameter(tensor, requires_grad=self._leaves[name].trained)
                for name, tensor in first_weights.items()
            }
        )
        self._least = least_shapes(looked_at)
        self._channels_last = True
        self._channels_last = self._runs_channels_last(looked_at[0][0])

    def forward(self, x: Any, choice: int) -> Any:
        """Run one network on a batch of inputs."""
        candidate = self._candidate(choice)
        given = x if isinstance(x, tuple) else (x,)
        if not self._channels_last:
            given = tuple(part.contiguous() for part in given)
        device = given[0].device
        if any(buffer.device != device for buffer in candidate.module.buffers()):
            candidate.module.to(device)
        weights = {name: self._take(name, cut) for name, cut in candidate.cuts.items()}
        return functional_call(candidate.module, weights, given)

    def train(self, mode: bool = True) -> "NamedBlock":
        """As in torch; networks that are not registered as parts follow."""
        for candidate in self._candidates.values():
            candidate.module.train(mode)
        super().train(mode)
        return self

    def candidate(self, choice: int) -> nn.Module:
        """The module of one network, whose parameters are empty."""
        return self._candidate(choice).module

    def identity(self, choice: int) -> object:
        """Equal and printed alike for networks that compute the same."""
        return self._networks.facts(self._networks.arch(choice)).digest

    def graph(self, choice: int) -> Graph | None:
        """None: it is not known of which nodes a module is made."""
        return None

    def state(self, choice: int) -> dict[str, Tensor]:
        """What ``state_dict()`` of one network alone would hold, detached."""
        candidate = self._candidate(choice)
        taken = {n: self._take(n, cut).detach() for n, cut in candidate.cuts.items()}
        state = candidate.module.state_dict()
        return {name: taken.get(candidate.names.get(name, ""), t) for name, t in state.items()}

    @torch.no_grad()
    def start_alike(self) -> None:
        """Zero what only some networks see of a layer's weights: its rim, and further inputs."""
        for name, leaf in self._leaves.items():
            if issubclass(leaf.owner, _ConvNd | nn.Linear) and len(leaf.shape) > 1:
                whole = self.shared[_key(name)]
                margins = margins_of(leaf, (leaf.shape[0], *self._least[name][1:]))
                inside = crop(whole, margins, leaf.parts)
                whole.copy_(crop(inside, tuple(-margin for margin in margins), leaf.parts))

    @torch.no_grad()
    def start_with(self, weights: Mapping[str, Tensor]) -> None:
        """Begin with weights that were trained before, where name and shape fit; says how many."""
        taken = 0
        for name, leaf in self._leaves.items():
            own = weights.get(name)
            if own is not None and own.ndim == len(leaf.shape) and holds(leaf.shape, own.shape):
                paste(self.shared[_key(name)], own.detach().float().cpu(), leaf)
                taken += 1
        say(f"{taken} of {len(self._leaves)} parameters start with pretrained weights")

    @torch.no_grad()
    def fix_norms(self) -> None:
        """Scales and shifts of batch-norms are 1 and 0, and are not trained."""
        for name, leaf in self._leaves.items():
            if issubclass(leaf.owner, _BatchNorm):
                parameter = self.shared[_key(name)]
                parameter.fill_(0.0 if name.endswith("bias") else 1.0).requires_grad_(False)

    def _take(self, name: str, cut: Callable[[Tensor], Tensor]) -> Tensor:
        taken = cut(self.shared[_key(name)])
        return taken if self._channels_last else taken.contiguous()

    def _candidate(self, choice: int) -> _Candidate:
        found = self._candidates.get(choice)
        if found is None:
            found = self._candidates[choice] = self._made(choice)
            if len(self._candidates) > _KEPT:
                self._candidates.popitem(last=False)
        self._candidates.move_to_end(choice)
        return found

    def _made(self, choice: int) -> _Candidate:
        arch = self._networks.arch(choice)
        module = self._networks.unfilled(arch).train(self.training)
        cuts: dict[str, Callable[[Tensor], Tensor]] = {}
        names = {id(parameter): name for name, parameter in module.named_parameters()}
        known = {
            name: names[id(parameter)]
            for name, parameter in module.named_parameters(remove_duplicate=False)
        }
        for name, leaf in leaves_of(module, self._networks.parts).items():
            whole = self._leaves.get(name)
            if whole is None or whole.kind != leaf.kind or not holds(whole.shape, leaf.shape):
                has = "no such parameter" if whole is None else str(whole)
                raise OptionError(
                    f"{name} is {leaf} in {self._space.format(arch)}, and {has} in all networks of "
                    f"{self._space.name} that were looked at: put the choices that give the "
                    "largest network last"
                )
            cuts[name] = partial(crop, margins=margins_of(whole, leaf.shape), parts=leaf.parts)
        for parameter in module.parameters():
            parameter.data = torch.empty(0)
        return _Candidate(module, cuts, known)

    def _runs_channels_last(self, arch: Sequence[int]) -> bool:
        """Whether networks run in the memory format that oneDNN is fast in; views may refuse."""
        x = channels_last(self._networks.inputs.zeros(2))
        (choice,) = self._space.layout.path(arch)
        assert choice is not None, "the only slot of a family runs"
        training = self.training
        try:
            with torch.inference_mode():
                self.eval()(x, choice)
        except RuntimeError:
            return False
        finally:
            self.train(training)
            self._candidates.clear()
        return True


def _probes(space: SearchSpace, modules: Modules) -> list[tuple[int, ...]]:
    """Networks that show the largest shape of each parameter, the largest network first."""
    largest = [n - 1 for n in space.n_choices]
    seen: dict[tuple[int, ...], None] = {}
    for decision, n in enumerate(space.n_choices):
        sizes = []
        for choice in range(n):
            arch = (*largest[:decision], choice, *largest[decision + 1 :])
            seen[arch] = None
            sizes.append(modules.facts(arch).params)
        largest[decision] = max(range(n), key=lambda choice: (sizes[choice], choice))
    for decision, n in enumerate(space.n_choices):
        for choice in range(n):
            seen[(*largest[:decision], choice, *largest[decision + 1 :])] = None
    drawn = space.sample(_DRAWN, seed=np.random.default_rng(0))
    first = [(0,) * len(largest), *(tuple(row) for row in drawn.tolist())]
    return list(dict.fromkeys((tuple(largest), *seen, *first)))


def _leaves(modules: Modules, arch: Sequence[int]) -> dict[str, Leaf]:
    return leaves_of(modules.unfilled(arch), modules.parts)


def _first_weights(
    space: SearchSpace, looked_at: Sequence[tuple[Sequence[int], Mapping[str, Leaf]]], seed: int
) -> dict[str, Tensor]:
    """What the shared tensors start as: what the largest network that has them draws.

    Where no network has the whole of a tensor, the rest is drawn with that one's mean and spread.
    """
    wholes = merged(space, looked_at)
    source: dict[str, Sequence[int]] = {}
    largest: dict[str, int] = {}
    for arch, leaves in looked_at:
        for name, leaf in leaves.items():
            size = int(np.prod(leaf.shape))
            if size > largest.get(name, -1):
                source[name], largest[name] = arch, size
    generator = torch.Generator().manual_seed(seed)
    weights: dict[str, Tensor] = {}
    with torch.no_grad():
        for arch in dict.fromkeys(tuple(a) for a in source.values()):
            drawn = dict(space.drawn(list(arch), seed).named_parameters())
            for name in (n for n, a in source.items() if tuple(a) == arch):
                own, leaf = drawn[name].detach(), wholes[name]
                whole = torch.empty(leaf.shape)
                spread = float(own.std()) if own.numel() > 1 else 0.0
                whole.normal_(float(own.mean()), spread, generator=generator)
                weights[name] = paste(whole, own, leaf)
    return {name: weights[name] for name in wholes}


def _key(name: str) -> str:
    """The name of a shared parameter in its block; a dot would not be allowed there."""
    return name.replace(".", "/")
