"""The page: one HTML document that holds all that it needs and asks nobody for anything.

Names of devices, architectures, classes and files are strangers' words. Templates escape whatever
is printed, `shown` writes control characters out, data for the script pass `embedded`, and a
content security policy lets nothing run but the page's own script, and nothing be fetched.
"""

import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwnas.costs.written import millions
from hwnas.data import Metric
from hwnas.errors import MissingPackageError
from hwnas.report.answer import SOURCES
from hwnas.report.comparing import compared
from hwnas.report.sections import Section
from hwnas.version import __version__
from hwnas.visible import visible

if TYPE_CHECKING:
    from markupsafe import Markup

__all__ = ["embedded", "render", "require_jinja"]

_FOLDER = Path(__file__).parent / "page"
_SCRIPT, _STYLE = "page.js", "page.css"
#: What may not stand inside a script element as it is: it could end the element, or the line.
_UNSAFE = {ord(c): f"\\u{ord(c):04x}" for c in "<>&\u2028\u2029"}


def require_jinja() -> None:
    """Raise `MissingPackageError` where the package is not installed that fills in the page."""
    try:
        import jinja2  # noqa: F401
    except ImportError:
        raise MissingPackageError(
            "a report needs jinja2, which is not installed: pip install 'hwnas[report]'"
        ) from None


def render(sections: Sequence[Section]) -> str:
    """The whole page, as HTML.

    Args:
        sections: in the order in which they are shown.

    Raises:
        MissingPackageError: jinja2 is not installed.
    """
    require_jinja()
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        finalize=shown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"embedded": embedded, "metric": Metric.of, "millions": millions}
    script, style = ((_FOLDER / name).read_text("utf-8") for name in (_SCRIPT, _STYLE))
    return environment.get_template("page.html").render(
        sections=sections,
        compared=compared(sections),
        sources=SOURCES,
        version=__version__,
        script=Markup(script),
        style=Markup(style),
        script_digest=_digest(script),
        style_digest=_digest(style),
    )


def shown(value: Any) -> Any:
    """What a template prints: text whose control characters are written out."""
    return value if hasattr(value, "__html__") else visible(str(value))


def embedded(data: Any) -> "Markup":
    """Data as JSON that may stand inside a script element, whatever its texts hold."""
    from markupsafe import Markup

    text = json.dumps(_visible(data), separators=(",", ":"), allow_nan=False)
    return Markup(text.translate(_UNSAFE))


def _visible(data: Any) -> Any:
    if isinstance(data, str):
        return visible(data)
    if isinstance(data, Mapping):
        return {_visible(key): _visible(value) for key, value in data.items()}
    if isinstance(data, list | tuple) and any(
        isinstance(part, str | list | tuple) for part in data
    ):
        return [_visible(part) for part in data]
    return data


def _digest(text: str) -> str:
    return f"sha256-{b64encode(sha256(text.encode()).digest()).decode()}"
