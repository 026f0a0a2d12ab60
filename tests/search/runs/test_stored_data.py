"""Data of a run are read as when it was begun."""

from functools import partial

import numpy as np
import pytest
from PIL import Image

from hwnas import spaces
from hwnas.data import DATA, ArrayDataset, DataEntry, StreamedImages, load_data
from hwnas.data.image_folder import image_folder
from hwnas.search.runs.stored import StoredRun

SMALL, LARGE = 8, 16


@pytest.fixture
def source(tmp_path, monkeypatch):
    """A run on 30 images that memory is to hold at the proxy's size, and not at the full one."""
    rng = np.random.default_rng(0)
    for at in range(30):
        path = tmp_path / f"class{at % 2}" / f"{at}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (LARGE, LARGE, 3), dtype=np.uint8)).save(path)
    read = partial(image_folder, most_bytes=30 * 3 * SMALL**2)
    entry = DataEntry("few", read, folder=True, shaped=True)
    monkeypatch.setitem(DATA._registered, "few", entry)
    spec = f"few:{tmp_path}"
    proxy, deployed = (
        spaces.space("nasbench201", input_size=size, classes=2) for size in (SMALL, LARGE)
    )
    config = {"data": spec, "data_digest": load_data(spec, input_size=SMALL).digest}
    return StoredRun(tmp_path, config, tmp_path, deployed, proxy, spec)


def test_large_images_are_streamed_unless_the_training_was_begun_in_memory(source):
    assert isinstance(source.data(), ArrayDataset)
    streamed = source.data(full=True)
    assert isinstance(streamed, StreamedImages)
    assert source.data(full=True, written=streamed.digest).digest == streamed.digest
    before = load_data(source.given, input_size=LARGE, streamed=False)
    assert isinstance(before, ArrayDataset)
    again = source.data(full=True, written=before.digest)
    assert isinstance(again, ArrayDataset)
    assert again.digest == before.digest
    assert source.data(full=True, written="of others").digest == streamed.digest
