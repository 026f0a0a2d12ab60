"""Betas as a person writes them."""

import pytest

from hwnas.errors import OptionError
from hwnas.search.gradient.betas import parse_betas


def test_betas_are_read_with_their_units():
    read = parse_betas(["latency=0.1", "macs = 2e-2", "params=1", "bitops=1"])
    expected = {"latency": 0.1, "macs": 2e-8, "params": 1e-6, "bitops": 2.0**-30}
    assert read == pytest.approx(expected)
    assert parse_betas([]) == {}


@pytest.mark.parametrize(
    "texts", [["latency=-0.1"], ["latency"], ["watts=1"], ["latency=x"], ["macs=1", "macs=2"]]
)
def test_betas_that_cannot_be_read_say_how_to_write_them(texts):
    with pytest.raises(OptionError, match=r"written latency=0\.1.*NATS per ms.*per M MACs.*got"):
        parse_betas(texts)
