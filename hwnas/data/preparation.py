"""How an image becomes a network's input, and what its outputs mean: facts for a deployed file.

It stands as JSON in the metadata of exported networks and in the results of runs.
"""

import json
from dataclasses import dataclass, replace
from typing import Any, Literal

from hwnas.data.protocol import Dataset

__all__ = ["PREPROCESSING", "Preparation", "preparation_metadata", "preparation_of"]

#: The key of an ONNX model's metadata.
PREPROCESSING = "hwnas.preprocessing"


@dataclass(frozen=True, kw_only=True)
class Preparation:
    """From an image to (channels, height, width), and from outputs to names.

    The middle of the image is cropped to the shape of ``resize``, scaled to it, and every value of
    its pixels becomes (value - mean) / std.

    Attributes:
        class_names: of the outputs, in their order; empty where classes have numbers only.
        mean, std: one a channel, in the unit of ``value_range``.
        value_range: of pixels before they are normalised; None where data came normalised already,
            and mean and std are 0 and 1.
        channel_order: ``RGB``, or ``L`` for one channel of grey, as Pillow calls them; None for
            other channels.
        resize: height and width, pixels.
        crop: ``center`` keeps the aspect ratio and cuts off what is too much; None squeezes.
    """

    class_names: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    value_range: tuple[int, int] | None
    channel_order: Literal["RGB", "L"] | None
    resize: tuple[int, int]
    crop: Literal["center"] | None

    def at(self, input_shape: tuple[int, ...]) -> "Preparation | None":
        """For a network of another input size; None if it reads other channels."""
        channels, *size = input_shape
        if channels != len(self.mean) or len(size) != 2:
            return None
        return replace(self, resize=(size[0], size[1]))

    @property
    def facts(self) -> dict[str, Any]:
        """For a JSON file; scaling is always bilinear, over all pixels that an output covers."""
        return {
            "class_names": list(self.class_names),
            "channel_order": self.channel_order,
            "layout": "NCHW",
            "crop": self.crop,
            "resize": list(self.resize),
            "interpolation": "bilinear",
            "value_range": None if self.value_range is None else list(self.value_range),
            "mean": list(self.mean),
            "std": list(self.std),
        }


def preparation_of(data: Dataset, input_shape: tuple[int, ...]) -> Preparation | None:
    """What a data set says of its images, for a network of this input; None if it says nothing."""
    said = getattr(data, "preparation", None)
    return said.at(input_shape) if isinstance(said, Preparation) else None


def preparation_metadata(data: Dataset, input_shape: tuple[int, ...]) -> dict[str, str]:
    """The same for an ONNX model."""
    said = preparation_of(data, input_shape)
    return {} if said is None else {PREPROCESSING: json.dumps(said.facts)}
