"""All servers of one runtime: the innermost service of the pipeline, and the owner of every supervisor."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator

from trunkline.core.call import Call
from trunkline.core.events import NOBODY, EventSink
from trunkline.core.reply import Reply
from trunkline.core.status import ServerStatus
from trunkline.errors import NotFoundError, OutcomeUnknownError, UnavailableError
from trunkline.supervision.failure import ended
from trunkline.supervision.hold import Hold
from trunkline.supervision.pool import Pool, is_shared
from trunkline.supervision.settings import ServerSettings
from trunkline.supervision.supervisor import Supervisor

Server = Supervisor | Pool
"""A server as the runtime sees it: one connection, or several that act as one."""


class Fleet:
    """The servers, by name, in the order they were configured."""

    def __init__(self, events: EventSink = NOBODY) -> None:
        self._events = events
        self._time = asyncio.get_running_loop().time
        self._servers: dict[str, Server] = {}
        self._single: dict[str, Supervisor] = {}
        """Those with one connection that anybody may use: their calls take the short way."""
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._retired: set[Server] = set()
        """Servers that were taken out and still work on calls."""
        self._group: asyncio.TaskGroup | None = None
        self._running = asyncio.Event()
        self._stopping = asyncio.Event()
        self.generation = 0
        """Counts up whenever a list, or its age, or the set of servers changes."""

    def __iter__(self) -> Iterator[tuple[str, Server]]:
        return iter(self._servers.items())

    def __contains__(self, server: str) -> bool:
        return server in self._servers

    @property
    def servers(self) -> tuple[str, ...]:
        """Server names in configuration order."""
        return tuple(self._servers)

    def get(self, server: str) -> Server | None:
        """Give a server, or None."""
        return self._servers.get(server)

    def status(self) -> dict[str, ServerStatus]:
        """Say how each server is doing."""
        return {name: supervisor.status() for name, supervisor in self._servers.items()}

    def add(self, settings: ServerSettings) -> Server:
        """Take a server in and start it, when the fleet runs; a lazy one is started by its first use.

        Raises:
            UnavailableError: the fleet has been stopped.
        """
        if self._stopping.is_set():
            raise ended(settings.name)
        name = settings.name
        server: Server
        if is_shared(settings):
            server = Pool(settings, self._changed, self._events)
        else:
            server = self._single[name] = Supervisor(settings, self._changed, self._events)
        self._servers[name] = server
        self._changed()
        if not settings.lazy:
            server.start()
        if self._group is not None:
            self._tasks[name] = self._group.create_task(server.run())
        return server

    async def remove(self, server: str) -> None:
        """End a server and everything it owns."""
        supervisor = self._take_out(server)
        supervisor.stop()
        if (task := self._tasks.pop(server, None)) is not None:
            await asyncio.wait({task})

    def adjust(self, settings: ServerSettings) -> None:
        """Keep a server alive by other settings; its connection stays as it is."""
        self._servers[settings.name].adjust(settings)

    def retire(self, server: str) -> None:
        """Take a server out: it gets no more calls, and ends when those in flight have."""
        supervisor = self._take_out(server)
        self._tasks.pop(server, None)
        if self._group is None:
            supervisor.stop()
            return
        self._retired.add(supervisor)
        self._group.create_task(self._see_off(supervisor))

    async def _see_off(self, supervisor: Server) -> None:
        try:
            await supervisor.drain(math.inf)
        finally:
            self._retired.discard(supervisor)

    async def run(self) -> None:
        """Own every server until `stop`: the body of the runtime's root task."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            for name, supervisor in self._servers.items():
                self._tasks[name] = group.create_task(supervisor.run())
            self._running.set()
            await self._stopping.wait()
            self._group = None
            for supervisor in (*self._servers.values(), *self._retired):
                supervisor.stop()

    async def wait_running(self) -> None:
        """Wait until the fleet takes calls."""
        await self._running.wait()

    async def drain(self, grace: float) -> None:
        """Take no more calls and let those in flight end for at most `grace` seconds."""
        async with asyncio.TaskGroup() as group:
            for supervisor in self._servers.values():
                group.create_task(supervisor.drain(grace))

    def stop(self) -> None:
        """End every server; `run` returns when all have ended."""
        self._stopping.set()

    async def call(self, call: Call) -> Reply:
        """Dispatch one call to its server, once.

        Raises:
            CallError: with a true `delivery`.
        """
        supervisor = self._single.get(call.server)
        if supervisor is None:
            return await self._share(call)
        connection = supervisor.live or await supervisor.connect(call.flight)
        flight = call.flight
        flight.attempts += 1
        flight.sent, flight.wrote = self._time(), 0.0
        try:
            reply = await connection.call(call)
        except (UnavailableError, OutcomeUnknownError):
            supervisor.suspect()
            raise
        supervisor.note_answer(flight)
        return reply

    def share(self, server: str) -> Pool:
        """Give a server as one whose connections can be held; one with a single connection stays so a while.

        Raises:
            NotFoundError: there is no such server.
        """
        found = self._servers.get(server)
        if isinstance(found, Pool):
            return found
        if found is None:
            raise _unknown(server)

        def restore() -> None:
            if self._servers.get(server) is pool:
                self._servers[server] = self._single[server] = found

        pool = self._servers[server] = Pool(found.settings, self._changed, around=found, on_calm=restore)
        del self._single[server]
        return pool

    async def call_held(self, hold: Hold, call: Call) -> Reply:
        """Dispatch one call to the connection that is held.

        Raises:
            CallError: with a true `delivery`; `LeaseLostError` when the connection is gone.
        """
        return await hold.call(call)

    async def _share(self, call: Call) -> Reply:
        server = self._servers.get(call.server)
        if not isinstance(server, Pool):
            raise _unknown(call.server)
        return await server.call(call)

    def _take_out(self, server: str) -> Server:
        found = self._servers.pop(server)
        self._single.pop(server, None)
        self._changed()
        return found

    def _changed(self) -> None:
        self.generation += 1


def _unknown(server: str) -> NotFoundError:
    return NotFoundError(f"there is no server {server!r}", server=server)
