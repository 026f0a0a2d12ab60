"""Drawing pictures so that nothing but what is drawn decides whether that works.

Not the backend that a shell asks for, not a ``matplotlibrc`` that happens to lie in the folder, and
not a name: a dollar sign in it would be read as mathematics.
"""

import importlib
import logging
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from hwnas.errors import PictureError
from hwnas.files import write_atomically
from hwnas.progress import say

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["picture", "said_if_not_drawn"]

_DPI = 120
_SETTINGS = "matplotlibrc"


@contextmanager
def picture(
    path: Path, size: tuple[float, float], *, layout: Literal["constrained"] | None = "constrained"
) -> Iterator["Figure"]:
    """A figure to draw in; a PNG file when the block has ended.

    It has matplotlib's own style, and text is drawn as it is written.

    Args:
        path: of the file.
        size: width and height in inches.
        layout: as `matplotlib.figure.Figure` takes it.

    Raises:
        PictureError: it cannot be drawn; there is no file then.
        OSError: the file cannot be written.
    """
    content = BytesIO()
    try:
        matplotlib = _matplotlib()
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        style = {k: v for k, v in matplotlib.rcParamsDefault.items() if k != "backend"}
        with warnings.catch_warnings(), matplotlib.rc_context({**style, "text.parse_math": False}):
            warnings.filterwarnings("ignore", "Glyph .* missing from")  # a box is drawn for it
            figure = Figure(figsize=size, layout=layout)
            FigureCanvasAgg(figure)
            yield figure
            figure.savefig(content, format="png", dpi=_DPI)
    except Exception as error:  # whatever matplotlib raises
        raise PictureError(f"{path} is not drawn: {type(error).__name__}: {error}") from error
    write_atomically(path, content.getvalue())


@contextmanager
def said_if_not_drawn() -> Iterator[None]:
    """Say that a picture could not be made, where more than the picture would be lost."""
    try:
        yield
    except (PictureError, OSError) as error:
        say(str(error), warning="no picture:")


def _matplotlib() -> Any:
    """The package, even where the shell or a file asks it for what it does not know."""
    if "matplotlib" in sys.modules:
        return sys.modules["matplotlib"]
    log = logging.getLogger("matplotlib")
    level = log.level
    log.setLevel(logging.ERROR)  # it complains about each line of a file of settings
    try:
        if not Path(_SETTINGS).exists() or Path(_SETTINGS).is_file():
            try:
                return importlib.import_module("matplotlib")
            except ImportError:
                raise
            except Exception:
                return _undisturbed()
        return _undisturbed()
    finally:
        log.setLevel(level)


def _undisturbed() -> Any:
    """Import matplotlib with the settings that it ships with."""
    for name in [name for name in sys.modules if name.startswith("matplotlib.")]:
        del sys.modules[name]  # of an import that failed halfway
    spec = find_spec("matplotlib")
    (home,) = (spec and spec.submodule_search_locations) or [""]
    given = {name: os.environ.pop(name, None) for name in ("MPLBACKEND", "MATPLOTLIBRC")}
    here = Path.cwd()
    os.chdir(Path(home) / "mpl-data")  # the current folder is where it looks first
    try:
        return importlib.import_module("matplotlib")
    finally:
        os.chdir(here)
        os.environ.update({name: value for name, value in given.items() if value is not None})
