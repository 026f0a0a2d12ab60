"""``hwnas search --supernet RUN``: other budgets, without training."""

import hashlib
from itertools import product
from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table

from hwnas.cli.options import typed_options
from hwnas.cli.output import print_json, say, show_progress, stdout
from hwnas.costs import Budget, FeasibleSet, parse_budget
from hwnas.errors import BudgetError, OptionError

__all__ = ["search_supernet"]

#: Flags that describe a supernet: as they are typed, and their names in a run's configuration.
_DESCRIBING = {
    "space_name": ("--space", "space"),
    "input_size": ("--input-size", "input_size"),
    "width_mult": ("--width-mult", "width_mult"),
    "sharing": ("--sharing", "sharing"),
    "steps": ("--steps", "steps"),
    "train_batch": ("--train-batch", "train_batch"),
    "base_rate": ("--learning-rate", "base_rate"),
    "optimizer": ("--optimizer", "optimizer"),
    "shares": ("--shares", "shares"),
}
_TRAINING_ONLY = (
    *("proxy_input_size", "proxy_width", "channels", "blocks", "two_step", "sampler", "bins"),
    *("finalists", "finalist_steps"),
)
_SETTINGS = ("seed", "population", "generations", "mutation", "confidence")


def search_supernet(flags: dict[str, Any], as_json: bool) -> None:
    """Search the supernet of an earlier run, and print what was found."""
    result, out = _search(flags)
    if as_json:
        print_json(result)
    else:
        _print_summary(result, out)


def _search(flags: dict[str, Any]) -> tuple[dict[str, Any], Path]:
    from hwnas.cli.search import METHOD_SETTINGS, parallel_of, table_and_device
    from hwnas.predictors import load_predictor
    from hwnas.search.again import search_again, search_front
    from hwnas.search.constraints import check_budgets, constraints_for
    from hwnas.search.run import Run
    from hwnas.search.stored import StoredRun

    lists = _budget_lists(flags)
    source = StoredRun.open(flags["supernet"])
    typed = typed_options()
    given = {name: flags[name] for name in typed if name in flags}
    other_method = ["method"] if flags["method"] != "spos" else []
    for name in (*_TRAINING_ONLY, *METHOD_SETTINGS["betanas"], *other_method):
        if name in typed:
            raise OptionError(f"{typed[name]} does not go together with --supernet")
    if flags["pareto"] and "top" in typed:
        raise OptionError("--top does not go together with --pareto, which keeps the whole front")
    source.check_flags(
        {flag: (key, given[name]) for name, (flag, key) in _DESCRIBING.items() if name in given}
    )
    data = source.data(flags["data_spec"] if "data_spec" in given else None)
    out = flags["out"] or Path("runs") / _default_name(source.folder, flags, lists)
    if out.resolve() == source.folder.resolve():
        raise OptionError(f"--out {out} is the run of the supernet itself: give another folder")
    if flags["table_name"] is None:
        flags["table_name"] = str(source.folder / "table.json")
    table, measure = table_and_device(flags, source.deployed, out)
    predictor = load_predictor(table, source.deployed)
    for budgets in lists:  # before a folder is made
        check_budgets(budgets, source.deployed)
        constraints = constraints_for(
            budgets,
            source.deployed,
            predictor,
            flags["confidence"],
            measured=measure is not None and not flags["pareto"],
        )
        FeasibleSet(constraints, source.deployed.format)
    settings = {name: flags[name] for name in _SETTINGS}
    config = {
        **settings,
        **source.identity(out),
        "budgets": [[str(budget) for budget in budgets] for budgets in lists],
        "pareto": flags["pareto"],
        "top": flags["top"],
        "table": hashlib.sha256(table.to_json().encode()).hexdigest()[:12],
    }
    run = Run(out, config)
    finished = run.read_json("result.json")
    if finished is not None:
        say(f"this search is finished; {out} holds its result")
        return finished, out
    table.save(out / "table.json")
    say(f"searching the supernet of {source.home} again; nothing is trained")
    common = {**settings, "parallel": parallel_of(flags)}
    with show_progress() as progress:
        if flags["pareto"]:
            budgets = lists[0] if lists else []
            return search_front(
                run, source, data, predictor, budgets, progress=progress, **common
            ), out
        return search_again(
            run,
            source,
            data,
            predictor,
            lists,
            measure,
            top=flags["top"],
            progress=progress,
            **common,
        ), out


def _budget_lists(flags: dict[str, Any]) -> list[list[Budget]]:
    """One list of budgets a search: every combination of the limits given."""
    quantities = [
        name for name in ("latency", "macs", "params", "bitops") if flags[name] is not None
    ]
    limits = [[text.strip() for text in flags[name].split(",")] for name in quantities]
    lists = [
        [parse_budget(f"{name}<={text}") for name, text in zip(quantities, texts, strict=True)]
        for texts in product(*limits)
    ]
    if not quantities:
        if flags["pareto"]:
            return []
        raise BudgetError("a search needs a budget: give --latency 4ms,6ms or --macs 330M")
    if flags["pareto"] and len(lists) > 1:
        raise BudgetError("--pareto finds the whole front: give at most one limit of each kind")
    return [budgets for at, budgets in enumerate(lists) if budgets not in lists[:at]]


def _default_name(source: Path, flags: dict[str, Any], lists: list[list[Budget]]) -> str:
    """A folder name that the same flags give again."""
    kept = {k: str(v) for k, v in flags.items() if k not in ("out", "workers", "worker_backend")}
    digest = hashlib.sha256(repr((sorted(kept.items()), lists)).encode()).hexdigest()[:6]
    return f"{source.name}-{'pareto' if flags['pareto'] else 'again'}-{digest}"


def _print_summary(result: dict[str, Any], out: Path) -> None:
    if "budgets" in result:
        names = ("budget", "predicted", "measured", "validation", "test", "MACs", "folder")
        rows = Table(*names, box=box.SIMPLE)
        for found in result["budgets"]:
            measured = found["measured_ms"]
            rows.add_row(
                ", ".join(found["budget"]),
                f"{found['predicted_ms']:.3f} ms",
                "not measured" if measured is None else f"{measured:.3f} ms",
                f"{found['accuracy']:.1%}",
                f"{found['test_accuracy']:.1%}",
                f"{found['macs'] / 1e6:.1f} M",
                found["folder"],
            )
        stdout.print(rows)
    front = Table("ms", "validation", "MACs", "Pareto front: architecture", box=box.SIMPLE)
    for point in result["front"]:
        front.add_row(
            f"{point['predicted_ms']:.3f}",
            f"{point['accuracy']:.1%}",
            f"{point['macs'] / 1e6:.1f} M",
            point["architecture"],
        )
    stdout.print(front)
    stdout.print(
        f"{result['architectures_evaluated']} evaluated, {result['accuracies_reused']} known from "
        f"before; {result['seconds']:.0f} seconds; files in {out}: pareto.png, result.json"
    )
