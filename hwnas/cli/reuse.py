"""``hwnas search --supernet RUN``: other budgets, without training."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hwnas import spaces
from hwnas.cli.flags import typed_options
from hwnas.cli.options import budget_lists_of
from hwnas.cli.output import print_json, progress_bars
from hwnas.cli.reporting import Reporting
from hwnas.cli.search_report import print_front
from hwnas.costs import QUANTITIES, Budget
from hwnas.errors import OptionError
from hwnas.search.methods import spos
from hwnas.search.options import UNIMPORTANT, SearchOptions, SpaceOptions, TableOptions
from hwnas.search.runs.run import TABLE
from hwnas.search.settings import fields_of, make
from hwnas.search.shared_settings import EvaluationSettings, EvolutionSettings, PathTrainingSettings

__all__ = ["reuse_command"]

#: What a supernet is: settings that may be typed again, and must be those of the run.
_TRAINED = {
    f.name: f
    for f in (
        *fields_of(PathTrainingSettings),
        *fields_of(EvaluationSettings),
        *(f for f in fields_of(spos.Settings) if f.name in ("micro_batches", "paths", "train_on")),
    )
}
_DESCRIBING = {
    "space": "space",
    "input_size": "input_size",
    "width_mult": "width_mult",
    **{name: f.key for name, f in _TRAINED.items()},
}
_EVOLUTION = {f.name: f for f in fields_of(EvolutionSettings)}
_TABLES = {f.name for f in fields_of(TableOptions)}
_OPTIONS = {f.name for f in fields_of(SearchOptions)} - {
    *(f.name for f in fields_of(SpaceOptions)),
    *_TABLES,
}
#: What goes together with --supernet.
_ALLOWED = {
    *QUANTITIES,
    *_DESCRIBING,
    *_EVOLUTION,
    *(_OPTIONS - {"proxy_input_size", "proxy_width"}),
    *("data", "device", "table", "out", "seed", "supernet", "pareto", "report", "as_json"),
}


def reuse_command(flags: dict[str, Any]) -> None:
    """Search the supernet of an earlier run, and print what was found."""
    out, result = _search(flags)
    if flags["as_json"]:
        print_json(result)
    else:
        print_front(result, out)


def _search(flags: dict[str, Any]) -> tuple[Path, dict[str, Any]]:
    from hwnas.search.from_supernet import SupernetRequest, find_from_supernet
    from hwnas.search.runs.stored import StoredRun

    lists = budget_lists_of(flags)
    typed = typed_options()
    if flags["space"] is not None:
        spaces.resolve(flags["space"])  # an own one becomes known by its name
    source = StoredRun.open(flags["supernet"], flags["data"] if "data" in typed else None)
    _check_flags(flags, typed, source)
    out = flags["out"] or Path("runs") / _default_name(source.folder, flags, lists)
    if out.resolve() == source.folder.resolve():
        raise OptionError(f"--out {out} is the run of the supernet itself: give another folder")
    if flags["table"] is None and _has_table(source, flags["precision"]):
        flags["table"] = str(source.folder / TABLE)
    request = SupernetRequest(
        source,
        lists,
        make(SearchOptions, {name: flags[name] for name in _OPTIONS}, "a search"),
        make(EvolutionSettings, {name: flags[name] for name in _EVOLUTION}, "a search"),
        flags["table"],
        flags["device"],
        out,
        flags["seed"],
        flags["pareto"],
    )
    reporting = Reporting(out, flags) if flags["report"] else None
    with progress_bars() as progress:
        tell = progress if reporting is None else reporting.watching(progress)
        result = find_from_supernet(request, tell)
    if reporting is not None:
        reporting.write()
    return out, result


def _has_table(source: Any, precision: str | None) -> bool:
    """Whether the supernet's run holds a table of the precision asked for; of any, if none is."""
    known = (source.folder / TABLE).exists()
    return known and precision in (None, source.table().target.precision)


def _check_flags(flags: dict[str, Any], typed: dict[str, str], source: Any) -> None:
    """Raise `OptionError` for a flag that says nothing here, or not what the supernet is."""
    other = {"method"} if flags["method"] != "spos" else set()
    for name, flag in typed.items():
        if name in other or (name not in _ALLOWED and name != "method"):
            raise OptionError(f"{flag} does not go together with --supernet")
    for name in ("parents", "searcher", "largest_of", "neighbour_share", "ranked_draws"):
        if not flags["pareto"] or name not in typed:
            continue
        flag = typed[name]
        raise OptionError(f"{flag} does not go together with --pareto, which keeps the whole front")
    given = {typed[name]: (key, flags[name]) for name, key in _DESCRIBING.items() if name in typed}
    if "space" in typed:
        given[typed["space"]] = ("space", spaces.resolve(flags["space"]).name)
    source.check_flags(given, {f.key: f.default for f in _TRAINED.values() if f.later})


def _unwritten(name: str, value: Any) -> bool:
    """Whether a flag that earlier versions lacked has the value that stands for them."""
    field = (_TRAINED | _EVOLUTION).get(name)
    return field is not None and field.later and value == field.default


def _default_name(source: Path, flags: dict[str, Any], lists: Sequence[Sequence[Budget]]) -> str:
    """A folder name that the same flags give again; those of other methods say nothing here."""
    named = _ALLOWED - {"out", "report", *UNIMPORTANT}
    kept = {k: str(v) for k, v in flags.items() if k in named and not _unwritten(k, v)}
    digest = hashlib.sha256(repr((sorted(kept.items()), lists)).encode()).hexdigest()[:6]
    return f"{source.name}-{'pareto' if flags['pareto'] else 'again'}-{digest}"
