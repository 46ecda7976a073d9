"""Requests that left in one message: each waits for an answer of its own, and may fail with the rest."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from trunkline.core.call import Flight
from trunkline.errors import ProtocolError
from trunkline.protocol.frames import Broken, Frame
from trunkline.transport.link import Request


class Member:
    """One request of a group."""

    __slots__ = ("future", "request")

    def __init__(self, request: Request) -> None:
        self.request = request
        self.future: asyncio.Future[Frame] = asyncio.get_running_loop().create_future()


class Group:
    """The members that still wait, by the id of their request."""

    def __init__(self, server: str, members: Iterable[Member]) -> None:
        self._server = server
        self._waiting = {member.request.id: member for member in members}

    @property
    def waits(self) -> bool:
        """Whether anybody still waits."""
        return bool(self._waiting)

    def settle(self, frame: Frame | Broken) -> bool:
        """Give an answer to whom it is for, if anybody waits for it; gives whether somebody did."""
        member = self._waiting.pop(frame.id, None) if type(frame.id) is int else None
        if member is None or member.future.done():
            return False
        if isinstance(frame, Broken):
            member.future.set_exception(_malformed(self._server, frame.reason))
        else:
            member.future.set_result(frame)
        return True

    def settle_all(self, frame: Frame) -> None:
        """The server answered the message as a whole, so each request in it."""
        for member in self._take_all():
            member.future.set_result(frame)

    def fail(self, error: Callable[[Flight], BaseException]) -> None:
        """Fail all that still wait, each with an error of its own."""
        for member in self._take_all():
            member.future.set_exception(error(member.request.flight))

    def drop(self, request: Request) -> None:
        """Somebody has stopped waiting."""
        self._waiting.pop(request.id, None)

    def find(self, request_id: object) -> Request | None:
        """Give the request of this id, if somebody waits for its answer."""
        member = self._waiting.get(request_id) if type(request_id) is int else None
        return None if member is None else member.request

    def _take_all(self) -> list[Member]:
        members = [member for member in self._waiting.values() if not member.future.done()]
        self._waiting.clear()
        return members


def _malformed(server: str, reason: str) -> ProtocolError:
    return ProtocolError(
        f"the answer cannot be read: {reason}",
        code="malformed_answer",
        server=server,
        delivery="unknown",
        hint="The tool may have run; report the malformed answer to the server's author.",
    )
