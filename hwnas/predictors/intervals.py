"""What all intervals share: which confidences there are, and Student's t."""

from hwnas.errors import OptionError

__all__ = ["NORMAL_95", "check_confidence", "student_quantile"]

#: Half the width of a normal distribution's 95 % interval, in standard deviations.
NORMAL_95 = 1.96


def check_confidence(confidence: float) -> None:
    """Raise `OptionError` if a confidence is not between 0 and 1."""
    if not 0 < confidence < 1:
        raise OptionError(f"confidence lies between 0 and 1, such as 0.95, got {confidence}")


def student_quantile(confidence: float, count: int) -> float:
    """Deviations to each side that hold a share, where ``count`` samples tell the deviation.

    Raises:
        OptionError: the confidence is not between 0 and 1.
    """
    check_confidence(confidence)
    from scipy.special import stdtrit  # scipy.stats takes half a second to import

    return float(stdtrit(count - 1, (1 + confidence) / 2))
