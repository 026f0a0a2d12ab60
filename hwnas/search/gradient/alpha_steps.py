"""When architecture parameters move between the steps of the weights."""

from hwnas.errors import OptionError

__all__ = ["alpha_steps"]


def alpha_steps(steps: int, warm_up: float, alpha_every: int) -> tuple[int, int]:
    """Steps of the weights before the first turn of alpha counts, and turns of alpha in all.

    Args:
        steps: of the weights.
        warm_up: share of them before alpha first moves, 0 to below 1.
        alpha_every: steps of the weights for each turn.

    Raises:
        OptionError: there would be no turn.
    """
    first = int(warm_up * steps)
    turns = (steps - first) // alpha_every
    if turns < 1:
        raise OptionError(
            f"{steps} steps, {first} of them warm-up, leave alpha no step at one every "
            f"{alpha_every}: take more steps"
        )
    return first, turns
