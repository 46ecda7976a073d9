"""One long event stream over GET: opened, read, and opened again where it broke.

Sources: WHATWG HTML, "Server-sent events" (`Last-Event-ID`, `retry`); specification 2024-11-05,
basic/transports, "HTTP with SSE".
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import aiohttp
import msgspec

from trunkline.core.limits import Limits
from trunkline.errors import OutcomeUnknownError, RejectedError, UnavailableError
from trunkline.protocol.sse import Event, EventParser, EventTooLarge
from trunkline.transport.network import cannot_connect, describe
from trunkline.transport.pace import Pacing
from trunkline.transport.share import SLICE, cut_lines
from trunkline.transport.verdict import judge_status

_FIELDS = 1024
"""Bytes of an event that are not its message: the names of its fields, its type and its id."""


class Reopening(msgspec.Struct, frozen=True, kw_only=True):
    """How a stream that broke is opened again."""

    attempts: int = 5
    """Times in a row without a message before the stream is given up."""
    patience: float = 30.0
    """Seconds one attempt may take until the server has answered it."""
    shortest: float = 0.1
    longest: float = 30.0
    """Bounds, in seconds, of what a server may ask for by `retry`, and of the random part."""
    first: float = 0.5
    """The most the random part is at first, in seconds; it doubles with each attempt."""

    def wait(self, failures: int, retry_ms: int | None, draw: float) -> float:
        """Give the seconds to wait: what the server asked for, and a random part of a growing span.

        Args:
            failures: attempts in a row that brought nothing.
            draw: a number from 0 to 1, drawn anew each time, so that many clients do not come back at once.
        """
        asked = min(max((retry_ms or 0) / 1000, self.shortest), self.longest)
        return asked + draw * min(self.longest, self.first * 2.0 ** min(failures, 32))


class EventStream:
    """The stream behind one URL.

    Args:
        url: told to nobody but the server; errors name its host and port.
        draw: gives a number from 0 to 1, drawn anew each time.
    """

    def __init__(
        self,
        server: str,
        url: str,
        *,
        client: aiohttp.ClientSession,
        headers: Mapping[str, str],
        limits: Limits,
        reopening: Reopening,
        draw: Callable[[], float],
    ) -> None:
        self._server = server
        self._url = url
        self._client = client
        self._headers = {**headers, "Accept": "text/event-stream", "Cache-Control": "no-store"}
        self._limits = limits
        self._reopening = reopening
        self._draw = draw
        self._last_id: str | None = None
        self._retry_ms: int | None = None
        self._failures = 0

    async def open(self) -> aiohttp.ClientResponse:
        """Ask for the stream, from where it ended if it had numbered events.

        Raises:
            CallError: nobody listens there, or what answers is no event stream.
        """
        headers = self._headers
        if self._last_id is not None:
            headers = {**headers, "Last-Event-ID": self._last_id}
        try:
            response = await self._client.get(self._url, headers=headers, allow_redirects=False)
        except (aiohttp.ClientError, OSError) as cause:
            raise cannot_connect(self._server, self._url, cause) from cause
        if response.status != 200 or response.content_type != "text/event-stream":
            response.close()
            raise judge_status(self._server, response.status, response.headers)
        return response

    async def follow(
        self,
        response: aiohttp.ClientResponse,
        take: Callable[[Event], bool],
        rest: Callable[[Pacing], Awaitable[None]],
        pacing: Pacing,
    ) -> str:
        """Give every event to `take` until the stream has ended for good; return the reason.

        A stream whose events have no ids is not opened again: what it lost could not be sent again.

        Args:
            take: takes an event, and says whether others are to have a turn before the next.
            rest: returns when more may be taken.

        Raises:
            CallError: what `take` raises; or why the stream cannot be opened again.
        """
        while True:
            reason = await self._read(response, take, rest, pacing)
            if self._last_id is None:
                return reason
            response = await self._reopen(reason)

    async def _read(
        self,
        response: aiohttp.ClientResponse,
        take: Callable[[Event], bool],
        rest: Callable[[Pacing], Awaitable[None]],
        pacing: Pacing,
    ) -> str:
        limit = self._limits.frame_bytes
        parser = EventParser(limit + _FIELDS, skips=True)
        try:
            async for chunk in response.content.iter_any():
                for piece in (chunk,) if len(chunk) <= SLICE else cut_lines(chunk):
                    for event in pacing.parse(parser, piece):
                        self._note(event)
                        if take(event):
                            await rest(pacing)
                    if piece is not chunk or pacing.is_behind:
                        await pacing.turn()
                self._retry_ms = parser.retry_ms if parser.retry_ms is not None else self._retry_ms
        except EventTooLarge:
            return f"it sent an event of over {2 * limit:,} bytes"
        except (aiohttp.ClientError, OSError) as cause:
            return f"its event stream broke ({describe(cause)})"
        finally:
            response.close()
        return "its event stream ended"

    def _note(self, event: Event) -> None:
        if event.id is not None:
            self._last_id = event.id or None
        if event.event == "message":
            self._failures = 0

    async def _reopen(self, reason: str) -> aiohttp.ClientResponse:
        rules = self._reopening
        while self._failures < rules.attempts:
            await asyncio.sleep(rules.wait(self._failures, self._retry_ms, self._draw()))
            self._failures += 1
            try:
                async with asyncio.timeout(rules.patience):
                    return await self.open()
            except (UnavailableError, OutcomeUnknownError, RejectedError, TimeoutError):
                continue
        raise UnavailableError(
            f"{reason}, and opening it again brought nothing in {rules.attempts} attempts",
            server=self._server,
            hint="Check that the server runs; the next call connects to it anew.",
        )
