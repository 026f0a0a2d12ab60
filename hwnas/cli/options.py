"""Flags that several commands share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

__all__ = [
    "again_options",
    "betanas_options",
    "measuring_options",
    "space_options",
    "worker_options",
]

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def _stacked(*options: Decorator) -> Decorator:
    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


#: What is searched or profiled.
space_options = _stacked(
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
measuring_options = _stacked(
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

#: How BetaNAS trains its architecture parameters.
betanas_options = _stacked(
    click.option(
        "--beta",
        multiple=True,
        metavar="COST=NATS",
        help="BetaNAS: fixed weight of a cost in the loss, such as latency=0.1 (nats per ms) or "
        "macs=0.01 (nats per million)  [default: steered to the budgets]",
    ),
    click.option(
        "--warm-up",
        type=click.FloatRange(0, 1, max_open=True),
        default=0.25,
        show_default=True,
        help="BetaNAS: share of the steps before alpha first moves.",
    ),
    click.option(
        "--alpha-every",
        type=click.IntRange(min=1),
        default=2,
        show_default=True,
        help="BetaNAS: training steps for each step of alpha.",
    ),
    click.option(
        "--alpha-rate",
        type=click.FloatRange(min=0, min_open=True),
        default=0.05,
        show_default=True,
        help="BetaNAS: learning rate of alpha.",
    ),
    click.option(
        "--alpha-batch",
        type=click.IntRange(min=1),
        default=64,
        show_default=True,
        help="BetaNAS: validation images for each step of alpha.",
    ),
    click.option(
        "--drop-margin",
        type=float,
        default=1.0,
        show_default=True,
        metavar="NATS",
        help="BetaNAS: drop a choice whose alpha is so far below the mean of the others; "
        "inf for never.",
    ),
    click.option(
        "--drop-threshold",
        type=float,
        metavar="ALPHA",
        help="BetaNAS: drop a choice whose alpha itself is below this (they start at 0).",
    ),
    click.option(
        "--drop-start",
        type=click.FloatRange(0, 1),
        default=0.25,
        show_default=True,
        help="BetaNAS: share of the steps of alpha before the first drop; 1 for hardly any.",
    ),
    click.option(
        "--drop-every",
        type=click.IntRange(min=1),
        default=1,
        show_default=True,
        help="BetaNAS: steps of alpha from one look to the next.",
    ),
)

#: Searching what an earlier run trained.
again_options = _stacked(
    click.option(
        "--supernet",
        type=click.Path(path_type=Path, file_okay=False),
        metavar="RUN",
        help="Search the trained supernet of an earlier run: budgets may then be lists, 4ms,6ms.",
    ),
    click.option(
        "--pareto",
        is_flag=True,
        help="With --supernet: find the whole front of accuracy and latency (NSGA-II).",
    ),
)

#: Who does the work; the result does not depend on how many they are.
worker_options = _stacked(
    click.option(
        "--workers",
        type=click.IntRange(min=1),
        metavar="N",
        help="Processes that evaluate candidates, a thread each  [default: this process]",
    ),
    click.option(
        "--worker-backend",
        type=click.Choice(["loky", "dask", "ray"]),
        default="loky",
        show_default=True,
        help="What starts them; Dask and Ray where they are installed.",
    ),
    click.option(
        "--shares",
        type=click.IntRange(min=1),
        metavar="N",
        help="Parts of a training batch, each with its own batch-norm statistics  [default: 1, or "
        "the workers of torchrun]",
    ),
)
