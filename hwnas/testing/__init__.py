"""What extensions are tested with: conformance checks, and a device whose truth is known."""

from hwnas.testing.conformance import (
    check_predictor,
    check_runtime,
    check_sampler,
    check_searcher,
)
from hwnas.testing.data import check_data
from hwnas.testing.devices import SyntheticRuntime
from hwnas.testing.method import check_method
from hwnas.testing.ops import check_op
from hwnas.testing.spaces import check_space

__all__ = [
    "SyntheticRuntime",
    "check_data",
    "check_method",
    "check_op",
    "check_predictor",
    "check_runtime",
    "check_sampler",
    "check_searcher",
    "check_space",
]
