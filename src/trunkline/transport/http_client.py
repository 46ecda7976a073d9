"""The HTTP client beneath a link: it notes when bytes leave, and never reuses a closed connection."""

from __future__ import annotations

import select
from collections.abc import Sequence
from typing import Any
from weakref import WeakSet

import aiohttp
from aiohttp.payload import BytesPayload

from trunkline.core.call import Flight

_POOL = 256
"""Connections to one server at a time; further requests wait within their deadline."""


def make_client(traces: Sequence[aiohttp.TraceConfig] = ()) -> aiohttp.ClientSession:
    """Give a client without cookies, proxies from the environment, or time limits of its own."""
    return aiohttp.ClientSession(
        connector=FreshConnector(limit=_POOL),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None, connect=None, sock_connect=None, sock_read=None),
        read_bufsize=256 * 1024,
        trace_configs=list(traces),
    )


class TrackedBody(BytesPayload):
    """A request body that notes the moment its bytes leave."""

    def __init__(self, body: bytes, flight: Flight) -> None:
        super().__init__(body, content_type="application/json")
        self._flight = flight

    async def write_with_length(self, writer: Any, content_length: int | None) -> None:
        self._flight.delivery = "unknown"
        await super().write_with_length(writer, content_length)


class FreshConnector(aiohttp.TCPConnector):
    """Reuses a connection only if the server has not closed it in the meantime."""

    def __init__(self, *, limit: int) -> None:
        super().__init__(limit=limit)
        self._used: WeakSet[Any] = WeakSet()
        self._doubted: WeakSet[Any] = WeakSet()

    async def connect(self, req: Any, traces: Any, timeout: Any) -> Any:  # noqa: ASYNC109 - aiohttp's signature
        while True:
            connection = await super().connect(req, traces, timeout)
            protocol = connection.protocol
            if protocol not in self._used:
                self._used.add(protocol)
                return connection
            if protocol not in self._doubted and not _has_news(connection.transport):
                return connection
            connection.close()

    def distrust(self) -> None:
        """Use no connection again that was opened before now: the server may be gone without a word."""
        self._doubted.update(self._used)


def _has_news(transport: Any) -> bool:
    """Whether an idle connection has something to read, which can only be its end."""
    sock = transport.get_extra_info("socket") if transport is not None else None
    if sock is None or sock.fileno() < 0:
        return True
    poll = select.poll()
    poll.register(sock.fileno(), select.POLLIN | select.POLLHUP | select.POLLERR)
    return bool(poll.poll(0))
