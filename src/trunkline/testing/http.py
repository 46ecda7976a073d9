"""Serves a fake server over real sockets on 127.0.0.1; what a request means is decided in `endpoint`."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, cast

from trunkline.testing.effects import Ending, Write
from trunkline.testing.endpoint import Endpoint
from trunkline.testing.eras import family
from trunkline.testing.exchange import Exchange
from trunkline.testing.http_batch import HttpBatch
from trunkline.testing.http_message import HttpRequest, MalformedRequestError, RequestParser, render_response
from trunkline.testing.http_reply import HttpReply
from trunkline.testing.memory import play
from trunkline.testing.session_stream import SessionStream

if TYPE_CHECKING:
    from trunkline.testing.fake import FakeServer

_HOST = "127.0.0.1"


class HttpServer:
    """One listening socket and every connection and exchange that came of it.

    Stop it and start it again at will. `FakeServer.listen` makes one.
    """

    def __init__(self, server: FakeServer, *, port: int, json: bool, path: str, sessions: bool) -> None:
        self.endpoint = Endpoint(server, json=json, path=path, sessions=sessions)
        self.connections: set[Connection] = set()
        self.tasks: set[asyncio.Task[None]] = set()
        self.accepted = 0
        """How many TCP connections were accepted since it was built."""
        self.port = port
        """The port, once started; it stays the same over restarts."""
        self._path = path
        self._server = server
        self._listener: asyncio.Server | None = None

    @property
    def url(self) -> str:
        """The address of the MCP endpoint."""
        return f"http://{_HOST}:{self.port}{self._path}"

    async def start(self) -> None:
        """Listen, with no session left of earlier; raises OSError if the port is taken."""
        self.endpoint.sessions.clear()
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(lambda: Connection(self), _HOST, self.port)
        self.port = self._listener.sockets[0].getsockname()[1]
        self._server.endpoints.append(self)

    async def stop(self) -> None:
        """Break every connection, end every exchange and free the port."""
        self.crash()
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    def drop(self) -> None:
        """End every connection in good order; the port stays open."""
        for connection in tuple(self.connections):
            connection.close()

    def crash(self) -> None:
        """Be gone at once, as a killed process is: the port closes and every connection is reset."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None
            self._server.endpoints.remove(self)
        for connection in tuple(self.connections):
            connection.reset()


class Connection(asyncio.Protocol):
    """One TCP connection: requests one after the other, each answered before the next is looked at."""

    def __init__(self, owner: HttpServer) -> None:
        self._owner = owner
        self._parser = RequestParser()
        self._queue: deque[HttpRequest] = deque()
        self._transport: asyncio.Transport | None = None
        self._exchange: Exchange | None = None
        self._busy = False
        self._writable = asyncio.Event()
        self._writable.set()

    @property
    def unsent(self) -> int:
        """Bytes written that the client has not made room for yet."""
        return 0 if self._transport is None else self._transport.get_write_buffer_size()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._owner.connections.add(self)
        self._owner.accepted += 1

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - why it ended is not ours to judge
        """A client that leaves cancels a modern request (2026-07-28, "Cancellation"), never a legacy one."""
        self._transport = None
        self._owner.connections.discard(self)
        self._writable.set()
        exchange = self._exchange
        if isinstance(exchange, SessionStream) or (
            exchange is not None and family(exchange.request.version or "") == "modern"
        ):
            exchange.cancel()

    def data_received(self, data: bytes) -> None:
        try:
            self._queue.extend(self._parser.feed(data))
        except MalformedRequestError:
            self._send(render_response(400, {"Connection": "close"}))
            self.close()
        self._serve_next()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def close(self) -> None:
        """End the connection in good order, once what was written is sent."""
        if self._transport is not None:
            self._transport.close()

    def reset(self) -> None:
        """Break the connection with a TCP reset."""
        if self._transport is not None:
            linger = struct.pack("ii", 1, 0)
            self._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self._transport.abort()

    def _serve_next(self) -> None:
        if self._busy or not self._queue or self._transport is None:
            return
        self._busy = True
        task = asyncio.get_running_loop().create_task(self._serve(self._queue.popleft()))
        self._owner.tasks.add(task)
        task.add_done_callback(self._owner.tasks.discard)

    async def _serve(self, request: HttpRequest) -> None:
        outcome = self._owner.endpoint.receive(request)
        if isinstance(outcome, bytes):
            self._send(outcome)
        elif isinstance(outcome, HttpBatch):
            self._end(await outcome.play(self._write))
        else:
            self._end(await self._play(outcome))
        if request.headers.get("connection", "").lower() == "close":
            self.close()
        self._busy = False
        self._serve_next()

    async def _play(self, exchange: Exchange) -> Ending | None:
        self._exchange = exchange
        try:
            return await play(exchange, self._write)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if not exchange.stopped or task is None:
                raise
            task.uncancel()
        finally:
            self._exchange = None
        if isinstance(exchange.carrier, HttpReply):
            self._send(exchange.carrier.abandon())
        return None

    async def _write(self, effect: Write) -> None:
        step = effect.piece or len(effect.data) or 1
        for start in range(0, len(effect.data), step):
            self._send(effect.data[start : start + step])
            if effect.seconds:
                await asyncio.sleep(effect.seconds)
            await self._writable.wait()

    def _send(self, data: bytes) -> None:
        if self._transport is not None and data:
            self._transport.write(data)

    def _end(self, how: Ending | None) -> None:
        match how:
            case "close":
                self.close()
            case "reset":
                self.reset()
            case "crash" | "kill":
                self._owner.crash()


@asynccontextmanager
async def serve_url(server: FakeServer, *, json: bool, path: str, sessions: bool) -> AsyncIterator[str]:
    """Serve for the length of the context and give the URL."""
    listener = HttpServer(server, port=0, json=json, path=path, sessions=sessions)
    await listener.start()
    try:
        yield listener.url
    finally:
        await listener.stop()
