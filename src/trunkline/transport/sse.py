"""sse: the HTTP+SSE transport of 2024-11-05. Messages are posted; answers come on one event stream.

Source: specification 2024-11-05, basic/transports, "HTTP with SSE".
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from urllib.parse import urljoin, urlsplit

import aiohttp
import msgspec

from trunkline._version import __version__
from trunkline.core.call import Flight
from trunkline.core.limits import Limits
from trunkline.errors import CallError, ProtocolError, UnavailableError
from trunkline.protocol.eras import Era
from trunkline.protocol.lines import Oversized
from trunkline.protocol.sse import Event, EventParser, EventTooLarge
from trunkline.transport.http_client import TrackedBody, make_client
from trunkline.transport.link import Inbox
from trunkline.transport.network import cannot_connect, describe, lost_connection
from trunkline.transport.posting import SESSION_LOST, PostingCore
from trunkline.transport.verdict import judge_status

_FIELDS = 1024
"""Bytes of an event that are not its message: the names of its fields, its type and its id."""
_ATTEMPTS = 5
"""Times in a row a broken stream is opened again before the link is lost."""
_FIRST_WAIT = 1.0
_LONGEST_WAIT = 30.0
"""Seconds; a server's `retry` counts within them, and each wait is a random part of what it may be."""
_FAREWELL = 2.0
_EDGE = 2048


class SseTransport(msgspec.Struct, frozen=True, kw_only=True):
    """How to reach one server over HTTP+SSE."""

    server: str
    url: str
    headers: Mapping[str, str] = {}
    limits: Limits = Limits()
    client: Callable[[], aiohttp.ClientSession] = make_client
    jitter: Callable[[], float] = lambda: 0.5
    """Gives a number from 0 to 1, drawn anew each time."""
    heard: Callable[[bytes], None] | None = None
    """Told of every message that arrives."""

    async def open(self) -> SseLink:
        """Open the stream and wait for its `endpoint` event; nothing is sent before it.

        Raises:
            CallError: nobody listens there, it is no event stream, or the endpoint is of another origin.
        """
        link = SseLink(self)
        try:
            await link.begin()
        except BaseException:
            await link.close()
            raise
        return link


class SseLink:
    """One event stream and the endpoint that belongs to it."""

    kind = "sse"

    def __init__(self, settings: SseTransport) -> None:
        self._settings = settings
        self._loop = asyncio.get_running_loop()
        self._client = settings.client()
        self._core = PostingCore(settings.server, settings.limits, self._post)
        self._headers = {"User-Agent": f"trunkline/{__version__}", **settings.headers}
        self._post_headers = {**self._headers, "Content-Type": "application/json"}
        self._endpoint: asyncio.Future[str] = self._loop.create_future()
        self._last_id: str | None = None
        self._retry_ms: int | None = None
        self._reader: asyncio.Task[None] | None = None
        self._closing: asyncio.Task[None] | None = None
        self.next_id = self._core.next_id
        self.request = self._core.request
        self.wait_closed = self._core.wait_lost

    @property
    def lost(self) -> bool:
        """Whether the stream has ended for good."""
        return self._core.lost

    @property
    def unsolicited(self) -> Inbox:
        """What the server sends outside exchanges."""
        return self._core.inbox

    def adopt(self, era: Era) -> None:
        """Follow this era's rules; servers of later revisions that kept this transport want its header."""
        self._core.adopt(era)
        version = {"MCP-Protocol-Version": era.revision} if era.version_header else {}
        self._post_headers = {**self._headers, **version, "Content-Type": "application/json"}

    def stderr_tail(self) -> str:
        """A remote server's standard error is not ours to see."""
        return ""

    async def begin(self) -> None:
        """Open the stream, and return once the server has named its endpoint."""
        response = await self._open_stream()
        self._reader = self._loop.create_task(self._read_all(response))
        await asyncio.shield(self._endpoint)

    def listen(self) -> None:
        """Everything comes on the one stream."""

    async def notify(self, body: bytes) -> None:
        """Send a message that has no answer."""
        self._core.notify(body)

    async def close(self) -> None:
        """End the stream and what is being posted; bounded, callable from any task."""
        if self._closing is None:
            self._core.lose("it was closed")
            self._closing = asyncio.ensure_future(self._end())
        await asyncio.shield(self._closing)

    async def _end(self) -> None:
        await self._core.finish_posting(_FAREWELL)
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.wait({self._reader})
        if self._endpoint.done() and not self._endpoint.cancelled():
            self._endpoint.exception()
        await self._client.close()

    async def _post(self, body: bytes, flight: Flight) -> None:
        """Post one message.

        Raises:
            CallError: the server did not take it.
        """
        server = self._settings.server
        url = self._endpoint.result()
        try:
            response = await self._client.post(
                url, data=TrackedBody(body, flight), headers=self._post_headers, allow_redirects=False
            )
        except (aiohttp.ClientError, OSError) as cause:
            if flight.delivery == "never_sent":
                raise cannot_connect(server, url, cause) from cause
            raise lost_connection(server, cause) from cause
        response.release()
        if response.status in (404, 410):
            raise UnavailableError(
                f"the server no longer knows our stream (HTTP {response.status})",
                code=SESSION_LOST,
                server=server,
                status=response.status,
                delivery="refused",
                retryable=True,
            )
        if response.status >= 300:
            raise judge_status(server, response.status, response.headers)

    async def _open_stream(self) -> aiohttp.ClientResponse:
        settings = self._settings
        headers = {**self._headers, "Accept": "text/event-stream", "Cache-Control": "no-store"}
        if self._last_id is not None:
            headers["Last-Event-ID"] = self._last_id
        try:
            response = await self._client.get(settings.url, headers=headers, allow_redirects=False)
        except (aiohttp.ClientError, OSError) as cause:
            raise cannot_connect(settings.server, settings.url, cause) from cause
        if response.status != 200 or response.content_type != "text/event-stream":
            response.close()
            raise judge_status(settings.server, response.status, response.headers)
        return response

    async def _read_all(self, response: aiohttp.ClientResponse) -> None:
        reason = "its reading was stopped"
        try:
            while True:
                reason = await self._read(response)
                if self._last_id is None:
                    return  # what was missed could not be sent again
                response = await self._reopen(reason)
        except CallError as cause:
            reason = cause.message
            if not self._endpoint.done():
                self._endpoint.set_exception(cause)
        finally:
            self._core.lose(reason)
            if not self._endpoint.done():
                self._endpoint.set_exception(self._no_endpoint(reason))

    async def _read(self, response: aiohttp.ClientResponse) -> str:
        """Take events until the stream ends; give the reason."""
        parser = EventParser(self._settings.limits.frame_bytes + _FIELDS, skips=True)
        try:
            async for chunk in response.content.iter_any():
                for event in parser.feed(chunk):
                    self._take(event)
                self._retry_ms = parser.retry_ms if parser.retry_ms is not None else self._retry_ms
        except EventTooLarge:
            return f"it sent an event of over {2 * self._settings.limits.frame_bytes:,} bytes"
        except (aiohttp.ClientError, OSError) as cause:
            return f"its event stream broke ({describe(cause)})"
        finally:
            response.close()
        return "its event stream ended"

    def _take(self, event: Event) -> None:
        if event.id is not None:
            self._last_id = event.id
        if event.event == "endpoint":
            self._learn_endpoint(event.data.decode("utf-8", "replace"))
        elif event.event == "message" and self._endpoint.done():
            self._hear(event)

    def _hear(self, event: Event) -> None:
        data = event.data
        if event.oversized is None and len(data) > self._settings.limits.frame_bytes:
            event = Event(data=b"", oversized=Oversized(head=data[:_EDGE], tail=data[-_EDGE:], ended=True))
        if self._settings.heard is not None:
            self._settings.heard(data if event.oversized is None else event.oversized.head)
        self._core.receive([data if event.oversized is None else event.oversized])

    def _learn_endpoint(self, data: str) -> None:
        url = urljoin(self._settings.url, data.strip())
        server = self._settings.server
        if _origin(url) != _origin(self._settings.url):
            raise ProtocolError(
                "the server names an endpoint of another origin; nothing is sent there",
                code="foreign_endpoint",
                server=server,
                delivery="never_sent",
                hint="Configure the URL whose origin the server uses.",
            )
        if not self._endpoint.done():
            self._endpoint.set_result(url)
        elif self._endpoint.result() != url:
            raise UnavailableError("the server opened another session", server=server)

    async def _reopen(self, reason: str) -> aiohttp.ClientResponse:
        """Open the stream again after it broke, where it ended, with growing random waits."""
        wait = _FIRST_WAIT if self._retry_ms is None else self._retry_ms / 1000
        for _ in range(_ATTEMPTS):
            await asyncio.sleep(min(wait, _LONGEST_WAIT) * self._settings.jitter())
            try:
                return await self._open_stream()
            except UnavailableError:
                wait = max(wait, _FIRST_WAIT) * 2
        raise UnavailableError(
            f"{reason}, and could not be opened again in {_ATTEMPTS} attempts", server=self._settings.server
        )

    def _no_endpoint(self, reason: str) -> ProtocolError:
        return ProtocolError(
            f"the server named no endpoint: {reason}",
            code="no_endpoint",
            server=self._settings.server,
            delivery="never_sent",
            hint="Check that the URL is the server's SSE endpoint.",
        )


def _origin(url: str) -> tuple[str, str | None, int | None]:
    try:
        parts = urlsplit(url)
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    except ValueError:
        return "", None, None
    return parts.scheme, parts.hostname, port
