"""Which card runs which precision and which TensorRT, and what its numbers are called.

From NVIDIA's support matrices: TensorRT 8.6.1 is the last for Pascal (6.x), 10.4 the last for Volta
(7.0); fp16 is fast from 7.0 on and on 5.3, 6.0 and 6.2, int8 from 6.1 on except on 6.2.
"""

import hashlib

from hwnas.latency_tables import Target
from hwnas.profilers.gpu.cuda_driver import Card

__all__ = ["card_precisions", "card_target", "tensorrt_advice", "tensorrt_problem"]

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


def tensorrt_advice(capability: Capability) -> str:
    """What to install for a card."""
    if capability < (7, 0):
        return "for this card: pip install tensorrt==8.6.1 (Python 3.11 at most)"
    if capability < (7, 5):
        return "for this card: pip install tensorrt-cu12==10.4.0"
    return "pip install tensorrt"


def tensorrt_problem(version: str, capability: Capability) -> str | None:
    """Why a TensorRT version does not run a card, or None.

    Args:
        version: such as ``10.13.3.9``.
        capability: of the card, such as (7, 0).
    """
    major, minor = (int(part) for part in [*version.split("."), "0"][:2])
    if (major, minor) < (8, 6):
        return f"TensorRT {version} is older than 8.6, the oldest that hwnas drives"
    least = (5, 0) if major == 8 else (7, 0) if (major, minor) < (10, 5) else (7, 5)
    if capability >= least:
        return None
    return (
        f"TensorRT {version} needs compute capability {least[0]}.{least[1]}, the card has "
        f"{capability[0]}.{capability[1]}: {tensorrt_advice(capability)}"
    )
