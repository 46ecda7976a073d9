"""Who gets which connection of one server, and when: at once where one is free, else in order."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence

from trunkline.core.call import Flight
from trunkline.core.health import Health
from trunkline.errors import CallError, UnavailableError
from trunkline.supervision.choosing import Choice, choose, choose_lease, follow
from trunkline.supervision.member import Member
from trunkline.supervision.waiting import Waiter, Waiting


class Admission:
    """Gives out the members of one server.

    Args:
        home: gives the place of the member that is home.
        limit: calls that may run at a time; 0 for any number.
        on_away: told of the place of a member at another endpoint than home's that a call goes to although
            the server keeps state, because home is not well.
    """

    def __init__(
        self,
        members: Sequence[Member],
        home: Callable[[], int],
        limit: int,
        on_away: Callable[[int], None],
    ) -> None:
        self.running = 0
        """Calls that count against the limit."""
        self._members = members
        self._home = home
        self._limit = limit
        self._on_away = on_away
        self._line = Waiting(self._return)
        self._loop = asyncio.get_running_loop()
        self._turn = 0
        self._serving = False
        self._ended: Callable[[], UnavailableError] | None = None
        self._accepted_until = -math.inf

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._line)

    @property
    def stateless(self) -> bool:
        """Whether every request stands alone at this server, as far as that is known."""
        return self._members[self._home()].stateless

    async def enter(self, flight: Flight, *, at_home: bool = False, only: Member | None = None) -> Member:
        """Give a call a connection; `leave` gives it back.

        Raises:
            UnavailableError: the server takes no more calls.
        """
        return await self._admit(Waiter(flight, at_home=at_home, only=only))

    async def lease(self, flight: Flight) -> Member:
        """Give a connection to one who wants it alone; it may have calls that must end. See `free`.

        Raises:
            UnavailableError: the server takes no more calls.
        """
        return await self._admit(Waiter(flight, leases=True))

    def leave(self, member: Member) -> None:
        """A call has ended."""
        self.running -= 1
        member.load -= 1
        member.used = self._loop.time()
        if self._line:
            self._serve()

    def free(self, member: Member) -> None:
        """A member is no longer leased."""
        member.leased = False
        member.used = self._loop.time()
        self._serve()

    def spare(self, flight: Flight) -> Member | None:
        """Give another member that is well, for a call of which nothing was sent, or None."""
        members = self._members
        able = members if flight.plan is None else [members[at] for at in flight.plan(self._health())]
        well = [one for one in able if one.rank == 0 and not one.leased and one.name not in flight.tried]
        if flight.plan is not None:
            return well[0] if well else None
        return min(well, key=lambda one: one.load / one.weight, default=None)

    def move(self, flight: Flight, member: Member, other: Member) -> None:
        """A call goes to another member."""
        if flight.plan is None:
            self._follow(other)
        member.load -= 1
        other.take()

    def serve_soon(self) -> None:
        """Something has changed: look, in the next turn of the loop, who can be served."""
        if self._line and not self._serving:
            self._serving = True
            self._loop.call_soon(self._serve)

    def end(self, error: Callable[[], UnavailableError]) -> None:
        """Take no more calls; who waits is told."""
        self._ended, self._accepted_until = error, -math.inf
        self._line.fail(error)

    def send_away(self, error: Callable[[], UnavailableError]) -> None:
        """Take no more calls; who waits is told, but for who holds a connection already."""
        self._ended = error
        self._line.fail(error, but=lambda waiter: waiter.only is not None)

    def close(self, error: Callable[[], UnavailableError]) -> None:
        """Take no more calls; who has asked by now is served still."""
        self._ended = error
        self._accepted_until = self._loop.time()

    async def _admit(self, waiter: Waiter) -> Member:
        if self._ended is not None and waiter.only is None and waiter.flight.started > self._accepted_until:
            raise self._ended()
        if not self._line and (member := self._take(waiter, 1)) is not None:
            return member
        if self._line:
            self.serve_soon()
        return await self._line.wait(waiter)

    def _serve(self) -> None:
        self._serving = False
        place = 1
        for waiter in self._line:
            if waiter.future.done():
                continue  # its caller gave up in this very turn of the loop
            try:
                member = self._take(waiter, place)
            except CallError as error:
                self._line.refuse(waiter, error)
                continue
            if member is None:
                place += 1
            else:
                self._line.serve(waiter, member)

    def _health(self) -> list[Health]:
        return [one.health() for one in self._members]

    def _take(self, waiter: Waiter, place: int) -> Member | None:
        """Give one who is at this place in the line what it wants, if that can be had now."""
        waiter.for_connection = False
        if not waiter.leases and 0 < self._limit <= self.running:
            waiter.flight.phase = (
                f"waiting for its turn: {self.running} running, as many as max_concurrency allows"
            )
            return None
        member = waiter.only or self._choose(waiter, place)
        if member is None:
            return None
        if waiter.leases:
            member.leased = True
        else:
            self.running += 1
            member.take()
        return member

    def _choose(self, waiter: Waiter, place: int) -> Member | None:
        members, home = self._members, self._home()
        choice: Choice
        flight = waiter.flight
        if waiter.leases:
            choice = choose_lease(members, home=home, waiting=place)
        elif flight.plan is not None and not waiter.at_home:
            choice = follow(members, flight.plan(self._health()), avoid=self._places(flight))
        else:
            self._turn += 1
            choice = choose(
                members,
                home=home,
                stateless=self.stateless,
                at_home=waiter.at_home,
                waiting=place,
                turn=self._turn,
                avoid=self._places(flight),
            )
        for at in choice.start:
            members[at].supervisor.start()
        if choice.member is not None:
            if not waiter.leases and flight.plan is None:
                self._follow(members[choice.member])
            return members[choice.member]
        leased = sum(one.leased for one in members)
        what = f"{leased} of {len(members)} leased" if leased else "one is being opened"
        waiter.for_connection = not leased
        flight.phase = f"waiting for a connection: {what}"
        return None

    def _places(self, flight: Flight) -> tuple[int, ...]:
        """Give where attempts of this call failed."""
        if not flight.tried:
            return ()
        return tuple(at for at, one in enumerate(self._members) if one.name in flight.tried)

    def _follow(self, member: Member) -> None:
        """Have home go with the calls, where they stay at one endpoint."""
        home = self._members[self._home()]
        if member.endpoint != home.endpoint and not member.stateless and member.rank is not None:
            self._on_away(self._members.index(member))

    def _return(self, waiter: Waiter, member: Member) -> None:
        if waiter.leases:
            self.free(member)
        else:
            self.leave(member)
