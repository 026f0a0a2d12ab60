"""How errors leave the command line."""

import os
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import click

from hwnas.cli.output import echo, listen
from hwnas.cli.stopping import STATUS, signals_heard, stopped_by
from hwnas.errors import HwnasError
from hwnas.visible import printing_to

__all__ = ["guarded"]

_NO_MEMORY_WORDS = (
    "there is too little memory: give this process more, or ask for less at once (a smaller batch "
    "or network, fewer workers), and the same command goes on"
)

#: Of a long message, so many characters are printed at each end: what to do stands at its end.
_SHOWN = 2000

#: What packages say where memory ends that raise no `MemoryError`.
_NO_MEMORY = (
    *("can't allocate memory", "Cannot allocate memory", "std::bad_alloc", "bad allocation"),
    *("failed to map segment", "out of memory", "can't start new thread", "Failed to allocate"),
)


def guarded(command: Callable[..., Any]) -> NoReturn:
    """Run a click command and exit: 0 done, 1 failed, 2 bad input, 130 interrupted, 143 ended."""
    listen()
    printed = sys.stdout
    try:
        with signals_heard():
            status = command(standalone_mode=False)  # click hands over the status of an Exit
            with printing_to(sys.stdout):
                pass  # what was kept back is written now, while an error can still be said
    except SystemExit as left:
        # click has put another stream in its place where nobody reads the help to its end
        sys.exit(left.code if sys.stdout is printed else 0)
    except BaseException as error:
        try:
            _leave(*_words_for(error))
        except MemoryError:  # not even for words
            os.write(2, f"error: {_NO_MEMORY_WORDS}\n".encode())
            os._exit(1)
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
        case MemoryError():
            traceback.clear_frames(error.__traceback__)
            return _no_memory(error), 1
        case OSError() if error.errno is not None:
            where = f"{error.filename}: " if error.filename else ""
            return (
                f"{where}{error.strerror or error}; make room or choose another place, then the "
                "same command goes on where it stopped"
            ), 2
        case Exception() if _memory_is_short(error):
            return _no_memory(error), 1
    raise error


def _no_memory(error: BaseException) -> str:
    reason = " ".join(str(error).split())[:200]
    return f"{_NO_MEMORY_WORDS}{f' ({reason})' if reason else ''}"


def _memory_is_short(error: Exception) -> bool:
    """Whether an error is one of memory, though it may not say so.

    Where memory ends, Python and packages raise whatever their last call left undone.
    """
    if any(words in str(error) for words in _NO_MEMORY):
        return True
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, MemoryError):
            return True
        cause = cause.__cause__ or cause.__context__
    try:
        import resource

        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except (ImportError, OSError):  # no such limits here
        return False
    near = limit < 1.2 * pages * resource.getpagesize()
    return limit > 0 and (near or isinstance(error, SystemError))


def _leave(message: str, status: int) -> NoReturn:
    label = f"{click.style('error', fg='red', bold=True)}: "
    text = " ".join(message.split())
    if len(text) > 2 * _SHOWN:  # a name of a stranger in it may be of any length
        text = f"{text[:_SHOWN]} ... {text[-_SHOWN:]}"
    echo(text, err=True, label=label)
    sys.exit(status)
