"""Training images changed at random each time they are drawn: cropped, mirrored, recoloured.

What happens to an image follows from the seed and from its place in the sequence of all training
images, so that neither the process that draws it nor what was drawn before matters.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import numpy.typing as npt

from hwnas.errors import OptionError

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["PLAIN", "Augmentation", "augmented", "placed"]

D = TypeVar("D")

_STREAM = 0xA06  # keeps draws of one seed apart
#: Height and width of what is cut out are in a ratio of up to so much more or less than the input's
#: (Szegedy et al., Going Deeper with Convolutions, 2015, section 6).
_MOST_RATIO = 4 / 3


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """How a training image is changed.

    Attributes:
        random_crop: a rectangle of at least this share of the area, 0 to 1, is cut out and scaled
            to the input's size; 1 takes the middle, as where nothing is trained.
        flip: probability, 0 to 1, with which it is mirrored left to right.
        colour: brightness, contrast and saturation are multiplied by factors that are at most so
            far from 1, in a random order.
    """

    random_crop: float = 1.0
    flip: float = 0.0
    colour: float = 0.0

    def of(self, image: Image, size: tuple[int, int], rng: np.random.Generator) -> Image:
        """An image of Pillow, changed.

        Args:
            image: of mode ``RGB`` or ``L``.
            size: width and height that it gets, pixels.
            rng: draws what happens.
        """
        from PIL import Image, ImageEnhance

        image = self._cut(image, size, rng)
        if rng.random() < self.flip:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        if self.colour:
            kinds = (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)
            for kind in rng.permutation(len(kinds)):
                factor = rng.uniform(1 - self.colour, 1 + self.colour)
                image = kinds[kind](image).enhance(factor)
        return image

    def of_arrays(self, images: npt.NDArray[Any], seed: int, first: int) -> npt.NDArray[np.uint8]:
        """Images (n, 1 or 3, height, width) of bytes, changed.

        Args:
            images: as they lie in memory.
            seed: of the training.
            first: the place of the first of them in the sequence of all that are drawn.
        """
        from PIL import Image

        result = np.empty(images.shape, np.uint8)
        size = images.shape[3], images.shape[2]
        for at, (pixels, changed) in enumerate(zip(images, result, strict=True)):
            rows = pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0)
            image = Image.fromarray(np.ascontiguousarray(rows))
            image = self.of(image, size, placed(seed, first + at))
            changed[:] = np.atleast_3d(np.asarray(image)).transpose(2, 0, 1)
        return result

    def _cut(self, image: Image, size: tuple[int, int], rng: np.random.Generator) -> Image:
        from PIL import Image, ImageOps

        if self.random_crop == 1:
            return ImageOps.fit(image, size, Image.Resampling.BILINEAR)
        area = image.width * image.height * rng.uniform(self.random_crop, 1)
        ratio = size[0] / size[1] * _MOST_RATIO ** rng.uniform(-1, 1)
        width = min(float(image.width), (area * ratio) ** 0.5)
        height = min(float(image.height), (area / ratio) ** 0.5)
        left, top = rng.random(2) * (image.width - width, image.height - height)
        box = (left, top, min(left + width, image.width), min(top + height, image.height))
        return image.resize(size, Image.Resampling.BILINEAR, box=box)


#: Images as they are.
PLAIN = Augmentation()


def placed(seed: int, place: int) -> np.random.Generator:
    """What changes the image at a place of the sequence of all training images."""
    return np.random.default_rng([seed, _STREAM, place])


def augmented(data: D, how: Augmentation) -> D:
    """A data set whose training images are changed at random.

    Args:
        data: images in memory or streamed from files; or an own data set with a method
            ``augmented(how)`` that returns another one.
        how: they are changed.

    Raises:
        OptionError: the data hand out images that are finished, or of other channels.
    """
    if how == PLAIN:
        return data
    own: Any = getattr(data, "augmented", None)
    if own is None:
        raise OptionError(
            f"{getattr(data, 'name', 'this data set')} hands out finished images, which "
            "random_crop, flip and colour cannot change: leave them out, and change images in its "
            "train_batch"
        )
    changed: D = own(how)
    return changed
