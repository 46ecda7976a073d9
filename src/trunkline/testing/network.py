"""A TCP proxy that breaks on demand: what lies between a client and a server that are both well."""

from __future__ import annotations

import asyncio
import contextlib
from types import TracebackType
from typing import Self

_CHUNK = 64 * 1024


class Proxy:
    """Forwards connections to one server on this machine: `async with Proxy(port) as proxy`.

    Its clients cannot tell it from the server. Everything below takes effect at once; `heal` undoes it
    for new connections, while those that were frozen stay so until they are closed.
    """

    def __init__(self, port: int, host: str = "127.0.0.1") -> None:
        self.port = 0
        """Where it listens, once entered."""
        self.accepted = 0
        """How many connections were accepted so far."""
        self._target = host, port
        self._listener: asyncio.Server | None = None
        self._lines: set[_Line] = set()
        self._holding = False
        self._delay = 0.0

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
        tasks = {line.task for line in self._lines if line.task is not None}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        await self._listener.wait_closed()

    def freeze(self) -> None:
        """Carry no byte any more on the connections there are, and close none: both ends look alive."""
        for line in self._lines:
            line.moving.clear()

    def black_hole(self) -> None:
        """Freeze, and accept new connections only to carry nothing on them either."""
        self._holding = True
        self.freeze()

    def cut(self) -> None:
        """Reset every connection there is."""
        for line in self._lines:
            line.reset()

    def delay(self, seconds: float) -> None:
        """Hold back every piece by this many seconds from now on."""
        self._delay = seconds

    def heal(self) -> None:
        """Carry everything at once on new connections."""
        self._holding = False
        self._delay = 0.0

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        line = _Line(asyncio.current_task(), [writer])
        if self._holding:
            line.moving.clear()
        self._lines.add(line)
        try:
            # Cancelled by `__aexit__` alone, and asyncio complains of a task that ends so.
            with contextlib.suppress(OSError, asyncio.CancelledError):
                source, sink = await asyncio.open_connection(*self._target)
                line.writers.append(sink)
                await self._join(line, (reader, sink), (source, writer))
        finally:
            self._lines.discard(line)
            for one in line.writers:
                one.close()

    async def _join(self, line: _Line, *ways: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> None:
        pumps = {asyncio.ensure_future(self._carry(line, source, sink)) for source, sink in ways}
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.wait(pumps)

    async def _carry(self, line: _Line, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(_CHUNK):
                await line.moving.wait()
                if self._delay:
                    await asyncio.sleep(self._delay)
                sink.write(data)
                await sink.drain()


class _Line:
    """One connection of a client, and its continuation to the server."""

    def __init__(self, task: asyncio.Task[None] | None, writers: list[asyncio.StreamWriter]) -> None:
        self.task = task
        self.writers = writers
        self.moving = asyncio.Event()
        self.moving.set()

    def reset(self) -> None:
        for writer in self.writers:
            writer.transport.abort()
