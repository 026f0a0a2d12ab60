"""Models that were converted, as files."""

import re
from collections.abc import Sequence
from pathlib import Path

from hwnas.devices.any_model.cases import Case
from hwnas.files import write_atomically

__all__ = ["keep_converted"]


def keep_converted(cases: Sequence[Case], folder: Path | str | None) -> list[str]:
    """Write each model that was converted, once; returns what is to be said of it.

    Args:
        cases: of which some were converted.
        folder: None keeps nothing.
    """
    if folder is None:
        return []
    several = len({case.setting.batch for case in cases}) > 1
    made = {(*case.answers, case.setting.batch): case for case in cases if case.converted}
    said = []
    for (model, precision, batch), case in made.items():
        stem = re.sub(r"[^\w.-]+", "-", model.replace(".onnx", "")).strip("-.")
        size = f"-batch{batch}" if several and batch else ""
        path = Path(folder) / f"{stem}-{precision}{size}.onnx"
        write_atomically(path, case.runnable.data)
        said.append(f"saved: {path}")
    return said
