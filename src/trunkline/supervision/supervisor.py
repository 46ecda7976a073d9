"""One server's life: kept connected by one task, its state readable at any moment.

What state follows what is in `states`, when it is tried again in `recovery`, how it is noticed that it no
longer answers in `liveness`. One attempt at a time serves all callers who wait.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from trunkline.connection.connection import Connection
from trunkline.core.call import Flight
from trunkline.core.events import NOBODY, EventSink
from trunkline.core.status import ServerStatus, State
from trunkline.errors import OutcomeUnknownError, TrunklineError, UnavailableError
from trunkline.supervision.condition import Condition
from trunkline.supervision.failure import (
    describe,
    ended,
    ending_of,
    exhausted,
    internal,
    lost_server,
    silent,
    start_failed,
    too_slow,
    unavailable,
)
from trunkline.supervision.following import Following
from trunkline.supervision.lists import Lists
from trunkline.supervision.liveness import Liveness
from trunkline.supervision.opening import Opening
from trunkline.supervision.recovery import Ending, Recovery
from trunkline.supervision.restarting import Restartable, Restarting
from trunkline.supervision.settings import ServerSettings
from trunkline.telemetry.escape import escape_text
from trunkline.transport.link import Link

logger = logging.getLogger("trunkline.supervision")


class Supervisor(Restartable):
    """Owns one server's connection."""

    def __init__(
        self,
        settings: ServerSettings,
        on_listed: Callable[[], None],
        events: EventSink = NOBODY,
        following: Following | None = None,
    ) -> None:
        self.settings = settings
        self.lists = Lists(settings, on_listed, events)
        self.following = following or Following(settings, events)
        self.connection: Connection | None = None
        self.last_answer: float | None = None
        self.latency: float | None = None
        self._loop = asyncio.get_running_loop()
        self._wanted = asyncio.Event()
        self._stopping = asyncio.Event()
        self._attempt: asyncio.Future[Connection | TrunklineError] = self._loop.create_future()
        self._condition = Condition(settings.name, events, settings.member)
        self._recovery = Recovery(settings.restart)
        self._due: float | None = None
        self._open_from = 0.0
        self._liveness: Liveness | None = None
        self._opening = Opening(settings, self.lists, self.following)
        self.answers = self._opening.answers
        self._restarting = Restarting(settings.name)
        self._begun = self._doubted = False
        self._ready_since = 0.0
        self._unused: asyncio.Future[None] = self._loop.create_future()
        self.asleep = settings.lazy
        """Whether it is not connected because nobody has wanted it yet, or not any more."""

    def start(self) -> None:
        """Ask for a connection without waiting for it."""
        if self._attempt.done():
            self._attempt = self._loop.create_future()
        self._wanted.set()
        self.asleep = False

    def release(self) -> None:
        """Close the connection until somebody wants one again; only for one that has no calls."""
        if self.live is not None and self._condition.state in ("ready", "degraded"):
            self.connection = None
            self.asleep = True
            if not self._unused.done():
                self._unused.set_result(None)

    @property
    def state(self) -> State:
        """The state it is in."""
        return self._condition.state

    @property
    def failure(self) -> TrunklineError | None:
        """Why it is not well, or None."""
        return self._condition.error

    def stop(self) -> None:
        """End the server; who waits for it is told at once, `run` returns when all it owned has ended."""
        self._stopping.set()
        self._settle(ended(self.settings.name))
        self.following.subscriptions.end(lambda: ended(self.settings.name))

    def adjust(self, settings: ServerSettings) -> None:
        """Follow other settings of restarts, health checks and patience; the connection stays as it is."""
        self.settings = settings = replace(settings, remembered=self.settings.remembered)
        self._recovery.policy = settings.restart
        self._opening.adjust(settings)
        if self._liveness is not None:
            self._liveness.adjust(settings.health_check_interval)

    def status(self) -> ServerStatus:
        """Say how the server is doing."""
        now, condition = self._loop.time(), self._condition
        answers = [moment for moment in (self.last_answer, self.lists.last_read) if moment is not None]
        error = condition.error
        return ServerStatus(
            state=condition.state,
            since=now - condition.since,
            era=self._opening.revision,
            transport=self._opening.kind,
            tools=self.lists.count("tools"),
            resources=self.lists.count("resources"),
            templates=self.lists.count("templates"),
            prompts=self.lists.count("prompts"),
            last_error=describe(error) if error is not None else None,
            hint=error.hint if error is not None else None,
            stderr=self._opening.stderr() if error is not None else "",
            restarts=condition.restarts,
            retry_in=max(0.0, self._due - now) if self._due is not None else None,
            latency_ms=self.latency * 1000 if self.latency is not None else None,
            last_check=now - max(answers) if answers else None,
            asleep=self.asleep,
            dropped_notifications=self.following.dropped(self.connection),
        )

    def note_answer(self, flight: Flight) -> None:
        """A call was answered; its time counts as latency where nothing else was waited for."""
        self.last_answer = flight.answered = now = self._loop.time()
        if self._doubted:
            self._trust()
        if flight.activity == flight.started:
            self.latency = now - flight.started

    def suspect(self) -> None:
        """A call could not reach the server, or lost it: find out at once whether it still answers."""
        if self._liveness is not None:
            self._liveness.suspect()

    async def settled(self) -> TrunklineError | None:
        """Wait until the server is ready or failed, starting it again if it was lost; give the failure."""
        if self.live is None and self._condition.state != "failed" and self.may_start():
            self.start()
        if self.live is None and not self.is_trying():
            return self._condition.error or ended(self.settings.name)
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
        flight.stderr = self._opening.stderr
        if self._stopping.is_set() or self._is_parting(flight.started):
            raise ended(self.settings.name)
        if self.may_start():
            self.start()
        elif not self.is_trying():
            raise self._unavailable(self._condition.error or ended(self.settings.name))
        flight.connecting = True
        begun = self._loop.time()
        self.awaited += 1
        try:
            outcome = await asyncio.shield(self._attempt)
        finally:
            self.awaited -= 1
            flight.connecting = False
            flight.connected += self._loop.time() - begun
            flight.phase = f"waiting for the server: {self._opening.phase}"
        if isinstance(outcome, TrunklineError):
            raise self._unavailable(outcome)
        flight.activity = self._loop.time()
        return outcome

    async def run(self) -> None:
        """Own the server until `stop`: the body of its one task."""
        stopping: asyncio.Future[Any] = asyncio.ensure_future(self._stopping.wait())
        try:
            while await self._rest(stopping):
                try:
                    await self._live(stopping)
                except Exception as cause:  # boundary: a fault in one server's life must not end the others
                    if self._condition.state == "connecting":
                        self._end_life("unusable", self._internal(cause))
                    elif self._condition.state in ("ready", "degraded"):
                        self._end_life("lost", self._internal(cause))
        finally:
            stopping.cancel()
            self.stop()
            self._due = None
            self._condition.change("ended")

    async def _rest(self, stopping: asyncio.Future[Any]) -> bool:
        """Wait until an attempt is wanted or due; False when the server is to end."""
        wanted = asyncio.ensure_future(self._wanted.wait())
        left = None if self._due is None else max(0.0, self._due - self._loop.time())
        try:
            await asyncio.wait({wanted, stopping}, timeout=left, return_when=asyncio.FIRST_COMPLETED)
        finally:
            wanted.cancel()
        if stopping.done():
            return False
        self._condition.change("wanted" if self._wanted.is_set() else "due")
        self.start()
        self._wanted.clear()
        self._due = None
        self._recovery.begin(self._loop.time(), first=not self._begun)
        self._begun = True
        return True

    def may_start(self) -> bool:
        """Whether a caller's wish begins an attempt now; a connection that is lost may not be noticed yet."""
        if self.is_trying() or self._stopping.is_set() or self._condition.state == "draining":
            return False
        return self._loop.time() >= self._open_from

    def is_trying(self) -> bool:
        """Whether an attempt is under way."""
        return self._wanted.is_set() or self._condition.state == "connecting"

    async def _live(self, stopping: asyncio.Future[Any]) -> None:
        """One life of the server, from start to loss."""
        links: list[Link] = []
        try:
            connection = await self._start(links, stopping)
            if connection is not None:
                await self._serve(connection, stopping)
        finally:
            self.connection = self._liveness = None
            self._restarting.settle()
            try:
                await self.lists.end()
            finally:
                for link in links:
                    await asyncio.shield(link.close())

    async def _start(self, links: list[Link], stopping: asyncio.Future[Any]) -> Connection | None:
        deadline = self._loop.time() + 0.9 * self.settings.connect_timeout
        starting = asyncio.ensure_future(self._opening.connect(links, deadline))
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
            self._settle(ended(self.settings.name))
        elif starting.cancelled():
            settings, opening = self.settings, self._opening
            self._fail(too_slow(settings.name, opening.phase, settings.connect_timeout, opening.kind))
        elif cause is not None:
            self._fail(self._explain(cause))
        else:
            self.connection = connection = starting.result()
            self._condition.change("opened")
            self._ready_since = self._condition.since
            self._settle(connection)
            return connection
        return None

    async def _serve(self, connection: Connection, stopping: asyncio.Future[Any]) -> None:
        """Stay with a ready connection until it is lost, gives no sign of life, or the server is to end."""
        self.lists.follow()
        lost = asyncio.ensure_future(connection.link.wait_closed())
        owned: set[asyncio.Future[Any]] = {
            asyncio.ensure_future(connection.serve()),
            asyncio.ensure_future(self.following.keep(connection)),
        }
        self._unused = unused = self._loop.create_future()
        restarting = asyncio.ensure_future(self._restarting.wait())
        ends: set[asyncio.Future[Any]] = {lost, stopping, unused, restarting}
        ends.update(self._watch_over(connection))
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            if parted := self._restarting.wanted and not lost.done():
                await self._part(connection)
        finally:
            owned |= ends - {stopping}
            reasons = [one for one in ends - {stopping} if one.done() and not one.cancelled()]
            for task in owned:
                task.cancel()
            await asyncio.wait(owned)
        if stopping.done() or parted:
            return
        if unused in reasons:
            self._condition.change("idle")
            self._begun = False
            return
        if lost in reasons:
            known = self._opening.over_limit()
            self._end_life("lost", known or lost_server(self.settings.name, lost.result()))
            return
        self.connection = None
        error = silent(self.settings.name, reasons[0].result())
        self._end_life("lost", error)
        await asyncio.shield(connection.link.close(error.message))

    def _watch_over(self, connection: Connection) -> list[asyncio.Future[Any]]:
        settings = self.settings
        self._liveness = Liveness(
            connection,
            interval=settings.health_check_interval,
            draw=settings.draw,
            doubt=self._doubt,
            trust=self._trust,
        )
        return [asyncio.ensure_future(self._liveness.run())]

    def _doubt(self, reason: str) -> None:
        self._doubted = True
        if self._condition.state == "ready":
            self._condition.change("silent", silent(self.settings.name, reason))

    def _trust(self) -> None:
        self._doubted = False
        if self._condition.state == "degraded":
            self._condition.change("answered")

    def _fail(self, error: TrunklineError) -> None:
        # What is remembered of its protocol may have caused this: find out anew the next time.
        self._opening.forget()
        self._end_life(ending_of(error), error)

    def _end_life(self, ending: Ending, error: TrunklineError) -> None:
        """Decide what follows, and tell who waits unless an attempt for them begins at once."""
        now, condition = self._loop.time(), self._condition
        if condition.state == "draining":
            return
        life = now - self._ready_since if ending == "lost" else 0.0
        watched = self.following.watched
        verdict = self._recovery.end(ending, now, life, self.settings.draw(), watched=watched)
        if verdict.trigger == "exhausted":
            error = exhausted(self.settings.name, error, self.settings.restart, ending)
        self._due, self._open_from = verdict.due, verdict.open_from
        condition.change(verdict.trigger, error)
        if verdict.open_from > now:
            self._wanted.clear()
            self._settle(error)

    def _unavailable(self, cause: TrunklineError) -> UnavailableError:
        error = unavailable(self.settings.name, cause, self._opening.stderr())
        error.__cause__ = cause
        return error

    def _explain(self, cause: BaseException) -> TrunklineError:
        if isinstance(cause, OutcomeUnknownError | UnavailableError):
            opening = self._opening
            known = opening.over_limit()
            return known or start_failed(self.settings.name, opening.phase, cause, opening.kind)
        return cause if isinstance(cause, TrunklineError) else self._internal(cause)

    def _internal(self, cause: BaseException) -> TrunklineError:
        line = escape_text(f"{self.settings.name}: an internal error: {type(cause).__name__}")
        logger.error("%s", line, exc_info=cause, extra={"server": self.settings.name})
        return internal(cause)

    def _settle(self, outcome: Connection | TrunklineError) -> None:
        if not self._attempt.done():
            self._attempt.set_result(outcome)
