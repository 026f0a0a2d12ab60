"""What flows between the slots of a supernet, and a bounded memory of it by common prefixes."""

from dataclasses import dataclass

from torch import Tensor

__all__ = ["Prefix", "PrefixCache", "State"]

#: Found by simulating evolutions: with 1 GiB, 1.47 times fewer blocks run than without a memory,
#: against 1.37 where the least recently used goes first, and 1.50 without a bound.
_AGE_PER_BLOCK = 10

#: What runs in the first slots of a path.
Prefix = tuple[int | None, ...]


@dataclass(frozen=True, eq=False, slots=True)
class State:
    """What flows between two slots, in batches (n, channels, height, width), or logits.

    Attributes:
        calibration: in training mode, normalised with each batch's own statistics.
        images: in evaluation mode, normalised with the recalibrated statistics.
    """

    calibration: tuple[Tensor, ...]
    images: tuple[Tensor, ...]

    @property
    def nbytes(self) -> int:
        """Bytes of all tensors."""
        return sum(t.nbytes for t in (*self.calibration, *self.images))


class PrefixCache:
    """States by prefix, within a number of bytes.

    What goes first was used long ago or is long: each block of length counts as much as
    `_AGE_PER_BLOCK` candidates of age, since long prefixes come back more rarely.
    """

    def __init__(self, limit: int):
        self.states: dict[Prefix, State] = {}
        self._used: dict[Prefix, int] = {}
        self._limit = limit
        self._clock = 0
        self._held = 0

    def use(self, prefixes: list[Prefix]) -> int:
        """The length of the longest of a candidate's prefixes that is here, 0 for none."""
        self._clock += 1
        found = [prefix for prefix in prefixes if prefix in self.states]
        self._used |= dict.fromkeys(found, self._clock)
        return max(map(len, found), default=0)

    def put(self, prefix: Prefix, state: State) -> None:
        """Remember what leaves the last slot of a prefix."""
        self.states[prefix] = state
        self._used[prefix] = self._clock
        self._held += state.nbytes

    def shrink(self) -> None:
        """Forget enough to be within the bound, and a tenth more, so as not to do it every time."""
        if self._held <= self._limit:
            return
        for prefix in sorted(self._used, key=lambda p: self._used[p] - _AGE_PER_BLOCK * len(p)):
            if self._held <= 0.9 * self._limit:
                break
            self._held -= self.states.pop(prefix).nbytes
            del self._used[prefix]

    def clear(self) -> None:
        """Forget all."""
        self.states.clear()
        self._used.clear()
        self._held = 0
