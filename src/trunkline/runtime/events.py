"""The events of all servers, for any number of watchers, each with a bounded queue of its own."""

from __future__ import annotations

import asyncio
import weakref
from collections import deque
from types import TracebackType
from typing import Generic, Self, TypeVar

from trunkline.core.events import Event

Kind = TypeVar("Kind", bound=Event)

MOST_WAITING = 1024
"""Events that wait for one watcher before the oldest makes place."""


class Watch(Generic[Kind]):
    """One watcher's view of what happens, for `async for`; made by `Trunk.events`.

    It sees what happens from its making on and ends with the trunk. A watcher slower than its servers
    loses the oldest events, and holds nobody up. One that is no longer held is no longer served.
    """

    def __init__(self, kinds: tuple[type[Event], ...], max_waiting: int) -> None:
        if max_waiting < 1:
            raise ValueError("max_waiting must be at least 1")
        self.dropped = 0
        """How many events made place for newer ones before they were read."""
        self._kinds = kinds
        self._max_waiting = max_waiting
        self._waiting: deque[Kind] = deque()
        self._ended = False
        self._news = asyncio.Event()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Kind:
        while not self._waiting:
            if self._ended:
                raise StopAsyncIteration
            self._news.clear()
            await self._news.wait()
        return self._waiting.popleft()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop watching; what waits is dropped."""
        self._waiting.clear()
        self.end()

    @property
    def ended(self) -> bool:
        """Whether no more events will come."""
        return self._ended

    def wants(self, event: Event) -> bool:
        """Whether an event is of a kind that was asked for."""
        return not self._ended and isinstance(event, self._kinds)

    def put(self, event: Kind) -> None:
        """Add an event; when full, the oldest one is dropped."""
        if len(self._waiting) >= self._max_waiting:
            self._waiting.popleft()
            self.dropped += 1
        self._waiting.append(event)
        self._news.set()

    def end(self) -> None:
        """No more events will come; what waits can still be read."""
        self._ended = True
        self._news.set()


class Bus:
    """Hands every event to every watcher that wants it; never blocks."""

    def __init__(self) -> None:
        self._watches: weakref.WeakSet[Watch[Event]] = weakref.WeakSet()
        self._closed = False
        self.watched = False
        """Whether there may be a watcher; False is certain."""

    def watch(self, kinds: tuple[type[Event], ...], max_waiting: int) -> Watch[Event]:
        """Give a new watcher of events of these kinds, or of all when there are none."""
        watch: Watch[Event] = Watch(kinds or (Event,), max_waiting)
        if self._closed:
            watch.end()
        else:
            self._watches.add(watch)
            self.watched = True
        return watch

    def put(self, event: Event) -> None:
        """Hand over an event."""
        for watch in tuple(self._watches):
            if watch.ended:
                self._watches.discard(watch)
            elif watch.wants(event):
                watch.put(event)
        self.watched = len(self._watches) > 0

    def close(self) -> None:
        """No more events will come: every watch ends once it was read."""
        self._closed = True
        for watch in tuple(self._watches):
            watch.end()
        self._watches.clear()
