"""What TensorRT calls back: its log, how far a build is, and what layers take.

Whatever one of these raises is swallowed by the bindings: they raise nothing themselves, and the
work goes on within `deferred_interrupts`.
"""

from collections.abc import Callable
from typing import Any

from hwnas.errors import DeviceMemoryError, ModelRejectedError
from hwnas.profilers.gpu.build_phases import BuildPhases

__all__ = ["GoOn", "Log", "layer_times", "monitor"]

#: Told the share that is done (0 to 1), and of what; says whether to go on.
GoOn = Callable[[float, str], bool]


class Log:
    """What TensorRT said since it was cleared: the reasons for what fails.

    Attributes:
        logger: what TensorRT is given to log to.
        entries: whether each is an error, and what was said.
    """

    def __init__(self, api: Any):
        self.entries: list[tuple[bool, str]] = []
        self.logger = _logger(api, self.entries)

    def clear(self) -> None:
        """Forget what was said, before something else begins."""
        self.entries.clear()

    def failure(self, what: str) -> ModelRejectedError | DeviceMemoryError:
        """The error for what was said: out of memory, or a model that TensorRT cannot run."""
        said = self.said(what)
        if "outofmemory" in said.replace(" ", "").lower():
            return DeviceMemoryError(said)
        return ModelRejectedError(said)

    def said(self, what: str) -> str:
        """``what`` with the last errors, or the last warning where there is none."""
        errors = [message for is_error, message in self.entries if is_error]
        # that CUDA does not start is a warning to TensorRT 8
        reasons = errors[-3:] or [message for _, message in self.entries[-1:]]
        return f"{what}: {'; '.join(reasons) or 'it logged no reason'}"


def _logger(api: Any, entries: list[tuple[bool, str]]) -> Any:
    class Logger(api.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            api.ILogger.__init__(self)

        def log(self, severity: Any, msg: str) -> None:
            is_error = severity in (api.ILogger.INTERNAL_ERROR, api.ILogger.ERROR)
            if is_error or severity == api.ILogger.WARNING:
                entries.append((is_error, msg))

    return Logger()


def monitor(api: Any, go_on: GoOn) -> Any:
    """What TensorRT 10 and later tell of a build, and ask whether to go on."""
    base: Any = getattr(api, "IProgressMonitor")  # noqa: B009 - not in 8
    phases = BuildPhases()

    class Monitor(base):  # type: ignore[misc]
        def __init__(self) -> None:
            base.__init__(self)

        def phase_start(self, phase_name: str, parent: str | None, num_steps: int) -> None:
            phases.start(phase_name, parent, num_steps)

        def step_complete(self, phase_name: str, step: int) -> bool:
            phases.step(phase_name, step)
            return go_on(phases.share, phase_name)

        def phase_finish(self, phase_name: str) -> None:
            phases.finish(phase_name)

    return Monitor()


def layer_times(api: Any, times: dict[str, list[float]]) -> Any:
    """What TensorRT tells the time of each layer to; it is added to ``times``, ms by name."""

    class Collector(api.IProfiler):  # type: ignore[misc]
        def __init__(self) -> None:
            api.IProfiler.__init__(self)

        def report_layer_time(self, layer_name: str, ms: float) -> None:
            times.setdefault(layer_name, []).append(ms)

    return Collector()
