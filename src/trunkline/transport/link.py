"""What every transport gives: a `Link`, on which each request is one exchange with its own fate."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from typing import Any, Protocol

import msgspec

from trunkline.core.call import Flight, Log, Progress
from trunkline.protocol.eras import Era
from trunkline.protocol.frames import Frame


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """One request, encoded, with what a transport may need to know of it."""

    id: int
    method: str
    body: bytes
    flight: Flight
    name: str | None = None
    """The tool, prompt or URI it names, for transports that mirror it."""
    headers: Mapping[str, str] = {}
    """`Mcp-Param-*` headers, for transports that carry headers."""


class SessionLostError(Exception):
    """The server no longer knows our legacy session (HTTP 404); the request was not executed.

    Source: specification 2025-11-25, basic/transports, "Session Management".

    Attributes:
        current: whether it was the session in use; else a newer one has been opened meanwhile.
    """

    def __init__(self, *, current: bool) -> None:
        super().__init__()
        self.current = current


_CHANGES = frozenset(f"notifications/{kind}/list_changed" for kind in ("tools", "resources", "prompts"))


class Inbox:
    """Messages a server sent outside any exchange: bounded, the oldest dropped and counted.

    A changed list is never dropped; as one says what a thousand say, one of each kind waits.
    """

    def __init__(self, max_items: int = 1024) -> None:
        self._frames: deque[Frame] = deque()
        self._changes: dict[str, Frame] = {}
        self._max_items = max_items
        self._arrived = asyncio.Event()
        self._closed = False
        self.dropped = 0

    def put(self, frame: Frame) -> None:
        """Add a message; when full, the oldest one is dropped."""
        if frame.method in _CHANGES:
            self._changes[frame.method] = frame
            self._arrived.set()
            return
        if len(self._frames) >= self._max_items:
            self._frames.popleft()
            self.dropped += 1
        self._frames.append(frame)
        self._arrived.set()

    def close(self) -> None:
        """No more messages will come."""
        self._closed = True
        self._arrived.set()

    async def get(self) -> Frame | None:
        """Wait for the next message; None when the link has closed and all were read."""
        while not (self._frames or self._changes):
            if self._closed:
                return None
            self._arrived.clear()
            await self._arrived.wait()
        return self._changes.popitem()[1] if self._changes else self._frames.popleft()


class Link(Protocol):
    """One live way to one server.

    `request` is one exchange. Cancelling its await cancels it at the server as the era demands and
    leaves the link usable. It raises a `CallError` whose `delivery` is true; `flight.delivery` is
    kept up to date while it runs.
    """

    @property
    def kind(self) -> str:
        """`stdio`, `http`, `sse`, `websocket` or `memory`."""
        ...

    @property
    def lost(self) -> bool:
        """Whether it is known that nothing can be sent any more."""
        ...

    @property
    def unsolicited(self) -> Inbox:
        """What the server sends outside exchanges, and its own requests."""
        ...

    def next_id(self) -> int:
        """Give an id no request of this link has had."""
        ...

    def adopt(self, era: Era) -> None:
        """Follow this era's rules from now on."""
        ...

    def listen(self) -> None:
        """Begin to take what the server sends outside exchanges, where that needs a stream of its own."""
        ...

    async def request(self, request: Request) -> Frame:
        """Send one request and wait for its response."""
        ...

    async def notify(self, body: bytes) -> None:
        """Send a message that has no answer."""
        ...

    async def wait_closed(self) -> str:
        """Wait until the link is lost; give the reason in words."""
        ...

    async def close(self) -> None:
        """End the link and everything it owns; bounded, callable from any task, more than once."""
        ...

    def stderr_tail(self) -> str:
        """Give the last lines the server wrote to its standard error, or ""."""
        ...


def advance(flight: Flight, params: Any, now: float) -> None:
    """Take one progress notification of a call: it is alive, and its caller may want to know."""
    flight.activity = now
    if flight.on_progress is None:
        return
    try:
        progress = msgspec.convert(params, Progress, strict=False)
    except msgspec.ValidationError:
        return
    flight.on_progress(progress)


def report_log(flight: Flight, params: Any) -> None:
    """Give the caller a log message that is certain to belong to its call."""
    if flight.on_log is None:
        return
    try:
        log = msgspec.convert(params, Log)
    except msgspec.ValidationError:
        return
    flight.on_log(log)
