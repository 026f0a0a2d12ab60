"""How errors leave the command line."""

import signal
import sys
from collections.abc import Callable
from typing import Any, NoReturn

import click

from hwnas.cli.output import echo, listen
from hwnas.cli.stopping import STATUS, signals_heard, stopped_by
from hwnas.errors import HwnasError
from hwnas.visible import silence

__all__ = ["guarded"]

#: What packages say where memory ends that raise no `MemoryError`.
_NO_MEMORY = (
    *("can't allocate memory", "Cannot allocate memory", "std::bad_alloc", "bad allocation"),
    *("failed to map segment", "out of memory", "can't start new thread", "Failed to allocate"),
)


def guarded(command: Callable[..., Any]) -> NoReturn:
    """Run a click command and exit: 0 done, 1 failed, 2 bad input, 130 interrupted, 143 ended."""
    listen()
    try:
        with signals_heard():
            status = command(standalone_mode=False)  # click hands over the status of an Exit
            _flush()
    except BaseException as error:
        _leave(*_words_for(error))
    sys.exit(status if isinstance(status, int) else 0)


def _words_for(error: BaseException) -> tuple[str, int]:
    """What is said of an error, and the exit status; raises what is no error of a person."""
    number = stopped_by()
    if number is not None:  # packages that are being imported turn an interrupt into other errors
        return STATUS[signal.Signals(number)]
    match error:
        case click.exceptions.NoArgsIsHelpError():
            echo(error.format_message(), err=True)
            sys.exit(2)
        case click.ClickException():
            return error.format_message(), 2
        case click.Abort() | KeyboardInterrupt():
            return STATUS[signal.SIGINT]
        case HwnasError():
            return str(error), error.exit_status
        case BrokenPipeError():
            silence(sys.stdout)
            sys.exit(0)
        case MemoryError():
            return _no_memory(error), 1
        case OSError() if error.errno is not None:
            where = f"{error.filename}: " if error.filename else ""
            return (
                f"{where}{error.strerror or error}; make room or choose another place, then the "
                "same command goes on where it stopped"
            ), 2
        case Exception() if any(words in str(error) for words in _NO_MEMORY):
            return _no_memory(error), 1
    raise error


def _no_memory(error: BaseException) -> str:
    reason = " ".join(str(error).split())[:200]
    return (
        f"there is too little memory{f' ({reason})' if reason else ''}: give this process more, or "
        "ask for less at once (a smaller batch or network, fewer workers); the same command goes on"
    )


def _flush() -> None:
    """Write out what was printed, while an error can still be said."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        silence(sys.stdout)
    except OSError as error:
        silence(sys.stdout)
        error.filename = "standard output"
        raise


def _leave(message: str, status: int) -> NoReturn:
    label = f"{click.style('error', fg='red', bold=True)}: "
    echo(" ".join(message.split()), err=True, label=label)
    sys.exit(status)
