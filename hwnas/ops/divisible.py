"""How the mobile networks round their channels."""

__all__ = ["divisible"]


def divisible(channels: float, by: int = 8) -> int:
    """The nearest multiple of ``by`` that is not more than 10 % too small (MobileNetV2)."""
    rounded = max(by, int(channels + by / 2) // by * by)
    return rounded + by if rounded < 0.9 * channels else rounded
