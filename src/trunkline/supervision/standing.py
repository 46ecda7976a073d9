"""The state of a server with several connections: that of the best of them, and which of them is home."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from msgspec.structs import replace

from trunkline.core.events import EventSink, ServerChanged
from trunkline.core.status import ServerStatus, State
from trunkline.protocol.lists import KINDS
from trunkline.supervision.changes import compare_lists
from trunkline.supervision.lists import Lists
from trunkline.supervision.member import Member
from trunkline.supervision.roles import Role, announce

_UP = ("ready", "degraded")
_BEST_FIRST: tuple[State, ...] = (
    "ready",
    "degraded",
    "connecting",
    "draining",
    "backoff",
    "failed",
    "stopped",
)


class Standing:
    """What is known of the server as a whole. Changes only by `note`.

    Args:
        roles: of each member.
        on_change: told of every change of a member, after it counts.
        on_home: told when another member has become home.
    """

    def __init__(
        self,
        server: str,
        members: Sequence[Member],
        roles: Sequence[Role],
        events: EventSink,
        *,
        on_change: Callable[[], None],
        on_home: Callable[[], None],
    ) -> None:
        self.home = 0
        """Place of the member at which lists and subscriptions are; stays there for as long as it is up."""
        self.state: State = members[0].supervisor.state
        self._server = server
        self._members = members
        self._roles = roles
        self._events = events
        self._on_change = on_change
        self._on_home = on_home
        self._loop = asyncio.get_running_loop()
        self._since = self._loop.time()
        self._lives = 0
        self._idled = [0] * len(members)
        self._news: asyncio.Future[None] = self._loop.create_future()
        for role in roles[:1]:
            role.set(home=True)

    async def news(self) -> None:
        """Wait until the state of any member changes."""
        await asyncio.shield(self._news)

    def note(self, at: int, event: ServerChanged) -> None:
        """A member went from one state to another."""
        member = self._members[at]
        member.note(event)
        if len(self._members) > 1:
            self._events.put(announce(event, member.name))
        self._elect()
        self._settle(event.reason, was_idle=self._count_idle(at))
        self.tell()
        self._on_change()

    def tell(self) -> None:
        """Wake who waits for news."""
        news, self._news = self._news, self._loop.create_future()
        news.set_result(None)

    def status(self, waiting: int) -> ServerStatus:
        """Say how the server is doing."""
        members = self._members
        home = members[self.home].supervisor.status()
        due = [one.retry_in for one in map(Member.status, members) if one.retry_in is not None]
        well = self.state == "ready"
        return replace(
            home,
            state=self.state,
            since=self._loop.time() - self._since,
            last_error=None if well else home.last_error,
            hint=None if well else home.hint,
            stderr="" if well else home.stderr,
            restarts=max(0, self._lives - 1),
            retry_in=min(due, default=None) if self.state in ("backoff", "failed") else None,
            waiting=waiting,
            members=tuple(one.status() for one in members),
        )

    def move(self, to: int) -> None:
        """Have another home: what belongs to one connection goes there, and stays there."""
        if to == self.home or not self._roles:
            return
        old, new = self._members[self.home], self._members[to]
        self._roles[self.home].set(home=False)
        self.home = to
        self._roles[to].set(home=True)
        self._compare(old.supervisor.lists, new.supervisor.lists)
        self._on_home()

    def _elect(self) -> None:
        """Have another home where this one is lost or cannot be reached, the nearest first."""
        old = self._members[self.home]
        if old.supervisor.state == "ready" or old.busy:
            return
        able = [at for at, one in enumerate(self._members) if one.rank in (0, 1) and not one.leased]
        if able:
            self.move(min(able, key=lambda at: (self._members[at].endpoint != old.endpoint, at)))

    def _compare(self, before: Lists, after: Lists) -> None:
        """Tell what is listed differently at the new home."""
        for kind in KINDS:
            old, new = before.get(kind), after.get(kind)
            if old is None or new is None:
                continue
            event = compare_lists(self._server, kind, old.items, new.items)
            if event is not None:
                self._events.put(event)

    def _count_idle(self, at: int) -> bool:
        """Whether this change of a member was its end because nobody used it."""
        before, self._idled[at] = self._idled[at], self._members[at].supervisor.idled
        return self._idled[at] > before

    def _settle(self, reason: str | None, *, was_idle: bool) -> None:
        states = [one.supervisor.state for one in self._members]
        before, self.state = self.state, min(states, key=_BEST_FIRST.index)
        if self.state == before:
            return
        self._since = self._loop.time()
        if self.state == "ready" and before not in _UP:
            self._lives += 1
        elif self.state == "stopped" and was_idle:
            self._lives -= 1
        self._events.put(
            ServerChanged(
                server=self._server,
                state=self.state,
                before=before,
                reason=None if self.state in ("ready", "connecting") else reason,
                restarts=max(0, self._lives - 1),
            )
        )
