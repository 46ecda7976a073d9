"""One server's life: started when wanted, owned by one task, its state readable at any moment.

The first cut of the supervisor: a server that was lost is started again by the next call; one that
could not be started is tried again by a call once `_RETRY_AFTER` has passed.
"""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from trunkline.connection.answers import Answers
from trunkline.connection.connection import Connection
from trunkline.core.backoff import Backoff
from trunkline.core.call import Flight
from trunkline.core.events import NOBODY, EventSink
from trunkline.core.status import ServerStatus, State
from trunkline.errors import (
    OutcomeUnknownError,
    TrunklineError,
    UnavailableError,
)
from trunkline.protocol.eras import Family
from trunkline.supervision.failure import (
    describe,
    ended,
    internal,
    lost_server,
    start_failed,
    too_slow,
    unavailable,
)
from trunkline.supervision.following import Following
from trunkline.supervision.lists import Lists
from trunkline.supervision.settings import ServerSettings
from trunkline.supervision.ways import Ways
from trunkline.telemetry.escape import escape_text
from trunkline.transport.link import Link

logger = logging.getLogger("trunkline.supervision")

_RETRY_AFTER = 1.0
"""Seconds during which calls to a server that could not be started fail at once with the reason."""
_REVIVAL = Backoff(first=1.0, longest=60.0)
_STEADY = 60.0
"""Seconds of life after which a loss does not count as one more in a row."""


class Supervisor:
    """Owns one server's connection."""

    def __init__(
        self, settings: ServerSettings, on_listed: Callable[[], None], events: EventSink = NOBODY
    ) -> None:
        self.settings = settings
        self.lists = Lists(settings.name, settings.connect_timeout, on_listed, events)
        self.following = Following(settings, events)
        self.connection: Connection | None = None
        self.last_answer: float | None = None
        self.latency: float | None = None
        self._answers = Answers(settings.name, settings.handlers)
        self._loop = asyncio.get_running_loop()
        self._wanted = asyncio.Event()
        self._stopping = asyncio.Event()
        self._attempt: asyncio.Future[Connection | TrunklineError] = self._loop.create_future()
        self._state: State = "stopped"
        self._since = self._loop.time()
        self._error: TrunklineError | None = None
        self._stderr: Callable[[], str] = str
        self._phase = "not started"
        self._ways = Ways(settings)
        self._kind = settings.transport
        self._revision: str | None = None
        self._lives = 0
        self._losses = 0
        self._revival: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Ask for a connection without waiting for it."""
        if self._attempt.done():
            self._attempt = self._loop.create_future()
        self._wanted.set()

    def stop(self) -> None:
        """End the server; who waits for it is told at once, `run` returns when all it owned has ended."""
        self._stopping.set()
        self._settle(ended(self.settings.name))
        self.following.subscriptions.end(lambda: ended(self.settings.name))

    def status(self) -> ServerStatus:
        """Say how the server is doing."""
        now = self._loop.time()
        answers = [moment for moment in (self.last_answer, self.lists.last_read) if moment is not None]
        down = self._state != "ready" and self._error is not None
        return ServerStatus(
            state=self._state,
            since=now - self._since,
            era=self._revision,
            transport=self._kind,
            tools=self.lists.count("tools"),
            resources=self.lists.count("resources"),
            templates=self.lists.count("templates"),
            prompts=self.lists.count("prompts"),
            last_error=describe(self._error) if self._error is not None else None,
            hint=self._error.hint if self._error is not None else None,
            stderr=self._stderr() if down else "",
            restarts=max(0, self._lives - 1),
            latency_ms=self.latency * 1000 if self.latency is not None else None,
            last_check=now - max(answers) if answers else None,
            dropped_notifications=self.following.dropped(self.connection),
        )

    def note_answer(self, flight: Flight) -> None:
        """A call was answered; its time counts as latency where nothing else was waited for."""
        self.last_answer = now = self._loop.time()
        if flight.activity == flight.started:
            self.latency = now - flight.started

    async def settled(self) -> TrunklineError | None:
        """Wait until the server is ready or failed, starting it again if it was lost; give the failure."""
        if self.live is None and self._attempt.done() and self._state != "failed" and self._may_start():
            self.start()
        outcome = await asyncio.shield(self._attempt)
        return outcome if isinstance(outcome, TrunklineError) else None

    async def listed(self) -> None:
        """Wait until it is ready or failed and has listed all; started again if it ended over a list."""
        while await self.settled() is None:
            await self.lists.settled()
            if self.live is not None or not self.lists.suspects:
                return

    async def connect(self, flight: Flight) -> Connection:
        """Give the live connection, starting the server if need be; one start serves all who wait.

        Raises:
            UnavailableError: it could not be started; `__cause__` is the reason.
        """
        if (connection := self.live) is not None:
            return connection
        flight.stderr = self._stderr_now
        if self._stopping.is_set():
            raise ended(self.settings.name)
        if self._may_start():
            self.start()
        flight.connecting = True
        try:
            outcome = await asyncio.shield(self._attempt)
        finally:
            flight.connecting = False
            flight.phase = f"waiting for the server: {self._phase}"
        if isinstance(outcome, TrunklineError):
            raise unavailable(self.settings.name, outcome, self._stderr()) from outcome
        flight.activity = self._loop.time()
        return outcome

    @property
    def live(self) -> Connection | None:
        """The connection, unless it is known to be lost."""
        connection = self.connection
        return connection if connection is not None and not connection.link.lost else None

    async def run(self) -> None:
        """Own the server until `stop`: the body of its one task."""
        stopping: asyncio.Future[Any] = asyncio.ensure_future(self._stopping.wait())
        try:
            while not stopping.done():
                wanted = asyncio.ensure_future(self._wanted.wait())
                await asyncio.wait({wanted, stopping}, return_when=asyncio.FIRST_COMPLETED)
                if stopping.done():
                    wanted.cancel()
                    break
                self._wanted.clear()
                try:
                    await self._live(stopping)
                except Exception as cause:  # boundary: a fault in one server's life must not end the others
                    self._fail(self._internal(cause))
                self._revive()
        finally:
            if self._revival is not None:
                self._revival.cancel()
            stopping.cancel()
            self.stop()
            self._move("stopped")

    def _revive(self) -> None:
        """Start a server that was lost again if somebody is subscribed to it; calls start it themselves."""
        self._losses += 1
        if self.following.subscriptions and not self._stopping.is_set():
            delay = _RETRY_AFTER + _REVIVAL.delay(self._losses, self.settings.draw())
            self._revival = self._loop.call_later(delay, self._start_if_down)

    def _start_if_down(self) -> None:
        if self.live is None and self._may_start():
            self.start()

    def _may_start(self) -> bool:
        if self._state == "connecting" or self._wanted.is_set() or self._stopping.is_set():
            return False
        return self._state != "failed" or self._loop.time() - self._since >= _RETRY_AFTER

    async def _live(self, stopping: asyncio.Future[Any]) -> None:
        """One life of the server, from start to loss."""
        self._move("connecting")
        links: list[Link] = []
        try:
            connection = await self._start(links, stopping)
            if connection is not None:
                await self._serve(connection, stopping)
        finally:
            self.connection = None
            try:
                await self.lists.end()
            finally:
                for link in links:
                    await asyncio.shield(link.close())

    async def _start(self, links: list[Link], stopping: asyncio.Future[Any]) -> Connection | None:
        starting = asyncio.ensure_future(self._connect(links))
        either: set[asyncio.Future[Any]] = {starting, stopping}
        try:
            await asyncio.wait(
                either,
                timeout=self.settings.connect_timeout,
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            if not starting.done():
                starting.cancel()
                await asyncio.wait({starting})
            # Asked for here, so that nobody is told of an error that was never looked at.
            cause = None if starting.cancelled() else starting.exception()
        if stopping.done():
            self._fail(ended(self.settings.name))
        elif starting.cancelled():
            self._fail(too_slow(self.settings.name, self._phase, self.settings.connect_timeout))
        elif cause is not None:
            self._fail(self._explain(cause))
        else:
            connection = starting.result()
            self._lives += 1
            self._move("ready")
            self._settle(connection)
            return connection
        return None

    async def _connect(self, links: list[Link]) -> Connection:
        try:
            connection = await self._ways.connect(functools.partial(self._open, links))
        except (UnavailableError, OutcomeUnknownError):
            if self.settings.transport != "stdio" or self._ways.family is not None or not links:
                raise
            # Some legacy servers exit when they meet a request they do not know.
            self._phase = "starting again with initialize"
            await links[-1].close()
            connection = await self._open(links, "legacy", self.settings.open_link)
        self._ways.remember(connection)
        try:
            await self._list(connection)
        except (UnavailableError, OutcomeUnknownError):
            await self.lists.end()
            if not self.lists.suspects:
                raise
            # It may have ended over a list that is none of the tools: those are asked for alone now.
            await links[-1].close()
            connection = await self._ways.connect(functools.partial(self._open, links))
            await self._list(connection)
        self.connection = connection
        return connection

    async def _list(self, connection: Connection) -> None:
        self._revision = connection.revision
        self._kind = connection.link.kind
        self._phase = "listing tools"
        self.following.attach(connection)
        self.lists.begin(connection)
        # A list whose pages do not end in time is used as far as it came.
        await self.lists.read_tools(connection, self._since + 0.9 * self.settings.connect_timeout)

    async def _open(
        self, links: list[Link], family: Family | None, opener: Callable[[], Awaitable[Link]]
    ) -> Connection:
        settings = self.settings
        self._phase = "starting the process" if settings.transport == "stdio" else "connecting"
        link = await opener()
        links.append(link)
        self._stderr = link.stderr_tail
        self._phase = "negotiating the protocol"
        return await Connection.open(
            settings.name,
            link,
            settings.identity,
            family=family,
            limits=settings.limits,
            answers=self._answers,
            notices=self.following.notices,
            connect_timeout=settings.connect_timeout,
        )

    async def _serve(self, connection: Connection, stopping: asyncio.Future[Any]) -> None:
        """Stay with a ready connection until it is lost or the server is stopped."""
        self.lists.follow()
        lost = asyncio.ensure_future(connection.link.wait_closed())
        owned: set[asyncio.Future[Any]] = {
            asyncio.ensure_future(connection.serve()),
            asyncio.ensure_future(self.following.keep(connection)),
            lost,
        }
        try:
            await asyncio.wait({lost, stopping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in owned:
                task.cancel()
            await asyncio.wait(owned)
        if self._loop.time() - self._since > _STEADY:
            self._losses = 0
        if not stopping.done():
            reason = "" if lost.cancelled() else lost.result()
            self._error = lost_server(self.settings.name, reason)
            self._move("stopped")
            self._log(logging.INFO, "lost", reason)

    def _move(self, state: State) -> None:
        self._state = state
        self._since = self._loop.time()
        if state == "ready":
            self._error = None

    def _fail(self, error: TrunklineError) -> None:
        self._error = error
        # What is remembered of its protocol may have caused this: find out anew the next time.
        self._ways.forget()
        self._move("failed")
        self._settle(error)

    def _explain(self, cause: BaseException) -> TrunklineError:
        if isinstance(cause, OutcomeUnknownError | UnavailableError):
            return start_failed(self.settings.name, self._phase, cause)
        return cause if isinstance(cause, TrunklineError) else self._internal(cause)

    def _internal(self, cause: BaseException) -> TrunklineError:
        self._log(logging.ERROR, "an internal error", type(cause).__name__, cause)
        return internal(cause)

    def _settle(self, outcome: Connection | TrunklineError) -> None:
        if not self._attempt.done():
            self._attempt.set_result(outcome)

    def _log(self, level: int, what: str, why: str, cause: BaseException | None = None) -> None:
        """Tell it on one line, although a server may have written a part of it."""
        line = escape_text(f"{self.settings.name}: {what}: {why}")
        logger.log(level, "%s", line, exc_info=cause, extra={"server": self.settings.name})

    def _stderr_now(self) -> str:
        return self._stderr()
