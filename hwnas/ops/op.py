"""What an operator is, and how it reads and prints."""

import re
from dataclasses import fields
from typing import Protocol, runtime_checkable

from hwnas.errors import UnknownNameError
from hwnas.ops.graph import Graph

__all__ = ["Op", "op_key", "parse_op"]


@runtime_checkable
class Op(Protocol):
    """A candidate, free of shape and hardware: a frozen dataclass of integers.

    ``token`` is what architectures print for it. ``no_op`` says that it costs nothing on any
    device, so that nobody measures it.
    """

    @property
    def token(self) -> str:
        """The short name inside architecture strings, unique within a decision."""
        ...

    @property
    def no_op(self) -> bool:
        """True where no kernel runs for it."""
        ...

    def fits(self, in_channels: int, out_channels: int, stride: int) -> bool:
        """Whether the operator exists at these shapes."""
        ...

    def emit(self, graph: Graph, x: int, out_channels: int, stride: int) -> int:
        """Add the operator's nodes behind node ``x`` and return the output node."""
        ...


def op_key(op: Op) -> str:
    """The stable, readable name of an operator: ``MBConv(kernel=5,expand=3)``."""
    values = ",".join(f"{f.name}={getattr(op, f.name)}" for f in fields(op))  # type: ignore[arg-type]
    return f"{type(op).__name__}({values})"


def parse_op(key: str, families: dict[str, type[Op]]) -> Op:
    """The operator that `op_key` printed; nothing in ``key`` is evaluated.

    Raises:
        UnknownNameError: no family of this name takes these fields.
    """
    match = re.fullmatch(r"(\w+)\(((?:\w+=\d{1,9}(?:,\w+=\d{1,9})*)?)\)", key, re.ASCII)
    family = families.get(match[1]) if match else None
    if match is None or family is None:
        raise UnknownNameError("operator", key, sorted(families))
    values = {name: int(value) for name, value in re.findall(r"(\w+)=(\d+)", match[2])}
    expected = [f.name for f in fields(family)]  # type: ignore[arg-type]
    if list(values) != expected:
        raise UnknownNameError("operator", key, [f"{match[1]}({', '.join(expected)})"])
    op = family(**values)
    if op_key(op) != key:  # a field twice, or leading zeros: one operator has one key
        raise UnknownNameError("operator", key, [op_key(op)])
    return op
