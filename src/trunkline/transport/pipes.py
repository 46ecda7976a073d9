"""The standard streams of a child, as pipes of our own.

asyncio's subprocess transport hands every chunk through one more turn of the loop; reading the pipes
directly saves that turn on every answer. POSIX only: elsewhere asyncio's own pipes are used.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import Callable
from typing import IO, cast

_PIPE_BYTES = 1024 * 1024
_SET_PIPE_SIZE = 1031  # F_SETPIPE_SZ of Linux, missing from `fcntl` in some builds

OWN_PIPES = sys.platform != "win32"


class ChildPipes:
    """The three pipes of one child, before and after it starts."""

    def __init__(self) -> None:
        self.child_stdin, self._stdin = os.pipe()
        self._stdout, self.child_stdout = os.pipe()
        self._stderr, self.child_stderr = os.pipe()
        self._unconnected = {self._stdin, self._stdout, self._stderr}
        _widen(self._stdout)

    def close_child_ends(self) -> None:
        """Close what only the child should hold, so that its end is noticed."""
        for descriptor in (self.child_stdin, self.child_stdout, self.child_stderr):
            os.close(descriptor)

    def abandon(self) -> None:
        """Close what was never connected."""
        for descriptor in self._unconnected:
            with contextlib.suppress(OSError):
                os.close(descriptor)
        self._unconnected.clear()

    async def connect(
        self,
        output: Callable[[], asyncio.Protocol],
        errors: Callable[[], asyncio.Protocol],
        writer: Callable[[], asyncio.BaseProtocol],
    ) -> tuple[asyncio.ReadTransport, asyncio.ReadTransport, asyncio.WriteTransport]:
        """Attach the pipes to the running loop; on cancellation they are closed again."""
        attaching = asyncio.ensure_future(self._attach(output, errors, writer))
        try:
            return await asyncio.shield(attaching)
        except asyncio.CancelledError:
            # Cut short, it would leave a pipe that the loop half owns; it takes three turns of the loop.
            await asyncio.wait({attaching})
            for transport in attaching.result() if not attaching.cancelled() else ():
                transport.close()
            raise

    async def _attach(
        self,
        output: Callable[[], asyncio.Protocol],
        errors: Callable[[], asyncio.Protocol],
        writer: Callable[[], asyncio.BaseProtocol],
    ) -> tuple[asyncio.ReadTransport, asyncio.ReadTransport, asyncio.WriteTransport]:
        loop = asyncio.get_running_loop()
        reading, _ = await loop.connect_read_pipe(output, self._take(self._stdout, "rb"))
        telling, _ = await loop.connect_read_pipe(errors, self._take(self._stderr, "rb"))
        writing, _ = await loop.connect_write_pipe(writer, self._take(self._stdin, "wb"))
        return reading, telling, writing

    def _take(self, descriptor: int, mode: str) -> IO[bytes]:
        self._unconnected.discard(descriptor)
        return cast(IO[bytes], os.fdopen(descriptor, mode, buffering=0))


class Reading(asyncio.Protocol):
    """A pipe that is read, by one call for each piece."""

    def __init__(self, take: Callable[[bytes], None], end: Callable[[Exception | None], None]) -> None:
        self.data_received = take  # type: ignore[assignment] # one call less per piece
        self.connection_lost = end  # type: ignore[assignment]


class Writing(asyncio.BaseProtocol):
    """A pipe that is written to."""

    def __init__(self, link: asyncio.SubprocessProtocol, end: Callable[[Exception | None], None]) -> None:
        self.pause_writing = link.pause_writing  # type: ignore[method-assign]
        self.resume_writing = link.resume_writing  # type: ignore[method-assign]
        self.connection_lost = end  # type: ignore[assignment]


def _widen(descriptor: int) -> None:
    """Let the kernel hold more of a large answer, where it can (Linux)."""
    if sys.platform.startswith("linux"):
        import fcntl

        with contextlib.suppress(OSError):
            fcntl.fcntl(descriptor, _SET_PIPE_SIZE, _PIPE_BYTES)


def read_pieces(output: asyncio.ReadTransport, size: int) -> None:
    """Read so many bytes at once at most; loops other than asyncio's decide by themselves."""
    with contextlib.suppress(AttributeError):
        output.max_size = size  # type: ignore[attr-defined]
