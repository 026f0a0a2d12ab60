"""Architectures as rows of integers, checked."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from hwnas.arrays import IntArray
from hwnas.errors import ArchitectureError
from hwnas.spaces.layout import Decision

__all__ = ["checked_rows", "rows_of"]


def rows_of(archs: npt.ArrayLike, space: str, n_decisions: int) -> npt.NDArray[np.integer[Any]]:
    """The architectures as an array (n, n_decisions) of the integers they came in.

    Args:
        archs: (n, n_decisions); one row may come without its axis.
        space: its name, for messages.
        n_decisions: of the space.

    Raises:
        ArchitectureError: not integers, or another number of decisions.
    """
    try:
        rows = np.asarray(archs)
    except ValueError:
        raise ArchitectureError(
            f"architectures are an integer array (n, {n_decisions}), got rows of different lengths"
        ) from None
    if rows.ndim == 1:
        rows = rows[None]
    if rows.ndim != 2 or rows.dtype.kind not in "iu":
        raise ArchitectureError(
            f"architectures are an integer array (n, {n_decisions}), got {rows.dtype} of shape "
            f"{np.shape(archs)}"
        )
    if rows.shape[1] != n_decisions:
        raise ArchitectureError(
            f"{space} has {n_decisions} decisions, got {rows.shape[1]}: is it an architecture of "
            "another space?"
        )
    return rows


def checked_rows(archs: npt.ArrayLike, space: str, decisions: Sequence[Decision]) -> IntArray:
    """The same as int64, each index being one of its decision's choices.

    Raises:
        ArchitectureError: as in `rows_of`, or an index out of range.
    """
    rows = rows_of(archs, space, len(decisions))
    n_choices = np.array([len(decision.choices) for decision in decisions])
    wrong = np.argwhere((rows < 0) | (rows >= n_choices))
    if len(wrong):
        at, d = (int(v) for v in wrong[0])
        raise ArchitectureError(
            f"decision {decisions[d].name} of {space} has choices 0 to {n_choices[d] - 1}, got "
            f"{rows[at, d]} in architecture {at}"
        )
    return rows.astype(np.int64, copy=False)
