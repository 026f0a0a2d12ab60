"""Models that were converted, as files."""

import re
from collections.abc import Sequence
from itertools import chain, count
from pathlib import Path

from hwnas.devices.any_model.cases import Case, Model
from hwnas.files import write_atomically

__all__ = ["keep_converted"]


def keep_converted(
    cases: Sequence[Case], folder: Path | str | None, given: Sequence[Model]
) -> list[str]:
    """Write each model that was converted, once; returns what is to be said of it.

    No two have one name, and none takes that of a model that was given.

    Args:
        cases: of which some were converted.
        folder: None keeps nothing.
        given: all models that were given.

    Raises:
        OSError: one cannot be written.
    """
    if folder is None:
        return []
    several = len({case.setting.batch for case in cases}) > 1
    made = {(*case.answers, case.setting.batch): case for case in cases if case.converted}
    taken = {Path(model).resolve() for model in given if not isinstance(model, bytes)}
    said = []
    for (model, precision, batch), case in made.items():
        stem = re.sub(r"[^\w.-]+", "-", model.replace(".onnx", "")).strip("-.")
        size = f"-batch{batch}" if several and batch else ""
        numbered = chain([""], (f"-{at}" for at in count(2)))  # a+b.onnx and a-b.onnx have one stem
        paths = (Path(folder) / f"{stem}-{precision}{size}{number}.onnx" for number in numbered)
        path = next(path for path in paths if path.resolve() not in taken)
        write_atomically(path, case.runnable.data)
        taken.add(path.resolve())
        said.append(f"saved: {path}")
    return said
