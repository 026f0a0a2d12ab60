"""What a deployed file is told of its images."""

import json

import numpy as np
import pytest

from hwnas.data import (
    PREPROCESSING,
    NoImages,
    from_arrays,
    load_data,
    preparation_metadata,
    preparation_of,
)
from hwnas.errors import DataError

RNG = np.random.default_rng(0)


def test_grey_images_are_said_as_they_are_handed_out() -> None:
    levels = RNG.integers(0, 256, (20, 1, 6, 8), dtype=np.uint8)
    data = from_arrays((levels, np.arange(20) % 2), name="x", class_names=("no", "yes"))
    facts = json.loads(preparation_metadata(data, (3, 6, 8))[PREPROCESSING])
    assert facts["class_names"] == ["no", "yes"]
    assert facts["channel_order"] == "RGB"
    assert facts["resize"] == [6, 8]
    assert facts["crop"] is None
    assert facts["mean"] == pytest.approx([data.train_images.mean()] * 3)
    x = (data.train_images[:1] - np.array(facts["mean"])[:, None, None]) / facts["std"][0]
    np.testing.assert_allclose(data.calibration(1), x, atol=1e-5)


def test_a_network_of_another_size_is_told_its_own() -> None:
    data = load_data("digits", input_size=8)
    said = preparation_of(data, (3, 32, 24))
    assert said is not None
    assert said.resize == (32, 24)
    assert said.class_names == tuple("0123456789")
    assert preparation_of(data, (1, 8, 8)) is None  # another number of channels


def test_data_that_come_normalised_have_no_range() -> None:
    images = RNG.normal(size=(20, 4, 3, 3)).astype(np.float32)
    said = preparation_of(from_arrays((images, np.arange(20) % 2), name="x"), (4, 3, 3))
    assert said is not None
    assert (said.value_range, said.channel_order) == (None, None)
    assert (said.mean, said.std) == ((0.0,) * 4, (1.0,) * 4)


def test_data_that_say_nothing_leave_files_as_they_are() -> None:
    assert preparation_metadata(NoImages("x", 2, (3, 8, 8), "0" * 12), (3, 8, 8)) == {}


@pytest.mark.parametrize("names", [("a",), ("a", "a"), ("a", "b", "c")])
def test_names_are_one_a_class(names: tuple[str, ...]) -> None:
    images = np.zeros((20, 1, 2, 2), np.uint8)
    with pytest.raises(DataError):
        from_arrays((images, np.arange(20) % 2), name="x", classes=2, class_names=names)
