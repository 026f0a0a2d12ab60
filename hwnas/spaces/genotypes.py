"""The notation in which DARTS and its successors publish cells, and the operators that it names.

``Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ...], normal_concat=range(2, 6),
reduce=[...], reduce_concat=range(2, 6))``: two operators a node, each with the state it reads.
"""

import re
from collections.abc import Sequence

from hwnas.ops import DilConv, Identity, MaxPool, MeanPool, Op, SepConv

__all__ = ["NODES", "Pair", "format_genotype", "is_genotype", "operators", "parse_genotype"]

#: Nodes of a cell; they are the states from 2 on, and all of them are joined to the output.
NODES = 4
_JOINED = list(range(2, 2 + NODES))
_KINDS = ("normal", "reduce")
#: An operator by its published name, and the state that it reads.
Pair = tuple[str, int]

_FIELD = re.compile(
    r"\s*(\w+)\s*=\s*(range\s*\(\s*\d{1,3}\s*,\s*\d{1,3}\s*\)|[\[(][^=]*[\])])\s*(?:,|$)"
)
_PAIR = re.compile(r"""[(\[]\s*(['"])(\w+)\1\s*,\s*(\d{1,3})\s*,?\s*[)\]]""")
_LOOKS_LIKE = (
    "a genotype is Genotype(normal=[('sep_conv_3x3', 0), ...], normal_concat=range(2, 6), "
    "reduce=[...], reduce_concat=range(2, 6))"
)


def operators(pool_norm: bool) -> dict[str, Op]:
    """The operators of DARTS by their published names, in its order, without ``none``.

    Args:
        pool_norm: whether a batch-norm that learns nothing stands behind poolings.
    """
    norm = int(pool_norm)
    return {
        "max_pool_3x3": MaxPool(3, norm),
        "avg_pool_3x3": MeanPool(3, norm),
        "skip_connect": Identity(),
        "sep_conv_3x3": SepConv(3),
        "sep_conv_5x5": SepConv(5),
        "dil_conv_3x3": DilConv(3),
        "dil_conv_5x5": DilConv(5),
    }


def is_genotype(text: str) -> bool:
    """Whether a text is meant as a genotype."""
    return "=" in text


def parse_genotype(text: str) -> list[list[tuple[Pair, Pair]]]:
    """For the normal and the reduction cell, the two pairs of each node, the lower state first.

    Nothing in ``text`` is evaluated.

    Raises:
        ValueError: it is no genotype of four nodes with two different states each, all joined, or
            has operators that DARTS does not.
    """
    whole = re.fullmatch(r"(?:\w+\s*=\s*)?Genotype\s*\((.*)\)", text.strip(), re.DOTALL)
    fields = _fields(text.strip() if whole is None else whole[1])
    return [_cell(kind, fields) for kind in _KINDS]


def format_genotype(cells: Sequence[Sequence[tuple[Pair, Pair]]]) -> str:
    """Print what `parse_genotype` gives."""
    parts = []
    for kind, nodes in zip(_KINDS, cells, strict=True):
        pairs = [pair for node in nodes for pair in node]
        parts.append(f"{kind}={pairs!r}, {kind}_concat=range(2, {2 + NODES})")
    return f"Genotype({', '.join(parts)})"


def _fields(body: str) -> dict[str, str]:
    fields: dict[str, str] = {}
    at = 0
    while body[at:].strip():
        match = _FIELD.match(body, at)
        if match is None or match[1] in fields:
            raise ValueError(f"{_LOOKS_LIKE}, got {body[at : at + 60].strip()!r}")
        fields[match[1]] = match[2]
        at = match.end()
    wanted = {name for kind in _KINDS for name in (kind, f"{kind}_concat")}
    if fields.keys() != wanted:
        raise ValueError(f"{_LOOKS_LIKE}, got the fields {', '.join(fields) or 'none'}")
    return fields


def _cell(kind: str, fields: dict[str, str]) -> list[tuple[Pair, Pair]]:
    joined = _states(fields[f"{kind}_concat"])
    if joined != _JOINED:
        raise ValueError(
            f"a cell of DARTS joins its nodes {_JOINED}, and its {kind} cell joins "
            f"{fields[f'{kind}_concat']}"
        )
    text = fields[kind]
    if re.fullmatch(r"[\s,()\[\]]*", _PAIR.sub("", text)) is None:
        raise ValueError(f"{_LOOKS_LIKE}, got {kind}={text[:60]}")
    pairs = [(match[2], int(match[3])) for match in _PAIR.finditer(text)]
    known = operators(pool_norm=False)
    for name, _ in pairs:
        if name not in known:
            raise ValueError(f"an operator of DARTS is one of {', '.join(known)}, got {name!r}")
    if len(pairs) != 2 * NODES:
        raise ValueError(
            f"a cell of DARTS has {NODES} nodes of two operators each, got {len(pairs)} operators "
            f"in the {kind} cell"
        )
    return [_node(kind, at, pairs[2 * at], pairs[2 * at + 1]) for at in range(NODES)]


def _node(kind: str, at: int, one: Pair, other: Pair) -> tuple[Pair, Pair]:
    states = {one[1], other[1]}
    if len(states) != 2 or max(states) > at + 1:
        raise ValueError(
            f"node {at + 2} of DARTS reads two different states of 0 to {at + 1}, got {one[1]} and "
            f"{other[1]} in the {kind} cell"
        )
    return (one, other) if one[1] < other[1] else (other, one)


def _states(text: str) -> list[int]:
    numbers = [int(number) for number in re.findall(r"\d{1,3}", text)]
    return list(range(*numbers)) if text.startswith("range") else sorted(numbers)
