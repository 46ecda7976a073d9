"""Who is told what by a fake server: streams of 2026-07-28, subscriptions and log levels of legacy sessions.

Sans-IO: a stream is an exchange that waits for news, everything else is sent by the connection's outlet.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from trunkline.testing import eras
from trunkline.testing.effects import Await, Effect, End, Write
from trunkline.testing.script import Result, RpcError

if TYPE_CHECKING:
    from trunkline.testing.dialogue import Conversation
    from trunkline.testing.exchange import Exchange
    from trunkline.testing.fake import FakeServer

LISTEN = "subscriptions/listen"
METHODS = frozenset({LISTEN, "resources/subscribe", "resources/unsubscribe"})
META_SUBSCRIPTION = "io.modelcontextprotocol/subscriptionId"
UPDATED = "notifications/resources/updated"

Notify = Callable[[str, Mapping[str, Any]], None]


class Outlet(NamedTuple):
    """One legacy connection or session, and how it is sent what it did not ask for."""

    conversation: Conversation
    send: Notify


class Listener:
    """One open stream: what it carries, and what waits to be sent on it."""

    def __init__(self, exchange: Exchange, carried: Mapping[str, Any]) -> None:
        self.carried = carried
        """The acknowledged filter."""
        self.waiting: deque[tuple[str, Mapping[str, Any]]] = deque()
        self.ending: bool | None = None
        """Whether it is to end in good order, or to be cut; None while it goes on."""
        self._conversation = exchange.conversation
        self.key = f"news-{exchange.request.id}"

    def put(self, method: str, params: Mapping[str, Any]) -> None:
        """Have a notification sent on it."""
        self.waiting.append((method, params))
        self._conversation.settle(self.key, {})

    def end(self, *, cut: bool) -> None:
        """Have it ended once everything before was sent."""
        self.ending = not cut
        self._conversation.settle(self.key, {})


class Watchers:
    """Everybody who is told of changes of one server.

    Args:
        server: whose changes they are.
    """

    def __init__(self, server: FakeServer) -> None:
        self.honors: Callable[[Mapping[str, Any]], Mapping[str, Any]] = dict
        """Gives what is acknowledged of an asked filter; unknown resources are left out before."""
        self.listeners: set[Listener] = set()
        self.outlets: set[Outlet] = set()
        self._server = server

    @property
    def uris(self) -> set[str]:
        """Every resource that somebody is subscribed to."""
        told = {uri for one in self.listeners for uri in one.carried.get("resourceSubscriptions", ())}
        return told.union(*(one.conversation.subscribed for one in self.outlets))

    def tell_list(self, kind: str) -> None:
        """Tell everybody who wants to know that a list has changed."""
        for listener in tuple(self.listeners):
            if listener.carried.get(f"{kind}ListChanged"):
                listener.put(f"notifications/{kind}/list_changed", {})
        for outlet in self._legacy():
            outlet.send(f"notifications/{kind}/list_changed", {})

    def tell_update(self, uri: str, resource: str) -> None:
        """Tell everybody subscribed to a resource that it, or a part of it with this URI, was updated."""
        for listener in tuple(self.listeners):
            if resource in listener.carried.get("resourceSubscriptions", ()):
                listener.put(UPDATED, {"uri": uri})
        for outlet in self._legacy():
            if resource in outlet.conversation.subscribed:
                outlet.send(UPDATED, {"uri": uri})

    def tell_log(self, level: str, data: Any, logger: str | None) -> None:
        """Tell every legacy session that wants this level."""
        named = {} if logger is None else {"logger": logger}
        for outlet in self._legacy():
            if eras.LOG_LEVELS.index(level) >= eras.LOG_LEVELS.index(outlet.conversation.log_level):
                outlet.send("notifications/message", {"level": level, **named, "data": data})

    def end_streams(self, *, cut: bool) -> None:
        """End every stream."""
        for listener in tuple(self.listeners):
            listener.end(cut=cut)

    def listen(self, exchange: Exchange) -> Generator[Effect, Any, Mapping[str, Any]]:
        """Play one stream: acknowledge, tell what happens, and give the result that ends it."""
        listener = Listener(exchange, self._grant(exchange.request.params))
        meta = {META_SUBSCRIPTION: exchange.request.id}
        told = {"_meta": meta, "notifications": dict(listener.carried)}
        yield Write(exchange.note("notifications/subscriptions/acknowledged", told))
        self.listeners.add(listener)
        try:
            while True:
                while listener.waiting:
                    method, params = listener.waiting.popleft()
                    yield Write(exchange.note(method, {**params, "_meta": meta}))
                if listener.ending is not None:
                    break
                yield Await(listener.key)
            if not listener.ending:
                yield End("close")
            return {"_meta": meta}
        finally:
            self.listeners.discard(listener)

    def subscribe(
        self, conversation: Conversation, method: str, params: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        """Answer `resources/subscribe` and `resources/unsubscribe`; raises RpcError."""
        uri = params.get("uri")
        if not self._knows(uri):
            raise RpcError(eras.LEGACY_RESOURCE_NOT_FOUND, "Resource not found", {"uri": uri})
        change = (
            conversation.subscribed.add
            if method == "resources/subscribe"
            else conversation.subscribed.discard
        )
        change(str(uri))
        return Result()

    def _grant(self, params: Mapping[str, Any]) -> Mapping[str, Any]:
        asked = params.get("notifications")
        if not isinstance(asked, dict):
            raise RpcError(eras.INVALID_PARAMS, "missing notifications")
        granted = dict(asked)
        if uris := [uri for uri in asked.get("resourceSubscriptions", ()) if self._knows(uri)]:
            granted["resourceSubscriptions"] = uris
        else:
            granted.pop("resourceSubscriptions", None)
        return self.honors(granted)

    def _knows(self, uri: Any) -> bool:
        return isinstance(uri, str) and any(one.matches(uri) for one in self._server.resources.values())

    def _legacy(self) -> list[Outlet]:
        return [one for one in self.outlets if one.conversation.version is not None]
