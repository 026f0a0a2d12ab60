"""Models in another precision than their own, so that both can be measured side by side."""

import io
import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hwnas.devices.any_model import quantising
from hwnas.devices.any_model.calibration import Arrays, Images, batches_of
from hwnas.devices.any_model.child import read_record, run_child
from hwnas.errors import ModelRejectedError, OptionError
from hwnas.kernels.runnable import RunnableModel, runnable
from hwnas.reading import MIB, read_bytes

__all__ = ["Converted", "Converter"]

#: A model is calibrated and written within this, s.
_LIMIT_S = 900
_MOST_BYTES = 640 * MIB
#: Operators that stay in floats and are named.
_NAMED = 4


@dataclass(frozen=True, slots=True)
class Converted:
    """A model of another precision.

    Attributes:
        runnable: the model.
        notes: what is to be known of it.
    """

    runnable: RunnableModel
    notes: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Converter:
    """Makes models of another precision.

    Attributes:
        arrays: that int8 ranges are taken from; None for those of ``images``.
        images: likewise; without both, ranges are those of random numbers.
    """

    arrays: Arrays | None
    images: Images | None

    def convert(self, model: RunnableModel, name: str, precision: str, kind: str) -> Converted:
        """A model in another precision.

        Args:
            model: in fp32.
            name: what it is called.
            precision: ``int8``: static, by ONNX Runtime's own tools; or ``fp16``.
            kind: of the device; where it is ``gpu``, bytes are signed with a zero of 0, which is
                what TensorRT reads.

        Raises:
            OptionError: the model is in a reduced precision already; the calibration does not fit.
            DataError: images do not fit.
            ModelRejectedError: ONNX Runtime's tools refuse it, or it does not convert in bounds.
        """
        if model.precision != "fp32":
            raise OptionError(
                f"{name} is {model.precision} already, got precision {precision}: give the fp32 "
                "model that it was made from"
            )
        arrays = self._arrays(model) if precision == "int8" else None
        made, floats = _made(model, precision, kind == "gpu", arrays)
        found = runnable(made)
        if found.precision != precision:
            raise ModelRejectedError(
                f"{name} has nothing that {precision} would change: it stays {found.precision}"
            )
        notes = []
        if precision == "int8" and arrays is None:
            notes.append(f"{name}: calibrated on random numbers: accuracy of int8 means nothing")
        if floats:
            told = [f"{kind} {count}" for kind, count in list(floats.items())[:_NAMED]]
            more = f" and {len(floats) - _NAMED} kinds more" if len(floats) > _NAMED else ""
            notes.append(f"{name} as int8: in floats stay {', '.join(told)}{more}")
        return Converted(found, tuple(notes))

    def _arrays(self, model: RunnableModel) -> Arrays | None:
        if self.arrays is not None or self.images is None:
            return self.arrays
        return self.images.calibration(model)


def _made(
    model: RunnableModel, precision: str, symmetric: bool, arrays: Arrays | None
) -> tuple[bytes, Mapping[str, int]]:
    """What the other process makes, and the operators that it leaves in floats."""
    batches = None if arrays is None else batches_of(arrays, model)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / quantising.GIVEN).write_bytes(model.data)
        if batches is not None:
            packed = io.BytesIO()
            named: dict[str, Any] = {str(at): batch for at, batch in enumerate(batches)}
            np.savez(packed, **named)
            (folder / quantising.CALIBRATION).write_bytes(packed.getvalue())
        way = json.dumps({"precision": precision, "symmetric": symmetric})
        end = run_child(quantising.__name__, folder, [way], _LIMIT_S)
        about = read_record(folder, quantising.ABOUT)
        if about is None:
            raise ModelRejectedError(f"it was not converted to {precision} {end}")
        return read_bytes(folder / quantising.MADE, _MOST_BYTES), about["floats"]
