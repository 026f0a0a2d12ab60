"""Flags that several commands share."""

from collections.abc import Callable
from typing import Any

import click
from click.core import ParameterSource

__all__ = ["measuring_options", "seed_option", "space_options", "stacked", "typed_options"]

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
    return click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help=of)


def typed_options() -> dict[str, str]:
    """The options of the current command that were typed: name of the argument -> flag."""
    context = click.get_current_context()
    return {
        option.name: option.opts[0]
        for option in context.command.params
        if option.name and context.get_parameter_source(option.name) is ParameterSource.COMMANDLINE
    }


#: What is searched or profiled.
space_options = stacked(
    click.option(
        "--space",
        "space_name",
        default="proxyless",
        show_default=True,
        metavar="NAME",
        help="Search space: fbnet, nasbench201, ofa, proxyless, resnet18-bits, resnet34-bits or "
        "shufflenet.",
    ),
    click.option(
        "--input-size",
        type=click.IntRange(min=1),
        metavar="PIXELS",
        help="Height and width of the deployed network's input  [default: 224; 32 for nasbench201]",
    ),
    click.option(
        "--width-mult",
        type=click.FloatRange(min=0, min_open=True),
        metavar="X",
        help="Width multiplier of the deployed network (not nasbench201).",
    ),
    click.option(
        "--channels",
        is_flag=True,
        help="Middle channels of each block from 0.2 to 1.6 times as well (shufflenet).",
    ),
    click.option(
        "--blocks",
        metavar="ARCH",
        help="Operator of each block, or one for all, so that it is not searched (shufflenet).",
    ),
)

#: What it is measured on, and how; None where the flag was not given.
measuring_options = stacked(
    click.option(
        "--threads",
        type=int,
        metavar="N",
        help="Threads inside an operator, on a CPU  [default: 1]",
    ),
    click.option(
        "--batch", type=click.IntRange(min=1), metavar="N", help="Images a run  [default: 1]"
    ),
    click.option(
        "--runtime",
        "runtime_name",
        metavar="NAME",
        help="On a GPU: tensorrt, torch, torch-channels-last or onnxruntime  [default: the first "
        "of these that works]",
    ),
    click.option(
        "--precision",
        type=click.Choice(["fp32", "fp16", "int8"]),
        help="Of weights and activations  [default: fp32]",
    ),
)
