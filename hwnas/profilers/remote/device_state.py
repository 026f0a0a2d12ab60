"""What a Linux device says of its cores, clocks, heat and battery; part of the agent (Python 3.9).

A device that hides a value leaves it out; nothing here needs rights, and nothing is changed but the
cores that this process runs on.
"""

import os
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from hwnas.errors import OptionError
from hwnas.profilers.host import usable_cores
from hwnas.profilers.protocol import Round

__all__ = ["Cooling", "choose_cores", "core_groups", "pin", "read_state"]

_SYS = Path("/sys")


def core_groups(root: Path = _SYS) -> list[list[int]]:
    """Cores of equal strength, the little ones first; one group where all are equal or unknown."""
    strength: dict[int, list[int]] = {}
    for core in usable_cores():
        folder = root / f"devices/system/cpu/cpu{core}"
        found = _number(folder / "cpu_capacity") or _number(folder / "cpufreq/cpuinfo_max_freq")
        strength.setdefault(int(found or 0), []).append(core)
    return [cores for _, cores in sorted(strength.items())]


def choose_cores(words: str, root: Path = _SYS) -> list[int]:
    """The cores of ``any`` (all), ``big``, ``little``, or numbers such as ``0,2-3``.

    Raises:
        OptionError: not of this form, or no such cores.
    """
    usable = usable_cores()
    if words == "any":
        return usable
    if not hasattr(os, "sched_setaffinity"):
        raise OptionError(f"{sys.platform} has no way to choose cores, got {words!r}; leave it out")
    if words in ("big", "little"):
        return core_groups(root)[-1 if words == "big" else 0]
    if not re.fullmatch(r"\d{1,4}(-\d{1,4})?(,\d{1,4}(-\d{1,4})?){0,63}", words):
        raise OptionError(f"cores are any, big, little or numbers such as 0,2-3, got {words!r}")
    chosen: set[int] = set()
    for part in words.split(","):
        low, _, high = part.partition("-")
        chosen.update(range(int(low), int(high or low) + 1))
    if not chosen or not chosen <= set(usable):
        raise OptionError(f"the cores here are {usable}, got {words!r}")
    return sorted(chosen)


def pin(cores: list[int]) -> None:
    """Keep this process and the threads it will start on some cores."""
    if cores != usable_cores():
        os.sched_setaffinity(0, cores)


def read_state(cores: list[int], root: Path = _SYS) -> dict[str, Any]:
    """Governor, least clock of the cores, highest temperature, battery; what can be read."""
    state: dict[str, Any] = {}
    folders = [root / f"devices/system/cpu/cpu{core}/cpufreq" for core in cores]
    governors = {_text(folder / "scaling_governor") for folder in folders} - {""}
    if governors:
        state["governor"] = "/".join(sorted(governors))
    clocks = [_number(folder / "scaling_cur_freq") for folder in folders]
    known = [khz / 1000 for khz in clocks if khz]
    if known:
        state["mhz"] = min(known)
    heat: dict[bool, list[float]] = {True: [], False: []}
    for zone in root.glob("class/thermal/thermal_zone*"):
        celsius = (_number(zone / "temp") or 0) / 1000
        if 0 < celsius < 150:
            near = re.search("cpu|soc|pkg|tsens", _text(zone / "type").lower())
            heat[bool(near)].append(celsius)
    if heat[True] or heat[False]:
        state["celsius"] = max(heat[True] or heat[False])
    for supply in root.glob("class/power_supply/*"):
        percent = _number(supply / "capacity")
        if _text(supply / "type") == "Battery" and percent is not None:
            state["battery_percent"] = percent
            state["battery"] = _text(supply / "status").lower() or "unknown"
    return state


class Cooling:
    """Notices when a device throttles, and waits until it is cooler.

    It throttles when it is 8 degrees warmer than at the start, and its clock under load is 15 %
    below the highest seen, or, where the clock is hidden, the reference is 25 % slower than its
    steady state. A pause ends when half of the warmth is gone, or after a minute; all pauses
    together last ten minutes at most.

    Args:
        read: the state of now.
        sleep: waits so many seconds.
    """

    def __init__(
        self,
        read: Callable[[], dict[str, Any]],
        sleep: Callable[[float], None] = time.sleep,
    ):
        self._read, self._sleep = read, sleep
        self.first = self.last = read()
        self.peak_mhz = 0.0
        self.paused_seconds = 0.0

    def after(self, taken: Round, steady_ms: float) -> bool:
        """Look at the device after a round, and pause if need be; whether it throttled."""
        self.last = now = self._read()
        mhz = float(now.get("mhz", 0.0))
        self.peak_mhz = max(self.peak_mhz, mhz)
        cool, hot = self.first.get("celsius"), now.get("celsius")
        if cool is None or hot is None or hot < cool + 8:
            return False
        slow = float(np.median(taken.reference_ms)) > 1.25 * steady_ms
        if not (mhz < 0.85 * self.peak_mhz if mhz else slow):
            return False
        for _ in range(12):
            if self.paused_seconds >= 600:
                break
            self._sleep(5.0)
            self.paused_seconds += 5.0
            if self._read().get("celsius", 0.0) <= (cool + hot) / 2:
                break
        return True


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _number(path: Path) -> "float | None":
    try:
        return float(_text(path))
    except ValueError:
        return None
