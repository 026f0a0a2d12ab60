"""How errors leave the command line."""

import sys
from collections.abc import Callable
from typing import Any, NoReturn

import click

from hwnas.cli.output import listen
from hwnas.errors import HwnasError

__all__ = ["guarded"]


def guarded(command: Callable[..., Any]) -> NoReturn:
    """Run a click command and exit: 0 done, 1 failed, 2 bad input, 130 interrupted."""
    listen()
    try:
        status = command(standalone_mode=False)  # click hands over the status of an Exit
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        sys.exit(2)
    except click.ClickException as error:
        _leave(error.format_message(), 2)
    except click.Abort:
        _leave("interrupted; the same command goes on where it stopped", 130)
    except KeyboardInterrupt:
        _leave("interrupted; the same command goes on where it stopped", 130)
    except HwnasError as error:
        _leave(str(error), error.exit_status)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(0)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        _leave(
            f"{where}{error.strerror or error}; make room or choose another place, then the same "
            "command goes on where it stopped",
            2,
        )
    sys.exit(status if isinstance(status, int) else 0)


def _leave(message: str, status: int) -> NoReturn:
    click.echo(
        f"{click.style('error', fg='red', bold=True)}: {' '.join(message.split())}", err=True
    )
    sys.exit(status)
