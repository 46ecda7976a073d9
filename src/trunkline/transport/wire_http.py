"""The tap on HTTP: each request as it leaves, the head of each response, and each message within one."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import aiohttp
from msgspec.structs import replace

from trunkline.core.limits import Limits
from trunkline.errors import CallError
from trunkline.protocol.frames import Frame
from trunkline.telemetry.wire import Exchange
from trunkline.transport.group import Group
from trunkline.transport.http import HttpTransport
from trunkline.transport.http_answer import AnswerReader
from trunkline.transport.http_client import Egress, make_client
from trunkline.transport.link import Inbox, Request
from trunkline.transport.wire import Wire

if TYPE_CHECKING:
    from trunkline.transport.sse import SseTransport
    from trunkline.transport.websocket import WebSocketTransport


def tap_http(settings: HttpTransport, wire: Wire, url: str) -> HttpTransport:
    """Give the same settings, whose links show what they send and receive to `wire`.

    Args:
        url: the server's URL as it may be shown; the real one may hold credentials.
    """
    return replace(
        settings,
        client=functools.partial(make_tapped_client, wire, url),
        answers=functools.partial(WireAnswers, wire=wire),
    )


def tap_sse(settings: SseTransport, wire: Wire, url: str) -> SseTransport:
    """Give the same settings, whose links show everything; `url` as in `tap_http`.

    Where messages are posted names a session, so it is shown as an endpoint of the server's origin only.
    """
    parts = urlsplit(url)
    posts = f"{parts.scheme}://{parts.netloc}/[endpoint]"
    client = functools.partial(make_tapped_client, wire, url, posts=posts)
    return replace(settings, client=client, heard=wire.received)


def tap_websocket(settings: WebSocketTransport, wire: Wire, url: str) -> WebSocketTransport:
    """Give the same settings, whose links show the handshake and every frame; `url` as in `tap_http`."""
    from trunkline.transport.websocket import refuse_redirects
    from trunkline.transport.wire_stream import WireCore

    def client(egress: Egress) -> aiohttp.ClientSession:
        return make_tapped_client(wire, url, egress, more=(refuse_redirects(),))

    return replace(settings, client=client, core=functools.partial(WireCore, wire=wire))


class WireAnswers(AnswerReader):
    """Reads answers and shows each message in them; stands in for the plain reader."""

    def __init__(self, server: str, limits: Limits, inbox: Inbox, *, wire: Wire) -> None:
        super().__init__(server, limits, inbox)
        self._wire = wire

    async def read(self, response: aiohttp.ClientResponse, request: Request) -> Frame:
        """Give the response to this request; that there is none is shown too."""
        try:
            return await super().read(response, request)
        except (CallError, aiohttp.ClientError, OSError) as cause:
            self._wire.note(f"no answer to #{request.id}: {cause}")
            raise

    async def read_group(self, response: aiohttp.ClientResponse, group: Group) -> None:
        """Give each request of a group its response; that some have none is shown too."""
        try:
            await super().read_group(response, group)
        except (CallError, aiohttp.ClientError, OSError) as cause:
            self._wire.note(f"no answer to a part of a batch: {cause}")
            raise

    async def _read_body(self, response: aiohttp.ClientResponse) -> bytes:
        data = await super()._read_body(response)
        self._wire.received(data)
        return data

    async def take_message(self, data: bytes) -> None:
        """Take one message of a stream that answers nothing."""
        self._wire.received(data)
        await super().take_message(data)

    async def _take_event(self, data: bytes, request: Request) -> Frame | None:
        self._wire.received(data)
        return await super()._take_event(data, request)

    async def _take_part(self, data: bytes, group: Group) -> Group | None:
        self._wire.received(data)
        return await super()._take_part(data, group)


def make_tapped_client(
    wire: Wire, url: str, egress: Egress, *, posts: str = "", more: Sequence[aiohttp.TraceConfig] = ()
) -> aiohttp.ClientSession:
    """Give a client that shows its requests and the heads of their responses; `url` as in `tap_http`.

    Args:
        posts: how the URL of a POST is shown, where that is another one.
        more: further traces of the client.
    """
    seen = _Requests(wire, url, posts or url)
    trace = aiohttp.TraceConfig()
    trace.on_request_start.append(seen.start)
    trace.on_request_headers_sent.append(seen.head)
    trace.on_request_chunk_sent.append(seen.body)
    trace.on_request_end.append(seen.answer)
    trace.on_request_exception.append(seen.fail)
    return make_client(egress, traces=(trace, *more))


class _Requests:
    """The HTTP requests of one client; what is known of one is kept in aiohttp's context for it."""

    def __init__(self, wire: Wire, url: str, posts: str) -> None:
        self._wire = wire
        self._url = url
        self._posts = posts
        self._count = 0

    async def start(self, _: Any, context: SimpleNamespace, params: Any) -> None:
        self._count += 1
        context.shown = False
        url = self._posts if params.method == "POST" else self._url
        context.exchange = Exchange(number=self._count, method=params.method, url=url)

    async def head(self, _: Any, context: SimpleNamespace, params: Any) -> None:
        """The headers are final; a body, if any, begins to leave in the same turn."""
        exchange: Exchange = context.exchange
        context.exchange = Exchange(
            number=exchange.number,
            method=exchange.method,
            url=exchange.url,
            headers=self._wire.headers(params.headers),
        )

    async def body(self, _: Any, context: SimpleNamespace, params: Any) -> None:
        """Show a body once, and whole: secrets in it are found only so; see `TrackedBody` for its pieces."""
        chunk = params.chunk
        if not context.shown:
            self._show(context, bytes(chunk.obj if isinstance(chunk, memoryview) else chunk))

    async def answer(self, _: Any, context: SimpleNamespace, params: Any) -> None:
        self._show(context, b"")
        sent, response = context.exchange, params.response
        exchange = Exchange(
            number=sent.number,
            method=sent.method,
            url=sent.url,
            status=response.status,
            reason=response.reason or "",
            headers=self._wire.headers(response.headers),
        )
        self._wire.received(b"", exchange)

    async def fail(self, _: Any, context: SimpleNamespace, params: Any) -> None:
        exchange: Exchange = context.exchange
        self._wire.note(f"request [{exchange.number}] failed: {params.exception or type(params.exception)}")

    def _show(self, context: SimpleNamespace, data: bytes) -> None:
        if data or not context.shown:
            self._wire.sent(data, None if context.shown else context.exchange)
            context.shown = True
