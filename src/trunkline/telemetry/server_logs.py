"""What the servers of one runtime said lately, and what became of them: bounded lines for each."""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import AsyncGenerator, Callable, Collection

from trunkline.core.call import LogLevel
from trunkline.core.events import (
    BreakerChanged,
    Event,
    EventSink,
    LogMessage,
    MemberChanged,
    ServerChanged,
)
from trunkline.core.journal import LogLine, Source

MOST_LINES = 1_000
"""Lines of one server that are kept; the oldest makes place for a newer one."""
MOST_CHARACTERS = 256 * 1024
"""Characters of one server's lines that are kept."""
_LONGEST = 2_000
_MOST_SERVERS = 1_024


class ServerLogs:
    """The last lines of every server, in the order they came; safe to show.

    Args:
        clock: gives the time, in seconds since 1970.
        clean: makes a text safe to show and removes the secrets that the runtime knows of.
        most: lines kept of each server.
        most_characters: how long these may be together.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        clean: Callable[[str], str],
        *,
        most: int = MOST_LINES,
        most_characters: int = MOST_CHARACTERS,
    ) -> None:
        self._clock = clock
        self._clean = clean
        self._most = most
        self._most_characters = most_characters
        self._numbers = itertools.count(1)
        self._rings: dict[str, _Ring] = {}
        self._waiting: set[asyncio.Future[None]] = set()
        self.newest = 0
        """Number of the newest line; 0 before the first."""

    def add(
        self,
        server: str,
        source: Source,
        text: str,
        *,
        level: LogLevel | None = None,
        logger: str | None = None,
    ) -> None:
        """Keep one line."""
        ring = self._rings.get(server)
        if ring is None:
            if len(self._rings) >= _MOST_SERVERS:
                del self._rings[next(iter(self._rings))]
            ring = self._rings[server] = _Ring(self._most, self._most_characters)
        self.newest = next(self._numbers)
        ring.count += 1
        ring.add(
            LogLine(
                number=self.newest,
                count=ring.count,
                server=server,
                time=self._clock(),
                source=source,
                text=self._clean(text)[:_LONGEST],
                level=level,
                logger=None if logger is None else self._clean(logger),
            )
        )
        for waiting in self._waiting:
            if not waiting.done():
                waiting.set_result(None)

    def lines(
        self, servers: Collection[str] | None = None, *, after: int = 0, most: int | None = None
    ) -> tuple[LogLine, ...]:
        """Give what is kept, oldest first.

        Args:
            servers: lines of these only.
            after: lines with a greater number only.
            most: no more than so many, the newest.
        """
        rings = [ring for name, ring in self._rings.items() if servers is None or name in servers]
        found = [line for ring in rings for line in ring.lines if line.number > after]
        found.sort(key=lambda line: line.number)
        return tuple(found if most is None else found[max(0, len(found) - most) :])

    async def wait(self, after: int, servers: Collection[str] | None = None) -> None:
        """Wait until there is a line, of these servers, with a greater number."""
        while self._newest_of(servers) <= after:
            waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.add(waiting)
            try:
                await waiting
            finally:
                self._waiting.discard(waiting)

    async def follow(self, servers: Collection[str] | None = None) -> AsyncGenerator[LogLine, None]:
        """Give each line from now on, for ever; a reader slower than the servers misses the oldest."""
        after = self.newest
        while True:
            await self.wait(after, servers)
            found = self.lines(servers, after=after)
            after = self.newest
            for line in found:
                yield line

    def _newest_of(self, servers: Collection[str] | None) -> int:
        if servers is None:
            return self.newest
        rings = (ring for name in servers if (ring := self._rings.get(name)) is not None)
        return max((ring.lines[-1].number for ring in rings), default=0)


class Witness:
    """Hands every event on, and keeps a line of those that say something of a server."""

    watched = True

    def __init__(self, logs: ServerLogs, events: EventSink) -> None:
        self._logs = logs
        self._events = events

    def put(self, event: Event) -> None:
        """Take one event."""
        if isinstance(event, ServerChanged):
            text = event.state if event.reason is None else f"{event.state}: {event.reason}"
            self._logs.add(event.server, "state", text)
        elif isinstance(event, BreakerChanged):
            whose = f"breaker of {event.tool}" if event.tool else "breaker"
            self._logs.add(event.server, "state", f"{whose} {event.state}: {event.reason or 'reset'}")
        elif isinstance(event, MemberChanged):
            came_back = event.state == "ready" and event.restarts > 0
            if event.reason is not None or came_back:
                reason = "" if event.reason is None else f": {event.reason}"
                self._logs.add(event.server, "state", f"connection {event.member}: {event.state}{reason}")
        elif isinstance(event, LogMessage):
            self._logs.add(event.server, "log", event.text, level=event.level, logger=event.logger)
        self._events.put(event)


def hearing(clean: Callable[[str], str], server: str, logs: ServerLogs | None) -> Callable[[str], str]:
    """Give a `clean` for lines of standard error that keeps each one as well."""
    if logs is None:
        return clean

    def clean_and_keep(line: str) -> str:
        text = clean(line)
        if text:
            logs.add(server, "stderr", text)
        return text

    return clean_and_keep


class _Ring:
    """The lines of one server."""

    def __init__(self, most: int, most_characters: int) -> None:
        self.lines: deque[LogLine] = deque()
        self.count = 0
        self._most = most
        self._room = most_characters

    def add(self, line: LogLine) -> None:
        self.lines.append(line)
        self._room -= len(line.text)
        while len(self.lines) > self._most or (self._room < 0 and len(self.lines) > 1):
            self._room += len(self.lines.popleft().text)
