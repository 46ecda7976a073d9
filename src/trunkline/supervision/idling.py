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
        """Look again when the first connection can have idled for long enough; a busy one begins now."""
        if not self._active or self._timer is not None:
            return
        longest, now = self._pool.max_idle, self._loop.time()
        busy = now + max(0.0, 1.0 - longest)
        used = [one.used if self._is_idle(one) else busy for one in self._members if self._is_surplus(one)]
        if used:
            self._timer = self._loop.call_at(max(min(used) + longest, now + min(longest, 1.0)), self._sweep)

    def end(self) -> None:
        """Close nothing any more."""
        self._active = False
        if self._timer is not None:
            self._timer.cancel()

    def _sweep(self) -> None:
        self._timer = None
        latest = self._loop.time() - self._pool.max_idle + 0.001
        # The last go first, and home goes last.
        for one in reversed(self._members):
            if one.used <= latest and self._is_surplus(one) and self._is_idle(one):
                one.supervisor.release()
        self.plan()

    def _is_idle(self, one: Member) -> bool:
        """Whether nobody uses it, or waits for what it lists."""
        busy = one.leased or not one.quiet or one.supervisor.following.watched
        return not busy and not one.supervisor.lists.pending()

    def _is_surplus(self, one: Member) -> bool:
        if one.rank is None:
            return False
        connected = sum(other.endpoint == one.endpoint and other.rank is not None for other in self._members)
        is_home = one is self._members[self._home()]
        return connected > self._pool.min and not (is_home and connected > 1)
