"""All that hwnas knows of a space by its name: how it is made, trained, and read by others."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from hwnas.arrays import IntArray
from hwnas.errors import OptionError
from hwnas.spaces.space import SearchSpace

__all__ = ["Columns", "MakeProxy", "SpaceEntry", "accept", "comparable"]

#: From the deployed space, and the input size, classes and factor of all widths that are trained.
MakeProxy = Callable[[SearchSpace, int, int, float], SearchSpace]
#: Turns architectures (n, n_decisions) of a space into the columns of public measurements.
Columns = Callable[[SearchSpace, IntArray], IntArray]


@dataclass(frozen=True)
class SpaceEntry:
    """One search space.

    Attributes:
        name: that of the spaces that ``make`` returns.
        make: takes keyword arguments, such as ``input_size`` and ``classes``.
        proxy: makes a smaller space with the same decisions; without it a supernet is trained at
            the deployed size.
        base_lr: learning rate at which a supernet of the proxy learns.
        rank_by: what its candidates are ranked by, see `hwnas.supernet.separation`.
        columns: how architectures become the rows of a predictor that was fitted without a space.
        channel_scales: the scales of channels that ``make`` takes as ``scales``; empty where
            channels are not searched.
    """

    name: str
    make: Callable[..., SearchSpace]
    proxy: MakeProxy | None = None
    base_lr: float = 2e-3
    rank_by: Literal["accuracy", "separation"] = "accuracy"
    columns: Columns | None = None
    channel_scales: tuple[float, ...] = ()

    def arguments_of(self, said: Mapping[str, Any]) -> dict[str, Any]:
        """Keyword arguments of ``make`` for what a person says of any space.

        Args:
            said: arguments by their own names, None where they are left to the space. Besides,
                ``channels`` is true where their scales are searched; ``first_channels`` are those
                of the first cell; ``cells`` are those of a stage, or in a row.
        """
        arguments = {name: value for name, value in said.items() if value is not None}
        if arguments.pop("channels", False):
            arguments["scales"] = self.channel_scales
        rename = {"first_channels": "channels"}
        if "repeats" in inspect.signature(self.make).parameters:
            rename["cells"] = "repeats"
        return {rename.get(name, name): value for name, value in arguments.items()}


@dataclass(frozen=True)
class _Ready:
    """Makes a space that is there already."""

    space: SearchSpace

    def __call__(self, **arguments: Any) -> SearchSpace:
        """The space, where the arguments are among its own.

        Raises:
            OptionError: they are not.
        """
        own = comparable(self.space.arguments)
        for name, value in comparable(arguments).items():
            if name not in own or own[name] != value:
                made = ", ".join(f"{key}={own[key]!r}" for key in own) or "no arguments"
                raise OptionError(
                    f"space {self.space.name} was made with {made} and cannot be made otherwise, "
                    f"got {name}={value!r}: register a function that makes it"
                )
        return self.space


def accept(name: str, thing: Any) -> SpaceEntry:
    """The entry of what was registered: an entry, a space, or a function that makes a space.

    Raises:
        OptionError: it is none of them.
    """
    if isinstance(thing, SpaceEntry):
        return thing
    if isinstance(thing, SearchSpace):
        return SpaceEntry(thing.name, _Ready(thing))
    if callable(thing):
        return SpaceEntry(name, thing)
    raise OptionError(
        "a space is registered as a function that returns a SearchSpace, as a SearchSpace or as a "
        f"SpaceEntry; {name} is a {type(thing).__name__}"
    )


def comparable(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments as they are after a way through JSON, which has no tuples."""
    return {k: list(v) if isinstance(v, tuple) else v for k, v in arguments.items()}
