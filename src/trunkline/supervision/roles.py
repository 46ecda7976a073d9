"""What a member of a pool is beside its connection: home or not, and what it is asked to tell."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from trunkline.connection.connection import Connection
from trunkline.core.events import Event, EventSink, ListChanged, MemberChanged, ServerChanged
from trunkline.supervision.following import Following
from trunkline.supervision.settings import ServerSettings


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
