"""Those who wait for a connection or for their turn, in order; each within its own deadline.

Pure but for the futures the waiters await: who is served, and with what, is decided by the pool.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from trunkline.core.call import Flight
from trunkline.supervision.member import Member


class Waiter:
    """One who waits.

    Args:
        flight: whose phase says what is waited for.
        at_home: it is of what belongs to one connection only.
        leases: it wants a connection for itself.
        only: the one connection it is for, which it has already.
    """

    def __init__(
        self, flight: Flight, *, at_home: bool = False, leases: bool = False, only: Member | None = None
    ) -> None:
        self.flight = flight
        self.at_home = at_home
        self.leases = leases
        self.only = only
        self.for_connection = False
        """Whether one is being opened for it, as far as was seen last; else it waits for its turn."""
        self.future: asyncio.Future[Member] = asyncio.get_running_loop().create_future()


class Waiting:
    """The line in front of one server."""

    def __init__(self, give_back: Callable[[Waiter, Member], None]) -> None:
        self._line: deque[Waiter] = deque()
        self._give_back = give_back

    def __len__(self) -> int:
        return len(self._line)

    def __iter__(self) -> Iterator[Waiter]:
        return iter(tuple(self._line))

    async def wait(self, waiter: Waiter) -> Member:
        """Wait to be served; who is cancelled at that very moment gives back what it got."""
        self._line.append(waiter)
        flight = waiter.flight
        flight.connecting = True
        begun = asyncio.get_running_loop().time()
        try:
            return await waiter.future
        except asyncio.CancelledError:
            if waiter.future.done() and not waiter.future.cancelled() and waiter.future.exception() is None:
                self._give_back(waiter, waiter.future.result())
            raise
        finally:
            flight.connecting = False
            flight.activity = now = asyncio.get_running_loop().time()
            if waiter.for_connection:
                flight.connected += now - begun
            else:
                flight.queued += now - begun
            self._leave(waiter)

    def serve(self, waiter: Waiter, member: Member) -> None:
        """Give one who waits its connection."""
        self._leave(waiter)
        waiter.future.set_result(member)

    def refuse(self, waiter: Waiter, error: Exception) -> None:
        """Tell one who waits why it cannot be served."""
        self._leave(waiter)
        waiter.future.set_exception(error)

    def fail(self, error: Callable[[], Any], but: Callable[[Waiter], bool] = lambda _: False) -> None:
        """Tell all who wait, but for these, that there is nothing to wait for."""
        for waiter in self:
            if but(waiter):
                continue
            self._leave(waiter)
            if not waiter.future.done():
                waiter.future.set_exception(error())

    def _leave(self, waiter: Waiter) -> None:
        if waiter in self._line:
            self._line.remove(waiter)
