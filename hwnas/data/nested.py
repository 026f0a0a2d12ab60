"""Inputs and targets of a batch that may be several arrays: tuples and dicts of them.

The first axis of every array is the batch. A list holds one thing an example, whatever it is, as
detectors have their boxes.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from hwnas.data.protocol import Batch

__all__ = ["arrays", "cut", "joined", "length", "mapped", "moved", "parts_of", "rows_of", "tensors"]


def parts_of(whole: Any) -> list[Any]:
    """The arrays and lists of a batch's half, in order."""
    if isinstance(whole, dict):
        return [part for value in whole.values() for part in parts_of(value)]
    if isinstance(whole, tuple):
        return [part for value in whole for part in parts_of(value)]
    return [whole]


def mapped(function: Callable[..., Any], first: Any, *others: Any) -> Any:
    """A function of each array and list; of several wholes of one structure, of each place."""
    if isinstance(first, dict):
        return {key: mapped(function, *(one[key] for one in (first, *others))) for key in first}
    if isinstance(first, tuple):
        return tuple(mapped(function, *each) for each in zip(first, *others, strict=True))
    return function(first, *others)


def length(whole: Any) -> int:
    """How many examples there are."""
    return len(parts_of(whole)[0])


def rows_of(whole: Any, rows: slice) -> Any:
    """Some of the examples."""
    return mapped(lambda part: part[rows], whole)


def joined(wholes: Sequence[Any]) -> Any:
    """The examples of several, one behind the other."""
    return wholes[0] if len(wholes) == 1 else mapped(_joined, *wholes)


def cut(batches: Iterable[Batch], sizes: Iterable[int]) -> Iterator[Batch]:
    """The same examples in batches of these sizes; the end of those that are given is the end."""
    held: list[Batch] = []
    count, source = 0, iter(batches)
    for size in sizes:
        while count < size:
            batch = next(source, None)
            if batch is None:
                return
            held.append(batch)
            count += length(batch[1])
        x, y = (joined(half) for half in zip(*held, strict=True))
        yield rows_of(x, slice(size)), rows_of(y, slice(size))
        count -= size
        held = [(rows_of(x, slice(size, None)), rows_of(y, slice(size, None)))] if count else []


def tensors(whole: Any) -> Any:
    """Arrays as tensors of torch; numbers with a fraction as float32, others as they are."""
    import torch

    def tensor(part: Any) -> Any:
        if isinstance(part, list):
            return part
        fixed = isinstance(part, np.ndarray) and not part.flags.writeable
        made = torch.as_tensor(part.copy() if fixed else part)
        return made.float() if made.is_floating_point() else made

    return mapped(tensor, whole)


def arrays(whole: Any) -> Any:
    """Tensors as arrays of numpy."""
    return mapped(lambda part: part if isinstance(part, list) else part.numpy(), whole)


def moved(whole: Any, device: Any) -> Any:
    """Tensors on a device of torch; what stands in lists stays where it is."""
    return mapped(lambda part: part if isinstance(part, list) else part.to(device), whole)


def _joined(*parts: Any) -> Any:
    if isinstance(parts[0], list):
        return [one for part in parts for one in part]
    if isinstance(parts[0], np.ndarray):
        return np.concatenate(parts)
    import torch

    return torch.cat(parts)
