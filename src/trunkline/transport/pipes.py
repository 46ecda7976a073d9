"""The standard input and output of a child, as pipes of our own.

asyncio's subprocess transport hands every chunk through one more turn of the loop; reading the pipes
directly saves that turn on every answer. POSIX only: elsewhere asyncio's own pipes are used.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import Callable

_PIPE_BYTES = 1024 * 1024
_SET_PIPE_SIZE = 1031  # F_SETPIPE_SZ of Linux, missing from `fcntl` in some builds

OWN_PIPES = sys.platform != "win32"


class ChildPipes:
    """Both pipes of one child, before and after it starts."""

    def __init__(self) -> None:
        self.child_stdin, self._stdin = os.pipe()
        self._stdout, self.child_stdout = os.pipe()
        self._unconnected = {self._stdin, self._stdout}
        _widen(self._stdout)

    def close_child_ends(self) -> None:
        """Close what only the child should hold, so that its end is noticed."""
        os.close(self.child_stdin)
        os.close(self.child_stdout)

    def abandon(self) -> None:
        """Close what was never connected."""
        for descriptor in self._unconnected:
            with contextlib.suppress(OSError):
                os.close(descriptor)
        self._unconnected.clear()

    async def connect(
        self, reader: Callable[[], asyncio.Protocol], writer: Callable[[], asyncio.BaseProtocol]
    ) -> tuple[asyncio.ReadTransport, asyncio.WriteTransport]:
        """Attach both pipes to the running loop."""
        loop = asyncio.get_running_loop()
        source = os.fdopen(self._stdout, "rb", buffering=0)
        self._unconnected.discard(self._stdout)
        reading, _ = await loop.connect_read_pipe(reader, source)
        sink = os.fdopen(self._stdin, "wb", buffering=0)
        self._unconnected.discard(self._stdin)
        writing, _ = await loop.connect_write_pipe(writer, sink)
        return reading, writing


def _widen(descriptor: int) -> None:
    """Let the kernel hold more of a large answer, where it can (Linux)."""
    if sys.platform.startswith("linux"):
        import fcntl

        with contextlib.suppress(OSError):
            fcntl.fcntl(descriptor, _SET_PIPE_SIZE, _PIPE_BYTES)
