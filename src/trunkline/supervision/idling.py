"""Closes connections that nobody has used for a while and that need not be kept."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from trunkline.core.pool import PoolSettings
from trunkline.supervision.member import Member


class Idling:
    """One timer for all connections of one server; none where nothing would ever be closed.

    Args:
        home: gives the place of the member that is home; it goes last, and never while it is watched.
    """

    def __init__(self, members: Sequence[Member], pool: PoolSettings, home: Callable[[], int]) -> None:
        self._members = members
        self._pool = pool
        self._home = home
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._active = bool(pool.max_idle) and pool.most > pool.min

    def plan(self) -> None:
        """Look again when the first connection will have idled for long enough."""
        if not self._active or self._timer is not None:
            return
        idle = [one.used for one in self._members if self._may_close(one)]
        if idle:
            self._timer = self._loop.call_at(min(idle) + self._pool.max_idle, self._sweep)

    def end(self) -> None:
        """Close nothing any more."""
        self._active = False
        if self._timer is not None:
            self._timer.cancel()

    def _sweep(self) -> None:
        self._timer = None
        home, now = self._members[self._home()], self._loop.time()
        for endpoint in {one.endpoint for one in self._members}:
            open_ones = [one for one in self._members if one.endpoint == endpoint and one.rank is not None]
            surplus = len(open_ones) - self._pool.min
            # The last go first, and home goes last.
            for one in sorted(open_ones, key=lambda one: (one is home, -int(one.name))):
                due = now >= one.used + self._pool.max_idle - 0.001
                if surplus > 0 and due and self._may_close(one):
                    one.supervisor.release()
                    surplus -= 1
        self.plan()

    def _may_close(self, one: Member) -> bool:
        supervisor = one.supervisor
        if one.rank is None or one.leased or not one.quiet or supervisor.lists.pending():
            return False
        if supervisor.following.watched:
            return False
        kept = sum(other.endpoint == one.endpoint and other.rank is not None for other in self._members)
        return kept > self._pool.min
