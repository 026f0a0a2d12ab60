"""Cards and versions, after NVIDIA's support matrices."""

import sys

import pytest

from hwnas.errors import DeviceUnavailableError
from hwnas.profilers import runtime
from hwnas.profilers.gpu.card_support import (
    card_precisions,
    tensorrt_advice,
    tensorrt_problem,
    torch_advice,
)


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


#: Card and the newest CUDA of its driver -> the package, for TensorRT and for torch.
PACKAGES = {
    ((6, 1), "13.0"): ("tensorrt==8.6.1", "cu126"),  # Titan XP; 580 is the last driver for it
    ((6, 1), "12.4"): ("tensorrt==8.6.1", "cu126"),
    ((6, 1), "11.4"): ("tensorrt==8.6.1", "cu118"),  # once the driver is updated
    ((7, 0), "13.0"): ("tensorrt-cu12==10.4.0", "cu126"),  # V100
    ((7, 0), "12.2"): ("tensorrt-cu12==10.4.0", "cu126"),
    ((7, 0), "11.4"): ("tensorrt-cu11==10.4.0", "cu118"),
    ((8, 0), "13.1"): ("tensorrt", "cu130"),  # A100
    ((8, 0), "12.8"): ("tensorrt-cu12", "cu126"),  # 570
    ((8, 0), "12.2"): ("tensorrt-cu12", "cu126"),  # 535
    ((8, 0), "12.0"): ("tensorrt-cu12==10.4.0", "cu126"),  # 525
    ((8, 0), "11.8"): ("tensorrt-cu11", "cu118"),  # 520
    ((12, 0), "12.8"): ("tensorrt-cu12", "cu128"),
    ((12, 0), "13.0"): ("tensorrt", "cu130"),
}


@pytest.mark.parametrize(("capability", "cuda"), PACKAGES)
def test_the_advice_follows_the_driver(capability, cuda):
    tensorrt, torch = PACKAGES[capability, cuda]
    advice = tensorrt_advice(capability, cuda)
    assert advice.partition("pip install ")[2].partition(" ")[0] == tensorrt
    assert ("update its driver" in advice) == (capability < (7, 0) and cuda < "12")
    assert torch_advice(capability, cuda).endswith(f"/{torch}")


def test_the_advice_is_that_of_the_card_at_hand(card, monkeypatch):
    for cuda, package in (("11080", "tensorrt-cu11"), ("12020", "tensorrt-cu12")):
        card(gpu_capability="8.6", gpu_cuda=cuda)
        monkeypatch.setitem(sys.modules, "tensorrt", None)
        with pytest.raises(DeviceUnavailableError, match=rf"pip install {package}$"):
            runtime("gpu", name="tensorrt")
