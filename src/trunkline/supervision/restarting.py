"""A server that is connected anew because somebody asks; its calls are given time to end first."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Callable
from typing import Self

import msgspec

from trunkline.connection.connection import Connection
from trunkline.errors import TrunklineError
from trunkline.protocol.lists import Kind
from trunkline.supervision.condition import Condition
from trunkline.supervision.failure import ended
from trunkline.supervision.lists import Lists
from trunkline.supervision.recovery import Recovery
from trunkline.supervision.remembered import Items
from trunkline.supervision.settings import ServerSettings

_LOOK_AGAIN = 0.01
"""Seconds between two looks at whether the calls have ended: they are only counted, which costs nothing."""


async def wait_for_calls(connection: Connection, grace: float, stopping: asyncio.Event) -> None:
    """Let the calls in flight end for at most `grace` seconds."""
    loop = asyncio.get_running_loop()
    until = loop.time() + grace
    while connection.calls and loop.time() < until:
        if connection.link.lost or stopping.is_set():
            break
        await asyncio.sleep(_LOOK_AGAIN)


class Restarted(msgspec.Struct, frozen=True, kw_only=True):
    """What a restart did to the calls that were in flight."""

    server: str
    finished: int = 0
    """Calls that ended within the grace."""
    cut: int = 0
    """Calls that did not: each failed with `OutcomeUnknownError`, and its tool may have run."""


class Restarting:
    """The wish for a new start of one server; its supervisor fulfills it."""

    def __init__(self, server: str) -> None:
        self._server = server
        self._wanted = asyncio.Event()
        self._grace = 0.0
        self._report: asyncio.Future[Restarted] | None = None

    @property
    def wanted(self) -> bool:
        """Whether a restart is asked for and its calls have not ended yet."""
        return self._wanted.is_set()

    async def wait(self) -> None:
        """Wait until a restart is asked for."""
        await self._wanted.wait()

    async def ask(self, grace: float) -> Restarted:
        """Ask for a restart, or join the one that is under way; give its report once the calls have ended."""
        if self._report is None:
            self._report = asyncio.get_running_loop().create_future()
            self._grace = grace
            self._wanted.set()
        return await asyncio.shield(self._report)

    async def settled(self) -> None:
        """Wait until no restart is under way."""
        if self._report is not None:
            await asyncio.shield(self._report)

    async def drain(self, connection: Connection, stopping: asyncio.Event) -> None:
        """Let the calls in flight end, then part from the connection."""
        found = len(connection.calls)
        await wait_for_calls(connection, self._grace, stopping)
        left = len(connection.calls)
        await asyncio.shield(connection.link.close("it is restarted, because somebody asked for that"))
        self.settle(Restarted(server=self._server, finished=found - left, cut=left))

    def settle(self, report: Restarted | None = None) -> None:
        """The restart has come as far as the new start, or cannot come any more."""
        self._wanted.clear()
        future, self._report = self._report, None
        if future is not None and not future.done():
            future.set_result(report or Restarted(server=self._server))


class Restartable:
    """What a supervisor does to start anew; it has the attributes below."""

    settings: ServerSettings
    connection: Connection | None
    lists: Lists
    awaited = 0
    """Callers who wait for the connection."""
    _condition: Condition
    _attempt: asyncio.Future[Connection | TrunklineError]
    _recovery: Recovery
    _restarting: Restarting
    _stopping: asyncio.Event
    _due: float | None
    _open_from: float
    _begun: bool
    _accepted_until = math.inf
    """Moment from which no more calls are taken."""
    start: Callable[[], None]
    stop: Callable[[], None]

    @property
    def origin(self) -> Self:
        """See `Pool.origin`."""
        return self

    @property
    def live(self) -> Connection | None:
        """The connection, unless it is known to be lost."""
        connection = self.connection
        return connection if connection is not None and not connection.link.lost else None

    def stale(self, kind: Kind) -> Items | None:
        """Give a list as it was in an earlier run, until it has been read in this one."""
        return self.lists.stale(kind)

    @property
    def idled(self) -> int:
        """How often it was closed because nobody used it."""
        return self._condition.idled

    async def drain(self, grace: float, *, succeeded: bool = False) -> None:
        """Take no more calls, let those in flight end for at most `grace` seconds, then end the server.

        Args:
            succeeded: another server has its name, so who still waits for a connection is sent away.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + grace
        self._accepted_until = loop.time()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(until if until < math.inf else None):
                await self._restarting.settled()
                if not succeeded:
                    await self._serve_waiting()
        if (connection := self.live) is not None:
            self._condition.change("draining")
            self.connection = None
            await wait_for_calls(connection, until - loop.time(), self._stopping)
        self.stop()

    async def restart(self, grace: float) -> Restarted:
        """Let calls in flight end for at most `grace` seconds, then start anew; later calls wait for that.

        Returns once the new start has begun; one that has begun already is not disturbed. What the server
        did before counts no more against it.

        Raises:
            UnavailableError: the server is being ended.
        """
        if self._stopping.is_set() or self._accepted_until < math.inf or self._is_parting():
            raise ended(self.settings.name)
        if self.connection is not None or self._restarting.wanted:
            return await self._restarting.ask(grace)
        if self._condition.state != "connecting":
            self._forgive()
            self.start()
        return Restarted(server=self.settings.name)

    async def _serve_waiting(self) -> None:
        """Let those who wait for the connection have it, or the reason why they cannot."""
        if self.awaited:
            await asyncio.shield(self._attempt)
        # Each has been told, and has its turn within one of the loop's.
        while self.awaited and self.live is not None:  # noqa: ASYNC110
            await asyncio.sleep(0)

    async def _part(self, connection: Connection) -> None:
        """Part from a connection for a new start, which callers wait for from now on."""
        self._condition.change("draining")
        self.connection = None
        self.start()
        await self._restarting.drain(connection, self._stopping)
        self._forgive()
        if not self._stopping.is_set():
            self._condition.change("ended")

    def _forgive(self) -> None:
        self._recovery = Recovery(self.settings.restart)
        self._due, self._open_from, self._begun = None, 0.0, False

    def _is_parting(self, asked: float = math.inf) -> bool:
        """Whether it takes no more calls for good, or none that was asked for at this moment."""
        parting = self._condition.state == "draining" and not self._restarting.wanted
        return parting or asked > self._accepted_until
