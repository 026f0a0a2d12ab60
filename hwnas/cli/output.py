"""Words and progress on stderr, results on stdout."""

import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from hwnas.progress import LOG, say
from hwnas.progress import Progress as Tell

__all__ = ["json_option", "listen", "print_json", "say", "show_progress", "stdout"]

# names and reasons from files may look like markup: what is coloured here is a Text
stdout = Console(highlight=False, markup=False, soft_wrap=False)
_stderr = Console(stderr=True, highlight=False, markup=False)

json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON document on stdout."
)


class _Printer(logging.Handler):
    """Prints what `hwnas.progress.say` says, its warning in colour."""

    def emit(self, record: logging.LogRecord) -> None:
        warning, text = getattr(record, "line", ("", record.getMessage()))
        between = " " if warning and text else ""
        _stderr.print(Text.assemble((warning, "yellow"), between, text), soft_wrap=True)


def listen() -> None:
    """Print what the library says from now on."""
    LOG.setLevel(logging.INFO)
    if not any(isinstance(handler, _Printer) for handler in LOG.handlers):
        LOG.addHandler(_Printer())


def print_json(document: Mapping[str, Any] | list[Any]) -> None:
    """The one JSON document on stdout."""
    click.echo(json.dumps(document, indent=2))


@contextmanager
def show_progress() -> Iterator[Tell]:
    """Progress bars with the time left, one a task; a line at each end where stderr is a file."""
    bars = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[remark]}", markup=False),
        console=_stderr,
        transient=True,
        disable=not _stderr.is_terminal,
    )
    tasks: dict[str, Any] = {}
    ended: set[str] = set()
    with bars:

        def tell(task: str, share: float, remark: str) -> None:
            if task not in tasks:
                tasks[task] = bars.add_task(task, total=1.0, remark=remark)
            bars.update(tasks[task], completed=share, remark=remark)
            if bars.disable and share >= 1 and task not in ended:
                ended.add(task)
                say(f"{task}: done {remark}".rstrip())

        yield tell
