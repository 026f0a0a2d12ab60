"""What notebooks show: small static tables, every word of which is text."""

from collections.abc import Iterable
from html import escape

from hwnas.visible import visible

__all__ = ["html_table"]

#: Characters of a cell, and of a whole table: names of strangers have any length.
_CELL, _TABLE = 200, 5000


def html_table(title: str, rows: Iterable[tuple[str, str]]) -> str:
    """A title, and rows of a label and a text; what does not fit below 6 kB is left out.

    Nothing in it is markup, links or runs.
    """
    html = f"<div><b>{_cell(title)}</b><table>"
    left_out = 0
    for label, text in rows:
        row = (
            f'<tr><td style="text-align:left">{_cell(label)}</td>'
            f'<td style="text-align:left">{_cell(text)}</td></tr>'
        )
        if left_out or len(html) + len(row) > _TABLE:
            left_out += 1
        else:
            html += row
    if left_out:
        html += f"<tr><td></td><td>... and {left_out} more</td></tr>"
    return f"{html}</table></div>"


def _cell(text: str) -> str:
    shown = text if len(text) <= _CELL else f"{text[:_CELL]}..."
    return escape(visible(shown), quote=True)
