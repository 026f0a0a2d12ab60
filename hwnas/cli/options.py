"""Flags that several commands share, and what they ask for."""

import re
from collections.abc import Callable, Mapping, Sequence
from itertools import product
from typing import Any

import click

from hwnas.cli.flags import Flag, settings_options, typed_options
from hwnas.cli.numbers import Whole, seconds_type, seed_type
from hwnas.costs import QUANTITIES, Budget, parse_budget
from hwnas.errors import BudgetError, OptionError
from hwnas.search.options import SpaceOptions, TargetOptions

__all__ = [
    "budget_flags",
    "budget_lists_of",
    "budgets_of",
    "engine_batch_option",
    "measured_seconds_option",
    "measuring_options",
    "own_space_option",
    "run_data_option",
    "seed_option",
    "shape_option",
    "shapes_of",
    "space_options",
    "stacked",
    "table_runtime_option",
    "table_space_options",
    "typed_options",
]

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def stacked(*options: Decorator) -> Decorator:
    """Several options as one decorator, in this order."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


def seed_option(of: str | None = None) -> Decorator:
    """``--seed``, with what it is of as its help."""
    return click.option("--seed", type=seed_type(), default=0, show_default=True, help=of)


#: How long something is measured.
measured_seconds_option = click.option(
    "--seconds",
    type=seconds_type(),
    default=6.0,
    show_default=True,
    help="Measure for at least so long; slow spells of a machine last seconds.",
)

#: What a model leaves open of its inputs.
shape_option = click.option(
    "--shape",
    "shapes",
    multiple=True,
    metavar="[INPUT=]NxCxHxW",
    help="Sizes of an input that leaves some open, such as 1x3x224x224.",
)

#: What an engine's name leaves open.
engine_batch_option = click.option(
    "--batch",
    type=Whole(min=1, most=65_536),
    metavar="N",
    help="Images a run, of v100-tensorrt-fp32, -fp16 and -int8  [default: the model's, else 1]",
)


def _space_options(default: str | None, shown: str) -> Decorator:
    option = click.option(
        "--space",
        default=default,
        metavar="NAME",
        help="Search space: darts, darts-s1, darts-s2, fbnet, nao, nasbench201, ofa, proxyless, "
        "resnet18-bits, resnet34-bits or shufflenet; your own as FILE.py:NAME  "
        f"[default: {shown}]",
    )
    return stacked(option, settings_options(SpaceOptions))


#: What is profiled.
space_options = _space_options("proxyless", "proxyless")
#: What a table is made to hold.
table_space_options = _space_options(None, "the table's")

#: What it is measured on, and how; None where the flag was not given.
measuring_options = settings_options(TargetOptions)

#: For commands that go on from a run of an own space.
own_space_option = click.option(
    "--space",
    metavar="FILE.py:NAME",
    help="The space of the run or table, where it is your own: nothing that a file names is "
    "imported.",
)

#: For commands that go on from a run with its data.
run_data_option = click.option(
    "--data", "data_spec", metavar="SPEC", help="Where the data are  [default: as in the search]"
)

#: For commands that measure again what a table holds.
table_runtime_option = click.option(
    "--runtime",
    "runtime_name",
    metavar="NAME|FILE.py:NAME",
    help="What measures, where the name in the table does not say it  [default: the table's]",
)

_BUDGET_HELP = {
    "latency": (
        "TIME",
        "Latency budget, such as 6ms or 0.5s; 6ms@p90: of 90 of 100 runs by the clock.",
    ),
    "macs": ("COUNT", "Budget of multiply-accumulates, such as 330M."),
    "params": ("COUNT", "Budget of parameters, such as 4M."),
    "bytes": ("SIZE", "Budget of bytes that are read and written at batch 1, such as 50MB."),
    "memory": ("SIZE", "Budget of weights and live tensors while a network runs at batch 1, fp32."),
    "bitops": ("COUNT", "Budget of BitOps in the papers' unit, G being 2^30: 14.2G."),
}


def budget_flags() -> list[click.Option]:
    """One flag for each quantity that a budget may limit."""
    return [
        Flag([f"--{name}", name], metavar=_BUDGET_HELP[name][0], help=_BUDGET_HELP[name][1])
        for name in QUANTITIES
    ]


def budgets_of(flags: Mapping[str, Any]) -> list[Budget]:
    """The budgets of one search.

    Raises:
        BudgetError: there is none, or a flag holds several.
    """
    for name in QUANTITIES:
        if "," in (flags[name] or ""):
            raise BudgetError(
                f"--{name} {flags[name]} is several budgets: they are searched in a supernet that "
                "is trained already, which --supernet RUN names"
            )
    return [
        parse_budget(f"{name}<={flags[name]}") for name in QUANTITIES if flags[name] is not None
    ]


def budget_lists_of(flags: Mapping[str, Any]) -> list[list[Budget]]:
    """One list of budgets a search: every combination of the limits given.

    Raises:
        BudgetError: there is none, or several where one front is wanted.
    """
    quantities = [name for name in QUANTITIES if flags[name] is not None]
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


def shapes_of(texts: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """Sizes by input, from ``NAME=1x3x224x224``; without a name it is for the only input.

    Raises:
        OptionError: a text is nothing of the kind.
    """
    found: dict[str, tuple[int, ...]] = {}
    for text in texts:
        name, _, sizes = text.rpartition("=")
        if not re.fullmatch(r"[1-9]\d{0,8}(x[1-9]\d{0,8})*", sizes, re.ASCII):
            raise OptionError(f"--shape is [INPUT=]NxCxHxW such as 1x3x224x224, got {text!r}")
        found[name] = tuple(int(size) for size in sizes.split("x"))
    return found
