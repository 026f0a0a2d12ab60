"""What can be said of a request before anything is measured."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from hwnas import spaces
from hwnas.data import ArrayDataset, from_arrays
from hwnas.errors import OptionError
from hwnas.latency_tables import LatencyTable
from hwnas.search.job import Request, prepare
from hwnas.spaces import SearchSpace


def test_data_that_are_given_have_the_size_that_is_trained(small_space: SearchSpace) -> None:
    images = np.random.default_rng(0).integers(0, 256, (100, 3, 32, 32), dtype=np.uint8)
    data = from_arrays((images, np.arange(100) % 10), name="noise")

    def request(**settings: int) -> Request:
        return Request(small_space, data, ["macs<=330M"], settings=settings)

    assert prepare(request()).proxy.input_shape == (3, 32, 32)
    assert prepare(request(proxy_input_size=32)).proxy.input_shape == (3, 32, 32)
    with pytest.raises(OptionError, match=r"noise has images of 32 pixels.*proxy_input_size 16"):
        prepare(request(proxy_input_size=16))


# Classes


def _noise(classes: int, size: int) -> ArrayDataset:
    images = np.random.default_rng(0).integers(0, 256, (100, 3, size, size), dtype=np.uint8)
    return from_arrays((images, np.arange(100) % classes), name="noise")


def test_fewer_classes_than_the_data_have_are_refused_in_one_line(
    small_space: SearchSpace,
) -> None:
    with pytest.raises(OptionError, match=r"classes are at least the 10 of digits.*got 5"):
        prepare(Request("proxyless", "digits", ["macs<=330M"], settings={"classes": 5}))
    assert (
        prepare(
            Request("proxyless", "digits", ["macs<=330M"], settings={"classes": 10})
        ).space.classes
        == 10
    )
    own = SearchSpace("own", {}, small_space.layout)  # ten outputs
    with pytest.raises(OptionError, match=r"own has no proxy.*with 10 classes, got 32 and 12"):
        prepare(Request(own, _noise(12, 32), ["macs<=330M"]))
    with pytest.raises(OptionError, match=r"classes of the space proxyless are at least the 12"):
        prepare(Request(small_space, _noise(12, 32), ["macs<=330M"]))


def test_a_table_of_fewer_classes_gets_the_head_of_the_data_and_that_is_said(
    small_space: SearchSpace, small_table: LatencyTable, said: Callable[[], str]
) -> None:
    few = spaces.space("proxyless", **{**small_space.arguments, "classes": 5})
    table = replace(small_table, space=replace(small_table.space, arguments=few.arguments))
    job = prepare(Request(None, "digits", ["latency<=6ms"], predictor=table))
    assert (job.space.classes, job.proxy.classes) == (10, 10)
    assert "the table has 5 classes and digits 10: the deployed network has 10" in said()
    asked = Request(None, "digits", ["latency<=6ms"], predictor=table, settings={"classes": 5})
    with pytest.raises(OptionError, match="classes are at least the 10 of digits"):
        prepare(asked)


def test_images_that_do_not_fit_into_memory_are_not_evaluated_on(
    small_space: SearchSpace, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = _noise(10, 32)
    settings = {"calibration_images": 10_000_000, "validation_images": 50}
    request = Request(small_space, data, ["macs<=330M"], settings=settings)
    assert prepare(request).settings.calibration_images == 10_000_000  # the data have fewer
    needed = 4 * 3 * 32 * 32 * (data.train_count + data.validation_count)
    monkeypatch.setattr("hwnas.memory.machine_bytes", lambda: float(needed - 1))
    monkeypatch.setattr("hwnas.search.job.check_fits", lambda *_: None)
    with pytest.raises(OptionError, match="images to evaluate candidates on takes"):
        prepare(request)


# Spaces that a method does not take


@pytest.mark.parametrize(
    ("method", "space"),
    [("betanas", "darts"), ("tnas-g", "nao"), ("amended-darts", "darts"), ("betanas", "nao")],
)
def test_a_space_that_a_method_does_not_take_is_refused_before_latencies_are_measured(
    method: str, space: str
) -> None:
    request = Request(space, "digits", ["latency<=9ms"], method=method, settings={"cells": 3})
    with pytest.raises(OptionError, match=rf"{space}.*--method spos"):
        prepare(request)
