"""What quantising looks at: arrays of a person, images of a data set, or random numbers."""

import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hwnas.data import Dataset, check_dataset, load_data, suited
from hwnas.errors import DataError, OptionError
from hwnas.kernels.runnable import RunnableModel
from hwnas.npz_files import read_npy, read_npz
from hwnas.reading import MIB, read_bytes

__all__ = ["Arrays", "Images", "batches_of", "read_arrays"]

#: Input name -> examples of it, (n, ...); an empty name is the only input.
Arrays = Mapping[str, npt.NDArray[Any]]

#: Training images that ranges are taken from.
_IMAGES = 128
_MOST_BYTES = 1024 * MIB


@dataclass(frozen=True, eq=False)
class Images:
    """A data set as several models read it.

    Attributes:
        data: what ``--data`` takes, or a data set.
    """

    data: str | Dataset
    _read: dict[tuple[int, int, int], Dataset] = field(default_factory=dict)

    def of(self, model: RunnableModel) -> Dataset:
        """The images at the input shape of a model.

        Raises:
            OptionError: its input is no image, or one of whole numbers.
            DataError: the data cannot have that shape.
        """
        sizes = list(model.inputs.values())
        if len(sizes) != 1 or len(sizes[0]) != 4:
            told = ", ".join("x".join(map(str, one)) or "a scalar" for one in sizes)
            raise OptionError(
                "images are for models of one input, batch x channels x height x width, got "
                f"{told}: give calibration arrays, and no data"
            )
        if not model.floats:
            raise OptionError(
                f"images are normalised floats, and input {next(iter(model.inputs))!r} takes whole "
                "numbers, which nothing here says how to make of them: give calibration arrays, "
                "and no data"
            )
        shape = (sizes[0][1], sizes[0][2], sizes[0][3])
        if shape not in self._read:
            if isinstance(self.data, str):
                found = load_data(self.data, input_shape=shape)
            else:
                check_dataset(self.data)
                found = suited(self.data, shape)
            self._read[shape] = found
        return self._read[shape]

    def calibration(self, model: RunnableModel) -> Arrays:
        """Training images for a model, by the name of its input."""
        images = np.asarray(self.of(model).calibration(_IMAGES), np.float32)
        return {next(iter(model.inputs)): images}


def read_arrays(path: Path) -> Arrays:
    """The arrays of an npz file by their names, or the one of an npy file.

    Raises:
        DataError: it is no such file, is larger than 1024 MiB, or holds no arrays of numbers.
    """
    try:
        content = read_bytes(path, _MOST_BYTES)
        if zipfile.is_zipfile(io.BytesIO(content)):
            return read_npz(content, _MOST_BYTES)
        return {"": read_npy(content)}
    except (OSError, ValueError) as error:
        reason = (isinstance(error, OSError) and error.strerror) or error
        raise DataError(
            f"{str(path)!r} holds no calibration ({reason}): give an npz file of arrays named as "
            "the model's inputs, or an npy file for its only input"
        ) from None


def batches_of(arrays: Arrays, model: RunnableModel) -> list[npt.NDArray[Any]]:
    """Calibration in batches of a model: for each input, in order, (batches, *its sizes).

    What is left over behind the last whole batch is not used.

    Raises:
        OptionError: the arrays are not those of its inputs.
    """
    given = dict(arrays)
    if "" in given and len(model.inputs) == 1:
        given = {next(iter(model.inputs)): given[""]}
    wanted = {name: "x".join(map(str, sizes)) for name, sizes in model.inputs.items()}
    inputs = ", ".join(f"{name} {sizes}" for name, sizes in wanted.items())
    if given.keys() != wanted.keys():
        raise OptionError(
            f"calibration is one array for each input, {inputs}, got {', '.join(given) or 'none'}"
        )
    found = []
    for name, sizes in model.inputs.items():
        values = np.asarray(given[name])
        if values.dtype.kind not in "biuf" or values.shape[1:] != sizes[1:] or values.ndim == 0:
            raise OptionError(
                f"calibration of {name!r} is numbers of n{''.join(f'x{s}' for s in sizes[1:])}, "
                f"got {values.dtype} of {'x'.join(map(str, values.shape)) or 'a scalar'}"
            )
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            raise OptionError(f"calibration of {name!r} holds values that are not finite")
        count = len(values) // max(sizes[0], 1) if sizes else 0
        found.append(values[: count * sizes[0]].reshape(count, *sizes) if sizes else values[:0])
    counts = {len(one) for one in found}
    if counts == {0} or len(counts) > 1:
        raise OptionError(
            f"calibration is whole batches of {inputs}, as many of each, got "
            f"{', '.join(str(len(np.asarray(values))) for values in given.values())} examples"
        )
    return found
