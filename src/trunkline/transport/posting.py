"""A shared stream whose messages leave by requests of their own, each with its own fate."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from trunkline.core.call import Flight
from trunkline.core.limits import Limits
from trunkline.errors import CallError, OutcomeUnknownError, UnavailableError
from trunkline.protocol.frames import Frame
from trunkline.transport.link import Request
from trunkline.transport.stream import StreamCore

Work = Coroutine[Any, Any, None]
SESSION_LOST = "session_lost"
"""Code of the error of a post that found its stream forgotten; nothing more can be sent then."""
_TAKING = 30.0
"""Seconds a server may take to accept a message that has no answer."""
_LINGERING = 5.0
"""Seconds a server may take to accept a message when nobody waits for what becomes of it."""
_OVERTAKING = 0.5
"""Seconds a cancellation waits for the post of its request, which it must not overtake."""


class PostingCore(StreamCore):
    """The rules of a shared stream, where a message that cannot be posted fails its own exchange.

    An answer may come before its post is over, so a task posts and the caller waits for the answer.

    Args:
        post: sends one message; keeps `flight.delivery` and raises CallError if it was not taken, with the
            code `SESSION_LOST` where no other one will be.
    """

    def __init__(self, server: str, limits: Limits, post: Callable[[bytes, Flight], Work]) -> None:
        super().__init__(server, limits, lambda _: None)
        self._post = post
        self._posting: dict[asyncio.Task[None], Flight | None] = {}

    async def request(self, request: Request) -> Frame:
        """Post one request and wait for its response on the stream."""
        try:
            return await super().request(request)
        except CallError:
            self._exchanges.forget(request.id)
            raise
        finally:
            if (post := self._post_of(request)) is not None:
                self._limit(post)

    async def deliver(self, body: bytes) -> None:
        """Post a message that has no answer; return when the server has taken it, so that none overtakes it.

        Raises:
            CallError: it was not taken.
        """
        if self.lost:
            return
        task = self._own(self._post(body, Flight(self._loop.time())))
        await asyncio.wait({task}, timeout=_TAKING)
        if not task.done():
            task.cancel()
            raise OutcomeUnknownError(
                f"the server has not taken a message within {_TAKING:g} s", server=self._server
            )
        if task.cancelled():
            raise UnavailableError("the link is closed", server=self._server, delivery="unknown")
        if (error := task.exception()) is not None:
            self._judge(error)
            raise error

    async def finish_posting(self, seconds: float) -> None:
        """Let what is being posted end, for so long; then cancel it."""
        if self._posting:
            _, late = await asyncio.wait(set(self._posting), timeout=seconds)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late)

    def _own(self, work: Work, flight: Flight | None = None) -> asyncio.Task[None]:
        task = self._loop.create_task(work)
        self._posting[task] = flight
        task.add_done_callback(self._posting.pop)
        return task

    def _limit(self, post: asyncio.Task[None]) -> None:
        """End a post that nobody waits for any more, should the server not answer it soon."""
        timer = self._loop.call_later(_LINGERING, post.cancel)
        post.add_done_callback(lambda _: timer.cancel())

    def _post_of(self, request: Request) -> asyncio.Task[None] | None:
        return next((task for task, flight in self._posting.items() if flight is request.flight), None)

    def _send(self, body: bytes, flight: Flight | None) -> None:
        post = self._own(self._carry(body, flight or Flight(self._loop.time())), flight)
        if flight is None:
            self._limit(post)

    async def _carry(self, body: bytes, flight: Flight) -> None:
        try:
            await self._post(body, flight)
        except CallError as error:
            self._fail(flight, error)
            self._judge(error)

    def _judge(self, error: BaseException) -> None:
        if isinstance(error, CallError) and error.code == SESSION_LOST:
            self.lose(error.message)

    def _fail(self, flight: Flight, error: CallError) -> None:
        for exchange in self._exchanges:
            if exchange.flight is flight:
                exchange.fail(error)

    def _abandon(self, request: Request) -> None:
        self._exchanges.forget(request.id)
        if (post := self._post_of(request)) is None:
            super()._abandon(request)
        else:
            self._own(self._take_back(post, request))

    async def _take_back(self, post: asyncio.Task[None], request: Request) -> None:
        """Cancel a request that is being posted: its post if nothing has left, else at the server."""
        if request.flight.delivery == "never_sent":
            post.cancel()
        await asyncio.wait({post}, timeout=_OVERTAKING)
        super()._abandon(request)
