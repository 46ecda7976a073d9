"""HTTP without sockets: fake servers behind URLs that only this process can reach, with toxics on the way.

What is exchanged are the same bytes by the same client and the same server as over TCP, so that on a
`VirtualTimeLoop` hours of traffic over faulty networks take seconds, always in the same order.
"""

from __future__ import annotations

import asyncio
import errno
from collections import deque
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from trunkline.testing.http import Connection, HttpServer
from trunkline.testing.toxics import Draw, End, Passage, Step, Toxics, Way

if TYPE_CHECKING:
    from trunkline.testing.fake import FakeServer


class VirtualEndpoint:
    """One fake server at one URL."""

    def __init__(self, server: HttpServer, toxics: Toxics) -> None:
        self.server = server
        self.toxics = toxics
        self.draw: Draw = toxics
        """Gives the toxics of each exchange; replace it for a schedule of your own."""
        self.accepted = 0
        """How many connections were accepted so far."""
        self._down = False

    @property
    def url(self) -> str:
        """Where it is, for clients made while the network is entered."""
        return self.server.url

    def stop(self) -> None:
        """Be gone at once, as a killed process is: connections break, and new ones are refused."""
        self._down = True
        self.server.crash()

    def start(self) -> None:
        """Be there again."""
        self._down = False

    def open(self, client: asyncio.BaseProtocol) -> bool:
        """Connect a client; False when it is refused."""
        passage = Passage(lambda: self.draw())
        if self._down or not passage.accept():
            return False
        self.accepted += 1
        _Line(passage, client, Connection(self.server)).open()
        return True


class VirtualNetwork:
    """Stands in for TCP beneath all HTTP clients that are made within `with VirtualNetwork() as network`."""

    def __init__(self) -> None:
        self._endpoints: dict[int, VirtualEndpoint] = {}
        self._replaced: tuple[Any, Any] | None = None

    def serve(
        self, server: FakeServer, *, toxics: Toxics | None = None, json: bool = True, sessions: bool = True
    ) -> VirtualEndpoint:
        """Give a fake server a URL; `json` and `sessions` as in `FakeServer.http`."""
        port = len(self._endpoints) + 1
        http = HttpServer(server, port=port, json=json, path="/mcp", sessions=sessions)
        endpoint = self._endpoints[port] = VirtualEndpoint(http, toxics or Toxics(seed=port))
        return endpoint

    def find(self, port: int | None) -> VirtualEndpoint | None:
        """Give what is at a port."""
        return self._endpoints.get(port or 0)

    def __enter__(self) -> Self:
        # All of it now: a runtime would import it in a thread, for which a virtual loop has no time.
        from trunkline.transport import http, http_client  # noqa: F401

        self._replaced = http_client.FreshConnector, http_client._has_news
        http_client.FreshConnector = _connector(self)  # type: ignore[misc]
        http_client._has_news = lambda transport: transport is None or transport.is_closing()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        from trunkline.transport import http_client

        if self._replaced is not None:
            http_client.FreshConnector, http_client._has_news = self._replaced  # type: ignore[misc]
        for endpoint in self._endpoints.values():
            for task in endpoint.server.tasks:
                task.cancel()


def _connector(network: VirtualNetwork) -> Any:
    """Give the class of connectors whose connections go over this network."""
    import aiohttp

    from trunkline.transport.http_client import FreshConnector

    class VirtualConnector(FreshConnector):
        async def _create_connection(self, req: Any, traces: Any, timeout: Any) -> Any:  # noqa: ARG002, ASYNC109
            protocol = self._factory()
            endpoint = network.find(req.url.port)
            if endpoint is None or not endpoint.open(protocol):
                refused = ConnectionRefusedError(errno.ECONNREFUSED, "nobody listens there")
                raise aiohttp.ClientConnectorError(req.connection_key, refused)
            return protocol

    return VirtualConnector


class _Line:
    """A connection: two transports, and the pieces under way between them."""

    def __init__(self, passage: Passage, client: asyncio.BaseProtocol, server: asyncio.BaseProtocol) -> None:
        self._passage = passage
        self._loop = asyncio.get_running_loop()
        self._sides: dict[Way, _Side] = {"up": _Side(self, "up", client), "down": _Side(self, "down", server)}
        self._under_way: dict[Way, deque[tuple[float, bytes, End | None]]] = {"up": deque(), "down": deque()}

    def open(self) -> None:
        for side in self._sides.values():
            side.protocol.connection_made(side)

    def carry(self, way: Way, data: bytes) -> None:
        """Take what one side writes; it arrives in a later turn of the loop, in order."""
        self._put(self._passage.take(way, data))

    def end(self, way: Way, how: End) -> None:
        """One side has ended the connection: the other learns of it after what was sent before."""
        self._put(Step(way, b"", end=how))

    def _put(self, step: Step) -> None:
        if not step.data and step.end is None:
            return
        queue = self._under_way[step.way]
        earliest = queue[-1][0] if queue else 0.0
        queue.append((max(self._loop.time() + step.seconds, earliest), step.data, step.end))
        if len(queue) == 1:
            self._schedule(step.way)

    def _schedule(self, way: Way) -> None:
        due = self._under_way[way][0][0]
        if due > self._loop.time():
            self._loop.call_at(due, self._arrive, way)
        else:
            self._loop.call_soon(self._arrive, way)

    def _arrive(self, way: Way) -> None:
        _, data, end = self._under_way[way].popleft()
        receiver = self._sides["down" if way == "up" else "up"]
        if data:
            receiver.receive(data)
        if end is not None:
            error = ConnectionResetError(errno.ECONNRESET, "reset") if end == "reset" else None
            for side in self._sides.values():
                side.lose(error)
        if self._under_way[way]:
            self._schedule(way)


class _Side(asyncio.Transport):
    """One end of a line."""

    def __init__(self, line: _Line, way: Way, protocol: asyncio.BaseProtocol) -> None:
        super().__init__({"socket": _NoSocket()})
        self.protocol: Any = protocol
        self._line = line
        self._way: Way = way
        self._closing = False
        self._lost = False
        self._paused = False
        self._unread: list[bytes] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if not self._closing and data:
            self._line.carry(self._way, bytes(data))

    def receive(self, data: bytes) -> None:
        if self._paused:
            self._unread.append(data)
        elif not self._closing:
            self.protocol.data_received(data)

    def lose(self, error: Exception | None) -> None:
        if self._lost:
            return
        self._lost = self._closing = True
        if error is None:
            self.protocol.eof_received()
        self.protocol.connection_lost(error)

    def close(self) -> None:
        self._finish("close")

    def abort(self) -> None:
        self._finish("reset")

    def _finish(self, how: End) -> None:
        if not self._closing:
            self._closing = True
            self._line.end(self._way, how)

    def is_closing(self) -> bool:
        return self._closing

    def pause_reading(self) -> None:
        self._paused = True

    def resume_reading(self) -> None:
        self._paused = False
        unread, self._unread = self._unread, []
        for data in unread:
            self.receive(data)

    def is_reading(self) -> bool:
        return not self._paused

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self.protocol  # type: ignore[no-any-return]

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol

    def get_write_buffer_size(self) -> int:
        return 0

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def can_write_eof(self) -> bool:
        return False


class _NoSocket:
    """What transports are asked for beneath them, and here have not."""

    family = None

    def setsockopt(self, *_: object) -> None:
        pass

    def fileno(self) -> int:
        return -1
