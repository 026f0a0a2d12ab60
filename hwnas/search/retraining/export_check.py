"""Does an exported file answer as the trained network does?"""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from hwnas.data import Dataset, Task, length, mapped, parts_of, rows_of, task_of, tensors
from hwnas.errors import ExportError
from hwnas.ops.module import called
from hwnas.progress import Progress

__all__ = ["check_export", "images_tried"]

#: Test images that the exported file is tried on, one at a time as it will be used; fewer where
#: outputs may be as large as images.
_IMAGES, _OTHERS = 2000, 200
#: Rounding flips the answer on an image in thousands, where two classes are level.
_TOLERANCE = 0.002
#: Outputs that are no classes are equal up to here, relative to the largest of an example.
_ROUNDING = 1e-3


def check_export(
    path: Path, network: nn.Module, data: Dataset, progress: Progress
) -> dict[str, Any]:
    """Run the file on test images, one at a time as it will be used, and compare with torch.

    Args:
        path: of the file.
        network: in evaluation mode, whose file it is.
        data: its first test images are used.
        progress: told after every batch.

    Raises:
        ExportError: it answers differently on more than `_TOLERANCE` of them.
    """
    import onnxruntime as ort

    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    task = task_of(data)
    most = images_tried(task)
    wanted: list[Any] = []
    got: list[Any] = []
    equal: list[npt.NDArray[np.bool_]] = []
    count = 0
    for x, y in data.test():
        rows = slice(most - count)
        with torch.inference_mode():
            outputs = rows_of(called(network, tensors(x)), rows)
        found = _outputs(session, rows_of(tensors(x), rows), outputs)
        targets = rows_of(tensors(y), rows)
        wanted.append((outputs, targets))
        got.append((found, targets))
        equal.append(_equal(outputs, found, classes=task.metric is None))
        count += length(targets)
        progress("checking the exported network", min(1.0, count / most), "")
        if count >= most:
            break
    same = float(np.concatenate(equal).mean())
    if same < 1 - _TOLERANCE:
        raise ExportError(
            f"{path} answers like the trained network on only {same:.2%} of {count} test images, "
            f"and {1 - _TOLERANCE:.1%} are needed: please report it"
        )
    return {
        "images": count,
        "accuracy": task.score_of(got),
        "torch_accuracy": task.score_of(wanted),
        "same_answers": same,
    }


def images_tried(task: Task) -> int:
    """Of how many test images a file is tried on at most."""
    return _IMAGES if task.metric is None else _OTHERS


def _outputs(session: Any, inputs: Any, like: Any) -> Any:
    """What the file gives for examples one by one, in the structure of torch's outputs."""
    names, given = [i.name for i in session.get_inputs()], parts_of(inputs)
    rows = [
        session.run(None, {n: p[at : at + 1].numpy() for n, p in zip(names, given, strict=True)})
        for at in range(length(inputs))
    ]
    columns = iter([torch.from_numpy(np.concatenate(column)) for column in zip(*rows, strict=True)])
    return mapped(lambda _: next(columns), like)


def _equal(outputs: Any, others: Any, *, classes: bool) -> npt.NDArray[np.bool_]:
    """For each example whether both give the same answer."""
    if classes:
        return np.asarray(outputs.argmax(1) == others.argmax(1))
    equal = np.ones(length(outputs), bool)
    for one, other in zip(parts_of(outputs), parts_of(others), strict=True):
        off = (one.double() - other.double()).abs().flatten(1).amax(1)
        largest = one.double().abs().flatten(1).amax(1)
        equal &= np.asarray(off <= _ROUNDING * largest + 1e-6)
    return equal
