"""Cards and versions, after NVIDIA's support matrices."""

import pytest

from hwnas.profilers.gpu.card_support import card_precisions, tensorrt_advice, tensorrt_problem


@pytest.mark.parametrize(
    ("capability", "precisions"),
    [
        ((6, 0), ("fp32", "fp16")),  # P100
        ((6, 1), ("fp32", "int8")),  # Titan XP
        ((7, 0), ("fp32", "fp16", "int8")),  # V100
        ((9, 0), ("fp32", "fp16", "int8")),  # H100
    ],
)
def test_precisions_that_a_card_has_arithmetic_for(capability, precisions):
    assert card_precisions(capability) == precisions


@pytest.mark.parametrize(
    ("version", "capability", "runs"),
    [
        ("8.6.1", (6, 1), True),
        ("8.6.1", (7, 0), True),
        ("10.0.1", (6, 1), False),
        ("10.4.0", (7, 0), True),
        ("10.5.0", (7, 0), False),
        ("10.13.3.9", (7, 5), True),
        ("11.4.0.106", (7, 0), False),
        ("11.4.0.106", (9, 0), True),
        ("8.5.3", (7, 0), False),
    ],
)
def test_the_last_version_of_each_card(version, capability, runs):
    problem = tensorrt_problem(version, capability)
    assert (problem is None) == runs
    if problem is not None:
        assert version in problem


def test_says_what_to_install():
    assert "tensorrt==8.6.1" in tensorrt_problem("10.13.3", (6, 1))
    assert "tensorrt-cu12==10.4.0" in tensorrt_problem("11.4.0", (7, 0))
    assert tensorrt_advice((8, 9)) == "pip install tensorrt"
