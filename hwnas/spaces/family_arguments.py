"""What a person says of a family, checked."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from hwnas.errors import OptionError
from hwnas.spaces.layout import Decision

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Value", "checked_name", "decisions_of", "weights_digest"]

#: Texts of choices that stand in an architecture's string as they are.
_PLAIN = re.compile(r"[\w.+]+")


@dataclass(frozen=True, slots=True)
class Value:
    """One value of an argument."""

    value: Any
    token: str


def checked_name(build: object, name: str | None) -> str:
    """The name of a family: what was given, or the function's own.

    Raises:
        OptionError: the function is none, or the name is not of letters and digits.
    """
    if not callable(build):
        raise OptionError(f"a family is built by a function, got a {type(build).__name__}")
    text = getattr(build, "__name__", "<lambda>").replace("<lambda>", "family")
    text = text if name is None else name
    if not isinstance(text, str) or not re.fullmatch(r"\w[\w.-]*", text):
        raise OptionError(
            f"the name of a family is of letters, digits, '_', '-' and '.', got {text!r}: give it "
            "another one, name="
        )
    return text


def decisions_of(choices: Mapping[str, Sequence[Any]]) -> tuple[Decision, ...]:
    """A decision for each argument.

    Raises:
        OptionError: no lists of different values by names of arguments.
    """
    if not isinstance(choices, Mapping) or not choices:
        raise OptionError(
            "choices are the values of each argument, such as {'width': [16, 32]}, got "
            f"{choices!r}"
        )
    decisions = []
    for name, values in choices.items():
        if not isinstance(name, str) or not name.isidentifier():
            raise OptionError(f"choices are named as arguments of the function, got {name!r}")
        if isinstance(values, str) or not isinstance(values, Sequence) or not len(values):
            raise OptionError(f"choices of {name} are a list of values, got {values!r}")
        tokens = [_token(name, value, at) for at, value in enumerate(values)]
        if len(set(tokens)) < len(tokens):
            raise OptionError(f"choices of {name} are each given once, got {list(values)!r}")
        told = (Value(value, token) for value, token in zip(values, tokens, strict=True))
        decisions.append(Decision(name, tuple(told)))
    return tuple(decisions)


def _token(name: str, value: Any, at: int) -> str:
    """The text of a value; its place where the text could be misread."""
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        raise OptionError(
            f"choices of {name} are numbers, words, truth values or lists of these, so that runs "
            f"can name them, got {value!r}: give a word, and look it up in the function"
        ) from None
    text = str(value)
    return text if _PLAIN.fullmatch(text) and not isinstance(value, Mapping) else f"#{at}"


def weights_digest(weights: Mapping[str, "Tensor"]) -> str:
    """Tells weights apart.

    Raises:
        OptionError: they are not tensors by name.
    """
    import torch

    found = sha256()
    for name, tensor in sorted(weights.items()):
        if not isinstance(tensor, torch.Tensor):
            raise OptionError(
                f"pretrained weights are tensors by name, as of state_dict(), got {name!r}: a "
                f"{type(tensor).__name__}"
            )
        found.update(f"{name} {tuple(tensor.shape)}".encode())
        found.update(tensor.detach().cpu().double().numpy().tobytes())
    return found.hexdigest()[:12]
