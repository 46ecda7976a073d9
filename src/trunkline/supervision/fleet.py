"""All servers of one runtime: the innermost service of the pipeline, and the owner of every supervisor."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator

from trunkline.core.call import Call, Flight
from trunkline.core.events import NOBODY, EventSink
from trunkline.core.reply import Reply
from trunkline.core.status import ServerStatus
from trunkline.errors import NotFoundError, OutcomeUnknownError, TrunklineError, UnavailableError
from trunkline.supervision.failure import ended
from trunkline.supervision.hold import Hold
from trunkline.supervision.pool import Pool, is_shared
from trunkline.supervision.settings import ServerSettings
from trunkline.supervision.supervisor import Supervisor
from trunkline.supervision.voice import Voice

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
        self._voices: dict[str, Voice] = {}
        self._retired: dict[Server, asyncio.Task[None]] = {}
        """Servers that were taken out and still work on calls, and what sees them off."""
        self._draining = False
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
        name = settings.name
        if self._stopping.is_set() or self._draining:
            raise ended(name)
        self._speak_for(name)
        server: Server
        if is_shared(settings):
            server = Pool(settings, self._changed, self._voices[name])
        else:
            server = self._single[name] = Supervisor(settings, self._changed, self._voices[name])
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
        self._forget(server)

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
        self._retired[supervisor] = self._group.create_task(self._see_off(server, supervisor))

    async def _see_off(self, name: str, supervisor: Server) -> None:
        try:
            await supervisor.drain(math.inf, succeeded=name in self._servers)
        finally:
            del self._retired[supervisor]
            self._forget(name)

    async def run(self) -> None:
        """Own every server until `stop`: the body of the runtime's root task."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            for name, supervisor in self._servers.items():
                self._tasks[name] = group.create_task(supervisor.run())
            self._running.set()
            try:
                await self._stopping.wait()
            finally:
                self._group = None
            for supervisor in (*self._servers.values(), *self._retired):
                supervisor.stop()

    async def wait_running(self) -> None:
        """Wait until the fleet takes calls."""
        await self._running.wait()

    async def drain(self, grace: float) -> None:
        """Take no more calls, nor servers, and let those in flight end for at most `grace` seconds."""
        self._draining = True
        leaving = set(self._retired.values())
        async with asyncio.TaskGroup() as group:
            for supervisor in self._servers.values():
                group.create_task(supervisor.drain(grace))
            if leaving:
                group.create_task(asyncio.wait(leaving, timeout=grace))

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
        try:
            connection = supervisor.live or await supervisor.connect(call.flight)
        except UnavailableError:
            if not self._is_succeeded(call.server, supervisor):
                raise
            return await self.call(call)
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

    async def connect(self, server: str, flight: Flight) -> Server:
        """Have a server connected, and give it: the one that has the name when it is.

        Raises:
            NotFoundError: there is no such server.
            UnavailableError: it could not be connected.
        """
        while (found := self._servers.get(server)) is not None:
            try:
                await found.connect(flight)
            except UnavailableError:
                if not self._is_succeeded(server, found):
                    raise
            else:
                return found
        raise _unknown(server)

    async def settled(self, server: str) -> TrunklineError | None:
        """Wait until a server, whichever has the name by then, is ready or failed; give the failure."""
        while (found := self._servers.get(server)) is not None:
            failure = await found.settled()
            if failure is None or not self._is_succeeded(server, found):
                return failure
        return ended(server)

    async def hold(self, server: str, flight: Flight) -> tuple[Pool, Hold]:
        """Keep a connection of a server, whichever has the name by then, for one holder; see `Sharing`.

        Raises:
            NotFoundError: there is no such server.
            UnavailableError: it cannot be connected, or takes no more calls.
        """
        while True:
            pool = self.share(server)
            try:
                return pool, await pool.hold(flight)
            except UnavailableError:
                if not self._is_succeeded(server, pool):
                    raise

    def share(self, server: str) -> Pool:
        """Give a server as one whose connections can be held; one with a single connection stays so a while.

        Raises:
            NotFoundError: there is no such server.
            UnavailableError: no more calls are taken.
        """
        found = self._servers.get(server)
        if isinstance(found, Pool):
            return found
        if found is None:
            raise _unknown(server)
        if self._draining:
            raise ended(server)

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
        try:
            return await server.call(call)
        except UnavailableError:
            if call.flight.delivery != "never_sent" or not self._is_succeeded(call.server, server):
                raise
        return await self.call(call)

    def _speak_for(self, name: str) -> None:
        """Let events of this name be of the server that has it from now on."""
        if (earlier := self._voices.get(name)) is not None:
            earlier.succeed()
        self._voices[name] = Voice(self._events)

    def _is_succeeded(self, name: str, server: Server) -> bool:
        """Whether the configuration has changed meanwhile, so that another server has the name."""
        now = self._servers.get(name)
        return now is not None and now.origin is not server.origin

    def _forget(self, name: str) -> None:
        if name not in self._servers:
            self._voices.pop(name, None)

    def _take_out(self, server: str) -> Server:
        found = self._servers.pop(server)
        self._single.pop(server, None)
        self._changed()
        return found

    def _changed(self) -> None:
        self.generation += 1


def _unknown(server: str) -> NotFoundError:
    return NotFoundError(f"there is no server {server!r}", server=server)
