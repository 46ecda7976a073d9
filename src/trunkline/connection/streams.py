"""The streams of notifications that one connection has open at a modern server, by their ids.

Source: specification 2026-07-28, basic/patterns/subscriptions.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from trunkline.errors import CallError
from trunkline.protocol.subscriptions import ACKNOWLEDGED, Filter, subscription_of


class Stream:
    """One `subscriptions/listen` request, from asking to its end.

    Args:
        asked: what it is to carry.
        on_end: called once when it has ended.
    """

    def __init__(self, asked: Filter, on_end: Callable[[], None]) -> None:
        self.asked = asked
        self.granted: Filter | None = None
        """What the server acknowledged, or None before it did."""
        self.failure: CallError | None = None
        """Why it ended; None while it is open, and where the server or we ended it in good order."""
        self.ended = False
        self.settled = asyncio.Event()
        """Set once it is acknowledged or has ended."""
        self._on_end = on_end

    def acknowledge(self, granted: Filter) -> None:
        """The server says what it carries; nothing counts that was not asked for."""
        if self.granted is None:
            lists, uris = self.asked.lists & granted.lists, self.asked.uris & granted.uris
            self.granted = Filter(lists=lists, uris=uris)
            self.settled.set()

    def end(self) -> None:
        """It carries nothing any more."""
        self.ended = True
        self.settled.set()
        self._on_end()


class Streams:
    """Tells which stream a notification belongs to."""

    def __init__(self) -> None:
        self._open: dict[int, Stream] = {}
        self.strays = 0
        """Notifications of streams that are not open, as after their end."""

    @contextmanager
    def opened(self, number: int, stream: Stream) -> Iterator[None]:
        """Take notifications with this id for those of a stream, as long as the block lasts."""
        self._open[number] = stream
        try:
            yield
        finally:
            del self._open[number]
            stream.end()

    def take(self, method: str, params: object) -> bool:
        """Take a notification that is about a stream; True when it is one to act on.

        One without an id is acted on too: legacy servers give none, and some modern ones forget it.
        """
        number = subscription_of(params)
        if number is None:
            return method != ACKNOWLEDGED
        stream = self._open.get(number) if type(number) is int else None
        if stream is None:
            self.strays += 1
        elif method == ACKNOWLEDGED:
            stream.acknowledge(Filter.read(params))
        else:
            return True
        return False
