"""What can be said of a request before anything is measured."""

import numpy as np
import pytest

from hwnas.data import from_arrays
from hwnas.errors import OptionError
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
