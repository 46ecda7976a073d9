"""One subscription to one resource, as the application holds it."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from types import TracebackType
from typing import Self

from trunkline.core.events import ResourceUpdated
from trunkline.errors import CallError

_MOST_WAITING = 256


class Subscription:
    """Tells when a resource changes, for `async for`; use it in `async with`, or `close` it.

    It lives over losses of the server: once the server is heard again, one update with `missed` set says
    that the resource may have changed unheard. What an update says it says once, however often the server
    repeats it before it is read. The iteration ends when the subscription or the trunk is closed, and
    raises a `CallError` when the server can no longer be subscribed to.
    """

    def __init__(self, server: str, uri: str, release: Callable[[Subscription], None]) -> None:
        self.server = server
        """Configured name of the server."""
        self.uri = uri
        """What was subscribed to."""
        self._release = release
        self._waiting: OrderedDict[str, ResourceUpdated] = OrderedDict()
        self._failure: CallError | None = None
        self._closed = False
        self._news = asyncio.Event()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> ResourceUpdated:
        while not self._waiting:
            if self._failure is not None:
                raise self._failure
            if self._closed:
                raise StopAsyncIteration
            self._news.clear()
            await self._news.wait()
        return self._waiting.popitem(last=False)[1]

    def close(self) -> None:
        """End it; the server is told in the background once nobody else is subscribed to the resource."""
        if not self._closed:
            self._waiting.clear()
            self.end()
            self._release(self)

    def put(self, event: ResourceUpdated) -> None:
        """Tell of an update; of too many parts of the resource one that stands for all remains."""
        if self._closed:
            return
        if len(self._waiting) >= _MOST_WAITING and event.uri not in self._waiting:
            self._waiting.clear()
            event = ResourceUpdated(server=self.server, uri=self.uri, missed=True)
        self._waiting[event.uri] = event
        self._news.set()

    def end(self, failure: CallError | None = None) -> None:
        """No more updates will come; what waits can still be read."""
        self._closed = True
        self._failure = failure
        self._news.set()
