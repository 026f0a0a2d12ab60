"""How many images of a data set a model tells right."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hwnas.data import Dataset, first_examples, task_of
from hwnas.devices.any_model.calibration import Images
from hwnas.devices.any_model.cases import Case
from hwnas.errors import DataError, HwnasError
from hwnas.kernels.runnable import RunnableModel
from hwnas.profilers.onnxruntime_sessions import new_session, number_type
from hwnas.progress import Progress, silent

__all__ = ["Accuracy", "accuracies_of", "accuracy_of", "outputs_of"]

#: Test images that are looked at, at most.
_IMAGES = 2000


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Of a model, by ONNX Runtime on this machine's CPU.

    Attributes:
        share: of the images that are told right, 0 to 1.
        images: how many were looked at.
    """

    share: float
    images: int


def accuracies_of(
    cases: Sequence[Case],
    data: str | Dataset | None,
    refused: dict[str, str],
    progress: Progress = silent,
) -> dict[tuple[str, str], Accuracy]:
    """The accuracy of each model in each precision, by `Case.answers`.

    Args:
        cases: that were measured, so that each is known to run.
        data: None for no accuracies.
        refused: receives why a model has none.
        progress: told of each run.
    """
    found: dict[tuple[str, str], Accuracy] = {}
    if data is None:
        return found
    images = Images(data)
    for case in {case.answers: case for case in reversed(cases)}.values():
        try:
            test = images.of(case.runnable)
            found[case.answers] = accuracy_of(case.runnable, test, progress)
        except HwnasError as error:
            refused[f"accuracy of {case.label}"] = str(error)
    return found


def accuracy_of(model: RunnableModel, data: Dataset, progress: Progress = silent) -> Accuracy:
    """The accuracy of a model on the first test images.

    Args:
        model: of one input, (batch, channels, height, width).
        data: of that shape.
        progress: told after every run.

    Raises:
        DataError: the data are of no classes, or the model has no output for each.
    """
    if task_of(data).metric is not None:
        raise DataError(f"accuracy is of classes, and {data.name} has a metric of its own")
    images, targets = first_examples(data.test(), _IMAGES)
    labels = targets.numpy()
    outputs = outputs_of(model.data, images.numpy(), progress)
    outputs = outputs.reshape(len(outputs), -1)
    if outputs.shape[1] < (data.classes or 0):
        raise DataError(
            f"the model gives {outputs.shape[1]} numbers an image, and {data.name} has "
            f"{data.classes} classes: accuracy needs one for each"
        )
    return Accuracy(float((outputs.argmax(1) == labels).mean()), len(labels))


def outputs_of(
    model: bytes, images: npt.NDArray[np.float32], progress: Progress = silent
) -> npt.NDArray[np.float32]:
    """What a model of one input and a fixed batch gives for images, (n, ...): its first output."""
    session = new_session(model, 1)
    (place,) = session.get_inputs()
    kind, batch = number_type(place), int(place.shape[0])
    found = []
    for start in range(0, len(images), batch):
        part = images[start : start + batch]
        rows = np.resize(part, (batch, *part.shape[1:])).astype(
            kind
        )  # repeats, if too few are left
        outputs = session.run(None, {place.name: rows.astype(kind)})[0]
        found.append(np.asarray(outputs[: len(part)], np.float32))
        progress("looking at images", min(1.0, (start + batch) / len(images)), "")
    return np.concatenate(found)
