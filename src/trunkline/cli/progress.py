"""Progress of a running call on standard error: one line that renews itself on a terminal, else lines."""

from __future__ import annotations

import asyncio
import math
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from trunkline.cli.columns import cut_to, terminal_size, text_width
from trunkline.cli.render import line, render_short_span
from trunkline.core.call import Progress

_ERASE = "\r\x1b[K"
_TICK = 1.0
"""Seconds between two drawings without news, and before the first."""
_BAR = 24
"""Columns of the bar, where there is room for it."""
_SHORTEST = 0.1
"""Seconds that two drawings are apart at least."""


class ProgressLine:
    """Shows how one call gets on: a context manager that gives what takes its reports, and leaves no line.

    On a terminal a call that takes longer than a second shows a bar, or the seconds where its end is not
    known. With -v each report is a line of its own instead, also where there is no terminal.
    """

    def __init__(self, note: Callable[[str], None], *, verbose: bool) -> None:
        self._note = note
        self._verbose = verbose
        self._live = not verbose and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
        self._latest: Progress | None = None
        self._reported = 0.0
        self._drawn: float | None = None
        self._timer: asyncio.TimerHandle | None = None

    def __enter__(self) -> Callable[[Progress], None]:
        self._loop = asyncio.get_running_loop()
        self._started = self._loop.time()
        if self._live:
            self._plan(_TICK)
        return self.show

    def __exit__(self, *_: object) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._drawn is not None:
            _write(_ERASE)
        self._live = self._verbose = False

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Draw nothing meanwhile, and leave no line; what is reported shows afterwards."""
        live, self._live = self._live, False
        if self._timer is not None:
            self._timer.cancel()
        if self._drawn is not None:
            _write(_ERASE)
        try:
            yield
        finally:
            self._live = live
            if live:
                self._plan(_TICK)

    def show(self, progress: Progress) -> None:
        """Take one report; shown on a terminal, or as a line of its own with -v."""
        if self._live:
            self._latest, self._reported = progress, self._loop.time() - self._started
            since = math.inf if self._drawn is None else self._loop.time() - self._drawn
            self._plan(max(0.0, _SHORTEST - since))
        elif self._verbose:
            self._note(render_progress(progress))

    def _plan(self, delay: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if delay:
            self._timer = self._loop.call_later(delay, self._draw)
        else:
            self._draw()

    def _draw(self) -> None:
        self._drawn = self._loop.time()
        columns = terminal_size(sys.stderr).columns - 1
        elapsed = self._drawn - self._started
        _write(_ERASE + render_bar(self._latest, elapsed, columns, reported=self._reported))
        self._timer = self._loop.call_later(_TICK, self._draw)


def render_progress(progress: Progress) -> str:
    """Give one report as text, such as `progress: 3 of 10 (30 %) copying`."""
    done, share = f"{progress.progress:g}", _share(progress)
    if share is not None:
        done = f"{done} of {progress.total:g} ({share:.0%})".replace("%", " %")
    return f"progress: {done} {line(progress.message or '')}".rstrip()


def render_bar(progress: Progress | None, elapsed: float, columns: int, *, reported: float = 0.0) -> str:
    """Give one line of at most `columns`: a bar with what is left, or how long it has taken.

    Args:
        progress: the latest report, or None before the first.
        elapsed: seconds since the call began.
        reported: how many of them had passed at the latest report; from there what is left is reckoned.
    """
    message = line(progress.message or "") if progress is not None else ""
    share = None if progress is None else _share(progress)
    if progress is None:
        parts = ["waiting", render_short_span(elapsed)]
    elif share is None:
        parts = [f"{progress.progress:g}", render_short_span(elapsed)]
    else:
        parts = [f"{share:4.0%}".replace("%", " %"), f"{progress.progress:g} of {progress.total:g}"]
        left = reported / share - elapsed if share else 0.0
        if left >= _TICK:
            parts.append(f"{render_short_span(left)} left")
    facts = "  ".join(parts)
    if share is not None and (room := min(_BAR, (columns - text_width(facts)) // 2)) >= 8:
        filled = round(share * room)
        facts = f"[{'#' * filled}{'.' * (room - filled)}] {facts}"
    return cut_to(f"{facts}  {message}".rstrip(), columns)


def _share(progress: Progress) -> float | None:
    """Give the part that is done, 0 to 1, or None where that is not known."""
    total = progress.total
    if not total or total < 0 or not math.isfinite(total) or not math.isfinite(progress.progress):
        return None
    return min(1.0, max(0.0, progress.progress / total))


def _write(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()
