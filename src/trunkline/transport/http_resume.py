"""Event streams of legacy Streamable HTTP that outlive their connection: resumed, or listened to.

Source: specification 2025-11-25, basic/transports, "Resumability and Redelivery" and "Listening for
Messages from the Server". Revision 2026-07-28 has neither.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import aiohttp

from trunkline.protocol.sse import EventParser, EventTooLarge
from trunkline.transport.http_answer import CutStreamError, cut_off
from trunkline.transport.pace import Pacing
from trunkline.transport.share import cut_lines

Get = Callable[[str | None], Awaitable[aiohttp.ClientResponse]]
"""Opens the stream anew, after the event of this id."""
Answer = TypeVar("Answer")

_ATTEMPTS = 5
"""Times in a row a response stream is taken up again without anything new."""
_LATER = (408, 425, 429, 500, 502, 503, 504)
"""HTTP statuses that say nothing of whether there is such a stream."""
_FIRST_WAIT = 1.0
_LONGEST_WAIT = 30.0
_FIELDS = 1024
"""Bytes of an event that are not its message: the names of its fields, its type and its id."""


class Waits:
    """Seconds between attempts: what the server asked for, then random parts of a growing time.

    Args:
        jitter: gives a number from 0 to 1, drawn anew each time.
    """

    def __init__(self, jitter: Callable[[], float]) -> None:
        self._jitter = jitter
        self._longest = _FIRST_WAIT
        self.taken = 0
        """How many attempts were waited for in a row."""

    def reset(self) -> None:
        """The last attempt was of use."""
        self._longest, self.taken = _FIRST_WAIT, 0

    def next(self, retry_ms: int | None) -> float:
        """Give the next wait; never less than the server asked for, within a bound."""
        asked = min((retry_ms or 0) / 1000, _LONGEST_WAIT)
        self.taken += 1
        if retry_ms is not None and self.taken == 1:
            return asked
        longest, self._longest = self._longest, min(self._longest * 2, _LONGEST_WAIT)
        return max(longest * self._jitter(), asked)


async def take_up(
    cut: CutStreamError,
    get: Get,
    read: Callable[[aiohttp.ClientResponse], Awaitable[Answer]],
    server: str,
    waits: Waits,
    pause: Callable[[float], Awaitable[None]],
) -> tuple[aiohttp.ClientResponse, Answer]:
    """Take a response stream up where it ended, until it holds the answer.

    The caller's deadline is the bound in time.

    Args:
        pause: waits so many seconds; raises CallError when there is nothing to wait for any more.

    Raises:
        OutcomeUnknownError: the server has no such stream any more, or gave nothing new several times.
    """
    while waits.taken < _ATTEMPTS:
        await pause(waits.next(cut.retry_ms))
        try:
            response = await get(cut.last_id)
        except (aiohttp.ClientError, OSError):
            continue
        try:
            if not _is_event_stream(response):
                break
            return response, await read(response)
        except CutStreamError as again:
            if again.last_id != cut.last_id:
                waits.reset()
            cut = again
        except (aiohttp.ClientError, OSError):
            continue
        finally:
            if not response.content.is_eof():
                response.close()
    raise cut_off(server, cut.reason)


async def listen(
    get: Get,
    take: Callable[[bytes], Awaitable[None]],
    miss: Callable[[], None],
    max_bytes: int,
    waits: Waits,
    pacing: Pacing,
) -> None:
    """Take messages for as long as the server has a stream for them; returns when it has none.

    One that has a stream and cannot open it just now is asked again for ever; one that never had, some times.

    Args:
        miss: told when a stream begins that does not go on where another ended.
    """
    last_id: str | None = None
    retry_ms: int | None = None
    heard = False
    while True:
        parser = EventParser(max_bytes + _FIELDS, skips=True)
        try:
            response = await get(last_id)
            try:
                if _is_event_stream(response):
                    heard = True
                    if last_id is None:
                        miss()
                    async for chunk in response.content.iter_any():
                        await _hear(parser, chunk, waits, take, pacing)
                elif response.status not in _LATER or not (heard or waits.taken < _ATTEMPTS):
                    return
            finally:
                response.close()
        except (aiohttp.ClientError, OSError, EventTooLarge):
            pass  # it is opened again below, as after an end in good order
        last_id = parser.last_id or last_id
        retry_ms = retry_ms if parser.retry_ms is None else parser.retry_ms
        await asyncio.sleep(waits.next(retry_ms))


async def _hear(
    parser: EventParser,
    chunk: bytes,
    waits: Waits,
    take: Callable[[bytes], Awaitable[None]],
    pacing: Pacing,
) -> None:
    """Take the events of a piece of a stream, with turns for others between them."""
    for piece in cut_lines(chunk):
        for event in pacing.parse(parser, piece):
            waits.reset()
            await take(event.data)
        if piece is not chunk or pacing.is_behind:
            await pacing.turn()


def _is_event_stream(response: aiohttp.ClientResponse) -> bool:
    return response.status == 200 and response.content_type == "text/event-stream"
