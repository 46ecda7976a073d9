"""An HTTP proxy on this machine: it tunnels, forwards, asks for a password, and notes what it saw."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hmac
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

_CHUNK = 64 * 1024
_TURNS = 5
"""Turns of the loop in which a connection that was just accepted begins to be served."""


class HttpProxy:
    """Serves `CONNECT` and requests with a whole URL: `async with HttpProxy() as proxy`.

    A connection leads to the server of its first request, and what follows on it is passed on as it is.

    Source: RFC 9110, sections 9.3.6 (CONNECT) and 11.7 (Proxy-Authorization).

    Args:
        user: who must log in, with `password`; None lets everybody through.
        refuses: an HTTP status with which every request is refused.
    """

    def __init__(self, *, user: str | None = None, password: str = "", refuses: int | None = None) -> None:
        self.requests: list[str] = []
        """Method and target of every request that was let through, such as `CONNECT example.com:443`."""
        self.port = 0
        self._credentials = None if user is None else f"{user}:{password}"
        self._refuses = refuses
        self._listener: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """Where it listens, without credentials."""
        return f"http://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        self._listener = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._listener.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._listener is None:
            return
        self._listener.close()
        # What was just accepted begins first: a task that is cancelled before closes nothing.
        for _ in range(_TURNS):
            await asyncio.sleep(0)
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        await self._listener.wait_closed()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if (task := asyncio.current_task()) is not None:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                await self._serve(reader, writer)
        finally:
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        line, *fields = head.split("\r\n")
        method, target, _ = line.split(" ")
        if (status := self._judge(fields)) is not None:
            writer.write(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
            await writer.drain()
            return
        self.requests.append(f"{method} {target}")
        if method == "CONNECT":
            host, _, port = target.rpartition(":")
            first, answer = b"", b"HTTP/1.1 200 Connection established\r\n\r\n"
        else:
            parts = urlsplit(target)
            host, port = parts.hostname or "", str(parts.port or 80)
            kept = [field for field in fields if not field.lower().startswith("proxy-")]
            first, answer = "\r\n".join([line, *kept]).encode("latin-1"), b""
        source, sink = await asyncio.open_connection(host.strip("[]"), int(port))
        try:
            sink.write(first)
            writer.write(answer)
            await self._join((reader, sink), (source, writer))
        finally:
            sink.close()

    def _judge(self, fields: list[str]) -> str | None:
        """Give the status with which a request is refused, or None."""
        if self._refuses is not None:
            return f"{self._refuses} Refused"
        if self._credentials is None:
            return None
        wanted = f"Basic {base64.b64encode(self._credentials.encode()).decode()}"
        given = [
            value.strip()
            for name, _, value in (field.partition(":") for field in fields)
            if name.lower() == "proxy-authorization"
        ]
        if given and hmac.compare_digest(given[0], wanted):
            return None
        return "407 Proxy Authentication Required\r\nProxy-Authenticate: Basic"

    async def _join(self, *ways: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> None:
        pumps = {asyncio.ensure_future(_carry(source, sink)) for source, sink in ways}
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.wait(pumps)


async def _carry(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await source.read(_CHUNK):
            sink.write(data)
            await sink.drain()
