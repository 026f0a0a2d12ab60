"""What is printed: whatever a stranger's file says stays words, and moves no cursor.

Names, reasons and error texts come from files of others. A terminal obeys what is hidden in them:
escapes, other control characters, marks that turn the direction of text. `visible` writes these
as ``\\x1b``; `console` makes consoles that do so with all they print.
"""

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import IO, TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["console", "printing_to", "silence", "visible"]

#: All control characters but line ends and tabs; marks of direction; line ends of Unicode; halves
#: of characters, which names of files may hold.
_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]"
)


def visible(text: str) -> str:
    """A text whose control characters are written out: ``\\x1b`` for an escape."""
    return _HIDDEN.sub(_written_out, text)


def _written_out(match: re.Match[str]) -> str:
    number = ord(match[0])
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}"


def silence(stream: TextIO | IO[str] | None) -> None:
    """Let a stream without a reader swallow all further output, to the end of the process."""
    if stream is None:
        return
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    except (OSError, ValueError):  # a stream that is no file
        return


@contextmanager
def printing_to(stream: TextIO | IO[str] | None) -> Iterator[None]:
    """Name standard output in errors of the system; a reader that is gone is no error."""
    try:
        yield
        if stream is not None:
            stream.flush()
    except BrokenPipeError:
        silence(stream)
    except OSError as error:
        silence(stream)
        if stream is sys.stderr:  # words that nobody can read stop no work
            return
        error.filename = error.filename or "standard output"
        raise


def console(*, stderr: bool = False) -> "Console":
    """A console that prints what is visible, and goes on where nobody reads any more."""
    # names and reasons from files may look like markup: what is coloured is a Text
    made: Console = _console_class()(
        stderr=stderr, highlight=False, markup=False, emoji=False, soft_wrap=False
    )
    return made


@lru_cache(maxsize=1)
def _console_class() -> Any:
    """Made on first use: rich is slow to import."""
    from rich.console import Console
    from rich.segment import Segment
    from rich.text import Text

    class Visible(Console):
        def render_str(self, text: str, **options: Any) -> Any:
            return super().render_str(visible(text), **options)

        def render(self, renderable: Any, options: Any = None) -> Any:
            if isinstance(renderable, Text) and _HIDDEN.search(renderable.plain):
                whole = renderable.blank_copy()
                for segment in renderable.render(self):
                    whole.append(visible(segment.text), segment.style)
                renderable = whole
            for segment in super().render(renderable, options):
                if segment.control or not _HIDDEN.search(segment.text):
                    yield segment
                else:
                    yield Segment(visible(segment.text), segment.style)

        def print(self, *parts: Any, **options: Any) -> None:
            with printing_to(self.file):
                super().print(*parts, **options)

        def on_broken_pipe(self) -> None:
            self.quiet = True
            silence(self.file)

    return Visible
