"""Progress of a running call on standard error: one line that renews itself on a terminal, else lines."""

from __future__ import annotations

import sys
from collections.abc import Callable

from trunkline.cli.render import line
from trunkline.core.call import Progress

_ERASE = "\r\x1b[K"
_WIDTH = 79


class ProgressLine:
    """Shows the progress of one call; use it as a context manager, which leaves no line behind."""

    def __init__(self, note: Callable[[str], None], *, verbose: bool) -> None:
        self._note = note
        self._verbose = verbose
        self._live = sys.stderr.isatty()
        self._drawn = False

    def __enter__(self) -> ProgressLine:
        return self

    def __exit__(self, *_: object) -> None:
        if self._drawn:
            self._draw("")

    def show(self, progress: Progress) -> None:
        """Take one report; shown on a terminal, or as a line of its own with -v."""
        if self._live:
            self._draw(render_progress(progress)[:_WIDTH])
        elif self._verbose:
            self._note(render_progress(progress))

    def _draw(self, text: str) -> None:
        sys.stderr.write(_ERASE + text)
        sys.stderr.flush()
        self._drawn = bool(text)


def render_progress(progress: Progress) -> str:
    """Give one report as text, such as `progress: 3 of 10 (30 %) copying`."""
    done = f"{progress.progress:g}"
    if progress.total:
        share = min(100, max(0, round(100 * progress.progress / progress.total)))
        done = f"{done} of {progress.total:g} ({share} %)"
    return f"progress: {done} {line(progress.message or '')}".rstrip()
