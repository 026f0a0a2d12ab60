"""How a device was while it was measured: clocks, heat, power, and whether it held back."""

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge

__all__ = ["Conditions", "DeviceState"]

_STRICT = {"extra": "forbid", "allow_inf_nan": False}
_Count = Annotated[int, Ge(0)]


@dataclass(frozen=True, slots=True)
class DeviceState:
    """The device at one moment; None is what it does not tell.

    Attributes:
        moment: before, during or after the measurement.
        clock_mhz, memory_clock_mhz: of the cores and the memory.
        temperature_c: of the chip.
        power_w: what it draws.
        throttled_by: why it runs slower than it could; empty where nothing holds it back.
    """

    __pydantic_config__ = _STRICT

    moment: str
    clock_mhz: int | None
    memory_clock_mhz: int | None
    temperature_c: int | None
    power_w: float | None
    throttled_by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Conditions:
    """The device over a whole profile.

    Attributes:
        driver, cuda: their versions.
        windows: timed windows, each some runs in a row.
        repeated: windows that were measured again since the device throttled.
        kept_throttled: windows that were kept although the device throttled through every repeat.
        states: how it was before, during and after.
    """

    __pydantic_config__ = _STRICT

    driver: str
    cuda: str
    windows: _Count
    repeated: _Count
    kept_throttled: _Count
    states: tuple[DeviceState, ...]

    @property
    def warning(self) -> str | None:
        """What to say about a table that was made on a throttling device, or None."""
        if not self.kept_throttled:
            return None
        reasons = sorted({reason for state in self.states for reason in state.throttled_by})
        why = f" ({', '.join(reasons)})" if reasons else ""
        return (
            f"made on a throttling device: it held back{why} in {self.kept_throttled} of "
            f"{self.windows} windows; cool it or raise its power limit, and profile again"
        )
