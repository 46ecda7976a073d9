"""memory: the server is an object in this process; for tests and embedded servers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Protocol

import msgspec

from trunkline.core.limits import Limits
from trunkline.protocol.lines import LineFramer
from trunkline.telemetry.escape import escape_text
from trunkline.transport.link import Inbox
from trunkline.transport.stream import Arrived, StreamCore

logger = logging.getLogger("trunkline.transport")


class Peer(Protocol):
    """A server in this process."""

    async def serve(self, receive: Callable[[], Awaitable[bytes]], send: Callable[[bytes], None]) -> None:
        """Serve one connection; returning ends it.

        Args:
            receive: gives the next frame without its newline, b"" when the client has gone.
            send: sends one frame, given without a newline.
        """
        ...


_GRACE = 2.0
"""Seconds a peer may take to end once its task is cancelled."""
_MOST_WAITING = 1024
"""Frames a peer may leave unread before the client holds back."""


class MemoryTransport(msgspec.Struct, frozen=True, kw_only=True):
    """How to reach a peer in this process."""

    server: str
    peer: Peer
    limits: Limits = Limits()
    core: Callable[[str, Limits, Callable[[bytes], None]], StreamCore] = StreamCore

    async def open(self) -> MemoryLink:
        """Start serving one connection."""
        return MemoryLink(self)


class MemoryLink:
    """One connection to a peer; the peer runs in a task this link owns until it is closed."""

    kind = "memory"
    exceeded = None

    def __init__(self, settings: MemoryTransport) -> None:
        self._settings = settings
        self._to_peer: asyncio.Queue[bytes] = asyncio.Queue()
        self._framer = LineFramer(settings.limits.frame_bytes)
        self._core = settings.core(settings.server, settings.limits, self._deliver)
        self.next_id = self._core.next_id
        self.request = self._core.request
        self.adopt = self._core.adopt
        self.wait_closed = self._core.wait_lost
        self._task = asyncio.get_running_loop().create_task(self._serve())

    @property
    def lost(self) -> bool:
        """Whether the stream has ended."""
        return self._core.lost

    @property
    def unsolicited(self) -> Inbox:
        """What the peer sends outside exchanges."""
        return self._core.inbox

    def frozen(self) -> bool:
        """Nothing is known of its process."""
        return False

    def distrust(self) -> None:
        """There is nothing to open anew but the link itself."""

    def stderr_tail(self) -> str:
        """A peer in memory has no standard error."""
        return ""

    def listen(self) -> None:
        """Everything comes on the one stream."""

    async def notify(self, body: bytes) -> None:
        """Send a message that has no answer."""
        await self._core.deliver(body)

    async def close(self, reason: str = "it was closed") -> None:
        """End the connection and the task that serves it."""
        self._core.lose(reason)
        self._to_peer.put_nowait(b"")
        self._task.cancel()
        _, late = await asyncio.wait({self._task}, timeout=_GRACE)
        if late:
            server = self._settings.server
            line = f"{escape_text(server)}: the peer has not ended {_GRACE:g} s after its cancellation"
            logger.warning("%s", line, extra={"server": server})

    async def _serve(self) -> None:
        try:
            await self._settings.peer.serve(self._next_frame, self._receive)
            reason = "it ended the connection"
        except Exception as cause:  # boundary: a peer is foreign code; its fault ends its own connection only
            reason = f"it failed: {type(cause).__name__}: {cause}"
        except asyncio.CancelledError:
            self._core.lose("it was closed")
            raise
        # What it sent last is received first.
        asyncio.get_running_loop().call_soon(self._core.lose, reason)

    async def _next_frame(self) -> bytes:
        frame = await self._to_peer.get()
        if self._to_peer.qsize() == _MOST_WAITING // 2:
            self._core.resume()
        return frame

    def _deliver(self, data: bytes) -> None:
        for frame in data.split(b"\n"):
            if frame:
                self._to_peer.put_nowait(frame)
        if self._to_peer.qsize() >= _MOST_WAITING:
            self._core.pause()

    def _receive(self, frame: bytes) -> None:
        arrived: list[Arrived] = self._framer.feed(frame + b"\n")
        # A turn of the loop lies between the peer's send and the client's reading, as with a pipe.
        asyncio.get_running_loop().call_soon(self._take, arrived)

    def _take(self, arrived: list[Arrived]) -> None:
        # A peer in this process is not read from and cannot be slowed down: what waits would only pile up.
        if self._core.receive(arrived):
            self._core.catch_up()
