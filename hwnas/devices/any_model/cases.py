"""Which models are measured with which settings, and which of them cannot be, and why."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

from hwnas.errors import HwnasError, OptionError
from hwnas.kernels.runnable import RunnableModel, runnable
from hwnas.latency_tables import Target
from hwnas.profilers import AnyRuntime, check_precision, remote_runtime, runtime

__all__ = ["Case", "MeasureOptions", "Model", "Setting", "labels", "make_cases", "make_runtimes"]

#: A model: the path of one, or its bytes.
Model = bytes | str | Path
PRECISIONS = ("fp32", "fp16", "int8")


@dataclass(frozen=True, kw_only=True)
class MeasureOptions:
    """How models are measured.

    Attributes:
        device: ``cpu``, ``gpu``, ``ssh://[user@]host[:port]``, ``adb`` or ``adb:SERIAL``.
        runtime: the name of another runtime than the device's best; or a runtime itself.
        threads: inside an operator; several are measured beside each other.
        batch: first sizes of inputs that leave it open; several likewise.
        precision: that the models must have; None takes each as it is.
        shapes: input -> sizes, for inputs that leave some open; an empty name is the only input of
            a model.
        seconds: measure for at least so long.
        seed: of the order of the runs.
        remote: ``cores``, ``provider`` and ``python`` of another machine.
    """

    device: str = "cpu"
    runtime: str | AnyRuntime | None = None
    threads: int | Sequence[int] = 1
    batch: int | Sequence[int] | None = None
    precision: str | Sequence[str] | None = None
    shapes: Mapping[str, Sequence[int]] = field(default_factory=dict)
    seconds: float = 6.0
    seed: int = 0
    remote: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("threads", "batch"):
            if any(
                type(n) is not int or n < 1 for n in _listed(getattr(self, name)) if n is not None
            ):
                raise OptionError(f"{name}: whole numbers above 0, got {getattr(self, name)!r}")
        if unknown := [p for p in _listed(self.precision) if p not in (None, *PRECISIONS)]:
            raise OptionError(f"precisions are {', '.join(PRECISIONS)}, got {unknown[0]!r}")

    def settings(self) -> list["Setting"]:
        """Every combination, in the order they were given."""
        lists = (_listed(self.threads), _listed(self.batch), _listed(self.precision))
        return [Setting(*values) for values in product(*lists)]


@dataclass(frozen=True, slots=True)
class Setting:
    """One combination of settings; None is left to the model."""

    threads: int
    batch: int | None
    precision: str | None

    def words(self, several: Sequence["Setting"]) -> str:
        """What tells it from several others."""
        parts = []
        if len({one.threads for one in several}) > 1:
            parts.append(f"{self.threads} thread{'s' if self.threads > 1 else ''}")
        if len({one.batch for one in several}) > 1:
            parts.append(f"batch {self.batch}")
        if len({one.precision for one in several}) > 1:
            parts.append(str(self.precision))
        return ", ".join(parts)


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """One model with one setting, ready to be measured.

    Attributes:
        label: tells it from all others.
        model: what it is called.
        setting: of the runtime and its inputs.
        runnable: the model with its inputs fixed.
        runtime: what runs it.
        target: what its numbers are of.
    """

    label: str
    model: str
    setting: Setting
    runnable: RunnableModel
    runtime: AnyRuntime
    target: Target


def _listed(value: Any) -> tuple[Any, ...]:
    if value is None or isinstance(value, int | str):
        return (value,)
    return tuple(dict.fromkeys(value)) or (None,)


def labels(models: Sequence[Model]) -> list[str]:
    """What models are called: names of files, paths where two have one name."""
    paths = [None if isinstance(model, bytes) else Path(model) for model in models]
    names = [path.name if path else "model" for path in paths]
    found: list[str] = []
    for path, name in zip(paths, names, strict=True):
        label = str(path) if path and names.count(name) > 1 else name
        while label in found:
            label += " again"
        found.append(label)
    return found


def make_runtimes(
    options: MeasureOptions, refused: dict[str, str]
) -> dict[int, tuple[AnyRuntime, Target]]:
    """The runtime of each number of threads, without those that cannot be had.

    Args:
        options: device, runtime and threads.
        refused: receives why, by number of threads.

    Raises:
        HwnasError: none can be had.
    """
    found: dict[int, tuple[AnyRuntime, Target]] = {}
    problem: HwnasError | None = None
    for threads in _listed(options.threads):
        try:
            made = _made(options, threads)
            found[threads] = (made, made.target(made.precisions[0], 1))
        except HwnasError as error:
            problem = problem or error
            refused[f"{threads} threads"] = str(error)
    if problem is not None and not found:
        raise problem
    return found


def _made(options: MeasureOptions, threads: int) -> AnyRuntime:
    if options.runtime is not None and not isinstance(options.runtime, str):
        return options.runtime
    there = remote_runtime(options.device, threads, **options.remote)
    if there is None:
        return runtime(options.device, threads, options.runtime)
    if options.runtime is not None:
        raise OptionError(f"runtimes are for devices of this machine, got one for {options.device}")
    return there


def make_cases(
    models: Sequence[Model],
    options: MeasureOptions,
    runtimes: Mapping[int, tuple[AnyRuntime, Target]],
    refused: dict[str, str],
) -> list[Case]:
    """Every model with every setting, without those that cannot be measured.

    Args:
        models: of different labels.
        options: settings and shapes.
        runtimes: by number of threads.
        refused: receives why, by label.
    """
    settings = [one for one in options.settings() if one.threads in runtimes]
    names = labels(models)
    read: dict[tuple[str, int | None], RunnableModel | HwnasError] = {}
    cases = []
    for name, model in zip(names, models, strict=True):
        for setting in settings:
            label = ", ".join(filter(None, (name, setting.words(settings))))
            key = (name, setting.batch)
            try:
                if key not in read:
                    read[key] = _read(model, options.shapes, setting.batch)
                ready = read[key]
                if isinstance(ready, HwnasError):
                    raise ready
                if setting.precision not in (None, ready.precision):
                    raise OptionError(
                        f"{name} is {ready.precision}, got precision {setting.precision}: quantise "
                        "or convert it first, and give the file that comes of it"
                    )
                here, _ = runtimes[setting.threads]
                check_precision(here, ready.precision)
                target = here.target(ready.precision, ready.batch)
            except HwnasError as error:
                refused[label] = str(error)
            else:
                cases.append(Case(label, name, setting, ready, here, target))
    return cases


def _read(
    model: Model, shapes: Mapping[str, Sequence[int]], batch: int | None
) -> RunnableModel | HwnasError:
    try:
        return runnable(model, shapes, batch)
    except HwnasError as error:
        return error
