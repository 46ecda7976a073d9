"""A TCP proxy that spoils exchanges as a seeded schedule says: `async with ToxicProxy(port) as proxy`."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from types import TracebackType
from typing import Self

from trunkline.testing.toxics import Draw, Passage, Step, Toxics, Way

_CHUNK = 64 * 1024


class ToxicProxy:
    """Forwards connections to one server on this machine, and spoils some of what they carry.

    Args:
        port: of the server.
        toxics: what strikes; None for none until `toxics.add`.
    """

    def __init__(self, port: int, toxics: Toxics | None = None, *, host: str = "127.0.0.1") -> None:
        self.toxics = toxics or Toxics()
        self.draw: Draw = self.toxics
        """Gives the toxics of each exchange; replace it for a schedule of your own."""
        self.port = 0
        """Where it listens, once entered."""
        self.accepted = 0
        """How many connections were accepted so far."""
        self._target = host, port
        self._listener: asyncio.Server | None = None
        self._lines: set[asyncio.Task[None]] = set()

    def url(self, path: str = "/mcp") -> str:
        """Give the address of a path behind it."""
        return f"http://127.0.0.1:{self.port}{path}"

    async def __aenter__(self) -> Self:
        self._listener = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = self._listener.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._listener is None:
            return
        self._listener.close()
        for line in self._lines:
            line.cancel()
        if self._lines:
            await asyncio.wait(self._lines)
        await self._listener.wait_closed()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - asyncio's server runs this in a task
        self._lines.add(task)
        try:
            # Cancelled by `__aexit__` alone, and asyncio complains of a task that ends so.
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await self._serve(reader, writer)
        finally:
            self._lines.discard(task)
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        passage = Passage(lambda: self.draw())
        if not passage.accept():
            _reset(writer)
            return
        source, sink = await asyncio.open_connection(*self._target)
        sinks: dict[Way, asyncio.StreamWriter] = {"up": sink, "down": writer}
        pumps = {
            asyncio.ensure_future(_pump("up", reader, passage, sinks)),
            asyncio.ensure_future(_pump("down", source, passage, sinks)),
        }
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.wait(pumps)
            sink.close()


async def _pump(
    way: Way, source: asyncio.StreamReader, passage: Passage, sinks: dict[Way, asyncio.StreamWriter]
) -> None:
    with contextlib.suppress(OSError):
        while data := await source.read(_CHUNK):
            step = passage.take(way, data)
            await _carry(step, sinks)
            if step.end is not None:
                return


async def _carry(step: Step, sinks: dict[Way, asyncio.StreamWriter]) -> None:
    if step.seconds:
        await asyncio.sleep(step.seconds)
    sink = sinks[step.way]
    if step.data:
        sink.write(step.data)
        await sink.drain()
    if step.end == "reset":
        for one in sinks.values():
            _reset(one)


def _reset(writer: asyncio.StreamWriter) -> None:
    """Break a connection with a TCP reset."""
    raw = writer.get_extra_info("socket")
    if raw is not None:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
