"""The floor over HTTP+SSE and WebSocket, as `bench.floor` is made: streams, `json`, a table of futures."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

from bench.floor import Calls, result_of
from bench.target import Target
from bench.websocket import encode_frame, split_frames


class SharedSession:
    """What both have in common: answers come back in any order on one connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._ids = itertools.count(1)
        self._pending: dict[int, asyncio.Future[dict[str, Any]]] = {}

    async def request(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        identifier = next(self._ids)
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._pending[identifier] = answer
        frame = {"jsonrpc": "2.0", "id": identifier, "method": method, "params": params}
        await self._send(json.dumps(frame).encode())
        return result_of(await answer)

    async def notify(self, method: str) -> None:
        await self._send(json.dumps({"jsonrpc": "2.0", "method": method}).encode())

    async def close(self) -> None:
        self._writer.close()
        await self._writer.wait_closed()

    async def _send(self, body: bytes) -> None:
        raise NotImplementedError

    def _settle(self, body: bytes) -> None:
        message = json.loads(body)
        self._pending.pop(message["id"]).set_result(message)


class SocketSession(SharedSession):
    """One WebSocket: one masked frame per call, one wake-up of the reading task per batch of answers."""

    async def read(self) -> None:
        rest = b""
        while data := await self._reader.read(1 << 16):
            frames, rest = split_frames(rest + data)
            for _, payload in frames:
                self._settle(payload)

    async def _send(self, body: bytes) -> None:
        self._writer.write(encode_frame(1, body, os.urandom(4)))
        await self._writer.drain()


class EventSession(SharedSession):
    """One event stream, and posts on idle keep-alive connections."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str, port: int, endpoint: str
    ) -> None:
        super().__init__(reader, writer)
        self._address = (host, port)
        self._head = f"POST {endpoint} HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Type: application/json\r\n"
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def read(self) -> None:
        while line := await self._reader.readline():
            if line.startswith(b"data: "):
                self._settle(line[6:])

    async def close(self) -> None:
        await super().close()
        for _, writer in self._idle:
            writer.close()
            await writer.wait_closed()

    async def _send(self, body: bytes) -> None:
        reader, writer = self._idle.pop() if self._idle else await asyncio.open_connection(*self._address)
        writer.write(f"{self._head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        await writer.drain()
        await reader.readuntil(b"\r\n\r\n")
        self._idle.append((reader, writer))


@asynccontextmanager
async def open_websocket(target: Target) -> AsyncIterator[tuple[Calls, str]]:
    """Shake hands and do the handshake of the family."""
    parts = urlsplit(target.url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    key = base64.b64encode(os.urandom(16)).decode()
    writer.write(
        f"GET {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: mcp\r\n"
        f"Sec-WebSocket-Key: {key}\r\n\r\n".encode()
    )
    await reader.readuntil(b"\r\n\r\n")
    async with _reading(SocketSession(reader, writer), target) as opened:
        yield opened


@asynccontextmanager
async def open_sse(target: Target) -> AsyncIterator[tuple[Calls, str]]:
    """Open the stream, wait for its endpoint, and do the handshake."""
    parts = urlsplit(target.url)
    assert parts.hostname is not None
    assert parts.port is not None
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    writer.write(f"GET {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode())
    await reader.readuntil(b"event: endpoint\ndata: ")
    endpoint = (await reader.readline()).strip().decode()
    session = EventSession(reader, writer, parts.hostname, parts.port, endpoint)
    async with _reading(session, target) as opened:
        yield opened


@asynccontextmanager
async def _reading(session: SocketSession | EventSession, target: Target) -> AsyncIterator[tuple[Calls, str]]:
    async with asyncio.TaskGroup() as tasks:
        reading = tasks.create_task(session.read())
        calls = Calls(session, target)
        yield calls, await calls.open(target.revision)
        reading.cancel()
    await session.close()
