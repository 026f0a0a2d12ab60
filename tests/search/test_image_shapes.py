"""Images have the channels, height and width that the space reads, and the split they had."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

import hwnas
from hwnas.data import from_arrays, load_data
from hwnas.errors import DataError
from hwnas.search.job import Request, prepare
from hwnas.search.runs.run import CONFIG
from hwnas.search.runs.stored import StoredRun

SHAPE = (1, 12, 8)


@pytest.fixture
def folder(tmp_path):
    for name in ("a", "b"):
        (tmp_path / "images" / name).mkdir(parents=True)
        for shade in range(7):
            image = Image.new("RGB", (16, 16), (shade, 30 * shade, 200))
            image.save(tmp_path / "images" / name / f"{shade}.png")
    return tmp_path / "images"


@pytest.fixture
def family():
    """Networks of one channel, higher than wide."""
    from torch import nn

    def build(width):
        conv = nn.Conv2d(SHAPE[0], width, 3)
        return nn.Sequential(conv, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 2))

    return hwnas.family(build, {"width": [4, 8]}, input_shape=SHAPE)


def request(space, data, out=None):
    return Request(space, data, ["macs<=1G"], "spos", None, "cpu", out, 0, {"batch_size": 4})


def test_a_space_is_shown_its_own_shape(family, folder):
    job = prepare(request(family, f"imagefolder:{folder}"))
    assert job.data.input_shape == SHAPE
    assert next(iter(job.data.test()))[0].shape[1:] == SHAPE


def test_grey_arrays_keep_one_channel_where_the_space_reads_one(family):
    images = np.zeros((20, *SHAPE), np.uint8)
    data = from_arrays((images, np.arange(20) % 2), name="grey")
    assert data.input_shape == (3, *SHAPE[1:])
    assert prepare(request(family, data)).data.input_shape == SHAPE


@pytest.mark.parametrize(
    ("shape", "says"),
    [
        ((3, 12, 8), r"images of 3 channels, and the network reads 1"),
        ((1, 12, 9), r"12 x 9 pixels, asked for were 12 x 8: .* a space with this input_shape"),
    ],
)
def test_other_shapes_are_refused_before_anything_trains(family, shape, says):
    data = from_arrays((np.zeros((20, *shape), np.uint8), np.arange(20) % 2), name="x")
    with pytest.raises(DataError, match=says):
        prepare(request(family, data))


def test_a_stored_run_is_shown_the_shape_of_its_space(family, folder, tmp_path):
    spec = f"imagefolder:{folder}"
    digest = load_data(spec, input_shape=SHAPE).digest
    run = StoredRun(tmp_path, {"data": spec, "data_digest": digest}, tmp_path, family, family)
    assert run.data().input_shape == SHAPE


def test_a_run_of_an_earlier_version_goes_on_with_its_split(folder, tmp_path):
    spec = f"imagefolder:{folder}"
    small, large = (hwnas.space("proxyless", input_size=size, classes=2) for size in (8, 16))
    before, before_large = (
        load_data(spec, input_size=size, stratified=False).digest for size in (8, 16)
    )
    assert before != load_data(spec, input_size=8).digest
    run = StoredRun(tmp_path, {"data": spec, "data_digest": before}, tmp_path, large, small)
    assert run.data().digest == before
    assert run.data(full=True).digest == before_large
    (tmp_path / CONFIG).write_text(f'{{"data_digest": "{before}"}}')
    asked = replace(request(small, spec, tmp_path), settings={"proxy_input_size": 8})
    assert prepare(asked).data.digest == before
