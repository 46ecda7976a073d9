"""A server with several connections, or with one that is shared by rule.

Each connection has a supervisor of its own. What belongs to one connection only, as lists, subscriptions
and resources do, is at home.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable

from msgspec.structs import replace

from trunkline.connection.answers import Answers
from trunkline.connection.connection import Connection
from trunkline.core.call import Flight, LogLevel
from trunkline.core.events import NOBODY, EventSink
from trunkline.core.status import MemberStatus, ServerStatus, State
from trunkline.errors import TrunklineError, UnavailableError
from trunkline.protocol.lists import Kind
from trunkline.supervision.admission import Admission
from trunkline.supervision.ejection import Ejection
from trunkline.supervision.failure import ended
from trunkline.supervision.following import Following
from trunkline.supervision.idling import Idling
from trunkline.supervision.lists import Lists
from trunkline.supervision.member import Member
from trunkline.supervision.remembered import Items
from trunkline.supervision.restarting import Restarted
from trunkline.supervision.roles import MemberFollowing, Sink
from trunkline.supervision.settings import ServerSettings
from trunkline.supervision.sharing import Sharing
from trunkline.supervision.spreading import settings_of
from trunkline.supervision.standing import Standing
from trunkline.supervision.supervisor import Supervisor

_LOOK_AGAIN = 0.01


def is_shared(settings: ServerSettings) -> bool:
    """Whether more is asked of a server than one connection that anybody may use."""
    return bool(settings.replicas or settings.max_concurrency) or not settings.pool.is_plain


class Pool:
    """All connections of one server; to the fleet and the runtime the same as a single `Supervisor`.

    Args:
        around: the supervisor of a server that has one connection, for as long as that one is leased.
        on_calm: told when nobody holds a connection, or waits for one, any more.
    """

    def __init__(
        self,
        settings: ServerSettings,
        on_listed: Callable[[], None],
        events: EventSink = NOBODY,
        around: Supervisor | None = None,
        on_calm: Callable[[], None] | None = None,
    ) -> None:
        self.settings = settings
        self._loop = asyncio.get_running_loop()
        self._shared = around.following if around is not None else PoolFollowing(settings, events, self)
        self._turn = asyncio.Lock()
        self._sinks: list[Sink] = []
        self._ejections: list[Ejection] = []
        self._shown: Counter[str] = Counter()
        if around is not None:
            self.members = [Member(around)]
        else:
            self.members = [
                self._make(at, spare, one, on_listed, events) for at, spare, one in settings_of(settings)
            ]
        self._standing = Standing(
            settings.name,
            self.members,
            [sink.role for sink in self._sinks],
            events,
            on_change=self._changed,
            on_home=on_listed,
        )
        self._admission = Admission(self.members, self._home, settings.max_concurrency, self._standing.move)
        self._idling = Idling(self.members, settings.pool, self._home)
        sharing = Sharing(settings, self.members, self._admission, home=self._home, on_calm=self._calm)
        self.call = sharing.call
        """Makes one call; see `Sharing`."""
        self.hold = sharing.hold
        """Keeps a connection for one holder; see `Sharing`."""
        self._around = around
        self._on_calm = on_calm
        self._stopped = False
        self._awaited = 0

    @property
    def origin(self) -> Supervisor | Pool:
        """What stays for as long as the server is configured the same: this one, or the one it is around."""
        return self._around or self

    @property
    def live(self) -> Connection | None:
        """The connection at home, or another one."""
        members = self.members
        home = members[self._standing.home].supervisor.live
        return home or next((live for one in members if (live := one.supervisor.live) is not None), None)

    @property
    def state(self) -> State:
        """The state it is in."""
        return self._standing.state if self._around is None else self._around.state

    @property
    def lists(self) -> Lists:
        """What the member at home lists."""
        return self.members[self._standing.home].supervisor.lists

    def stale(self, kind: Kind) -> Items | None:
        """Give a list as it was in an earlier run: that of the member at home, else of another endpoint."""
        home = self.members[self._standing.home]
        known = (one.supervisor.lists.stale(kind) for one in (home, *self.members))
        return next((items for items in known if items is not None), None)

    @property
    def following(self) -> Following:
        """What the server is asked to tell, at all its connections."""
        return self._shared

    @property
    def answers(self) -> Answers:
        """Puts the server's questions to the application."""
        return self.members[self._standing.home].supervisor.answers

    @property
    def asleep(self) -> bool:
        """Whether nothing is connected because nobody has wanted it yet, or not any more."""
        return all(one.asleep for one in self.members)

    @property
    def busy(self) -> bool:
        """Whether anybody holds a connection or waits for one."""
        waiting = self._admission.waiting or (self._awaited and self._is_trying())
        return bool(waiting) or any(one.leased for one in self.members)

    def start(self) -> None:
        """Ask for the connections that are kept, without waiting for them."""
        for one in self.members:
            if not one.spare and one.startable:
                one.supervisor.start()

    async def run(self) -> None:
        """Own every connection until `stop`."""
        async with asyncio.TaskGroup() as group:
            for one in self.members:
                group.create_task(one.supervisor.run())

    def stop(self) -> None:
        """End every connection; who waits is told at once."""
        self._stopped = True
        self._idling.end()
        self._admission.end(self._ended)
        for one in self.members:
            one.supervisor.stop()
        self._standing.tell()

    async def drain(self, grace: float, *, succeeded: bool = False) -> None:
        """Take no more calls, let those that were taken, and leases, end for at most `grace` seconds.

        Args:
            succeeded: see `Supervisor.drain`.
        """
        until = self._loop.time() + grace
        (self._admission.send_away if succeeded else self._admission.close)(self._ended)
        self._idling.end()
        # Leases and calls are only counted, so there is no event to wait for.
        while self.busy and self._loop.time() < until and not self._stopped:  # noqa: ASYNC110
            await asyncio.sleep(_LOOK_AGAIN)
        left = max(0.0, until - self._loop.time())
        async with asyncio.TaskGroup() as group:
            for one in self.members:
                group.create_task(one.supervisor.drain(left, succeeded=succeeded))
        self.stop()

    async def restart(self, grace: float) -> Restarted:
        """Let calls in flight end for at most `grace` seconds, then start each connection in use anew.

        Who holds one is told with `LeaseLostError`.

        Raises:
            UnavailableError: the server is being ended.
        """
        wanted = [one.supervisor for one in self.members if not one.spare or one.supervisor.live is not None]
        reports = await asyncio.gather(*(one.restart(grace) for one in wanted))
        return Restarted(
            server=self.settings.name,
            finished=sum(one.finished for one in reports),
            cut=sum(one.cut for one in reports),
        )

    def adjust(self, settings: ServerSettings) -> None:
        """Follow other settings of restarts, health checks and patience; every connection stays as it is."""
        self.settings = settings
        for one, (_, _, own) in zip(self.members, settings_of(settings), strict=True):
            one.supervisor.adjust(own)
            one.ejection.adjust(own.ejection)

    def status(self) -> ServerStatus:
        """Say how the server and each of its connections is doing."""
        waiting = self._admission.waiting
        if self._around is not None:
            return replace(self._around.status(), waiting=waiting, members=self.health())
        return replace(
            self._standing.status(waiting),
            asleep=self.asleep,
            dropped_notifications=self._dropped(),
        )

    def health(self) -> tuple[MemberStatus, ...]:
        """Say how each connection is doing; what chooses among endpoints reads this."""
        return tuple(one.status() for one in self.members)

    async def settled(self) -> TrunklineError | None:
        """Wait until any connection is ready or all have failed, starting what was lost; give the failure."""
        if self._around is not None:
            return await self._around.settled()
        while self.live is None:
            for one in self.members:
                if not one.spare and one.startable and one.supervisor.state != "failed":
                    one.supervisor.start()
            if self._stopped or not self._is_trying():
                return self.members[self._standing.home].supervisor.failure or self._ended()
            await self._standing.news()
        return None

    async def listed(self) -> None:
        """Wait until it is ready or failed, and has listed all."""
        if await self.settled() is None:
            await self.members[self._standing.home].supervisor.listed()

    async def connect(self, flight: Flight) -> Connection:
        """Give a connection, whoever uses it; not for calls.

        Raises:
            UnavailableError: none could be opened; `__cause__` is the reason.
        """
        flight.connecting = True
        begun = self._loop.time()
        self._awaited += 1
        try:
            await self.settled()
        finally:
            self._awaited -= 1
            flight.connecting = False
            flight.activity = now = self._loop.time()
            flight.connected += now - begun
        return self.live or await self.members[self._standing.home].supervisor.connect(flight)

    def _make(
        self,
        endpoint: int,
        spare: bool,
        settings: ServerSettings,
        on_listed: Callable[[], None],
        events: EventSink,
    ) -> Member:
        at = len(self._sinks)
        sink = Sink(events, lambda event: self._standing.note(at, event))
        self._sinks.append(sink)
        following = MemberFollowing(settings, sink, self._shared, sink.role, self._turn)
        supervisor = Supervisor(settings, on_listed, sink, following)
        self._shown[settings.shown] += 1
        identity = f"{settings.shown}#{self._shown[settings.shown]}"
        member = Member(
            supervisor, endpoint=endpoint, spare=spare, identity=identity, ejections=self._ejections
        )
        self._ejections.append(member.ejection)
        return member

    def _calm(self) -> None:
        self._idling.plan()
        if self._on_calm is not None and not self.busy:
            self._on_calm()

    def _home(self) -> int:
        return self._standing.home

    def _is_trying(self) -> bool:
        return any(one.trying for one in self.members)

    def _changed(self) -> None:
        self._admission.serve_soon()
        self._idling.plan()

    def _dropped(self) -> int:
        members = (one.supervisor for one in self.members)
        return sum(one.following.dropped(one.connection) for one in members)

    def _ended(self) -> UnavailableError:
        return ended(self.settings.name)


class PoolFollowing(Following):
    """What all connections of a server are asked to tell."""

    def __init__(self, settings: ServerSettings, events: EventSink, pool: Pool) -> None:
        super().__init__(settings, events)
        self._pool = pool

    async def set_log_level(self, level: LogLevel, connection: Connection | None) -> None:
        """Ask at each connection, now and on every later one.

        Raises:
            CallError: as of `Following`.
        """
        del connection
        for one in self._pool.members:
            await one.supervisor.following.set_log_level(level, one.supervisor.live)
