"""sse: the HTTP+SSE transport of 2024-11-05. Messages are posted; answers come on one event stream.

Source: specification 2024-11-05, basic/transports, "HTTP with SSE".
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import aiohttp
import msgspec
from yarl import URL

from trunkline._version import __version__
from trunkline.core.call import Flight
from trunkline.core.limits import Limits
from trunkline.errors import CallError, ProtocolError, UnavailableError
from trunkline.protocol.eras import Era
from trunkline.protocol.lines import Oversized
from trunkline.protocol.sse import Event
from trunkline.transport.event_stream import EventStream, Reopening
from trunkline.transport.http_client import DIRECT, Egress, TrackedBody, make_client
from trunkline.transport.link import Inbox
from trunkline.transport.network import cannot_connect, lost_connection
from trunkline.transport.pace import Pacing
from trunkline.transport.posting import SESSION_LOST, PostingCore
from trunkline.transport.verdict import judge_status

_EDGE = 2048
_COURTESY = 4096
"""Bytes of the answer to a post that are read and dropped, so that its connection can be used again."""


class SseTransport(msgspec.Struct, frozen=True, kw_only=True):
    """How to reach one server over HTTP+SSE."""

    server: str
    url: str
    headers: Mapping[str, str] = {}
    limits: Limits = Limits()
    egress: Egress = DIRECT
    client: Callable[[Egress], aiohttp.ClientSession] = make_client
    reopening: Reopening = Reopening()
    draw: Callable[[], float] = lambda: 0.5
    """Gives a number from 0 to 1, drawn anew each time."""
    heard: Callable[[bytes], None] | None = None
    """Told of every message that arrives."""
    farewell: float = 2.0
    """Seconds that what is being posted may take when the link is closed."""
    endpoint_due: float | None = None
    """Moment by which a server that has opened its stream has to name its endpoint; None for no bound."""

    async def open(self) -> SseLink:
        """Open the stream and wait for its `endpoint` event; nothing is sent before it.

        Raises:
            CallError: nobody listens there, it is no event stream, or it names no endpoint or one of another
                origin.
        """
        link = SseLink(self)
        try:
            await link.begin()
        except BaseException:
            await link.close()
            raise
        return link


def find_endpoint(url: str, data: str) -> URL | None:
    """Give the URL that an `endpoint` event names, or None if it is not of the stream's own origin.

    Parsed by what sends the requests, so that both read it alike; credentials in it are refused.

    Args:
        url: the stream's.
        data: what the event says, absolute or relative to it.
    """
    base = URL(url)
    try:
        endpoint = base.join(URL(data.strip()))
        same = endpoint.origin() == base.origin() and endpoint.user is None and endpoint.password is None
    except (ValueError, TypeError):
        return None
    return endpoint.with_fragment(None) if same else None


class SseLink:
    """One event stream and the endpoint that belongs to it."""

    kind = "sse"
    exceeded = None

    def __init__(self, settings: SseTransport) -> None:
        self._settings = settings
        self._loop = asyncio.get_running_loop()
        self._client = settings.client(settings.egress)
        self._core = PostingCore(settings.server, settings.limits, self._post)
        self._pacing = Pacing(settings.limits.notifications, self._core.share)
        self._headers = {"User-Agent": f"trunkline/{__version__}", **settings.headers}
        self._post_headers = {**self._headers, "Content-Type": "application/json"}
        self._stream = EventStream(
            settings.server,
            settings.url,
            client=self._client,
            headers=self._headers,
            limits=settings.limits,
            reopening=settings.reopening,
            draw=settings.draw,
        )
        self._endpoint: asyncio.Future[URL] = self._loop.create_future()
        self._reader: asyncio.Task[None] | None = None
        self._closing: asyncio.Task[None] | None = None
        self.next_id = self._core.next_id
        self.request = self._core.request
        self.notify = self._core.deliver
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

    def frozen(self) -> bool:
        """Nothing is known of its process."""
        return False

    def distrust(self) -> None:
        """There is nothing to open anew but the link itself."""

    def stderr_tail(self) -> str:
        """A remote server's standard error is not ours to see."""
        return ""

    async def begin(self) -> None:
        """Open the stream, and return once the server has named its endpoint."""
        response = await self._stream.open()
        self._reader = self._loop.create_task(self._read_all(response))
        try:
            async with asyncio.timeout_at(self._settings.endpoint_due):
                await asyncio.shield(self._endpoint)
        except TimeoutError:
            raise self._no_endpoint("nothing came in time") from None

    def listen(self) -> None:
        """Everything comes on the one stream."""

    async def close(self, reason: str = "it was closed") -> None:
        """End the stream and what is being posted; bounded, callable from any task."""
        if self._closing is None:
            self._core.lose(reason)
            self._closing = asyncio.ensure_future(self._end())
        await asyncio.shield(self._closing)

    async def _end(self) -> None:
        try:
            await self._core.finish_posting(self._settings.farewell)
            if self._reader is not None:
                self._reader.cancel()
                await asyncio.wait({self._reader})
        finally:
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
                url, data=TrackedBody(body, (flight,)), headers=self._post_headers, allow_redirects=False
            )
        except (aiohttp.ClientError, OSError) as cause:
            if flight.delivery == "never_sent":
                raise cannot_connect(server, self._settings.url, cause) from cause
            raise lost_connection(server, self._settings.url, cause) from cause
        await self._finish(response)
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

    async def _finish(self, response: aiohttp.ClientResponse) -> None:
        """Read what little a server says to a post; one that says more, or slowly, loses its connection."""
        rest = _COURTESY
        if response.content.at_eof():
            return
        try:
            async with asyncio.timeout(self._settings.farewell):
                while rest > 0 and (chunk := await response.content.readany()):
                    rest -= len(chunk)
        except (aiohttp.ClientError, OSError, TimeoutError):
            response.close()
        finally:
            response.release()

    async def _read_all(self, response: aiohttp.ClientResponse) -> None:
        reason = "its reading was stopped"
        try:
            reason = await self._stream.follow(response, self._take, self._core.rest, self._pacing)
        except CallError as cause:
            reason = cause.message
            if not self._endpoint.done():
                self._endpoint.set_exception(cause)
        finally:
            self._core.lose(reason)
            if not self._endpoint.done():
                self._endpoint.set_exception(self._no_endpoint(reason))

    def _take(self, event: Event) -> bool:
        if event.event != "message":
            if event.event == "endpoint":
                self._learn_endpoint(event.data.decode("utf-8", "replace"))
            return False
        began, data = self._loop.time(), event.data
        if event.oversized is None and len(data) > self._settings.limits.frame_bytes:
            event = Event(data=b"", oversized=Oversized(head=data[:_EDGE], tail=data[-_EDGE:], ended=True))
        if self._settings.heard is not None:
            self._settings.heard(data if event.oversized is None else event.oversized.head)
        behind = self._core.receive([data if event.oversized is None else event.oversized])
        self._pacing.spent += self._loop.time() - began
        return behind

    def _learn_endpoint(self, data: str) -> None:
        url = find_endpoint(self._settings.url, data)
        server = self._settings.server
        if url is None:
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

    def _no_endpoint(self, reason: str) -> ProtocolError:
        return ProtocolError(
            f"the server named no endpoint: {reason}",
            code="no_endpoint",
            server=self._settings.server,
            delivery="never_sent",
            hint="Check that the URL is the server's SSE endpoint.",
        )
