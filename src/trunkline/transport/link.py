"""What every transport gives: a `Link`, on which each request is one exchange with its own fate."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Mapping
from typing import Any, Protocol

import msgspec
from msgspec import UNSET

from trunkline.core.call import Flight, Log, Progress
from trunkline.core.process_limits import Exceeded
from trunkline.protocol.eras import Era
from trunkline.protocol.frames import Frame
from trunkline.protocol.lists import CHANGES
from trunkline.protocol.subscriptions import ACKNOWLEDGED, UPDATED, subscription_of


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
    standing: bool = False
    """It is answered only when what it opened ends, and stands in nobody's way meanwhile."""


class SessionLostError(Exception):
    """The server no longer knows our legacy session (HTTP 404); the request was not executed.

    Source: specification 2025-11-25, basic/transports, "Session Management".

    Attributes:
        current: whether it was the session in use; else a newer one has been opened meanwhile.
    """

    def __init__(self, *, current: bool) -> None:
        super().__init__()
        self.current = current


_REPEATABLE = frozenset({*CHANGES, UPDATED, ACKNOWLEDGED})
_SMALL = 8192
"""Bytes of a message above which it counts like any other, so that many of them cannot take much memory."""


class Inbox:
    """Messages a server sent outside any exchange: bounded, the oldest dropped and counted.

    Of what says the same however often it is said, the last waits: a list has changed, a resource was
    updated. Should even that be too much, the inbox remembers that something was missed.

    Args:
        max_bytes: how much all other messages together may have taken on the wire; the newest always waits.
    """

    def __init__(self, max_items: int = 1024, max_bytes: int = 4 * 1024 * 1024) -> None:
        self._frames: deque[tuple[Frame, int]] = deque()
        self._bytes = 0
        self._latest: OrderedDict[tuple[object, ...], Frame] = OrderedDict()
        self._max_items = max_items
        self._max_bytes = max_bytes
        self._arrived = asyncio.Event()
        self._closed = False
        self._missed = False
        self.dropped = 0

    def put(self, frame: Frame, size: int = 0) -> None:
        """Add a message; when full, the oldest one is dropped.

        Args:
            size: its bytes on the wire.
        """
        self._arrived.set()
        if size <= _SMALL and (key := _subject(frame)) is not None:
            self._latest[key] = frame
            if len(self._latest) > self._max_items:
                self._latest.popitem(last=False)
                self.dropped += 1
                self._missed = True
            return
        frames = self._frames
        while frames and (len(frames) >= self._max_items or self._bytes + size > self._max_bytes):
            oldest, its_size = frames.popleft()
            self._bytes -= its_size
            self.dropped += 1
            self._missed = self._missed or oldest.method in _REPEATABLE
        frames.append((frame, size))
        self._bytes += size

    def miss(self) -> None:
        """Messages may have been lost on their way, for example with a stream that could not be resumed."""
        self._missed = True
        self._arrived.set()

    def take_missed(self) -> bool:
        """Tell whether something was missed since this was asked last."""
        missed, self._missed = self._missed, False
        return missed

    def close(self) -> None:
        """No more messages will come."""
        self._closed = True
        self._arrived.set()

    async def wait(self) -> bool:
        """Wait until a message waits or something was missed; False once it is closed and empty."""
        while not (self._frames or self._latest or self._missed):
            if self._closed:
                return False
            self._arrived.clear()
            await self._arrived.wait()
        return True

    def take(self) -> Frame | None:
        """Give the next message, or None when none waits."""
        if self._latest:
            return self._latest.popitem(last=False)[1]
        if not self._frames:
            return None
        frame, size = self._frames.popleft()
        self._bytes -= size
        return frame


def _subject(frame: Frame) -> tuple[object, ...] | None:
    """Give what a message is about if the last one about it says as much as all of them, else None."""
    method = frame.method
    if method not in _REPEATABLE or not (frame.id is UNSET or frame.id is None):
        return None
    stream = subscription_of(frame.params)
    uri = frame.params.get("uri") if method == UPDATED and isinstance(frame.params, dict) else None
    return method, stream if isinstance(stream, int | str) else None, uri if isinstance(uri, str) else None


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

    @property
    def exceeded(self) -> Exceeded | None:
        """The limit for which its process was ended, if it was."""
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

    async def close(self, reason: str = "it was closed") -> None:
        """End the link and everything it owns; bounded, callable from any task, more than once.

        Args:
            reason: told to the calls in flight.
        """
        ...

    def frozen(self) -> bool:
        """Whether the server is known to be stopped: it will not answer, however long one waits."""
        ...

    def distrust(self) -> None:
        """The server did not answer in time: what idles may be dead, so open anew what can be opened anew."""
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
