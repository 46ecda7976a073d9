"""One connection of a server that may have several: its supervisor, what it is given, how well it is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from msgspec.structs import replace

from trunkline.connection.connection import Connection
from trunkline.core.events import Event, EventSink, ListChanged, MemberChanged, ServerChanged
from trunkline.core.status import MemberStatus
from trunkline.supervision.following import Following
from trunkline.supervision.recovery import RestartPolicy
from trunkline.supervision.settings import ServerSettings
from trunkline.supervision.supervisor import Supervisor

_ASIDE = 5.0
"""Seconds for which others are preferred after a call could not reach it, unless it answers before."""
_RANKS = {"ready": 0, "degraded": 2}


class Member:
    """One connection, as its pool sees it. A `Candidate` of `choosing`."""

    def __init__(self, supervisor: Supervisor, *, endpoint: int = 0, spare: bool = False) -> None:
        settings = supervisor.settings
        self.supervisor = supervisor
        self.name = settings.member or "1"
        self.endpoint = endpoint
        self.weight = settings.weight
        self.spare = spare
        self.load = 0
        self.leased = False
        self.sour = False
        self.used = 0.0
        """Moment of the last call's end."""
        self._aside_until = 0.0
        self._loop = asyncio.get_running_loop()

    @property
    def rank(self) -> int | None:
        """See `Candidate`."""
        if self.supervisor.live is None or (rank := _RANKS.get(self.supervisor.state)) is None:
            return None
        return 1 if rank == 0 and self._loop.time() < self._aside_until else rank

    @property
    def trying(self) -> bool:
        """See `Candidate`."""
        return self.supervisor.is_trying()

    @property
    def startable(self) -> bool:
        """See `Candidate`."""
        return self.rank is None and self.supervisor.may_start()

    @property
    def stateless(self) -> bool:
        """Whether every request to it stands alone; not before that is known."""
        live = self.supervisor.live
        return live is not None and live.link.kind == "http" and live.agreed.era.family == "modern"

    @property
    def busy(self) -> bool:
        """Whether it may not answer health checks only because it works; over HTTP that is no reason."""
        live = self.supervisor.live
        return self.supervisor.state == "degraded" and live is not None and live.link.kind != "http"

    @property
    def quiet(self) -> bool:
        """Whether nothing is in flight, whoever sent it, and nobody waits to send."""
        live = self.supervisor.live
        return not self.load and not self.supervisor.awaited and (live is None or not live.calls)

    def set_aside(self) -> None:
        """A call could not reach it: look into it, and prefer others meanwhile."""
        self._aside_until = self._loop.time() + _ASIDE
        self.supervisor.suspect()

    def trust(self) -> None:
        """A call was answered."""
        self._aside_until = 0.0

    def note(self, event: ServerChanged) -> None:
        """Learn from a change of state."""
        if event.state == "ready":
            self.sour = False
            self._aside_until = 0.0
            self.used = self._loop.time()
        elif event.before == "connecting":
            self.sour = event.state != "stopped"

    def status(self) -> MemberStatus:
        """Say how it is doing."""
        settings, status = self.supervisor.settings, self.supervisor.status()
        return MemberStatus(
            name=self.name,
            state=status.state,
            healthy=self.rank == 0,
            since=status.since,
            endpoint=settings.shown,
            region=settings.region,
            weight=settings.weight,
            calls=self.load,
            leased=self.leased,
            era=status.era,
            restarts=status.restarts,
            last_error=status.last_error,
            retry_in=status.retry_in,
            latency_ms=status.latency_ms,
        )


class Role:
    """Whether a member is home, for who waits for either."""

    def __init__(self) -> None:
        self.home = asyncio.Event()
        self.away = asyncio.Event()
        self.away.set()

    def set(self, *, home: bool) -> None:
        """Take the role, or give it up."""
        for event, holds in ((self.home, home), (self.away, not home)):
            event.set() if holds else event.clear()


class Sink:
    """Takes the events of one member: its state is its pool's business, its lists count while it is home."""

    def __init__(self, events: EventSink, on_change: Callable[[ServerChanged], None]) -> None:
        self._events = events
        self._on_change = on_change
        self.role = Role()

    @property
    def watched(self) -> bool:
        """See `EventSink`."""
        return self._events.watched

    def put(self, event: Event) -> None:
        """See `EventSink`."""
        if isinstance(event, ServerChanged):
            self._on_change(event)
        elif self.role.home.is_set() or not isinstance(event, ListChanged):
            self._events.put(event)


class MemberFollowing(Following):
    """What one of several connections is asked to tell: logs always, subscriptions while it is home.

    Args:
        turn: held by the one that keeps the subscriptions, so that the next begins when it has ended.
    """

    def __init__(
        self, settings: ServerSettings, events: EventSink, shared: Following, role: Role, turn: asyncio.Lock
    ) -> None:
        super().__init__(settings, events)
        self.subscriptions = shared.subscriptions
        self.notices.on_update = shared.subscriptions.update
        self.notices.on_miss = self._miss
        self._role = role
        self._turn = turn

    @property
    def watched(self) -> bool:
        """Whether somebody is subscribed and this is where."""
        return self._role.home.is_set() and super().watched

    async def keep(self, connection: Connection) -> None:
        """Restore what concerns every connection; whenever it is home, keep all that is wanted."""
        if not self._role.home.is_set():
            await self._restore_log_level(connection)
        while True:
            await self._role.home.wait()
            async with self._turn:
                await self._keep_at_home(connection)

    def _miss(self) -> None:
        """What is missed here matters to those who are subscribed here."""
        if self._role.home.is_set():
            self.subscriptions.miss()

    async def _keep_at_home(self, connection: Connection) -> None:
        keeping = asyncio.ensure_future(super().keep(connection))
        away = asyncio.ensure_future(self._role.away.wait())
        try:
            await asyncio.wait({keeping, away}, return_when=asyncio.FIRST_COMPLETED)
            if keeping.done():
                # Nothing can be kept here any more; the connection's end is told elsewhere.
                await away
        finally:
            keeping.cancel()
            away.cancel()
            await asyncio.wait({keeping, away})


def settings_of(settings: ServerSettings) -> list[tuple[int, bool, ServerSettings]]:
    """Give endpoint, whether it is a spare one, and settings of every connection a server may have."""
    pool, endpoints = settings.pool, (settings, *settings.replicas)
    alone = pool.most * len(endpoints) == 1
    found: list[tuple[int, bool, ServerSettings]] = []
    for slot in range(pool.most):
        spare = slot >= max(1, pool.min)
        for at, endpoint in enumerate(endpoints):
            member = replace(
                endpoint,
                member="" if alone else str(len(found) + 1),
                lazy=spare or settings.lazy,
                restart=_on_demand(endpoint.restart) if spare else endpoint.restart,
                replicas=(),
            )
            found.append((at, spare, member))
    return found


def _on_demand(policy: RestartPolicy) -> RestartPolicy:
    """A spare connection that is lost comes back when the others are busy."""
    return replace(policy, automatic=False)


def announce(event: ServerChanged, member: str) -> MemberChanged:
    """Give the event that tells a member's change."""
    return MemberChanged(
        server=event.server,
        member=member,
        state=event.state,
        before=event.before,
        reason=event.reason,
        restarts=event.restarts,
    )
