"""The layout of a family: one slot, in which a whole network of a person's own runs."""

import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from hashlib import sha256
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from hwnas.arrays import IntArray
from hwnas.errors import HwnasError, OptionError
from hwnas.spaces.inputs import Inputs
from hwnas.spaces.layout import Decision, Join, Path, Run, Slot

if TYPE_CHECKING:
    from torch import Tensor, nn

    from hwnas.spaces.module_facts import Facts

__all__ = ["Family", "ends_so"]

T = TypeVar("T")

#: Networks that are built to see that a family is one, besides those of the first choices, of the
#: last and of those in the middle.
_PROBES = 4


@dataclass(frozen=True, eq=False)
class Family:
    """A `Layout` and its `Modules`: a single slot, whose candidates are all networks of the family.

    Attributes:
        name: of the family, for messages.
        function: builds a network.
        decisions: the arguments of the function, in order.
        inputs: of every network.
        parts: parameters that stack parts, by the end of their name, and how many.
        evaluate: gives the accuracy of a network.
        pretrained: what shared weights start with, by name.
    """

    name: str
    function: Callable[..., "nn.Module"]
    decisions: tuple[Decision, ...]
    inputs: Inputs
    parts: Mapping[str, int]
    evaluate: Callable[["nn.Module"], float] | None = None
    pretrained: Mapping[str, "Tensor"] = field(default_factory=dict)
    _facts: dict[tuple[int, ...], "Facts"] = field(default_factory=dict, init=False)
    slots = (Slot("", ()),)
    additive = False
    sequential = False
    cell = None

    @property
    def input_shape(self) -> Any:
        """Of one input without the batch, or of each of several."""
        return self.inputs.shape

    def path(self, arch: Sequence[int], /) -> Path:
        """The number of the architecture, which is what runs in the only slot."""
        number = 0
        for choice, n in zip(arch, self._n_choices, strict=True):
            number = number * n + int(choice)
        return (number,)

    def arch(self, number: int) -> list[int]:
        """The architecture of a number, one index per decision."""
        arch = []
        for n in reversed(self._n_choices):
            number, choice = divmod(number, n)
            arch.append(choice)
        return arch[::-1]

    def wire(self, path: Path, x: T, run: Run[T], add: Join[T], concat: Join[T]) -> T:
        """Run the network."""
        return run(0, x)

    def parse(self, text: str) -> list[int]:
        """Read ``width=32-kernel=3``, or the values alone: ``32-3``."""
        parts = text.split("-")
        if len(parts) != len(self.decisions):
            raise ValueError(
                f"{len(self.decisions)} values joined by '-' are needed, got {len(parts)}"
            )
        arch = []
        for part, decision in zip(parts, self.decisions, strict=True):
            name, _, token = part.rpartition("=")
            if name not in ("", decision.name):
                raise ValueError(f"{decision.name} comes here, got {part!r}")
            allowed = [choice.token for choice in decision.choices]
            if token not in allowed:
                raise ValueError(f"{decision.name} is one of {', '.join(allowed)}, got {token!r}")
            arch.append(allowed.index(token))
        return arch

    def format(self, arch: Sequence[int]) -> str:
        """Print each argument with its value, joined by ``-``."""
        chosen = zip(self.decisions, arch, strict=True)
        return "-".join(f"{d.name}={d.choices[choice].token}" for d, choice in chosen)

    def canonical(self, rows: IntArray) -> IntArray:
        """Architectures (n, n_decisions) with the first choice wherever that changes nothing.

        So a choice that another one puts out of use is written in one way.
        """
        written = rows.copy()
        for row in written:
            for decision in range(len(row)):
                first = row.copy()
                first[decision] = 0
                if self.facts(first).digest == self.facts(row).digest:
                    row[decision] = 0
        return written

    def arguments(self, arch: Sequence[int]) -> dict[str, Any]:
        """What the function is called with."""
        values: list[Any] = [d.choices[c] for d, c in zip(self.decisions, arch, strict=True)]
        return {d.name: v.value for d, v in zip(self.decisions, values, strict=True)}

    def make(self, arch: Sequence[int]) -> "nn.Module":
        """Call the function.

        Raises:
            OptionError: it raises, or gives no module.
        """
        from torch import nn

        try:
            module: Any = self.function(**self.arguments(arch))
        except HwnasError:
            raise
        except Exception as error:  # whatever a person's own function raises
            raise self._wrong(arch, f"raised {type(error).__name__}: {error}") from error
        if not isinstance(module, nn.Module):
            raise self._wrong(arch, f"gives a torch.nn.Module, got a {type(module).__name__}")
        return module

    def unfilled(self, arch: Sequence[int]) -> "nn.Module":
        """One network whose parameters have no values yet."""
        from hwnas.spaces.module_facts import unfilled

        return unfilled(partial(self.make, arch))

    def facts(self, arch: Sequence[int]) -> "Facts":
        """What is known of one network, which is built and looked at once.

        Raises:
            OptionError: the function raises or gives no module, or the module does not run or gives
                an output of another shape than others.
        """
        from hwnas.spaces.module_facts import facts_of

        key = tuple(int(choice) for choice in arch)
        if key not in self._facts:
            try:
                found = facts_of(partial(self.make, key), self.inputs)
            except HwnasError:
                raise
            except Exception as error:  # whatever a person's own module raises
                said = f"gives a network that does not run on an input of {self.input_shape}"
                raise self._wrong(key, f"{said}: {type(error).__name__}: {error}") from error
            first, known = next(iter(self._facts.items()), (key, found))
            if found.output != known.output:
                raise self._wrong(
                    key,
                    f"gives an output of {found.output}, and {known.output} for "
                    f"{self.format(first)}: all networks of a family give one shape",
                )
            self._facts[key] = found
        return self._facts[key]

    def check_call(self) -> None:
        """Refuse a function that does not take these arguments, by its signature.

        Raises:
            OptionError: it lacks one, or needs another.
        """
        names = [decision.name for decision in self.decisions]
        try:
            inspect.signature(self.function).bind(**dict.fromkeys(names))
        except TypeError as error:
            raise OptionError(
                f"{self.name} is built by a function that takes the choices {', '.join(names)} by "
                f"name: {error}"
            ) from None
        except ValueError:  # it has no signature that can be read; it is called soon enough
            return

    def fingerprint(self) -> str:
        """Tells families apart by some of their networks, and sees that they are one family.

        Raises:
            OptionError: outputs of several shapes, or two networks for the same choices.
        """
        from hwnas.spaces.module_facts import facts_of, shapes_of

        rng = np.random.default_rng(0)
        sizes = np.array(self._n_choices)
        drawn = rng.integers(0, sizes, (_PROBES, len(sizes)))
        seen = {}
        for row in (sizes - 1, np.zeros_like(sizes), sizes // 2, *drawn):
            arch = tuple(row.tolist())
            found = self.facts(arch)
            if facts_of(partial(self.make, arch), self.inputs).digest != found.digest:
                raise self._wrong(arch, "gives another network each time it is called")
            seen[self.format(arch)] = list(shapes_of(self.unfilled(arch)).items())
        return sha256(json.dumps(seen, sort_keys=True).encode()).hexdigest()[:12]

    def check_parts(self) -> None:
        """Refuse parts of parameters that are not there.

        Raises:
            OptionError: the largest network has none of this name, or a number that is none.
        """
        largest = self.unfilled([n - 1 for n in self._n_choices])
        names = [name for name, _ in largest.named_parameters()]
        for end, count in self.parts.items():
            if type(count) is not int or count < 2:
                raise OptionError(f"parts of {end} are a whole number above 1, got {count!r}")
            if not any(ends_so(name, end) for name in names):
                raise OptionError(
                    f"parts name parameters of {self.name}, such as {', '.join(names[:3])}; none "
                    f"ends in {end!r}"
                )

    @cached_property
    def _n_choices(self) -> tuple[int, ...]:
        return tuple(len(decision.choices) for decision in self.decisions)

    def _wrong(self, arch: Sequence[int], what: str) -> OptionError:
        told = ", ".join(f"{name}={value!r}" for name, value in self.arguments(arch).items())
        return OptionError(f"the function that builds {self.name}, called with {told}, {what}")


def ends_so(name: str, end: str) -> bool:
    """Whether a dotted name of a parameter, or of the module that it is of, ends in whole words."""
    words, wanted = name.split("."), end.split(".")
    return wanted in (words[-len(wanted) :], words[:-1][-len(wanted) :])
