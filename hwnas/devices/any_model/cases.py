"""Which models are measured with which settings, and which of them cannot be, and why."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any, TypeVar, cast

from hwnas.data import Dataset
from hwnas.devices.any_model.calibration import Arrays, Images, read_arrays
from hwnas.devices.any_model.converting import Converted, Converter
from hwnas.errors import HwnasError, OptionError
from hwnas.given import check_seconds, check_seed
from hwnas.kernels.runnable import RunnableModel, runnable
from hwnas.latency_tables import Target
from hwnas.onnx_graph import PRECISIONS
from hwnas.profilers import AnyRuntime, check_precision, remote_runtime, runtime
from hwnas.progress import Progress, silent

__all__ = ["Case", "MeasureOptions", "Model", "Setting", "labels", "make_cases", "make_runtimes"]

T = TypeVar("T")

#: A model: the path of one, or its bytes.
Model = bytes | str | Path
#: What arguments are that would be looked at only when much has been measured.
_KINDS: dict[str, tuple[type, ...]] = {
    "device": (str,),
    "shapes": (Mapping,),
    "save": (str, Path, type(None)),
}


@dataclass(frozen=True, kw_only=True)
class MeasureOptions:
    """How models are measured.

    Attributes:
        device: ``cpu``, ``gpu``, ``ssh://[user@]host[:port]``, ``adb`` or ``adb:SERIAL``.
        runtime: the name of another runtime than the device's best; or a runtime itself.
        threads: inside an operator; several are measured beside each other.
        batch: first sizes of inputs that leave it open; several likewise.
        precision: of the models; those in fp32 are converted to others, int8 is static. None
            takes each as it is.
        shapes: input -> sizes, for inputs that leave some open; an empty name is the only input of
            a model.
        seconds: measure for at least so long.
        seed: of the order of the runs.
        remote: ``cores``, ``provider`` and ``python`` of another machine.
        data: of which training images calibrate int8, and test images say the accuracy; what
            ``--data`` takes, or a `hwnas.data.Dataset`.
        calibration: in their place, arrays by input name, or the path of an npz or npy file.
        save: folder that keeps the models that were converted.
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
    data: str | Dataset | None = None
    calibration: Arrays | str | Path | None = None
    save: Path | str | None = None

    def __post_init__(self) -> None:
        check_seconds(self.seconds)
        check_seed(self.seed)
        for name, kinds in _KINDS.items():
            if not isinstance(getattr(self, name), kinds):
                wanted = " or ".join(kind.__name__ for kind in kinds)
                raise OptionError(f"{name} is a {wanted}, got {getattr(self, name)!r}")
        if not isinstance(self.runtime, str | None) and not hasattr(self.runtime, "target"):
            raise OptionError(f"runtime is a name, or a runtime itself, got {self.runtime!r}")
        for name in ("threads", "batch"):
            if any(
                type(n) is not int or n < 1 for n in _listed(getattr(self, name)) if n is not None
            ):
                raise OptionError(f"{name}: whole numbers above 0, got {getattr(self, name)!r}")
        if self.calibration is not None and not {"int8"} & {*_listed(self.precision)}:
            raise OptionError("calibration is what int8 ranges come from: give precision int8, too")
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
        converted: whether it was made in another precision than it came in.
        notes: what is to be known of that.
    """

    label: str
    model: str
    setting: Setting
    runnable: RunnableModel
    runtime: AnyRuntime
    target: Target
    converted: bool = False
    notes: tuple[str, ...] = ()

    @property
    def answers(self) -> tuple[str, str]:
        """What decides its answers, whatever the threads and batch: the model and precision."""
        return self.model, self.runnable.precision


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
    progress: Progress = silent,
) -> list[Case]:
    """Every model with every setting, without those that cannot be measured.

    Args:
        models: of different labels.
        options: settings and shapes.
        runtimes: by number of threads.
        refused: receives why, by label.
        progress: told of each.

    Raises:
        DataError: calibration that cannot be read.
    """
    settings = [one for one in options.settings() if one.threads in runtimes]
    names = labels(models)
    known = _Known(options)
    cases: list[Case] = []
    asked = [(named, one) for named in zip(names, models, strict=True) for one in settings]
    for at, ((name, model), setting) in enumerate(asked):
        label = ", ".join(filter(None, (name, setting.words(settings))))
        progress("reading models", at / len(asked), label)
        here, target = runtimes[setting.threads]
        try:
            read = known.read(name, model, setting.batch)
            precision = setting.precision or read.precision
            check_precision(here, precision)
            ready = Converted(read, ())
            if precision != read.precision:
                ready = known.converted(name, read, setting, target.kind)
            target = here.target(precision, read.batch)
        except HwnasError as error:
            refused[label] = str(error)
        else:
            made = ready.runnable is not read
            cases.append(
                Case(label, name, setting, ready.runnable, here, target, made, ready.notes)
            )
    progress("reading models", 1.0, "")
    return cases


class _Known:
    """Models as they are read and converted: each once, or the reason why not."""

    def __init__(self, options: MeasureOptions):
        self._shapes = options.shapes
        self._converter = Converter(
            _arrays(options.calibration), None if options.data is None else Images(options.data)
        )
        self._found: dict[tuple[Any, ...], Any] = {}

    def read(self, name: str, model: Model, batch: int | None) -> RunnableModel:
        """A model with its inputs fixed."""
        return self._once((name, batch), lambda: runnable(model, self._shapes, batch))

    def converted(self, name: str, read: RunnableModel, setting: Setting, kind: str) -> Converted:
        """A model in the precision of a setting, for a kind of device."""
        precision = str(setting.precision)
        return self._once(
            (name, setting.batch, precision),
            lambda: self._converter.convert(read, name, precision, kind),
        )

    def _once(self, key: tuple[Any, ...], make: Callable[[], T]) -> T:
        if key not in self._found:
            try:
                self._found[key] = make()
            except HwnasError as error:
                self._found[key] = error
        found = self._found[key]
        if isinstance(found, HwnasError):
            raise found
        return cast(T, found)


def _arrays(given: Arrays | str | Path | None) -> Arrays | None:
    return read_arrays(Path(given)) if isinstance(given, str | Path) else given
