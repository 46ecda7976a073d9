"""What a running call reports, as a bounded stream that any number of readers may follow."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Generic, TypeVar

Item = TypeVar("Item")

_MOST_KEPT = 256


class Feed(Generic[Item]):
    """The latest reports of one call, oldest first; use it in `async for`.

    Each reader sees everything that is kept, also what came before it began to read, and ends with
    the call. At most 256 reports are kept; a newer one then takes the place of the oldest.
    """

    def __init__(self, max_items: int = _MOST_KEPT) -> None:
        self.dropped = 0
        """How many reports made place for newer ones before any reader had seen them."""
        self._kept: deque[Item] = deque()
        self._max_items = max_items
        self._first = 0
        self._seen = 0
        self._ended = False
        self._news = asyncio.Event()

    def put(self, item: Item) -> None:
        """Add a report; ignored after the end."""
        if self._ended:
            return
        if len(self._kept) == self._max_items:
            self._kept.popleft()
            self.dropped += self._first >= self._seen
            self._first += 1
        self._kept.append(item)
        self._wake()

    def end(self) -> None:
        """No more reports will come; what is kept can still be read."""
        self._ended = True
        self._wake()

    def __aiter__(self) -> Reader[Item]:
        return Reader(self)

    async def read(self, place: int) -> tuple[int, Item]:
        """Give the first report at or after a place, and the place after it.

        Raises:
            StopAsyncIteration: the call has ended and there is none.
        """
        while place >= self._first + len(self._kept):
            if self._ended:
                raise StopAsyncIteration
            await self._news.wait()
        place = max(place, self._first)
        self._seen = max(self._seen, place + 1)
        return place + 1, self._kept[place - self._first]

    def _wake(self) -> None:
        self._news.set()
        self._news = asyncio.Event()


class Reader(Generic[Item]):
    """One reader's place in a feed."""

    def __init__(self, feed: Feed[Item]) -> None:
        self._feed = feed
        self._place = 0

    def __aiter__(self) -> Reader[Item]:
        return self

    async def __anext__(self) -> Item:
        self._place, item = await self._feed.read(self._place)
        return item
