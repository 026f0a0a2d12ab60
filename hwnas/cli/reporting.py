"""``hwnas search --report``: the page of a run, rewritten while it runs."""

import time
from pathlib import Path
from typing import Any

from hwnas.cli.output import say
from hwnas.errors import HwnasError
from hwnas.progress import Progress
from hwnas.search.runs.run import CONFIG

__all__ = ["Reporting"]

_NAME = "report.html"
#: The time of a search over that of its pages, at least.
_SHARE = 20


class Reporting:
    """Rewrites ``report.html`` of a run whenever something is finished, if that is cheap.

    What goes wrong with the page is said, and does not stop the search.

    Args:
        folder: of the run.
        flags: of the search: where latencies are from, if its folder will not say.
    """

    def __init__(self, folder: Path, flags: dict[str, Any]):
        from hwnas.report import Latencies, require_jinja

        require_jinja()
        self._folder = folder
        self._latencies = Latencies(flags["table"], flags["latencies"], flags["accuracies"])
        self._due = 0.0

    def watching(self, progress: Progress) -> Progress:
        """The same progress; what it tells of may be on the page when it is done."""

        def tell(task: str, share: float, remark: str) -> None:
            progress(task, share, remark)
            if share >= 1 and time.monotonic() >= self._due:
                self.write()

        return tell

    def write(self) -> None:
        """Write the page, as far as the run went."""
        from hwnas.report import write_report

        if not (self._folder / CONFIG).exists():
            return
        began = time.monotonic()
        try:
            write_report([str(self._folder)], self._folder / _NAME, self._latencies)
        except (HwnasError, OSError) as error:
            say(str(error), warning="no report:")
        ended = time.monotonic()
        self._due = ended + _SHARE * (ended - began)
