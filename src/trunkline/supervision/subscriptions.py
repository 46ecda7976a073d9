"""What the application is subscribed to at one server, over all its connections.

It outlives connections and does no I/O: a keeper, one for each connection, makes the server agree with it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from trunkline.core.events import EventSink, ResourceUpdated
from trunkline.errors import CallError, ServerError
from trunkline.protocol.eras import INVALID_PARAMS, RESOURCE_NOT_FOUND
from trunkline.protocol.subscriptions import concerned
from trunkline.supervision.subscription import Subscription


class _Entry:
    """One resource and who is subscribed to it."""

    def __init__(self) -> None:
        self.handles: set[Subscription] = set()
        self.outcome: asyncio.Future[Callable[[], CallError] | None] = _future()
        """Done when the server has agreed, or has not and will not."""
        self.lapsed = False
        """Whether the server had agreed and was lost since, so that updates may have been missed."""


class Subscriptions:
    """The resources of one server that are wanted, and whom to tell of their updates."""

    def __init__(self, server: str, events: EventSink) -> None:
        self.wake = asyncio.Event()
        """Set when what is wanted changes, or the connection has something else for its keeper."""
        self._server = server
        self._events = events
        self._entries: dict[str, _Entry] = {}
        self._missed = False
        self._ended: Callable[[], CallError] | None = None

    def __bool__(self) -> bool:
        return bool(self._entries)

    @property
    def uris(self) -> frozenset[str]:
        """What is wanted."""
        return frozenset(self._entries)

    async def subscribe(self, uri: str) -> Subscription:
        """Subscribe to a resource and wait until the server agrees; the caller bounds the time.

        Raises:
            CallError: the server cannot, or will not.
        """
        if self._ended is not None:
            raise self._ended()
        handle = Subscription(self._server, uri, self._release)
        entry = self._entries.setdefault(uri, _Entry())
        entry.handles.add(handle)
        self.wake.set()
        try:
            while self._entries.get(uri) is entry and not (outcome := entry.outcome).done():
                await asyncio.wait({outcome})
        except BaseException:
            handle.close()
            raise
        if (fail := entry.outcome.result()) is not None:
            raise fail()
        return handle

    def update(self, uri: str) -> None:
        """Tell everybody concerned that a resource was updated."""
        event = ResourceUpdated(server=self._server, uri=uri)
        self._events.put(event)
        for one in concerned(uri, self._entries):
            self._tell(one, event)

    def agree(self, uri: str) -> None:
        """The server tells of updates of this resource from now on."""
        if (entry := self._entries.get(uri)) is None:
            return
        if not entry.outcome.done():
            entry.outcome.set_result(None)
        if entry.lapsed:
            entry.lapsed = False
            self._tell_missed(uri)

    def refuse(self, uri: str, error: Callable[[], CallError]) -> None:
        """The server will not tell of updates of this resource; `error` gives a fresh error that says why."""
        if (entry := self._entries.pop(uri, None)) is None:
            return
        if entry.outcome.done():
            entry.outcome = _future()
        entry.outcome.set_result(error)
        for handle in entry.handles:
            handle.end(error())

    def agreed(self, uri: str) -> bool:
        """Whether the server tells of updates of this resource now."""
        entry = self._entries.get(uri)
        return entry is not None and entry.outcome.done()

    def miss(self) -> None:
        """Notifications may have been lost on a connection that lives."""
        self._missed = True
        self.wake.set()

    def take_missed(self) -> bool:
        """Tell whether that happened since this was asked last."""
        missed, self._missed = self._missed, False
        return missed

    def tell_missed(self) -> None:
        """Tell everybody that updates may have been missed."""
        for uri in self._entries:
            if self.agreed(uri):
                self._tell_missed(uri)

    def is_blamed(self, uri: str, error: ServerError) -> bool:
        """Whether an error is about this resource: one that was agreed to before only if it says so."""
        entry = self._entries.get(uri)
        if entry is None or entry.outcome.done():
            return False
        return not entry.lapsed or error.rpc_code in (INVALID_PARAMS, RESOURCE_NOT_FOUND)

    def lapse(self) -> None:
        """The server cannot be heard: updates may be missed until it agrees again."""
        for entry in self._entries.values():
            if entry.outcome.done():
                entry.lapsed = True
                entry.outcome = _future()

    def end(self, error: Callable[[], CallError]) -> None:
        """The server is gone for good: who waits is told why, and every iteration ends."""
        self._ended = error
        entries, self._entries = self._entries, {}
        for entry in entries.values():
            if not entry.outcome.done():
                entry.outcome.set_result(error)
            for handle in entry.handles:
                handle.end()

    def _tell_missed(self, uri: str) -> None:
        event = ResourceUpdated(server=self._server, uri=uri, missed=True)
        self._events.put(event)
        self._tell(uri, event)

    def _tell(self, uri: str, event: ResourceUpdated) -> None:
        for handle in self._entries[uri].handles:
            handle.put(event)

    def _release(self, handle: Subscription) -> None:
        entry = self._entries.get(handle.uri)
        if entry is None:
            return
        entry.handles.discard(handle)
        if not entry.handles:
            del self._entries[handle.uri]
            self.wake.set()


def _future() -> asyncio.Future[Callable[[], CallError] | None]:
    return asyncio.get_running_loop().create_future()
