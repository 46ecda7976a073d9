"""A fake server behind a WebSocket, or behind the event stream and endpoint of the older HTTP transport.

Each connection is one in memory; what is here only moves its frames. Built on aiohttp's server.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Literal, NamedTuple

from aiohttp import WSMsgType, web

from trunkline.testing import drips
from trunkline.testing.memory import serve

if TYPE_CHECKING:
    from trunkline.testing.fake import FakeServer

_HOST = "127.0.0.1"

Endpoint = Literal["relative", "absolute", "foreign", "late", "none"]


class Quirks(NamedTuple):
    """How the connections of a server behave."""

    endpoint: Endpoint = "relative"
    """What the first event of a stream names; `late` sends it after 10 other events, `none` never."""
    ids: bool = False
    """Number the events, so that a broken stream can be taken up again."""
    retry_ms: int | None = None
    cut_after: int | None = None
    """Break the connection, once, when so many messages were sent and another one is due."""
    delay: float = 0.0
    """Seconds before each message."""
    lines: int = 1
    """Spread each message over so many `data` lines."""
    status: int = 202
    """What a post is answered with."""
    tiresome: bool = False
    """Send some messages by the piece, and comments or pings between them."""


class Frames:
    """One connection: frames of the client go in, frames of the server come out."""

    def __init__(self, server: FakeServer) -> None:
        self.received: asyncio.Queue[bytes] = asyncio.Queue()
        self.sent: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.task = asyncio.create_task(self._serve(server))

    async def _serve(self, server: FakeServer) -> None:
        try:
            await serve(server, self.received.get, self.sent.put_nowait)
        finally:
            self.sent.put_nowait(None)

    async def end(self) -> None:
        """End it, whatever runs."""
        self.received.put_nowait(b"")
        self.task.cancel()
        await asyncio.wait({self.task})


class Session:
    """One event stream of the older transport, which may be taken up again where it broke."""

    def __init__(self, server: FakeServer, number: int) -> None:
        self.frames = Frames(server)
        self.path = f"/messages/{number}"
        self.events: list[bytes] = []


class StreamServer:
    """Serves a fake server over `/ws` and over `/sse` with its `/messages`."""

    def __init__(self, server: FakeServer, quirks: Quirks) -> None:
        self.server = server
        self.quirks = quirks
        self.headers: list[Mapping[str, str]] = []
        """Headers of every request that opened a connection, in order."""
        self.posts: list[Mapping[str, str]] = []
        self.sessions: dict[str, Session] = {}
        self._cut = False
        self._open: set[Frames] = set()
        self.sockets: set[web.WebSocketResponse] = set()
        self.port = 0
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Listen on a free port, or again on the one it had."""
        app = web.Application(client_max_size=1 << 30)
        app.router.add_get("/ws", self._socket)
        app.router.add_get("/sse", self._stream)
        app.router.add_post("/messages/{number}", self._post)
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.05)
        await self._runner.setup()
        site = web.TCPSite(self._runner, _HOST, self.port)
        await site.start()
        self.port = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]

    async def stop(self) -> None:
        """Break every connection and free the port."""
        if self._runner is not None:
            for socket in tuple(self.sockets):
                await socket.close()
            await self._runner.cleanup()
        for frames in (*self._open, *(session.frames for session in self.sessions.values())):
            await frames.end()
        self.sessions.clear()

    @property
    def origin(self) -> str:
        """Scheme, host and port."""
        return f"http://{_HOST}:{self.port}"

    async def take_post(self, session: Session, body: bytes) -> None:
        """Let the server have a message that was posted; a test may put something slower in its place."""
        session.frames.received.put_nowait(body)

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        self.headers.append(dict(request.headers))
        socket = web.WebSocketResponse(protocols=("mcp",), max_msg_size=0)
        await socket.prepare(request)
        self.sockets.add(socket)
        frames = Frames(self.server)
        self._open.add(frames)
        sending = [asyncio.create_task(self._send_frames(request, socket, frames))]
        if self.quirks.tiresome:
            sending.append(asyncio.create_task(drips.chatter(socket.ping)))
        try:
            async for message in socket:
                frames.received.put_nowait(message.data.encode())
        finally:
            self.sockets.discard(socket)
            for task in sending:
                task.cancel()
            self._open.discard(frames)
            await frames.end()
        return socket

    async def _send_frames(self, request: web.Request, socket: web.WebSocketResponse, frames: Frames) -> None:
        number = 0
        while (frame := await frames.sent.get()) is not None:
            number += 1
            if await self._cuts(number) and request.transport is not None:
                request.transport.abort()
                return
            if self.quirks.tiresome and number % drips.SELDOM == 0:
                await drips.drip(functools.partial(_write_raw, request), drips.fragment(frame))
            else:
                await socket.send_frame(frame, WSMsgType.TEXT)
        await socket.close()

    async def _cuts(self, number: int) -> bool:
        """Wait before a message; tell whether the connection breaks instead of it."""
        if self.quirks.delay:
            await asyncio.sleep(self.quirks.delay)
        if self._cut or self.quirks.cut_after != number - 1:
            return False
        self._cut = True
        return True

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        self.headers.append(dict(request.headers))
        last = request.headers.get("Last-Event-ID")
        session = self._resumed(last) or Session(self.server, len(self.sessions) + 1)
        self.sessions[session.path] = session
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        if self.quirks.endpoint not in ("none", "late"):
            await response.write(self._endpoint_event(session))
        if last is not None:
            for event in session.events[int(last) :]:
                await response.write(event)
        await self._send_events(response, session)
        if request.transport is not None:
            request.transport.abort()
        return response

    def _resumed(self, last: str | None) -> Session | None:
        return next(iter(self.sessions.values()), None) if last is not None else None

    async def _send_events(self, response: web.StreamResponse, session: Session) -> None:
        if self.quirks.endpoint == "late":
            for number in range(10):
                await response.write(b'event: message\ndata: {"jsonrpc":"2.0","method":"x%d"}\n\n' % number)
            await response.write(self._endpoint_event(session))
        whole = asyncio.Lock()

        async def comment() -> None:
            async with whole:
                await response.write(b": nothing\n\n")

        commenting = asyncio.create_task(drips.chatter(comment)) if self.quirks.tiresome else None
        try:
            while (frame := await session.frames.sent.get()) is not None:
                event = self._event(frame, len(session.events) + 1)
                session.events.append(event)
                if await self._cuts(len(session.events)):
                    return
                slowly = self.quirks.tiresome and len(session.events) % drips.SELDOM == 0
                async with whole:
                    await drips.drip(response.write, drips.cut(event) if slowly else iter(()))
                    if not slowly:
                        await response.write(event)
        finally:
            if commenting is not None:
                commenting.cancel()

    def _endpoint_event(self, session: Session) -> bytes:
        origin = {"foreign": "http://192.0.2.1", "absolute": self.origin}.get(self.quirks.endpoint, "")
        retry = "" if self.quirks.retry_ms is None else f"retry: {self.quirks.retry_ms}\n"
        return f"{retry}event: endpoint\ndata: {origin}{session.path}\n\n".encode()

    def _event(self, frame: bytes, number: int) -> bytes:
        identity = b"id: %d\n" % number if self.quirks.ids else b""
        return identity + b"event: message\n" + _spread(frame, self.quirks.lines) + b"\n"

    async def _post(self, request: web.Request) -> web.Response:
        self.posts.append(dict(request.headers))
        session = self.sessions.get(request.path)
        if session is None:
            return web.Response(status=404)
        status = self.quirks.status
        if status == 202:
            await self.take_post(session, await request.read())
        return web.Response(status=status)


async def _write_raw(request: web.Request, data: bytes) -> None:
    if request.transport is not None:
        request.transport.write(data)


def _spread(frame: bytes, lines: int) -> bytes:
    """Write JSON over several `data` lines, cut after commas between members, where a line may end."""
    parts = frame.split(b',"', lines - 1)
    return b"".join(
        b"data: " + (b'"' if number else b"") + part + (b"," if number < len(parts) - 1 else b"") + b"\n"
        for number, part in enumerate(parts)
    )


@asynccontextmanager
async def serve_url(
    server: FakeServer, kind: Literal["sse", "websocket"], quirks: Quirks
) -> AsyncIterator[str]:
    """Serve for the length of the context and give the URL."""
    async with serve_streams(server, quirks) as streams:
        yield f"{streams.origin}/sse" if kind == "sse" else f"ws://{_HOST}:{streams.port}/ws"


@asynccontextmanager
async def serve_streams(server: FakeServer, quirks: Quirks) -> AsyncIterator[StreamServer]:
    """Serve for the length of the context."""
    streams = StreamServer(server, quirks)
    await streams.start()
    try:
        yield streams
    finally:
        await streams.stop()
