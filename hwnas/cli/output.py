"""Words and progress on stderr, results on stdout; nothing else in hwnas prints.

Whatever is printed goes through `hwnas.visible`: no file of a stranger reaches the terminal raw.
"""

import json
import logging
import math
import sys
import warnings
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, TextIO

import click
from rich.text import Text

from hwnas.progress import LOG, progress_bars, say, stderr
from hwnas.visible import console, printing_to, visible

__all__ = ["echo", "json_option", "listen", "print_json", "progress_bars", "say", "stdout"]

stdout = console()

json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON document on stdout."
)


class _Printer(logging.Handler):
    """Prints what `hwnas.progress.say` says, its warning in colour."""

    def emit(self, record: logging.LogRecord) -> None:
        warning, text = getattr(record, "line", ("", record.getMessage()))
        between = " " if warning and text else ""
        line = Text.assemble((_one_line(warning), "yellow"), between, _one_line(text))
        stderr().print(line, soft_wrap=True)


def listen() -> None:
    """Print what the library says from now on, and warnings of other packages in one line."""
    LOG.setLevel(logging.INFO)
    if not any(isinstance(handler, _Printer) for handler in LOG.handlers):
        LOG.addHandler(_Printer())
    warnings.showwarning = _show_warning
    for stream in (sys.stdout, sys.stderr):
        # a terminal or file that cannot hold a character gets its number
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            with suppress(OSError, ValueError):  # a stream that is gone already
                reconfigure(errors="backslashreplace")


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    echo(_one_line(f"{category.__name__}: {message}"), err=True)


def _one_line(text: str) -> str:
    return visible(text).replace("\n", "\\n")


def echo(text: str, *, err: bool = False, label: str = "") -> None:
    """Print a text behind a label of ours, which may be coloured; a closed pipe is no error."""
    stream = sys.stderr if err else sys.stdout
    with printing_to(stream):
        click.echo(label + visible(text), file=stream)


def print_json(document: Mapping[str, Any] | list[Any]) -> None:
    """Print the one JSON document; numbers that are not finite become null, as JSON has none."""
    # JSON escapes control characters itself, all but one
    echo(json.dumps(_finite(document), indent=2, allow_nan=False).replace("\x7f", "\\u007f"))


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
