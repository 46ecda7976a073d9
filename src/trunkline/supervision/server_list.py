"""One kind of list of one server: when it is read, how often, and what is kept of it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import Any

import msgspec
from msgspec.structs import replace

from trunkline.connection.connection import Connection
from trunkline.connection.listing import Pages
from trunkline.core.events import EventSink, ListChanged
from trunkline.errors import CallError
from trunkline.protocol.lists import LISTS, Kind
from trunkline.supervision.changes import compare_lists
from trunkline.supervision.remembered import Items
from trunkline.supervision.settings import ServerSettings
from trunkline.telemetry.escape import escape_text

logger = logging.getLogger("trunkline.supervision")

_GATHER = 0.05
"""Seconds for which the changes that follow the first are gathered, so that a burst costs one more list."""
_LONGEST_GATHER = 5.0
_CALM = 1.0
"""Seconds without a change after which the next one counts as the first."""
MOST_LOSSES = 2
"""A server that was lost so often in a row while it was asked for one list is not asked for it again."""
_STEP = 500
"""Definitions that are compared in one turn of the loop."""
_LEAST_FRESH, _LONGEST_FRESH = 30.0, 86_400.0
"""A list in use is read again for its age neither more nor less often than this, whatever its server says."""


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """One list, as its server gave it last."""

    items: Items = ()
    """Definitions as received."""
    warnings: tuple[str, ...] = ()
    """Why it may be incomplete."""
    ttl_ms: int | None = None
    scope: str | None = None
    found: Any = None
    """What `ServerSettings.read_list` made of the items."""

    async def says(self, other: Listed | None) -> bool:
        """Whether the other one says the same; a long list holds nobody up."""
        if other is None or replace(self, items=(), found=None) != replace(other, items=(), found=None):
            return False
        if len(self.items) != len(other.items):
            return False
        for start in range(0, len(self.items), _STEP):
            if self.items[start : start + _STEP] != other.items[start : start + _STEP]:
                return False
            if start:
                await asyncio.sleep(0)
        return True


class ServerList:
    """One kind of list of one server: read once at a time, and shared by all who ask."""

    def __init__(
        self, settings: ServerSettings, kind: Kind, on_change: Callable[[], None], events: EventSink
    ) -> None:
        self.kind: Kind = kind
        self.listed: Listed | None = None
        """What was listed last, or None before the first."""
        self.stale: Items | None = _recall(settings, kind)
        """What was listed in an earlier run, until there is a list of this one."""
        self.failure: str | None = None
        """Why the last reading failed, or None."""
        self.settled = asyncio.Event()
        """Set once the list was read or could not be, and whenever there is no connection to read from."""
        self.settled.set()
        self.offered = False
        """Whether the server said, when it was connected last, that it has this kind of list."""
        self.losses = 0
        """How often in a row the server was lost while it was asked for this list."""
        self.last_read: float | None = None
        """Moment of the last answer, or None before the first."""
        self._remembered = settings.remembered
        self._server = settings.name
        self._timeout = settings.connect_timeout
        self._make = settings.read_list
        self._on_change = on_change
        self._events = events
        self._loop = asyncio.get_running_loop()
        self._connection: Connection | None = None
        self._turn = asyncio.Lock()
        self._begun = self._read = 0
        self._fresh = False
        self._expired = False
        self._timer: asyncio.TimerHandle | None = None

    def attach(self, connection: Connection) -> None:
        """Read from this connection from now on."""
        self._connection = connection
        self.offered = connection.offers(LISTS[self.kind].capability)
        if self.losses < MOST_LOSSES:
            self.settled.clear()
        else:
            self.failure = f"the {self.kind} are not listed: the server ended each time it was asked for them"

    def detach(self) -> None:
        """The connection has ended; what was listed stays."""
        self._connection = None
        self._set_timer(None)
        self.settled.set()

    async def take(self, pages: Pages) -> None:
        """Keep what was read; a list that was cut short does not take the place of a whole one."""
        self.last_read = self._loop.time()
        self.losses = 0
        self._fresh = not (pages.cut and self.listed is not None and not self.listed.warnings)
        self.failure = None if self._fresh else pages.warnings[0]
        if self._fresh:
            listed = Listed(
                items=pages.items, warnings=pages.warnings, ttl_ms=pages.ttl_ms, scope=pages.scope
            )
            # The same list stays the same value, so that nothing that was made of it is made anew.
            if not await listed.says(self.listed):
                before = self._before(pages)
                listed = replace(listed, found=await self._make_sense(listed))
                self.listed, self.stale = listed, None
                self._tell(before, listed)
            if self._remembered is not None and self.listed is not None and not pages.warnings:
                self._remembered.keep(self.kind, self.listed.items)
        self._set_timer(pages.ttl_ms)
        self.settled.set()
        self._on_change()

    async def refresh(self) -> bool:
        """Read it again, if connected; False when that failed, which keeps the list there is.

        Who asks while it is being read shares the next reading: this one may have begun before a change.
        """
        wanted = self._begun + 1
        async with self._turn:
            if self._read < wanted:
                self._begun = number = self._begun + 1
                await self._read_again()
                self._read = number
        return self._fresh

    async def keep(self, turns: asyncio.Lock | None = None) -> None:
        """Read it, unless that was done, and again after each change, until cancelled.

        Args:
            turns: lists that share this are first read one after the other.
        """
        if not self.settled.is_set():
            async with turns or contextlib.nullcontext():
                await self.refresh()
        pause, last = _GATHER, 0.0
        while (connection := self._connection) is not None:
            await connection.changes[self.kind].wait()
            pause = _GATHER if self._loop.time() - last > _CALM else min(2 * pause, _LONGEST_GATHER)
            await asyncio.sleep(pause)
            connection.changes[self.kind].clear()
            await self.refresh()
            last = self._loop.time()

    def renew(self) -> None:
        """Have a list read again in the background if its time is over; somebody is using it."""
        if self._expired and self._connection is not None:
            self._expired = False
            self._connection.changes[self.kind].set()

    async def _read_again(self) -> None:
        connection = self._connection
        self._fresh = False
        if connection is None or connection.link.lost or self.losses >= MOST_LOSSES:
            return
        try:
            async with asyncio.timeout(self._timeout):
                await self.take(
                    await connection.read_list(self.kind, self._loop.time() + 0.9 * self._timeout)
                )
        except TimeoutError:
            self._fail(f"no answer within {self._timeout:g} s")
        except CallError as error:
            self._fail(error.message)
        finally:
            self.losses += connection.link.lost

    async def _make_sense(self, listed: Listed) -> Any:
        """Let the runtime read the definitions; a long list holds nobody up."""
        if self._make is None:
            return None
        reading = self._make(self.kind, listed.items)
        while True:
            try:
                next(reading)
            except StopIteration as end:
                return end.value
            await asyncio.sleep(0)

    def _before(self, pages: Pages) -> Items | None:
        """Give what a list that was read is compared with; what is missing of a first one is not removed."""
        if self.listed is not None:
            return self.listed.items
        return None if pages.warnings else self.stale

    def _tell(self, before: Items | None, after: Listed) -> None:
        """Tell how the list has changed, since an earlier run too; the very first one is no change."""
        if before is None or not self._events.watched:
            return
        if (change := compare_lists(self._server, self.kind, before, after.items)) is not None:
            self._events.put(change)

    def _fail(self, reason: str) -> None:
        self.failure = f"the {self.kind} could not be listed: {reason}"
        line = escape_text(f"{self._server}: {self.failure}")
        lost = self._connection is None or self._connection.link.lost
        logger.log(logging.DEBUG if lost else logging.WARNING, "%s", line, extra={"server": self._server})
        self._set_timer(self.listed.ttl_ms if self.listed is not None else None)
        if self.listed is not None and not lost:
            self._events.put(ListChanged(server=self._server, kind=self.kind, failure=self.failure))
        self.settled.set()
        self._on_change()

    def _set_timer(self, ttl_ms: int | None) -> None:
        """Note when the list will be too old; only then, and only if it is used, is it read again."""
        self._expired = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if ttl_ms is not None:
            seconds = min(max(ttl_ms / 1000, _LEAST_FRESH), _LONGEST_FRESH)
            self._timer = self._loop.call_later(seconds, self._expire)

    def _expire(self) -> None:
        self._timer = None
        self._expired = True
        self._on_change()


def _recall(settings: ServerSettings, kind: Kind) -> Items | None:
    return None if settings.remembered is None else settings.remembered.recalled.get(kind)
