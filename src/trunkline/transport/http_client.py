"""The HTTP client beneath a link: it notes when bytes leave, and never reuses a closed connection."""

from __future__ import annotations

import asyncio
import select
import ssl
from collections.abc import Coroutine, Sequence
from typing import Any
from weakref import WeakSet

import aiohttp
import msgspec
from aiohttp.payload import Payload

from trunkline.core.call import Flight

_POOL = 256
"""Connections to one server at a time; further requests wait within their deadline."""
_PIECE = 256 * 1024
"""Bytes of a body that are written in one turn of the loop."""


class Egress(msgspec.Struct, frozen=True, kw_only=True):
    """The way out to one server."""

    tls: ssl.SSLContext | None = None
    """How TLS is spoken; None for aiohttp's own way, which trusts the authorities of the system."""
    proxy: str | None = None
    """URL of the proxy, which may hold credentials, or None for a direct way."""

    def __repr__(self) -> str:
        """Show no credentials."""
        return f"Egress(tls={self.tls is not None}, proxy={self.proxy is not None})"


DIRECT = Egress()


def make_client(
    egress: Egress = DIRECT, *, traces: Sequence[aiohttp.TraceConfig] = ()
) -> aiohttp.ClientSession:
    """Give a client without cookies, proxies from the environment, or time limits of its own."""
    return aiohttp.ClientSession(
        connector=FreshConnector(limit=_POOL, tls=egress.tls),
        proxy=egress.proxy,
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None, connect=None, sock_connect=None, sock_read=None),
        read_bufsize=256 * 1024,
        trace_configs=list(traces),
    )


class TrackedBody(Payload):
    """A request body that notes the moment its bytes leave; no turn of the loop writes more than a piece.

    A large one is written as `memoryview`s of the whole, whose `obj` is the body.
    """

    _autoclose = True

    def __init__(self, body: bytes, flights: Sequence[Flight]) -> None:
        super().__init__(body, content_type="application/json")
        self._size = len(body)
        self.flights = flights
        """The calls that leave with it."""

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """Give the body as text."""
        return str(self._value, encoding, errors)

    def write(self, writer: Any) -> Coroutine[Any, Any, None]:
        """As `write_with_length`, which is all that aiohttp calls."""
        return self.write_with_length(writer, None)

    async def write_with_length(self, writer: Any, content_length: int | None) -> None:
        """Write the body; who reads slowly is waited for."""
        now = asyncio.get_running_loop().time()
        for flight in self.flights:
            flight.delivery = "unknown"
            flight.wrote = flight.wrote or now
        body: bytes = self._value[:content_length]
        pieces = body if len(body) <= _PIECE else memoryview(body)
        for start in range(0, len(body), _PIECE):
            if start:
                await asyncio.sleep(0)
            await writer.write(pieces[start : start + _PIECE])


class FreshConnector(aiohttp.TCPConnector):
    """Reuses a connection only if the server has not closed it in the meantime."""

    def __init__(self, *, limit: int, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(limit=limit, ssl=True if tls is None else tls)
        self._used: WeakSet[Any] = WeakSet()
        self._doubted: WeakSet[Any] = WeakSet()

    async def connect(self, req: Any, traces: Any, timeout: Any) -> Any:  # noqa: ASYNC109 - aiohttp's signature
        while True:
            connection = await super().connect(req, traces, timeout)
            protocol = connection.protocol
            if protocol not in self._used:
                self._used.add(protocol)
                _note_connecting(req)
                return connection
            if protocol not in self._doubted and not _has_news(connection.transport):
                return connection
            connection.close()

    def distrust(self) -> None:
        """Use no connection again that was opened before now: the server may be gone without a word."""
        self._doubted.update(self._used)


def _note_connecting(request: Any) -> None:
    """A connection was opened for this request, which waited for it."""
    now = asyncio.get_running_loop().time()
    for flight in request.body.flights if isinstance(request.body, TrackedBody) else ():
        if flight.sent:
            flight.connected += now - flight.sent


def _has_news(transport: Any) -> bool:
    """Whether an idle connection has something to read, which can only be its end."""
    sock = transport.get_extra_info("socket") if transport is not None else None
    if sock is None or sock.fileno() < 0:
        return True
    poll = select.poll()
    poll.register(sock.fileno(), select.POLLIN | select.POLLHUP | select.POLLERR)
    return bool(poll.poll(0))
