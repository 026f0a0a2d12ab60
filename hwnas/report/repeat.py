"""The command that repeats a run, written from what its folder says that it was asked for."""

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from hwnas import spaces
from hwnas.costs import parse_budget
from hwnas.errors import HwnasError
from hwnas.report.searched import Searched
from hwnas.report.trained import Ranked, Trained
from hwnas.search.job import filled
from hwnas.search.methods import METHODS
from hwnas.search.options import SpaceOptions
from hwnas.search.retraining.settings import RetrainSettings
from hwnas.search.runs.run import CONFIG, TABLE
from hwnas.search.settings import fields_of, restored
from hwnas.search.shared_settings import BEGINS_WITH, EvolutionSettings
from hwnas.spaces import SearchSpace

__all__ = ["command_of"]


def command_of(source: Searched | Trained | Ranked) -> str:
    """A command line that asks for the same again, in another folder.

    A file of a person's own (a space, a method, data, a column of accuracies) is named as the run
    names it, which may not say where the file lies.
    """
    words = {Searched: _search, Trained: _train, Ranked: _rank}[type(source)](source)  # type: ignore[operator]
    return shlex.join(["hwnas", *words])


def _search(source: Searched) -> Iterator[str]:
    config, folder = source.asked, source.run.folder
    yield "search"
    if config["pareto"] is not None:
        yield from ("--supernet", str(source.run.home))
        yield from ["--pareto"] if config["pareto"] else []
        yield from _budgets(config["budgets"])
        yield from _settings(EvolutionSettings, source.run.config)
    else:
        yield from _budgets([config["budget"]])
        yield from _flag("--method", source.method, "spos")
        yield from ("--space", source.space.name)
        yield from _data(config)
        yield from _sizes(source)
        yield from _settings(_settings_of(source.method), source.run.config, source.space)
    if (folder / TABLE).exists():
        yield from ("--table", str(folder / TABLE))
    yield from _flag("--confidence", config["confidence"], None)
    yield from _flag("--missing", config["missing"], None)
    yield from ("--seed", str(config["seed"]))


def _train(source: Trained) -> Iterator[str]:
    yield from ("train", _parent(source.folder), "--architecture", source.config["architecture"])
    yield from ["--full"] if source.config["network"] == "full" else []
    yield from _settings(RetrainSettings, source.config)
    yield from ("--seed", str(source.config["seed"]))


def _rank(source: Ranked) -> Iterator[str]:
    yield from ("rank", str(source.folder / source.config["supernet"]))
    yield from ("--count", str(source.config["count"]))
    if source.config["tables"] is not None:
        accuracies = source.content["accuracies"] if source.content else "FILE.csv:COLUMN"
        yield from ("--accuracies", accuracies)
    elif source.content is not None:  # the configuration holds the steps of the supernet
        yield from ("--steps", str(source.content["steps"]))
    yield from ("--seed", str(source.config["seed"]))


def _budgets(lists: list[list[str]]) -> Iterator[str]:
    """One flag a quantity; several limits of it are joined by commas."""
    limits: dict[str, list[str]] = {}
    for text in (text for budgets in lists for text in budgets):
        quantity = parse_budget(text).quantity
        limits.setdefault(quantity, []).append(text.partition("<=")[2])
    for quantity, texts in limits.items():
        yield from (f"--{quantity}", ",".join(dict.fromkeys(texts)))


def _data(config: Mapping[str, Any]) -> Iterator[str]:
    if config["accuracies"] is not None:
        yield from ("--accuracies", config["accuracies"])
    else:
        yield from ("--data", config["data"])


def _sizes(source: Searched) -> Iterator[str]:
    """How the deployed and the trained network differ from what the space is by itself."""
    space, proxy = source.space, source.run.proxy
    own = _arguments(space.name)
    for field in fields_of(SpaceOptions):
        value = space.arguments.get(field.name)
        if field.name in own and value != own[field.name] and isinstance(value, int | float | str):
            yield from [field.flag] if value is True else [field.flag, str(value)]
    if proxy.identifier == space.identifier:
        return
    yield from ("--proxy-input-size", str(proxy.input_shape[1]))
    width, full = (one.arguments.get("width_mult") for one in (proxy, space))
    if isinstance(width, int | float) and isinstance(full, int | float):
        yield from _flag("--proxy-width", width / full, 0.25)


def _arguments(name: str) -> Mapping[str, Any]:
    try:
        return spaces.space(name).arguments
    except HwnasError:
        return {}


def _settings_of(method: str) -> Any:
    try:
        return METHODS.get(method).Settings
    except HwnasError:  # a method of a person's own
        return None


def _settings(
    settings: Any, config: Mapping[str, Any], space: SearchSpace | None = None
) -> Iterator[str]:
    """The flags of all settings that are not what they would be by themselves."""
    if settings is None:
        return
    try:
        known = restored(settings, config)
    except HwnasError:  # of another version
        return
    for name, value in BEGINS_WITH.get(getattr(known, "searcher", ""), {}).items():
        if getattr(known, name) is None:  # a run that begins would have another
            known = replace(known, **{name: type(value)(0)})
    defaults = settings() if space is None else filled(settings(), space)
    for field in fields_of(settings):
        value = getattr(known, field.name)
        if value is None or value == getattr(defaults, field.name):
            continue
        if field.kind is bool:
            yield field.flag
        elif isinstance(value, tuple | list):
            for part in value:
                yield from (field.flag, str(part))
        else:
            yield from (field.flag, str(value))


def _flag(flag: str, value: Any, default: Any) -> Iterator[str]:
    if value is not None and value != default:
        yield from (flag, str(value))


def _parent(folder: Path) -> str:
    """The run whose network was trained: the folder above, where it is one."""
    return str(folder.parent) if (folder.parent / CONFIG).exists() else "RUN"
