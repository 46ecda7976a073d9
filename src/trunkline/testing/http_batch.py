"""The response to one POST that holds several requests (2025-03-26): an array, or an event stream."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any

from trunkline.testing.effects import Effect, End, Ending, Pause, Write
from trunkline.testing.exchange import Exchange
from trunkline.testing.faults import Fault
from trunkline.testing.framing import encode, encode_reply
from trunkline.testing.http_message import LAST_CHUNK, render_chunk, render_event, render_response
from trunkline.testing.http_reply import HttpReply
from trunkline.testing.memory import play

Writer = Callable[[Write], Awaitable[None]]


class HttpBatch:
    """Plays the requests of one POST side by side.

    Args:
        json: give one JSON array when all have ended; else each response is an event as soon as it is there.
    """

    def __init__(self, *, json: bool) -> None:
        self.exchanges: list[Exchange] = []
        self._json = json
        self._replies: list[bytes] = []
        self._stream = HttpReply(json=False, modern=False)

    def carrier(self) -> Part:
        """Give what carries one of the requests."""
        return Part(self)

    async def play(self, write: Writer) -> Ending | None:
        """Play all to their end; give how the connection has to end, or None."""
        tasks = [asyncio.create_task(self._play_one(exchange, write)) for exchange in self.exchanges]
        endings: list[Ending | None] = []
        try:
            for task in tasks:
                endings.append(await task)
        finally:
            for task in tasks:
                task.cancel()
        for ending in endings:
            if ending is not None:
                return ending
        body = b"[" + b",".join(self._replies) + b"]"
        json = render_response(200, {"Content-Type": "application/json"}, body)
        await write(Write(json if self._json else self._stream.open_stream() + LAST_CHUNK))
        return None

    async def _play_one(self, exchange: Exchange, write: Writer) -> Ending | None:
        try:
            return await play(exchange, write)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if not exchange.stopped or task is None:
                raise
            task.uncancel()
        return None

    def take(self, body: bytes) -> bytes:
        """Take one response; give what of it can be written now."""
        if self._json:
            self._replies.append(body)
            return b""
        return self._stream.open_stream() + render_chunk(render_event(body))

    def note(self, message: Mapping[str, Any]) -> bytes:
        """Give the bytes of a notification, which a JSON array has no place for."""
        return b"" if self._json else self._stream.note(message)


class Part:
    """Carries one request of a batch; a `Carrier`."""

    def __init__(self, batch: HttpBatch) -> None:
        self._batch = batch

    def note(self, message: Mapping[str, Any]) -> bytes:
        """Give the bytes of a notification."""
        return self._batch.note(message)

    def reply(self, message: Mapping[str, Any], fault: Fault | None) -> Iterator[Effect]:
        """Give the effects that answer the request, or fail to."""
        match fault.kind if fault else None:
            case "crash" | "kill" | "close" | "reset" as how:
                yield End(how)
            case "hang":
                yield Pause(None)
            case "wrong_id":
                yield Write(self._batch.take(encode({**message, "id": "nobody"})))
            case _:
                yield Write(self._batch.take(encode_reply(message, fault)))
