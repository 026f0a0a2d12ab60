"""Which card runs which precision and which TensorRT, and what its numbers are called.

From NVIDIA's support matrices: TensorRT 8.6.1 is the last for Pascal (6.x), 10.4 the last for Volta
(7.0); fp16 is fast from 7.0 on and on 5.3, 6.0 and 6.2, int8 from 6.1 on except on 6.2.

A package for CUDA 13 needs a driver of CUDA 13 (580), one for CUDA 12 a driver of CUDA 12 (525; for
recent versions of TensorRT 535, which is CUDA 12.2). TensorRT 10.13.0 is the last for CUDA 11;
8.6.1 is packaged for CUDA 12 alone.
"""

import hashlib

from hwnas.latency_tables import Target
from hwnas.profilers.gpu.cuda_driver import Card

__all__ = [
    "NEWEST_CUDA",
    "card_precisions",
    "card_target",
    "tensorrt_advice",
    "tensorrt_problem",
    "torch_advice",
]

#: That drivers run; the advice where a driver is not known.
NEWEST_CUDA = "13.0"

Capability = tuple[int, int]
_SLOW_FP16 = {(5, 0), (5, 2), (6, 1)}


def card_precisions(capability: Capability) -> tuple[str, ...]:
    """The precisions that a card has arithmetic for; others would be emulated, and slower."""
    half = capability >= (5, 3) and capability not in _SLOW_FP16
    integers = capability >= (6, 1) and capability != (6, 2)
    return ("fp32", *(("fp16",) if half else ()), *(("int8",) if integers else ()))


def card_target(card: Card, runtime: str, version: str, precision: str, batch: int) -> Target:
    """What numbers of a runtime on a card are measured on; a digest tells cards apart."""
    digest = hashlib.sha256(f"hwnas|{card.uuid}".encode()).hexdigest()[:12]
    return Target(
        kind="gpu",
        device=card.name,
        device_id=digest,
        runtime=runtime,
        runtime_version=version,
        precision=precision,  # type: ignore[arg-type]
        batch=batch,
        threads=1,
    )


def tensorrt_advice(capability: Capability, cuda: str = NEWEST_CUDA) -> str:
    """What to install for a card.

    Args:
        capability: of the card, such as (7, 0).
        cuda: the newest CUDA that its driver runs, such as ``12.4``.
    """
    driver = _numbers(cuda)
    if capability < (7, 0):
        install = "pip install tensorrt==8.6.1 (Python 3.11 at most)"
        if driver >= (12, 0):
            return f"for this card: {install}"
        return f"for this card: update its driver of CUDA {cuda} to 525 or later, then {install}"
    if capability < (7, 5):
        package = "tensorrt-cu12" if driver >= (12, 0) else "tensorrt-cu11"
        return f"for this card: pip install {package}==10.4.0"
    if driver >= (13, 0):
        return "pip install tensorrt"
    if driver >= (12, 2):
        package = "tensorrt-cu12"
    else:
        package = "tensorrt-cu12==10.4.0" if driver >= (12, 0) else "tensorrt-cu11"
    return f"for this driver, of CUDA {cuda}: pip install {package}"


def torch_advice(capability: Capability, cuda: str = NEWEST_CUDA) -> str:
    """Which torch to install for a card; the arguments are those of `tensorrt_advice`."""
    driver = _numbers(cuda)
    if driver < (12, 0):
        index = "cu118"
    elif capability >= (10, 0):
        index = "cu130" if driver >= (13, 0) else "cu128"
    else:
        index = "cu130" if driver >= (13, 0) and capability >= (7, 5) else "cu126"
    return f"pip install torch --index-url https://download.pytorch.org/whl/{index}"


def tensorrt_problem(version: str, capability: Capability, cuda: str = NEWEST_CUDA) -> str | None:
    """Why a TensorRT version does not run a card, or None.

    Args:
        version: such as ``10.13.3.9``.
        capability, cuda: as `tensorrt_advice` takes them.
    """
    installed = _numbers(version)
    if installed < (8, 6):
        return f"TensorRT {version} is older than 8.6, the oldest that hwnas drives"
    least = (5, 0) if installed[0] == 8 else (7, 0) if installed < (10, 5) else (7, 5)
    if capability >= least:
        return None
    return (
        f"TensorRT {version} needs compute capability {least[0]}.{least[1]}, the card has "
        f"{capability[0]}.{capability[1]}: {tensorrt_advice(capability, cuda)}"
    )


def _numbers(version: str) -> tuple[int, int]:
    """Major and minor."""
    major, minor = (int(part) for part in [*version.split("."), "0"][:2])
    return major, minor
