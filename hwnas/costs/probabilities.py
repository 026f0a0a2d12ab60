"""What an expectation is taken over."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from hwnas.arrays import FloatArray
from hwnas.errors import OptionError

if TYPE_CHECKING:
    import torch

__all__ = ["checked_probabilities"]

#: How far a sum of probabilities may be from 1 in any type.
_OFF = 1e-3


def checked_probabilities(
    probabilities: Sequence["torch.Tensor"], n_choices: Sequence[int]
) -> list[FloatArray]:
    """Probabilities (n_choices,) of each decision as numbers in double precision.

    Raises:
        OptionError: another number of decisions or choices, or a row that is negative or does not
            add up to one as far as its type can tell (rounding of bfloat16 is no error), such as
            logits.
    """
    import torch

    shapes = [tuple(p.shape) for p in probabilities]
    if shapes != [(n,) for n in n_choices]:
        raise OptionError(
            f"one tensor of {', '.join(map(str, n_choices))} probabilities is needed for the "
            f"{len(n_choices)} decisions, got shapes {shapes}"
        )
    values = []
    for d, p in enumerate(probabilities):
        row = p.detach().double().cpu().numpy()
        rounding = torch.finfo(p.dtype).eps if p.dtype.is_floating_point else 0.0
        if not (np.all(row >= 0) and abs(row.sum() - 1) <= max(_OFF, 2 * rounding)):
            raise OptionError(
                f"probabilities are not negative and have sum 1, got {_printed(row)} for "
                f"decision {d}, whose sum is {row.sum():.4g}: of logits, take softmax(dim=0)"
            )
        values.append(row)
    return values


def _printed(row: FloatArray) -> str:
    return np.array2string(row, precision=4, threshold=8, max_line_width=10**6)
