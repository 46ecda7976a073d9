"""`trunkline status --watch`: the table as it changes, until Ctrl-C or until the time is up.

A terminal sees one table that renews itself. Elsewhere each change of a server is one line, with `--json`
one object.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import msgspec

from trunkline.cli.columns import cut_to, terminal_size
from trunkline.cli.envelope import server_document
from trunkline.cli.exits import OK
from trunkline.cli.members import without_passing
from trunkline.cli.render import Statuses, line, render_status
from trunkline.cli.session import refresh_status
from trunkline.cli.style import plain
from trunkline.cli.terminal import Terminal
from trunkline.core.status import ServerStatus
from trunkline.errors import TrunklineError

if TYPE_CHECKING:
    from trunkline.runtime.trunk import Trunk

_PASSING = {"since": 0.0, "latency_ms": None, "last_check": None, "retry_in": None}
"""What differs at every look and is no change."""


async def watch_status(trunk: Trunk, terminal: Terminal, *, interval: float, duration: float | None) -> int:
    """Show the state of every server again and again.

    Args:
        interval: seconds between two looks.
        duration: seconds after which watching ends, or None for no end.
    """
    live = sys.stdout.isatty() and not terminal.settings.as_json
    show = _Screen(terminal, interval).show if live else _Changes(terminal).show
    try:
        async with asyncio.timeout(duration):
            with contextlib.suppress(TrunklineError):
                await trunk.ready(timeout=interval)
            while True:
                show(trunk.status())
                await asyncio.sleep(interval)
                await refresh_status(trunk)
    except TimeoutError:
        show(trunk.status())
        return OK


def find_changes(before: Statuses, now: Statuses) -> Iterator[str]:
    """Give the names of the servers that are new or whose state or facts differ."""
    for name, status in now.items():
        if name not in before or _lasting(before[name]) != _lasting(status):
            yield name


class _Changes:
    """One line, or one object, for each server that changed; the first look shows all."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._before: Statuses = {}
        terminal.one_line = True

    def show(self, statuses: Statuses) -> None:
        for name in find_changes(self._before, statuses):
            if self._terminal.settings.as_json:
                document = {"event": "status", "server": server_document(name, statuses[name])}
                self._terminal.print_document(document)
            else:
                self._terminal.print_text(_render_change(name, statuses[name]))
        self._before = statuses


class _Screen:
    """One table, drawn over the one before it; never wider or higher than the terminal."""

    def __init__(self, terminal: Terminal, interval: float) -> None:
        self._terminal = terminal
        self._foot = f"every {interval:g} s; Ctrl-C ends"
        self._drawn = 0

    def show(self, statuses: Statuses) -> None:
        columns, height = terminal_size(sys.stdout)
        rows = render_status(statuses, plain, lasting=True).splitlines()[: max(1, height - 2)]
        painted = render_status(statuses, self._terminal.paint, lasting=True).splitlines()
        fitting = [
            rich if cut_to(row, columns) == row else cut_to(row, columns)
            for row, rich in zip(rows, painted, strict=False)
        ]
        up = f"\x1b[{self._drawn}A\r\x1b[J" if self._drawn else ""
        foot = self._terminal.paint(cut_to(self._foot, columns), "faint")
        self._terminal.print_text(up + "\n".join([*fitting, foot]))
        self._drawn = len(fitting) + 1


def _render_change(name: str, status: ServerStatus) -> str:
    facts = [line(name), status.state]
    if status.state == "ready":
        tools, restarts = status.tools or 0, status.restarts
        facts += [line(status.era or "-"), f"{tools} {'tool' if tools == 1 else 'tools'}"]
        facts.append(f"{restarts} {'restart' if restarts == 1 else 'restarts'}")
    elif status.last_error:
        facts.append(line(status.last_error))
    return "  ".join(facts)


def _lasting(status: ServerStatus) -> ServerStatus:
    members = without_passing(status.members)
    return msgspec.structs.replace(status, **_PASSING, members=members)
