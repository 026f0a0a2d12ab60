"""``hwnas search``."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.table import Column, Table
from rich.text import Text

from hwnas.cli.options import measuring_options, seed_option, space_options, typed_options
from hwnas.cli.output import json_option, print_json, say, show_progress, stdout
from hwnas.cli.resources import make_space, resolved
from hwnas.cli.search_options import (
    again_options,
    betanas_options,
    budget_options,
    evolution_options,
    training_options,
    worker_options,
)
from hwnas.cli.torchrun import help_training, leads, world_size
from hwnas.costs import Budget, Constraint, FeasibleSet, parse_budget
from hwnas.devices import available, precision_for, table_for
from hwnas.devices.target import runtime_of_table
from hwnas.errors import BudgetError, HwnasError, OptionError, UnknownNameError
from hwnas.latency_tables import LatencyTable
from hwnas.profilers import Plan, measure_models, runtime
from hwnas.progress import Progress
from hwnas.spaces import SearchSpace

if TYPE_CHECKING:
    from hwnas.search.parallel import Parallel

__all__ = ["METHOD_SETTINGS", "command", "parallel_of", "table_and_device"]

_METHODS = ("spos", "betanas")
#: The table that a run goes on with, whatever tables there are by then.
_TABLE = "table.json"
#: Flags that the session of every method takes as they are, and those of one method alone.
_SETTINGS = ("seed", "confidence", "sharing", "steps", "train_batch", "optimizer", "base_rate")
METHOD_SETTINGS = {
    "spos": (
        *("sampler", "bins", "shares", "population", "generations", "top", "mutation"),
        *("finalists", "finalist_steps"),
    ),
    "betanas": (
        *("warm_up", "alpha_every", "alpha_rate", "alpha_batch"),
        *("beta", "drop_margin", "drop_threshold", "drop_start", "drop_every"),
    ),
}
#: Spaces that do not learn at `_RATE`: on digits, random paths of shufflenet's proxy were right on
#: 81 % of the images after 400 steps of 64 at 1e-2, and at chance after 150 at 2e-3.
_RATES = {"shufflenet": 1e-2}
_RATE = 2e-3
#: Flags that say who works, not what comes out.
_WHO_WORKS = ("out", "workers", "worker_backend")
#: Measures an ONNX model on the device.
Measure = Callable[[bytes, Progress], Mapping[str, Any]]


@click.command("search")
@budget_options
@click.option(
    "--method", default="spos", show_default=True, metavar="NAME", help="spos or betanas."
)
@space_options
@click.option(
    "--data",
    "data_spec",
    default="digits",
    show_default=True,
    metavar="SPEC",
    help="digits, fashion-mnist:DIR, cifar10:DIR or imagefolder:DIR.",
)
@click.option(
    "--device",
    default="auto",
    show_default=True,
    metavar="auto|cpu|gpu",
    help="What the network is for; auto takes a GPU if it can be used.",
)
@measuring_options
@click.option(
    "--table",
    "table_name",
    metavar="FILE",
    help="Latency table to use  [default: this machine's, measured first if there is none]",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Folder of the run; the same command goes on there  [default: below runs/]",
)
@seed_option()
@training_options
@evolution_options
@betanas_options
@click.option(
    "--verify-seconds",
    type=click.FloatRange(min=0),
    default=6.0,
    show_default=True,
    help="Measure the winner for at least so long; slow spells of a machine last seconds.",
)
@again_options
@worker_options
@json_option
def command(**flags: Any) -> None:
    """Find a network that keeps a latency budget on this machine, and measure that it does.

    \b
    Examples:
      hwnas search --latency 6ms
      hwnas search --latency 4ms --macs 200M --data fashion-mnist:data/fashion-mnist
      hwnas search --latency 6ms --method betanas
      hwnas search --supernet runs/spos-... --latency 4ms,6ms,8ms --macs 330M
      torchrun --nproc-per-node 2 -m hwnas search --latency 6ms
    """
    as_json = flags.pop("as_json")
    if flags["supernet"] is not None:
        from hwnas.cli.again import search_supernet

        return search_supernet(flags, as_json) if leads() else None
    if flags["pareto"]:
        raise OptionError("--pareto searches a trained supernet: name its run with --supernet RUN")
    flags["shares"] = flags["shares"] or world_size()
    budgets = _budgets(flags)
    if flags["method"] not in _METHODS:
        raise UnknownNameError("method", flags["method"], _METHODS)
    if flags["base_rate"] is None:
        flags["base_rate"] = _RATES.get(flags["space_name"], _RATE)
    _refuse_settings_of_others(flags["method"])
    flags["bins"] = _edges(flags["bins"], flags["sampler"], budgets[0])
    result = (_search_twice if flags.pop("two_step") else _search)(flags, budgets)
    if not leads():
        return None
    if as_json:
        print_json(result)
    else:
        _print_summary(result, flags["out"] or Path("runs") / _default_name(flags, budgets))
    return None


def _refuse_settings_of_others(method: str) -> None:
    """Raise `OptionError` for a flag that was given and that the method has no use for."""
    for name, flag in typed_options().items():
        owners = [owner for owner, names in METHOD_SETTINGS.items() if name in names]
        if owners and method not in owners:
            raise OptionError(f"{flag} is of --method {owners[0]}, got --method {method}")


def _budgets(flags: dict[str, Any]) -> list[Budget]:
    for name in ("latency", "macs", "params", "bitops"):
        if "," in (flags[name] or ""):
            raise BudgetError(
                f"--{name} {flags[name]} is several budgets: they are searched in a supernet that "
                "is trained already, which --supernet RUN names"
            )
    given = [
        parse_budget(f"{name}<={flags[name]}")
        for name in ("latency", "macs", "params", "bitops")
        if flags[name] is not None
    ]
    if not given:
        raise BudgetError(
            "a search needs a budget: give --latency 6ms, --macs 330M, --params 4M or --bitops 14G"
        )
    return given


def _edges(bins: str | None, sampler: str, budget: Budget) -> list[float] | None:
    """The edges of ``LOW:HIGH:STEP``, in the unit of the budget."""
    if bins is None:
        return None
    if sampler != "constraint":
        raise OptionError(f"--bins are of --sampler constraint, got --sampler {sampler}")
    try:
        low, high, step = (
            parse_budget(f"{budget.quantity}<={part}").limit for part in bins.split(":")
        )
    except ValueError as error:
        raise OptionError(
            f"--bins are LOW:HIGH:STEP of the {budget.quantity} budget, got {bins!r}: {error}"
        ) from None
    count = round((high - low) / step)
    if count < 1 or abs(low + count * step - high) > 1e-6 * high:
        raise OptionError(f"--bins need a whole number of steps from LOW to HIGH, got {bins!r}")
    return [low + at * step for at in range(count)] + [high]


def _search_twice(flags: dict[str, Any], budgets: list[Budget]) -> dict[str, Any]:
    """The paper's pipeline: operators first, then the channels of the operators found."""
    if flags["channels"] or flags["blocks"] is not None:
        raise OptionError(
            "--two-step finds the blocks and then the channels: leave those flags out"
        )
    if world_size() > 1:
        raise OptionError("--two-step is two trainings: start each of them under torchrun")
    make_space(flags["space_name"], channels=True)  # refused now, not after the first search
    out = flags["out"] or Path("runs") / _default_name({**flags, "two_step": True}, budgets)
    flags["out"] = out / "channels"
    say("first step: operators")
    blocks = _search({**flags, "out": out / "blocks"}, budgets)["architecture"]
    say(f"second step: channels of {blocks}")
    return _search({**flags, "channels": True, "blocks": blocks}, budgets)


def _search(flags: dict[str, Any], budgets: list[Budget]) -> dict[str, Any]:
    """Prepare what the flags ask for, run the search, and return what ``result.json`` holds."""
    from hwnas import spaces
    from hwnas.predictors import load_predictor
    from hwnas.search.beta import parse_betas
    from hwnas.search.constraints import check_budgets, constraints_for
    from hwnas.search.run import Run
    from hwnas.supernet import load_data, make_sampler, torchrun_workers

    out = flags["out"] or Path("runs") / _default_name(flags, budgets)
    size = flags["proxy_input_size"] or (16 if flags["data_spec"] == "digits" else 32)
    data = load_data(flags["data_spec"], input_size=size, seed=0)
    deployed = make_space(
        flags["space_name"],
        input_size=flags["input_size"],
        width_mult=flags["width_mult"],
        channels=flags["channels"],
        blocks=flags["blocks"],
        classes=data.classes,
    )
    check_budgets(budgets, deployed)
    check_budgets([Budget(name, 1.0) for name in parse_betas(flags["beta"])], deployed)
    counted = [Constraint(b, deployed.cost(b.quantity)) for b in budgets if b.quantity != "latency"]
    if counted:  # what needs no table is known before one is measured
        FeasibleSet(counted, deployed.format)
    trained = spaces.proxy(deployed, size, data.classes, flags["proxy_width"])
    method = flags["method"]
    session = _session(flags)
    settings = {name: flags[name] for name in (*_SETTINGS, *METHOD_SETTINGS[method])}
    if not leads():
        help_training(out, trained, data, settings)
        return {}
    table, measure = table_and_device(flags, deployed, out)
    predictor = load_predictor(table, deployed)
    if predictor.estimated:
        say(f"{predictor.estimated} of the space's workloads are estimated, not measured")
    constraints = constraints_for(
        budgets, deployed, predictor, flags["confidence"], measured=measure is not None
    )
    FeasibleSet(constraints, deployed.format)
    make_sampler(flags["sampler"], deployed, constraints[0], flags["bins"], seed=0)

    config = {
        **settings,
        "method": method,
        "budget": [str(budget) for budget in budgets],
        "space": deployed.name,
        "data": flags["data_spec"],
        "data_digest": data.digest,
        "deployed": dict(deployed.arguments),
        "trained": dict(trained.arguments),
        "table": hashlib.sha256(table.to_json().encode()).hexdigest()[:12],
    }
    run = Run(out, config)
    finished = run.read_json("result.json")
    if finished is not None:
        say(f"this search is finished; {out} holds its result")
        return finished
    table.save(out / _TABLE)
    say(
        f"deployed: {deployed.name} at {deployed.input_shape[1]} pixels, whose latency counts; "
        f"trained: a proxy of width {flags['proxy_width']:g} at {size} pixels on {data.name}"
    )
    with show_progress() as progress, torchrun_workers() as workers:
        who = {"workers": workers, "parallel": parallel_of(flags)} if method == "spos" else {}
        return session(
            run, deployed, trained, data, predictor, budgets, measure, **who, progress=progress
        )


def _session(flags: dict[str, Any]) -> Callable[..., dict[str, Any]]:
    """The session of the method with its settings, which are checked here, before anything runs."""
    shared = {name: flags[name] for name in _SETTINGS}
    if flags["method"] == "spos":
        from hwnas.search.session import spos_session

        own = {name: flags[name] for name in METHOD_SETTINGS["spos"]}
        return partial(spos_session, **shared, **own)
    if flags["shares"] > 1 or flags["workers"]:
        raise OptionError(
            "betanas trains and evaluates in one process: leave out torchrun, "
            "--shares and --workers"
        )
    from hwnas.search.beta import parse_betas
    from hwnas.search.betanas import alpha_steps
    from hwnas.search.betanas_session import betanas_session
    from hwnas.search.drop import DropRule

    alpha_steps(flags["steps"], flags["warm_up"], flags["alpha_every"])
    rule = DropRule(
        margin=flags["drop_margin"],
        threshold=flags["drop_threshold"],
        start=flags["drop_start"],
        every=flags["drop_every"],
    )
    own = {name: flags[name] for name in ("warm_up", "alpha_every", "alpha_rate", "alpha_batch")}
    beta = parse_betas(flags["beta"]) or None
    return partial(betanas_session, beta=beta, rule=rule, **shared, **own)


def parallel_of(flags: dict[str, Any]) -> "Parallel | None":
    """The processes that the flags ask for."""
    from hwnas.search.parallel import Parallel

    return Parallel(flags["workers"], flags["worker_backend"]) if flags["workers"] else None


def _default_name(flags: dict[str, Any], budgets: list[Budget]) -> str:
    """A folder name that the same flags give again."""
    text = repr(sorted((k, str(v)) for k, v in flags.items() if k not in _WHO_WORKS))
    limits = "-".join(str(budget).replace("<=", "") for budget in budgets)
    digest = hashlib.sha256(text.encode()).hexdigest()[:6]
    return f"{flags['method']}-{flags['space_name']}-{limits}-s{flags['seed']}-{digest}"


def table_and_device(
    flags: dict[str, Any], deployed: SearchSpace, out: Path
) -> tuple[LatencyTable, Measure | None]:
    """The latency table, and what measures on its target where that is this machine."""
    kept = out / _TABLE
    named = flags["table_name"]
    if named is not None:
        table = LatencyTable.load(resolved(named))
        if kept.exists() and table != (begun := LatencyTable.load(kept)):
            say(f"going on with the table that this run began with; {named} is another by now")
            table = begun
    elif kept.exists():
        table = LatencyTable.load(kept)
    else:
        device = available(flags["device"])
        threads = 1 if flags["threads"] is None else flags["threads"]
        chosen = runtime(device, threads, flags["runtime_name"])
        precision = precision_for(deployed, flags["precision"])
        with show_progress() as progress:
            _, table = table_for(deployed, chosen, precision, flags["batch"] or 1, progress)
    target = table.target
    has: dict[str, str | int] = {"device": target.kind, "runtime": target.runtime}
    has |= {name: getattr(target, name) for name in ("precision", "batch", "threads")}
    asked = {**flags, "runtime": flags["runtime_name"]}
    asked["device"] = None if flags["device"] == "auto" else flags["device"]
    for name, value in has.items():
        if asked[name] not in (None, value):
            raise OptionError(
                f"--{name} {asked[name]} does not fit the table, which was measured with {name} "
                f"{value}: leave it out, or name another table"
            )
    from hwnas.search.verification import verify_command

    try:
        here = runtime(target.kind, target.threads, runtime_of_table(target, target.kind))
        differences = here.target(target.precision, target.batch).differences(target)
    except HwnasError as error:
        differences = [str(error)]
    if differences:
        result = out if flags["supernet"] is None else out / "BUDGET"
        say(
            f"({'; '.join(differences)}): the result cannot be measured here. Verify it there: "
            f"copy the folder {out} to that machine and run '{verify_command(result)}'",
            warning="the table was measured elsewhere",
        )
        return table, None
    say(f"latency table: {target}")

    def measure(model: bytes, progress: Progress) -> Mapping[str, Any]:
        plan = Plan(min_seconds=flags["verify_seconds"])
        kind, batch = target.precision, target.batch
        taken = measure_models(
            {"winner": model},
            deployed,
            here,
            precision=kind,
            batch=batch,
            plan=plan,
            progress=progress,
        )
        return asdict(taken["winner"])

    return table, measure


def _print_summary(result: dict[str, Any], out: Path) -> None:
    measured, low_high = result["measured_ms"], result["predicted_interval_ms"]
    rows = Table(Column(), Column(overflow="fold"), show_header=False, box=None, pad_edge=False)
    rows.add_row("architecture", result["architecture"])
    rows.add_row("budget", ", ".join(result["budget"]))
    rows.add_row(
        "predicted",
        f"{result['predicted_ms']:.3f} ms (95 %: {low_high[0]:.3f} to {low_high[1]:.3f})",
    )
    if measured is None:
        rows.add_row("measured", Text("not measured: the table is of another machine", "yellow"))
        rows.add_row("verify it", f"there, with this folder: {result['verify']}")
    else:
        error = result["measured"]["relative_error"]
        off = result["predicted_ms"] / measured - 1
        times = result["measured"].get("measurements", 1)
        waited_s = result["measured"].get("waited_s", 0)
        rows.add_row(
            "measured",
            Text.assemble(
                (f"{measured:.3f} ms", "bold"),
                f" +-{error:.1%}, prediction off by {off:+.1%}",
                f", the least of {times} measurements" if times > 1 else "",
                f", {waited_s} s waited for a slow spell to end" if waited_s else "",
            ),
        )
    rows.add_row(
        "size", f"{result['macs'] / 1e6:.1f} M MACs, {result['params'] / 1e6:.2f} M params"
    )
    if result["bitops"] is not None:
        rows.add_row("bitops", f"{result['bitops'] / 2**30:.2f}G (of 2^30)")
    paths = result["random_paths"]
    rows.add_row(
        "accuracy",
        f"{result['accuracy']:.1%} validation, {result['test_accuracy']:.1%} test, of the trained "
        f"proxy with shared weights",
    )
    rows.add_row(
        "random paths",
        f"median {paths['median']:.1%}, {paths['least']:.1%} to {paths['most']:.1%} "
        f"({paths['count']} within the budget)",
    )
    alone = result.get("finalists", {}).values()
    if alone:
        rows.add_row(
            "finalists",
            f"{len(alone)} trained alone, validation {min(alone):.1%} to {max(alone):.1%}",
        )
    rows.add_row("weights", f"of best.onnx: {result['weights']}")
    rows.add_row("seconds", f"{result['seconds']:.0f}")
    rows.add_row("files", f"{out}: {', '.join(result['files'].values())}")
    stdout.print(rows)
