"""Search spaces by name. A new space is one file and one line in ``_SPACES``."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from hwnas.errors import OptionError, UnknownNameError
from hwnas.spaces.fbnet import fbnet, fbnet_proxy
from hwnas.spaces.nasbench201 import nasbench201
from hwnas.spaces.ofa import ofa, ofa_proxy
from hwnas.spaces.proxyless import proxyless, proxyless_proxy
from hwnas.spaces.resnet import resnet18_bits, resnet34_bits, resnet_bits_proxy
from hwnas.spaces.shufflenet import CHANNEL_SCALES, shufflenet, shufflenet_proxy
from hwnas.spaces.space import Decision, Layout, SearchSpace

__all__ = [
    "CHANNEL_SCALES",
    "Decision",
    "Layout",
    "SearchSpace",
    "names",
    "proxy",
    "remake",
    "space",
]

_SPACES: dict[str, Callable[..., SearchSpace]] = {
    "fbnet": fbnet,
    "nasbench201": nasbench201,
    "ofa": ofa,
    "proxyless": proxyless,
    "resnet18-bits": resnet18_bits,
    "resnet34-bits": resnet34_bits,
    "shufflenet": shufflenet,
}
_PROXIES = {
    "fbnet": fbnet_proxy,
    "ofa": ofa_proxy,
    "proxyless": proxyless_proxy,
    "resnet18-bits": resnet_bits_proxy,
    "resnet34-bits": resnet_bits_proxy,
    "shufflenet": shufflenet_proxy,
}


def names() -> list[str]:
    """The names that `space` takes."""
    return sorted(_SPACES)


def space(name: str, **arguments: Any) -> SearchSpace:
    """Make a search space.

    Args:
        name: one of `names`.
        **arguments: those of the function of that name, such as ``input_size`` and ``classes``.

    Raises:
        UnknownNameError: there is no such space.
        OptionError: the space has no such argument, or not with this value.
    """
    if name not in _SPACES:
        raise UnknownNameError("space", name, names())
    known = inspect.signature(_SPACES[name]).parameters
    for argument in arguments:
        if argument not in known:
            raise OptionError(f"space {name} takes {', '.join(known)}, got {argument!r}")
    try:
        return _SPACES[name](**arguments)
    except TypeError as error:
        raise OptionError(f"space {name}: {error}") from None


def remake(
    name: str, arguments: Mapping[str, Any], given: SearchSpace | None = None
) -> SearchSpace:
    """The space that a table or another file names.

    Args:
        name: of the space.
        arguments: what it was made with.
        given: a space that a person brought along; taken where it is the one that is named.

    Raises:
        UnknownNameError: there is no such space, and it was not given.
        OptionError: the space takes other arguments.
    """
    if given is not None and given.name == name and dict(given.arguments) == dict(arguments):
        return given
    return space(name, **arguments)


def proxy(deployed: SearchSpace, input_size: int, classes: int, width_mult: float) -> SearchSpace:
    """A smaller space with the same decisions, to train a supernet in minutes.

    It is the deployed space itself where neither the size nor the width is another: what is trained
    is deployed.

    Raises:
        OptionError: no proxy is known for the space.
    """
    if deployed.name not in _PROXIES:
        raise OptionError(
            f"a supernet can be trained for {', '.join(_PROXIES)}, got {deployed.name}"
        )
    same = deployed.arguments["input_size"], deployed.arguments["classes"], 1.0
    if (input_size, classes, width_mult) == same:
        return deployed
    return _PROXIES[deployed.name](deployed, input_size, classes, width_mult)
