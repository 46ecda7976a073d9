"""A shared stream whose messages leave by requests of their own, each with its own fate."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from trunkline.core.call import Flight
from trunkline.core.limits import Limits
from trunkline.errors import CallError
from trunkline.protocol.frames import Frame
from trunkline.transport.link import Request
from trunkline.transport.stream import StreamCore

SESSION_LOST = "session_lost"
"""Code of the error of a post that found its stream forgotten; nothing more can be sent then."""


class PostingCore(StreamCore):
    """The rules of a shared stream, where a message that cannot be posted fails its own exchange.

    An answer may come before its post is over, so a task posts and the caller waits for the answer.

    Args:
        post: sends one message; keeps `flight.delivery` and raises CallError if it was not taken, with the
            code `SESSION_LOST` where no other one will be.
    """

    def __init__(self, server: str, limits: Limits, post: Callable[[bytes, Flight], Awaitable[None]]) -> None:
        super().__init__(server, limits, lambda _: None)
        self._post = post
        self._posting: dict[asyncio.Task[None], Flight] = {}

    async def request(self, request: Request) -> Frame:
        """Post one request and wait for its response on the stream."""
        try:
            return await super().request(request)
        except CallError:
            self._exchanges.forget(request.id)
            raise

    async def finish_posting(self, seconds: float) -> None:
        """Let what is being posted end, for so long; then cancel it."""
        if self._posting:
            _, late = await asyncio.wait(set(self._posting), timeout=seconds)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late)

    def _send(self, body: bytes, flight: Flight | None) -> None:
        carried = flight or Flight(self._loop.time())
        task = self._loop.create_task(self._carry(body, carried))
        self._posting[task] = carried
        task.add_done_callback(self._posting.pop)

    async def _carry(self, body: bytes, flight: Flight) -> None:
        try:
            await self._post(body, flight)
        except CallError as error:
            self._fail(flight, error)
            if error.code == SESSION_LOST:
                self.lose(error.message)

    def _fail(self, flight: Flight, error: CallError) -> None:
        for exchange in self._exchanges:
            if exchange.flight is flight:
                exchange.fail(error)

    def _abandon(self, request: Request) -> None:
        for task, flight in tuple(self._posting.items()):
            if flight is request.flight and flight.delivery == "never_sent":
                task.cancel()
        super()._abandon(request)
