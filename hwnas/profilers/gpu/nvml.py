"""The state of an NVIDIA card, read through its management library; it is never changed.

Through ctypes, so that nothing need be installed: the library comes with the driver. What a card or
driver does not tell is None.
"""

import ctypes
from ctypes import CDLL, POINTER, byref, c_char_p, c_int, c_uint, c_ulonglong, c_void_p
from typing import Any

from hwnas.latency_tables import DeviceState

__all__ = ["LIBRARIES", "Nvml", "throttle_reasons"]

LIBRARIES = ("libnvidia-ml.so.1", "nvml.dll")

#: Clock event reasons that mean a slower card; the other bits are idleness and the user's settings.
#: From nvml.h, nvmlClocksEventReason*.
_REASONS = {
    0x04: "software power cap",
    0x08: "hardware slowdown",
    0x20: "software thermal slowdown",
    0x40: "hardware thermal slowdown",
    0x80: "hardware power brake",
}
_SM_CLOCK, _MEMORY_CLOCK = 1, 2
_TEMPERATURE_GPU = 0


def throttle_reasons(bits: int) -> tuple[str, ...]:
    """The words for a bit mask of clock event reasons, as far as they slow the card."""
    return tuple(name for bit, name in _REASONS.items() if bits & bit)


class Nvml:
    """One card, found by its UUID.

    Use `find`: a machine may have the driver without the library.
    """

    def __init__(self, library: CDLL, device: c_void_p):
        self._library, self._device = library, device
        # the name changed with driver 535; both give the same bits
        new = hasattr(library, "nvmlDeviceGetCurrentClocksEventReasons")
        kind = "Event" if new else "Throttle"
        self._reasons_function = f"nvmlDeviceGetCurrentClocks{kind}Reasons"

    @classmethod
    def find(cls, uuid: str) -> "Nvml | None":
        """The card of a UUID (32 hexadecimal digits), or None where it cannot be asked."""
        for name in LIBRARIES:
            try:
                library = CDLL(name)
                break
            except OSError:
                continue
        else:
            return None
        if library.nvmlInit_v2() != 0:
            return None
        library.nvmlDeviceGetHandleByUUID.argtypes = (c_char_p, POINTER(c_void_p))
        parts = (uuid[:8], uuid[8:12], uuid[12:16], uuid[16:20], uuid[20:])
        device = c_void_p()
        text = f"GPU-{'-'.join(parts)}".encode()
        if library.nvmlDeviceGetHandleByUUID(text, byref(device)) != 0:
            return None
        return cls(library, device)

    def driver_version(self) -> str | None:
        """Such as ``550.54.15``."""
        text = ctypes.create_string_buffer(96)
        if self._library.nvmlSystemGetDriverVersion(text, c_uint(96)) != 0:
            return None
        return text.value.decode()

    def throttles(self) -> bool:
        """Whether it runs slower than it could, by heat or power."""
        return bool(throttle_reasons(self._reasons()))

    def _reasons(self) -> int:
        """Why the clocks are what they are, as bits; 0 where the card does not tell."""
        return self._read(self._reasons_function, c_ulonglong) or 0

    def state(self, moment: str) -> DeviceState:
        """Clocks, temperature, power and throttle reasons now.

        Args:
            moment: what to call it: before, during or after.
        """
        milliwatts = self._read("nvmlDeviceGetPowerUsage", c_uint)
        return DeviceState(
            moment=moment,
            clock_mhz=self._read("nvmlDeviceGetClockInfo", c_uint, c_int(_SM_CLOCK)),
            memory_clock_mhz=self._read("nvmlDeviceGetClockInfo", c_uint, c_int(_MEMORY_CLOCK)),
            temperature_c=self._read("nvmlDeviceGetTemperature", c_uint, c_int(_TEMPERATURE_GPU)),
            power_w=None if milliwatts is None else milliwatts / 1000,
            throttled_by=throttle_reasons(self._reasons()),
        )

    def _read(self, function: str, kind: Any, *arguments: Any) -> int | None:
        value = kind()
        try:
            status = getattr(self._library, function)(self._device, *arguments, byref(value))
        except AttributeError:
            return None
        return int(value.value) if status == 0 else None
