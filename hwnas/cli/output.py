"""Words and progress on stderr, results on stdout."""

import json
import logging
from collections.abc import Mapping
from typing import Any

import click
from rich.console import Console
from rich.text import Text

from hwnas.progress import LOG, progress_bars, say, stderr

__all__ = ["json_option", "listen", "print_json", "progress_bars", "say", "stdout"]

# names and reasons from files may look like markup: what is coloured here is a Text
stdout = Console(highlight=False, markup=False, soft_wrap=False)

json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON document on stdout."
)


class _Printer(logging.Handler):
    """Prints what `hwnas.progress.say` says, its warning in colour."""

    def emit(self, record: logging.LogRecord) -> None:
        warning, text = getattr(record, "line", ("", record.getMessage()))
        between = " " if warning and text else ""
        stderr().print(Text.assemble((warning, "yellow"), between, text), soft_wrap=True)


def listen() -> None:
    """Print what the library says from now on."""
    LOG.setLevel(logging.INFO)
    if not any(isinstance(handler, _Printer) for handler in LOG.handlers):
        LOG.addHandler(_Printer())


def print_json(document: Mapping[str, Any] | list[Any]) -> None:
    """The one JSON document on stdout."""
    click.echo(json.dumps(document, indent=2))
