"""What stands in the place of data where accuracies are looked up and nothing trains."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NoReturn

from hwnas.data.protocol import Batch
from hwnas.errors import DataError

__all__ = ["NoImages"]


@dataclass(frozen=True)
class NoImages:
    """A `Dataset` without images: its methods raise an error that says so.

    Attributes:
        name: where accuracies are looked up.
        classes, input_shape: of the networks.
        digest: of the accuracies.
    """

    name: str
    classes: int
    input_shape: tuple[int, int, int]
    digest: str
    train_count = 0

    def train_batch(self, step: int, size: int, seed: int) -> Batch:
        """There is none.

        Raises:
            DataError: always, as all that follow.
        """
        self._refuse()

    def validation(self) -> Iterable[Batch]:
        """There are none."""
        self._refuse()

    def test(self) -> Iterable[Batch]:
        """There are none."""
        self._refuse()

    def calibration(self, n: int) -> Any:
        """There are none."""
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise DataError(
            f"accuracies are looked up in {self.name}, which has no images to train on: search "
            "with --data in place of --accuracies"
        )
