"""Device memory that is given back by itself, and one piece of it that all engines share."""

import weakref
from typing import Protocol

__all__ = ["Allocates", "Memory", "SharedMemory"]


class Allocates(Protocol):
    """A driver."""

    def allocate(self, count: int) -> int:
        """Device memory of ``count`` bytes; its address."""
        ...

    def free(self, address: int) -> None:
        """Give memory back."""
        ...


class Memory:
    """A piece of device memory, given back when nothing holds it any more.

    Attributes:
        address: on the card.
        count: bytes.
    """

    def __init__(self, driver: Allocates, count: int):
        self.count = max(count, 1)
        self.address = driver.allocate(self.count)
        weakref.finalize(self, driver.free, self.address).atexit = False  # the driver does it then


class SharedMemory:
    """What all engines compute in, one after the other.

    It is as large as the largest needs. One that needs more than those before gets another piece,
    since captured graphs know the address of theirs. If the largest comes first, one piece serves.
    """

    def __init__(self, driver: Allocates):
        self._driver = driver
        self._newest: weakref.ref[Memory] | None = None

    def take(self, count: int) -> Memory:
        """Memory of at least ``count`` bytes, to be held for as long as it is used.

        Raises:
            DeviceMemoryError: there is not so much left.
        """
        memory = self._newest() if self._newest is not None else None
        if memory is None or memory.count < count:
            memory = Memory(self._driver, count)
            self._newest = weakref.ref(memory)
        return memory
