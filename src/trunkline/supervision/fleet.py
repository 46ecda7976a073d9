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
from trunkline.supervision.settings import ServerSettings
from trunkline.supervision.supervisor import Supervisor


class Fleet:
    """The supervisors, by server name, in the order they were configured."""

    def __init__(self, events: EventSink = NOBODY) -> None:
        self._events = events
        self._time = asyncio.get_running_loop().time
        self._supervisors: dict[str, Supervisor] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._retired: set[Supervisor] = set()
        """Servers that were taken out and still work on calls."""
        self._group: asyncio.TaskGroup | None = None
        self._running = asyncio.Event()
        self._stopping = asyncio.Event()
        self.generation = 0
        """Counts up whenever a list, or its age, or the set of servers changes."""

    def __iter__(self) -> Iterator[tuple[str, Supervisor]]:
        return iter(self._supervisors.items())

    def __contains__(self, server: str) -> bool:
        return server in self._supervisors

    @property
    def servers(self) -> tuple[str, ...]:
        """Server names in configuration order."""
        return tuple(self._supervisors)

    def get(self, server: str) -> Supervisor | None:
        """Give the supervisor of a server, or None."""
        return self._supervisors.get(server)

    def status(self) -> dict[str, ServerStatus]:
        """Say how each server is doing."""
        return {name: supervisor.status() for name, supervisor in self._supervisors.items()}

    def add(self, settings: ServerSettings) -> Supervisor:
        """Take a server in and start it, when the fleet runs.

        Raises:
            UnavailableError: the fleet has been stopped.
        """
        if self._stopping.is_set():
            raise ended(settings.name)
        supervisor = Supervisor(settings, self._changed, self._events)
        self._supervisors[settings.name] = supervisor
        self._changed()
        supervisor.start()
        if self._group is not None:
            self._tasks[settings.name] = self._group.create_task(supervisor.run())
        return supervisor

    async def remove(self, server: str) -> None:
        """End a server and everything it owns."""
        supervisor = self._supervisors.pop(server)
        self._changed()
        supervisor.stop()
        if (task := self._tasks.pop(server, None)) is not None:
            await asyncio.wait({task})

    def adjust(self, settings: ServerSettings) -> None:
        """Keep a server alive by other settings; its connection stays as it is."""
        self._supervisors[settings.name].adjust(settings)

    def retire(self, server: str) -> None:
        """Take a server out: it gets no more calls, and ends when those in flight have."""
        supervisor = self._supervisors.pop(server)
        self._tasks.pop(server, None)
        self._changed()
        if self._group is None:
            supervisor.stop()
            return
        self._retired.add(supervisor)
        self._group.create_task(self._see_off(supervisor))

    async def _see_off(self, supervisor: Supervisor) -> None:
        try:
            await supervisor.drain(math.inf)
        finally:
            self._retired.discard(supervisor)

    async def run(self) -> None:
        """Own every server until `stop`: the body of the runtime's root task."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            for name, supervisor in self._supervisors.items():
                self._tasks[name] = group.create_task(supervisor.run())
            self._running.set()
            await self._stopping.wait()
            self._group = None
            for supervisor in (*self._supervisors.values(), *self._retired):
                supervisor.stop()

    async def wait_running(self) -> None:
        """Wait until the fleet takes calls."""
        await self._running.wait()

    async def drain(self, grace: float) -> None:
        """Take no more calls and let those in flight end for at most `grace` seconds."""
        async with asyncio.TaskGroup() as group:
            for supervisor in self._supervisors.values():
                group.create_task(supervisor.drain(grace))

    def stop(self) -> None:
        """End every server; `run` returns when all have ended."""
        self._stopping.set()

    async def call(self, call: Call) -> Reply:
        """Dispatch one call to its server, once.

        Raises:
            CallError: with a true `delivery`.
        """
        supervisor = self._supervisors.get(call.server)
        if supervisor is None:
            raise NotFoundError(f"there is no server {call.server!r}", server=call.server)
        connection = supervisor.live or await supervisor.connect(call.flight)
        flight = call.flight
        flight.attempts += 1
        flight.sent = self._time()
        try:
            reply = await connection.call(call)
        except (UnavailableError, OutcomeUnknownError):
            supervisor.suspect()
            raise
        supervisor.note_answer(flight)
        return reply

    def _changed(self) -> None:
        self.generation += 1
