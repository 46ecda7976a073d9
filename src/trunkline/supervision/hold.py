"""An exclusive hold of one connection: its calls go there and nowhere else, and nobody else's do."""

from __future__ import annotations

import asyncio
from typing import Protocol

from trunkline.connection.connection import Connection
from trunkline.connection.leased import lost_lease
from trunkline.core.call import Call, Flight
from trunkline.core.reply import Reply
from trunkline.errors import LeaseLostError, OutcomeUnknownError, UnavailableError
from trunkline.supervision.failure import describe
from trunkline.supervision.member import Member
from trunkline.supervision.settings import ServerSettings

_LOOK_AGAIN = 0.01
"""Seconds between two looks at whether calls that began before have ended."""


class Owner(Protocol):
    """What a hold asks of its pool."""

    settings: ServerSettings

    async def enter(self, member: Member, call: Call) -> None:
        """Wait for the call's turn."""
        ...

    def leave(self, member: Member, call: Call) -> None:
        """The call has ended."""
        ...

    def note_reply(self, member: Member, call: Call, reply: Reply) -> None:
        """The call was answered."""
        ...

    def free(self, member: Member) -> None:
        """The member is for everybody again."""
        ...


class Hold:
    """One connection kept for one holder, until `end`."""

    def __init__(self, owner: Owner, member: Member, connection: Connection) -> None:
        self._owner = owner
        self._member = member
        self._connection = connection
        self._session = connection.sessions
        self._ended = False
        self._calls = 0
        self._told = "its connection was closed"

    @classmethod
    async def take(cls, owner: Owner, member: Member, flight: Flight) -> Hold:
        """Wait until calls that began before have ended, then connect if need be.

        Raises:
            UnavailableError: it cannot be connected.
        """
        supervisor = member.supervisor
        flight.phase = "waiting for calls in flight to end"
        # Calls are only counted, which costs nothing, so there is no event to wait for.
        while not member.quiet:  # noqa: ASYNC110
            await asyncio.sleep(_LOOK_AGAIN)
        return cls(owner, member, supervisor.live or await supervisor.connect(flight))

    @property
    def lost(self) -> bool:
        """Whether the connection, or its session, is known to be gone."""
        connection = self._connection
        return (
            connection.link.lost
            or self._member.supervisor.live is not connection
            or connection.sessions != self._session
        )

    async def call(self, call: Call) -> Reply:
        """Make one call on the connection that is held.

        Raises:
            LeaseLostError: it is gone, or the hold has ended.
            CallError: with a true `delivery`.
        """
        self._check()
        await self._owner.enter(self._member, call)
        self._calls += 1
        try:
            self._check()
            call.flight.session = self._session
            call.flight.attempts += 1
            call.flight.sent, call.flight.wrote = asyncio.get_running_loop().time(), 0.0
            reply = await self._send(call)
        finally:
            self._calls -= 1
            self._owner.leave(self._member, call)
            if self._ended:
                self._free()
        self._owner.note_reply(self._member, call, reply)
        return reply

    def end(self) -> None:
        """Let others have the connection, as soon as the calls of this hold have ended."""
        if not self._ended:
            self._ended = True
            self._free()

    def _free(self) -> None:
        if not self._calls:
            self._owner.free(self._member)

    async def _send(self, call: Call) -> Reply:
        try:
            return await self._connection.call(call)
        except LeaseLostError:
            raise
        except (UnavailableError, OutcomeUnknownError) as error:
            self._member.set_aside()
            if self.lost:
                self._told = error.message
            if isinstance(error, UnavailableError) and self.lost:
                raise self._error(error.delivery == "refused", error.message) from error
            raise

    def _check(self) -> None:
        if self._ended:
            raise LeaseLostError(
                "the lease has ended",
                code="lease_ended",
                server=self._owner.settings.name,
                hint="Make calls inside `async with trunk.lease(...)`.",
            )
        if self.lost:
            raise self._error(False, self._reason())

    def _reason(self) -> str:
        if self._connection.sessions != self._session:
            return "the server forgot its session"
        failure = self._member.supervisor.failure
        return self._told if failure is None else describe(failure)

    def _error(self, refused: bool, reason: str) -> LeaseLostError:
        return lost_lease(self._owner.settings.name, "refused" if refused else "never_sent", reason=reason)
