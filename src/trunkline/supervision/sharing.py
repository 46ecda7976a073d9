"""Gives the calls of one server, and those who hold a connection of it, a member each.

Nothing is ever sent twice: a call of which not one byte was sent may go to another member, and no other
call does. What is about a task goes to the member that made it.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence

from trunkline.core.call import Call, Flight
from trunkline.core.reply import Reply
from trunkline.core.timing import note_failure
from trunkline.errors import UnavailableError
from trunkline.protocol.tasks import created_task
from trunkline.supervision.admission import Admission
from trunkline.supervision.hold import Hold
from trunkline.supervision.member import Member
from trunkline.supervision.settings import ServerSettings

_TOOLS_CALL = "tools/call"
_MOST_TASKS = 4096
"""Tasks of which it is remembered which member made them; the oldest is forgotten."""


class Sharing:
    """The way of calls through a server with several connections.

    Args:
        home: gives the place of the member that is home.
        on_calm: told when a member may have nothing to do any more.
    """

    def __init__(
        self,
        settings: ServerSettings,
        members: Sequence[Member],
        admission: Admission,
        *,
        home: Callable[[], int],
        on_calm: Callable[[], None],
    ) -> None:
        self.settings = settings
        self._members = members
        self._admission = admission
        self._home = home
        self._on_calm = on_calm
        self._loop = asyncio.get_running_loop()
        self._tasks: OrderedDict[str, Member] = OrderedDict()

    async def call(self, call: Call) -> Reply:
        """Make one call, once, on a connection that is well; it waits for its turn where there is a limit.

        Raises:
            CallError: with a true `delivery`.
        """
        if _is_follow_up(call):
            return await self._send(self._maker(call), call)
        member = await self._admission.enter(call.flight, at_home=call.method != _TOOLS_CALL)
        try:
            while True:
                try:
                    return await self._send(member, call)
                except UnavailableError as error:
                    note_failure(call.flight, self._loop.time())
                    other = self._admission.spare(call.flight) if _is_unsent(error, call) else None
                    if other is None:
                        raise
                self._admission.move(call.flight, member, other)
                member = other
        finally:
            self._admission.leave(member)
            self._on_calm()

    async def hold(self, flight: Flight) -> Hold:
        """Keep a connection for one holder, who waits until one is free; the caller bounds the time.

        Raises:
            UnavailableError: it cannot be connected, or takes no more calls.
        """
        member = await self._admission.lease(flight)
        try:
            return await Hold.take(self, member, flight)
        except BaseException:
            self.free(member)
            raise

    async def enter(self, member: Member, call: Call) -> None:
        """See `hold.Owner`."""
        if not _is_follow_up(call):
            await self._admission.enter(call.flight, only=member)

    def leave(self, member: Member, call: Call) -> None:
        """See `hold.Owner`."""
        if not _is_follow_up(call):
            self._admission.leave(member)

    def free(self, member: Member) -> None:
        """See `hold.Owner`."""
        self._admission.free(member)
        self._on_calm()

    def note_reply(self, member: Member, call: Call, reply: Reply) -> None:
        """A call was answered; a task it became is at this connection."""
        member.supervisor.note_answer(call.flight)
        member.succeed(call.flight.sent)
        if call.method != _TOOLS_CALL:
            return
        task = created_task(reply.raw, reply.era, asked=call.augment)
        if task is not None and isinstance(number := task.get("taskId"), str):
            self._tasks[number] = member
            if len(self._tasks) > _MOST_TASKS:
                self._tasks.popitem(last=False)

    async def _send(self, member: Member, call: Call) -> Reply:
        supervisor = member.supervisor
        connection = supervisor.live or await supervisor.connect(call.flight)
        call.flight.attempts += 1
        call.flight.sent = sent = self._loop.time()
        call.flight.wrote = 0.0
        call.flight.replica = member.name
        try:
            reply = await connection.call(call)
        except BaseException as error:  # boundary: any end may tell something of the connection
            member.fail(sent, call, error)
            raise
        self.note_reply(member, call, reply)
        return reply

    def _maker(self, call: Call) -> Member:
        """Give the connection that a task is at, or home."""
        return self._tasks.get(call.name) or self._members[self._home()]


def _is_follow_up(call: Call) -> bool:
    """Whether it is about a call that was made already, so that it may not wait for others."""
    return call.one_way or call.method.startswith("tasks/")


def _is_unsent(error: UnavailableError, call: Call) -> bool:
    """Whether it is certain that not one byte of the call was sent."""
    return error.delivery == "never_sent" and call.flight.delivery == "never_sent"
