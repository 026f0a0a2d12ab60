"""The images that candidates are recalibrated and ranked on."""

import numpy as np
import numpy.typing as npt

from hwnas.data import ArrayDataset
from hwnas.supernet import Evaluator, Supernet

__all__ = ["calibration_images", "validation_evaluator"]

#: Images that recalibrate batch-norm, and at most as many that an evaluation looks at.
_CALIBRATION_IMAGES = 512
_VALIDATION_IMAGES = 1000


def calibration_images(data: ArrayDataset) -> npt.NDArray[np.float32]:
    """The training images that recalibrate batch-norm for every candidate."""
    return data.to_float(data.train_images[:_CALIBRATION_IMAGES])


def validation_evaluator(supernet: Supernet, data: ArrayDataset) -> Evaluator:
    """What ranks candidates: the supernet on the validation images."""
    return Evaluator(
        supernet,
        calibration_images(data),
        data.to_float(data.validation_images[:_VALIDATION_IMAGES]),
        data.validation_labels[:_VALIDATION_IMAGES],
    )
