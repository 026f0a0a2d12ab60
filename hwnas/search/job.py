"""From what a person asks for to what is searched: all that can be known before measuring."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from hwnas import spaces
from hwnas.costs import Budget, FeasibleSet, parse_budget
from hwnas.data import (
    READINGS,
    Dataset,
    check_dataset,
    default_proxy_size,
    from_batches,
    has_digest,
    is_image,
    load_data,
    suited,
    with_data_workers,
)
from hwnas.documents import read_document
from hwnas.errors import BudgetError, OptionError
from hwnas.given import check_seed
from hwnas.latency_tables import LatencyTable
from hwnas.predictors import load_predictor
from hwnas.search.candidates.trial import check_task
from hwnas.search.constraints import (
    analytic,
    check_budgets,
    check_confidence_used,
    of_connected,
)
from hwnas.search.deployed_space import (
    Origin,
    deployed_space,
    has_proxy,
    origin_of,
    proxy_width,
)
from hwnas.search.deployment import fingerprint, read_source
from hwnas.search.limits import (
    check_augmentation,
    check_batch,
    check_budgets_are_numbers,
    check_classes,
    check_evaluation,
    check_fits,
    check_task_settings,
)
from hwnas.search.looked_up import Accuracies, OwnAccuracies, check_looks_up, read
from hwnas.search.methods import METHODS, Method
from hwnas.search.options import UNIMPORTANT, SearchOptions
from hwnas.search.runs.run import CONFIG, budget_name
from hwnas.search.runs.schema import OWN, Config
from hwnas.search.runs.tensorboard import require_tensorboard
from hwnas.search.settings import fields_of, make, stored
from hwnas.search.torchrun import world_size
from hwnas.spaces import SearchSpace

__all__ = ["Job", "Request", "filled", "prepare", "written_digest"]


@dataclass(frozen=True, eq=False)
class Request:
    """The arguments of `hwnas.find_network`, as they were given."""

    space: SearchSpace | str | None
    data: Dataset | str | tuple[Any, ...] | None
    budgets: Sequence[Budget | str]
    method: str = "spos"
    predictor: Any = None
    device: str = "auto"
    out: Path | str | None = None
    seed: int = 0
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Job:
    """A search that is ready but for the latency predictor.

    Attributes:
        method, name: the recipe, and what it is called.
        settings: of the method.
        options: of every search.
        budgets: to be kept.
        space, proxy: what is deployed, and what is trained.
        data: at the input shape of ``proxy``.
        data_spec: what names the data, for a run that uses them again.
        source: a table, another source of a predictor, or None for this machine's own table.
        device: ``auto``, ``cpu`` or ``gpu``.
        seed: of everything random.
        out: folder of the run.
        accuracies: looked up in place of training; None where something is trained.
    """

    method: Method
    name: str
    settings: Any
    options: SearchOptions
    budgets: Sequence[Budget]
    space: SearchSpace
    proxy: SearchSpace
    data: Dataset
    data_spec: str
    source: Any
    device: str
    seed: int
    out: Path
    accuracies: Accuracies | OwnAccuracies | None = None


def prepare(request: Request) -> Job:
    """Check a request, load its data, and make its spaces.

    Raises:
        HwnasError: something that was asked for is not allowed, or is not there.
    """
    method, name = METHODS.typed(request.method), METHODS.name_of(request.method)
    options, settings = _split(method, name, request.settings)
    if options.tensorboard:
        require_tensorboard()
    budgets = [b if isinstance(b, Budget) else parse_budget(b) for b in request.budgets]
    if not budgets:
        raise BudgetError(
            "a search needs a budget: give --latency 6ms, --macs 330M, --params 4M or --bitops 14G"
        )
    check_budgets_are_numbers(budgets)
    check_confidence_used(options.confidence, budgets)
    seed = check_seed(request.seed)
    source = read_source(request.predictor)
    known = origin_of(source, request.space)
    looks_up = options.accuracies is not None
    if _evaluates_itself(request, options, known):
        request, looks_up = replace(request, data=None), True
    if looks_up:
        check_looks_up(method, name, request.data)
    loaded = None if looks_up else _data(request, options, settings, known)
    loaded = with_data_workers(loaded, options.data_workers)
    classes = None if loaded is None else loaded.classes
    space = deployed_space(request.space, options, known, classes)
    tables = read(space, options.accuracies, options.latencies, options.missing)
    data = tables.no_images if loaded is None else loaded
    check_budgets(budgets, space)
    counted = [b for b in budgets if b.quantity != "latency"]
    if counted and space.additive:  # what needs no table is known before one is measured
        sums = [analytic(b, space) for b in counted]
        FeasibleSet([of_connected(constraint, space) for constraint in sums], space.format)
    proxy = space
    if loaded is not None:
        width = proxy_width(options, space)
        if space.modules is None:
            proxy = spaces.proxy(space, data.input_shape[1], data.classes or space.classes, width)
        data = suited(data, proxy.input_shape)
        check_classes(space, data, options.classes, known)
        check_batch(settings, data)
        check_augmentation(settings, data)
        check_evaluation(settings, data)
        check_task_settings(settings, data)
        check_fits(space, proxy, settings)
        check_task(proxy, data)
    if suits := getattr(method, "suits", None):
        suits(proxy)  # before latencies are measured, which takes minutes
    job = Job(
        method,
        name,
        filled(settings, space),
        options,
        budgets,
        space,
        proxy,
        data,
        request.data if isinstance(request.data, str) else data.name,
        tables.latency_source(request.predictor, space, budgets),
        request.device,
        seed,
        Path(request.out or ""),
        tables.accuracies,
    )
    return job if request.out is not None else replace(job, out=_default_folder(job, request))


def _evaluates_itself(request: Request, options: SearchOptions, known: Origin | None) -> bool:
    """Whether the space brings its own ``evaluate``, so that nothing is trained on data."""
    if request.space is None:
        return False
    modules = deployed_space(request.space, options, known, None).modules
    return modules is not None and modules.evaluate is not None


def _split(method: Method, name: str, given: Mapping[str, Any]) -> tuple[SearchOptions, Any]:
    """The options of every search, and the settings of the method."""
    shared = {f.name for f in fields_of(SearchOptions)}
    own = {f.name for f in fields_of(method.Settings)}
    doubled = shared & own
    if doubled:
        raise OptionError(
            f"the method {name} has a setting {sorted(doubled)[0]!r}, which every search has: give "
            "it another name"
        )
    for key in given:
        if key not in shared | own:
            raise OptionError(
                f"method {name} takes {', '.join(f.name for f in fields_of(method.Settings))}; "
                f"every search takes {', '.join(f.name for f in fields_of(SearchOptions))} and "
                f"progress; got {key!r}"
            )
    mine = {key: value for key, value in given.items() if key in shared}
    rest = {key: value for key, value in given.items() if key not in shared}
    return make(SearchOptions, mine, "a search"), make(method.Settings, rest, f"method {name}")


def _data(
    request: Request,
    options: SearchOptions,
    settings: Any,
    known: Origin | None,
) -> Dataset:
    """The data, at the size that the proxy is trained at, if it can be trained at that size."""
    if request.data is None:
        raise OptionError("a search trains on data, or looks accuracies up: give one of them")
    if not isinstance(request.data, str):
        own = _of_parts(request) if isinstance(request.data, tuple) else request.data
        check_dataset(own)
        size = own.input_shape[1] if is_image(own.input_shape) else None
        if options.proxy_input_size not in (None, size):
            raise OptionError(
                f"{own.name} has {'inputs' if size is None else f'images of {size} pixels'}, which "
                f"is what is trained on, got proxy_input_size {options.proxy_input_size}: make the "
                "data of that size"
            )
        return own
    size = options.proxy_input_size or default_proxy_size(request.data)
    space = deployed_space(request.space, options, known, None)
    if has_proxy(request.space, known):
        shape = (space.input_shape[0], size, size)
        width = proxy_width(options, space)
        check_fits(space, spaces.proxy(space, size, space.classes, width), settings)
    else:
        shape = space.input_shape
        size = shape[1] if is_image(shape) else None
        if options.proxy_input_size not in (None, size):
            raise OptionError(
                f"the space has no proxy: it is trained at its own {size} pixels, got "
                f"proxy_input_size {options.proxy_input_size}"
            )
        check_fits(space, space, settings)
    data = load_data(request.data, input_shape=shape)
    written = written_digest(request.out)
    if written is not None and not has_digest(data, written):
        for reading in READINGS[1:]:
            before = load_data(request.data, input_shape=shape, **reading)
            if has_digest(before, written):
                return before
    return data


def _of_parts(request: Request) -> Dataset:
    """The data set of the parts of a request; classes are those of a space that is given."""
    given = request.space if isinstance(request.space, SearchSpace) else None
    parts: Any = request.data
    return from_batches(*parts, classes=None if given is None else given.classes)


def written_digest(out: Path | str | None) -> str | None:
    """The digest of the data that a run was begun with; None where there is no run."""
    path = Path(out or "") / CONFIG
    found = read_document(path, Config, OWN) if out is not None and path.exists() else {}
    return found.get("data_digest") or None


def filled(settings: Any, space: SearchSpace) -> Any:
    """Settings with the space's learning rate and torchrun's workers, where none were given."""
    known = spaces.entry(space.name) if space.name in spaces.SPACES else spaces.SpaceEntry
    defaults = {"base_lr": known.base_lr, "micro_batches": world_size()}
    lacking = {k: v for k, v in defaults.items() if getattr(settings, k, v) is None}
    return replace(settings, **lacking)


def _default_folder(job: Job, request: Request) -> Path:
    """A folder below ``runs`` that the same request gives again."""
    options = {k: v for k, v in stored(job.options).items() if k not in UNIMPORTANT}
    asked = (stored(job.settings), options, job.space.identifier, job.proxy.identifier)
    named = [x if isinstance(x, str) else type(x).__name__ for x in (request.data, job.source)]
    text = repr((asked, named, _source_text(job), job.data.digest, request.device))
    digest = hashlib.sha256(text.encode()).hexdigest()[:6]
    limits = budget_name(job.budgets)
    return Path("runs") / f"{job.name}-{job.space.name}-{limits}-s{job.seed}-{digest}"


def _source_text(job: Job) -> str:
    """What names the source of latencies, alike in every process."""
    if job.source is None or isinstance(job.source, str | Path | LatencyTable):
        return str(job.source)
    return fingerprint(load_predictor(job.source, job.space))
