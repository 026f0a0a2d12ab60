"""Flags of ``hwnas search``."""

from pathlib import Path

import click

from hwnas.cli.options import stacked

__all__ = [
    "again_options",
    "betanas_options",
    "budget_options",
    "evolution_options",
    "training_options",
    "worker_options",
]

#: What is to be kept.
budget_options = stacked(
    click.option("--latency", metavar="TIME", help="Latency budget, such as 6ms or 0.5s."),
    click.option("--macs", metavar="COUNT", help="Budget of multiply-accumulates, such as 330M."),
    click.option("--params", metavar="COUNT", help="Budget of parameters, such as 4M."),
    click.option(
        "--bitops",
        metavar="COUNT",
        help="Budget of BitOps in the papers' unit, G being 2^30: 14.2G.",
    ),
    click.option(
        "--confidence",
        type=click.FloatRange(0, 1, min_open=True, max_open=True),
        metavar="C",
        help="Only networks whose interval of this confidence, such as 0.95, keeps the latency "
        "budget; with the device at hand, those in doubt are measured  [default: the prediction "
        "alone]",
    ),
)

#: The network that is trained, and how.
training_options = stacked(
    click.option(
        "--sharing",
        type=click.Choice(["slices", "separate"]),
        default="slices",
        show_default=True,
        help="One kernel for all candidates of a block, or a set each.",
    ),
    click.option(
        "--sampler",
        type=click.Choice(["uniform", "constraint"]),
        default="uniform",
        show_default=True,
        help="Train paths uniform over the choices, or over bins of the first budget's cost.",
    ),
    click.option(
        "--bins",
        metavar="LOW:HIGH:STEP",
        help="Of --sampler constraint, such as 290M:360M:10M  [default: 0.88 to 1.09 times the "
        "budget]",
    ),
    click.option(
        "--two-step",
        is_flag=True,
        help="Search the operators, then the channels of those that were found (shufflenet).",
    ),
    click.option(
        "--steps",
        type=click.IntRange(min=1),
        default=600,
        show_default=True,
        help="Training steps of the supernet.",
    ),
    click.option(
        "--train-batch",
        type=click.IntRange(min=1),
        default=128,
        show_default=True,
        help="Images a training step.",
    ),
    click.option(
        "--learning-rate",
        "base_rate",
        type=click.FloatRange(min=0, min_open=True),
        help="At the first step; falls linearly to 0  [default: 2e-3, for shufflenet 1e-2]",
    ),
    click.option(
        "--optimizer", type=click.Choice(["adam", "sgd"]), default="adam", show_default=True
    ),
    click.option(
        "--proxy-input-size",
        type=click.IntRange(min=4),
        metavar="PIXELS",
        help="Input of the network that is trained  [default: 16 for digits, else 32]",
    ),
    click.option(
        "--proxy-width",
        type=click.FloatRange(min=0, min_open=True),
        default=0.25,
        show_default=True,
        help="Its width, times the deployed network's.",
    ),
)

#: How architectures are evolved.
evolution_options = stacked(
    click.option(
        "--population",
        type=click.IntRange(min=2),
        default=50,
        show_default=True,
        help="Architectures a generation.",
    ),
    click.option("--generations", type=click.IntRange(min=1), default=20, show_default=True),
    click.option(
        "--top",
        type=click.IntRange(min=1),
        default=10,
        show_default=True,
        help="Parents of the next generation.",
    ),
    click.option(
        "--mutation",
        type=click.FloatRange(0, 1, min_open=True),
        default=0.1,
        show_default=True,
        help="Probability with which a decision is redrawn.",
    ),
    click.option(
        "--finalists",
        type=click.IntRange(min=1),
        default=1,
        show_default=True,
        help="Train so many of the best, unlike each other, alone, and take the best of them.",
    ),
    click.option(
        "--finalist-steps",
        type=click.IntRange(min=1),
        default=300,
        show_default=True,
        help="Training steps of each finalist.",
    ),
)

#: How BetaNAS trains its architecture parameters.
betanas_options = stacked(
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
again_options = stacked(
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
worker_options = stacked(
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
