"""Paths that a person types; an empty one, such as that of an unset shell variable, is refused.

Python takes an empty path for the current folder, and would write there what belongs into a file
or folder of its own.
"""

from pathlib import Path
from typing import Any

import click

__all__ = ["file_type", "folder_type"]


class _Typed(click.Path):
    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path, if there is one."""
        if value == "":
            self.fail("it is empty: is a variable of the shell not set?", param, ctx)
        return super().convert(value, param, ctx)


def file_type() -> click.Path:
    """A file, which may not be there yet."""
    return _Typed(path_type=Path, dir_okay=False)


def folder_type() -> click.Path:
    """A folder, which may not be there yet."""
    return _Typed(path_type=Path, file_okay=False)
