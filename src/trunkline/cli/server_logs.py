"""`trunkline logs`: what the servers of a running runtime said lately, and what became of them."""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trunkline.cli import session
from trunkline.cli.exits import OK
from trunkline.cli.options import Settings, with_settings
from trunkline.cli.runtimes import RuntimeOption
from trunkline.cli.style import Paint, Tone
from trunkline.cli.terminal import Terminal

if TYPE_CHECKING:
    from trunkline.core.journal import LogLine
    from trunkline.runtime.control_inspection import Inspector

_FOLLOWED = 10
_LONGEST_WAIT = 20.0
_BAD = ("error", "critical", "alert", "emergency")


@with_settings
def logs_command(
    settings: Settings,
    servers: Annotated[
        list[str] | None, typer.Argument(metavar="[SERVER]", help="Lines of these only.")
    ] = None,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on showing what they say.")] = False,
    number: Annotated[
        int | None,
        typer.Option("-n", "--lines", metavar="N", min=0, help="The last N lines. Default: all, with -f 10."),
    ] = None,
    runtime: RuntimeOption = None,
) -> int:
    """Show what servers of a running runtime said lately: standard error, log messages, their states.

    The runtime keeps the last 1,000 lines of each server, without secrets. With --json each line is an
    object. With -f, --timeout ends the following.
    """

    def work(terminal: Terminal) -> int:
        from trunkline.cli.runtimes import asking, choose, note_choice

        record = choose(settings, runtime)
        note_choice(record, terminal)
        terminal.one_line = True
        most = number if number is not None else _FOLLOWED if follow else None
        with asking(record) as inspector:
            return _Reading(inspector, tuple(servers or ()), terminal).run(
                most, follow=follow, timeout=settings.timeout
            )

    return session.guarded(settings, work)


class _Reading:
    """The lines one command shows."""

    def __init__(self, inspector: Inspector, servers: tuple[str, ...], terminal: Terminal) -> None:
        self._inspector = inspector
        self._servers = servers
        self._terminal = terminal
        self._counts: dict[str, int] = {}

    def run(self, most: int | None, *, follow: bool, timeout: float | None) -> int:
        """Show what there is, then what comes."""
        said = self._inspector.logs(self._servers, most=most)
        heard = {one.server for one in said.lines}
        require_known(self._servers, {*said.servers, *heard})
        self._show(said.lines)
        if not follow:
            if not said.lines and most != 0:
                self._terminal.note("trunkline: nothing was said yet")
            return OK
        end = math.inf if timeout is None else time.monotonic() + timeout
        while (left := end - time.monotonic()) > 0:
            wait = min(left, _LONGEST_WAIT)
            said = self._inspector.logs(self._servers, after=said.newest, wait=wait)
            self._show(said.lines)
        return OK

    def _show(self, lines: Iterable[LogLine]) -> None:
        for one in lines:
            missed = one.count - self._counts.get(one.server, one.count - 1) - 1
            self._counts[one.server] = one.count
            if missed > 0:
                self._terminal.warn(f"{missed:,} lines of {one.server} came too fast to be shown")
            if self._terminal.settings.as_json:
                self._terminal.print_document(line_document(one))
            else:
                self._terminal.print_text(render_line(one, self._terminal.paint))


def line_document(one: LogLine) -> dict[str, Any]:
    """Give one line as `--json` shows it."""
    moment = datetime.fromtimestamp(one.time, UTC).isoformat(timespec="milliseconds")
    return {
        "event": "log",
        "time": moment.replace("+00:00", "Z"),
        "server": one.server,
        "source": one.source,
        "level": one.level,
        "logger": one.logger,
        "text": one.text,
    }


def render_line(one: LogLine, paint: Paint) -> str:
    """Give one line as a person reads it, with the time of this place."""
    from trunkline.cli.render import line

    moment = datetime.fromtimestamp(one.time).isoformat(sep=" ", timespec="milliseconds")
    kind = f"{one.source} {one.level}" if one.level else one.source
    text = line(f"{one.logger}: {one.text}" if one.logger else one.text)
    return f"{paint(moment, 'faint')} {paint(line(one.server), 'strong')} {paint(kind, _tone(one))}: {text}"


def _tone(one: LogLine) -> Tone:
    if one.level in _BAD or (one.source == "state" and one.text.startswith("failed")):
        return "bad"
    return "busy" if one.level == "warning" or one.source == "state" else "faint"


def require_known(named: Iterable[str], known: Collection[str]) -> None:
    """Refuse a server that the runtime never had.

    Raises:
        NotFoundError: naming the near ones.
    """
    from trunkline.catalog.nearest import nearest_names
    from trunkline.errors import NotFoundError

    names = sorted(known)
    for name in named:
        if name not in known:
            near = tuple(names[place] for place in nearest_names(name, names, limit=3))
            raise NotFoundError(
                f"the runtime has no server {name!r}",
                candidates=near,
                hint=None if near else f"It has: {', '.join(names) or 'none'}.",
            )
