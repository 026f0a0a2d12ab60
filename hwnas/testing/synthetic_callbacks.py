"""How the bindings of TensorRT call back, and a Ctrl-C that comes meanwhile."""

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

__all__ = ["Callbacks"]


class Callbacks:
    """Calls as the bindings do: what is raised in a callback is printed, and gone.

    ``SYNTHETIC_TENSORRT_INTERRUPTED``, such as ``2 step_complete``, says that Ctrl-C comes while
    the second engine is built, before it calls this function.

    Attributes:
        builds: engines that were begun.
    """

    def __init__(self) -> None:
        self.builds = 0

    def call(self, owner: Any, name: str, *arguments: Any) -> Any:
        """Call a function of what was handed over; false if it raises."""
        function: Callable[..., Any] = getattr(owner, name)
        try:
            if self.interrupts(name):
                os.kill(os.getpid(), signal.SIGINT)  # handled as soon as Python runs again
            return function(*arguments)
        except BaseException as problem:
            print(f"[ERROR] Exception caught in {name}(): {problem!r}", file=sys.stderr)
            return False

    def interrupts(self, name: str) -> bool:
        """Whether Ctrl-C comes before this callback of the engine that is being built."""
        asked = os.environ.get("SYNTHETIC_TENSORRT_INTERRUPTED", "")
        return asked.split() == [str(self.builds), name]

    def goes_on(self, monitor: Any) -> bool:
        """Tell a build: two steps, the first of which has two of its own. False: cancelled."""
        if monitor is None:
            return True
        outer, inner = "Building Engine", "Selecting kernels"
        self.call(monitor, "phase_start", outer, None, 2)
        self.call(monitor, "phase_start", inner, outer, 2)
        for phase in (inner, outer):
            for step in range(2):
                if not self.call(monitor, "step_complete", phase, step):
                    return False
            self.call(monitor, "phase_finish", phase)
        return True
