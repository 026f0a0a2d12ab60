"""``hwnas search``."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hwnas.cli.flags import Flag, RecordedCommand, flags_of, typed_options
from hwnas.cli.numbers import seed_type
from hwnas.cli.options import budget_flags, budgets_of
from hwnas.cli.output import print_json, progress_bars
from hwnas.cli.paths import folder_type
from hwnas.cli.search_report import print_result
from hwnas.errors import OptionError
from hwnas.search.job import Request
from hwnas.search.methods import METHODS, Method
from hwnas.search.options import SearchOptions
from hwnas.search.settings import fields_of
from hwnas.search.torchrun import leads, world_size

if TYPE_CHECKING:
    from hwnas.search.result import Result

__all__ = ["command"]

_METHOD = "hwnas.method"
_DEFAULT_METHOD = "spos"

_BUDGETS = budget_flags()
_SEARCH = [
    Flag(
        ["--space"],
        metavar="NAME",
        help="Search space, see 'hwnas profile --help'; your own as FILE.py:NAME  [default: the "
        "table's, else proxyless]",
    ),
    Flag(
        ["--data"],
        default="digits",
        show_default=True,
        metavar="SPEC",
        help="digits, fashion-mnist:DIR, cifar10:DIR or imagefolder:DIR; your own as FILE.py:NAME.",
    ),
    Flag(
        ["--device"],
        default="auto",
        show_default=True,
        metavar="auto|cpu|gpu",
        help="What the network is for; auto takes a GPU if it can be used.",
    ),
    Flag(
        ["--table"],
        metavar="FILE",
        help="Latency table or predictor to use, a file, a name of 'hwnas tables list', or your "
        "own as FILE.py:NAME; FILE,FILE for several precisions  [default: this machine's, measured "
        "first if there is none]",
    ),
    Flag(
        ["--out"],
        type=folder_type(),
        metavar="DIR",
        help="Folder of the run; the same command goes on there  [default: below runs/]",
    ),
    Flag(["--seed"], type=seed_type(), default=0, show_default=True),
    *(option for option in flags_of(SearchOptions) if option.name != "precision"),
    Flag(
        ["--precision"],
        metavar="fp32|fp16|int8",
        help="Precision of weights and activations; of several, fp32,int8, the better network is "
        "returned, and none that is no faster than the same in fp32  [default: fp32]",
    ),
    Flag(
        ["--blocks-then-channels", "--two-step"],
        is_flag=True,
        help="Search the operators, then the channels of those that were found (shufflenet).",
    ),
    Flag(
        ["--supernet"],
        type=folder_type(),
        metavar="RUN",
        help="Search the trained supernet of an earlier run: budgets may then be lists, 4ms,6ms.",
    ),
    Flag(
        ["--pareto"],
        is_flag=True,
        help="With --supernet: find the whole front of accuracy and latency (NSGA-II).",
    ),
    Flag(
        ["--report"],
        is_flag=True,
        help="Write report.html into the folder of the run, again and again while it runs.",
    ),
    Flag(["--json", "as_json"], is_flag=True, help="Print one JSON document on stdout."),
]


class _Search(RecordedCommand):
    """Has the flags of the method that is named; those of other methods are known, and hidden."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.meta[_METHOD] = _method_in(args)
        METHODS.typed(ctx.meta[_METHOD])  # an unknown one is refused before its flags are
        return super().parse_args(ctx, args)

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        own = self._own(ctx)
        known = [*_BUDGETS, self._method(), *own, *_SEARCH]
        flags = {flag for option in known for flag in option.opts}
        for _, method in _methods():
            for option in flags_of(method.Settings, hidden=True):
                if not flags & set(option.opts):
                    flags |= set(option.opts)
                    known.append(option)
        help_option = self.get_help_option(ctx)
        return [*known, *([help_option] if help_option else [])]

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        method = self._named(ctx)
        sections = {
            "Budgets": _BUDGETS,
            f"Method {method}": [self._method(), *self._own(ctx)],
            "Search": _SEARCH,
        }
        for title, options in sections.items():
            records = [option.get_help_record(ctx) for option in options]
            with formatter.section(title):
                formatter.write_dl([record for record in records if record])

    def _named(self, ctx: click.Context) -> str:
        return str(ctx.meta.get(_METHOD, _DEFAULT_METHOD))

    def _own(self, ctx: click.Context) -> list[click.Option]:
        return flags_of(METHODS.typed(self._named(ctx)).Settings)

    def _method(self) -> click.Option:
        return Flag(
            ["--method"],
            default=_DEFAULT_METHOD,
            show_default=True,
            metavar="NAME",
            help=f"{', '.join(METHODS.names())}, or your own as FILE.py:NAME; --method NAME --help "
            "shows what it takes.",
        )


@click.command("search", cls=_Search)
def command(**flags: Any) -> None:
    """Find a network that keeps a latency budget on this machine, and measure that it does.

    \b
    Examples:
      hwnas search --latency 6ms
      hwnas search --latency 4ms --macs 200M --data fashion-mnist:data/fashion-mnist
      hwnas search --latency 6ms --method betanas
      hwnas search --latency 4ms --precision fp32,int8
      hwnas search --latency 6ms --table phone.json --space my_space.py:space
      hwnas search --latency 6ms --space nasbench201 --accuracies nb201.csv.gz:test \\
        --latencies nb201.csv.gz:pixel3
      hwnas search --supernet runs/spos-... --latency 4ms,6ms,8ms --macs 330M
      torchrun --nproc-per-node 2 -m hwnas search --latency 6ms
    """
    from hwnas.search.find import find, find_blocks_then_channels, help_training

    if flags["supernet"] is not None:
        from hwnas.cli.reuse import reuse_command

        return reuse_command(flags) if leads() else None
    if flags["pareto"]:
        raise OptionError("--pareto searches a trained supernet: name its run with --supernet RUN")
    request = _request(flags)
    two_steps = flags["blocks_then_channels"]
    if two_steps and world_size() > 1:
        raise OptionError(
            "--blocks-then-channels is two trainings: start each of them under torchrun"
        )
    if two_steps and flags["report"]:
        raise OptionError(
            "--blocks-then-channels is two searches: leave --report out, and give each of their "
            "folders to 'hwnas report'"
        )
    if not leads():
        return help_training(request)
    if flags["report"]:
        result = _reported(request, flags)
    else:
        result = (find_blocks_then_channels if two_steps else find)(request)
    if flags["as_json"]:
        print_json(result.content)
    else:
        print_result(result.content, result.folder)
    return None


def _reported(request: Request, flags: dict[str, Any]) -> "Result":
    """Search, and keep the page of the run up to date."""
    from hwnas.cli.reporting import Reporting
    from hwnas.search.find import find
    from hwnas.search.job import prepare

    request = replace(request, out=request.out or prepare(request).out)
    reporting = Reporting(Path(str(request.out)), flags)
    with progress_bars() as progress:
        result = find(request, reporting.watching(progress))
    reporting.write()
    return result


def _request(flags: dict[str, Any]) -> Request:
    """What the flags ask for; settings that were not typed keep their defaults."""
    method, typed = flags["method"], typed_options()
    own = {f.name for f in fields_of(METHODS.typed(method).Settings)}
    shared = {f.name for f in fields_of(SearchOptions)}
    _refuse_foreign(method, typed, own)
    settings = {name: flags[name] for name in typed if name in own | shared}
    looks_up = "accuracies" in settings and "data" not in typed
    return Request(
        flags["space"],
        None if looks_up else flags["data"],
        budgets_of(flags),
        method,
        flags["table"],
        flags["device"],
        flags["out"],
        flags["seed"],
        settings,
    )


def _refuse_foreign(method: str, typed: dict[str, str], own: set[str]) -> None:
    """Raise `OptionError` for a flag that was typed and is of other methods alone."""
    owners = defaultdict(list)
    for name, method_of_flag in _methods():
        for field in fields_of(method_of_flag.Settings):
            if field.name not in own:
                for flag in (field.flag, field.old_flag):
                    owners[flag].append(name)
    for flag in typed.values():
        if flag in owners:
            known = " and ".join(owners[flag])
            raise OptionError(f"{flag} is of --method {known}, got --method {method}")


def _methods() -> Iterator[tuple[str, Method]]:
    """All methods by name, except those of broken packages; naming one says what is wrong."""
    for name in METHODS.names():
        try:
            method = METHODS.get(name)
        except OptionError:
            continue
        yield name, method


def _method_in(args: list[str]) -> str:
    """The method that is named among typed words."""
    for at, word in enumerate(args):
        if word == "--method" and at + 1 < len(args):
            return args[at + 1]
        if word.startswith("--method="):
            return word.removeprefix("--method=")
    return _DEFAULT_METHOD
