"""One client's conversation with a fake server: who speaks which revision, and what is running.

Sans-IO. A message goes in; a notification acts at once, a request gives an `Exchange` to play.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from trunkline.testing import eras
from trunkline.testing.exchange import Carrier, Exchange, Request
from trunkline.testing.ledger import Received
from trunkline.testing.script import RpcError

if TYPE_CHECKING:
    from trunkline.testing.fake import FakeServer

BATCHING = "2025-03-26"
"""The one revision that has batches."""


class Conversation:
    """The state of one connection, or of one legacy HTTP session.

    Modern requests leave no trace here but `running`: each one carries all it needs.
    """

    def __init__(self, server: FakeServer, version: str | None = None) -> None:
        self.server = server
        self.version = version
        """The legacy revision agreed in the handshake, or None before it."""
        self.log_level = eras.LOG_LEVELS[0]
        self.running: dict[str | int, Exchange] = {}
        self.subscribed: set[str] = set()
        """URIs a legacy client subscribed to."""
        self._asked = 0
        self._awaited: dict[str, Callable[[Mapping[str, Any]], None]] = {}
        self._responses: dict[str, Mapping[str, Any]] = {}

    def open(
        self,
        message: Any,
        carrier: Carrier,
        headers: Mapping[str, str] | None = None,
        refusal: RpcError | None = None,
    ) -> Exchange | None:
        """Take one message in; give the exchange to play if it is a request.

        Args:
            headers: of the HTTP request, for the ledger.
            refusal: answer a request with this error.

        Raises:
            RpcError: -32600, it is not a single JSON-RPC request, notification or response.
        """
        method, params, request_id = _parse(message)
        if method is None:
            self._take_response(message)
            return None
        version = self._version_of(method, params)
        received = Received(method, params, request_id=request_id, version=version, headers=headers)
        self.server.ledger.add(received)
        if request_id is None:
            self._notified(method, params)
            return None
        exchange = Exchange(self, Request(method, params, request_id, version), received, carrier, refusal)
        self.running[request_id] = exchange
        return exchange

    def open_each(
        self, message: Any, make_carrier: Callable[[], Carrier], headers: Mapping[str, str] | None = None
    ) -> list[Exchange]:
        """Take one message in, or a batch where the revision has them (2025-03-26); give what is to play.

        Raises:
            RpcError: -32600, as `open`, or the revision has no batches.
        """
        if not isinstance(message, list):
            exchange = self.open(message, make_carrier(), headers)
            return [] if exchange is None else [exchange]
        if self.version != BATCHING or not message or not self.server.reads_batches:
            raise RpcError(eras.INVALID_REQUEST, "Invalid Request")
        self.server.batches.append(len(message))
        opened = [self.open(one, make_carrier(), headers) for one in message]
        return [exchange for exchange in opened if exchange is not None]

    def number_request(self) -> str:
        """Give an id for a request to the client."""
        self._asked += 1
        return f"{self.server.name}-asks-{self._asked}"

    def await_response(self, number: str, take: Callable[[Mapping[str, Any]], None]) -> None:
        """Call `take` with the client's response to a request of ours, as soon as it is there."""
        response = self._responses.pop(number, None)
        if response is not None:
            take(response)
        else:
            self._awaited[number] = take

    def settle(self, number: str, response: Mapping[str, Any]) -> None:
        """Give a response to whoever awaits it, now or later."""
        if (take := self._awaited.pop(number, None)) is not None:
            take(response)
        else:
            self._responses[number] = response

    def is_modern(self, method: str, params: Mapping[str, Any]) -> bool:
        """Tell whether a message is to be served by the modern rules."""
        if method in ("initialize", "server/discover"):
            return method == "server/discover" and self.server.discover == "answer"
        if not (self.server.modern_versions and self.server.legacy_versions):
            return not self.server.legacy_versions
        return eras.META_VERSION in _meta(params)

    def _version_of(self, method: str, params: Mapping[str, Any]) -> str | None:
        if self.is_modern(method, params):
            requested = _meta(params).get(eras.META_VERSION)
            return requested if isinstance(requested, str) else None
        return self.version

    def _take_response(self, message: Mapping[str, Any]) -> None:
        number = message.get("id")
        told = {key: message[key] for key in ("result", "error") if key in message}
        self.server.ledger.add(Received("response", told, request_id=number, version=self.version))
        self.settle(str(number), message)

    def _notified(self, method: str, params: Mapping[str, Any]) -> None:
        if method != "notifications/cancelled":
            return
        exchange = self.running.get(params.get("requestId", ""))
        if exchange is not None:
            exchange.cancel()


def _parse(message: Any) -> tuple[str | None, Mapping[str, Any], str | int | None]:
    """Give method, params and id; no method means a response."""
    if not isinstance(message, dict) or message.get("jsonrpc") != "2.0":
        raise RpcError(eras.INVALID_REQUEST, "Invalid Request")
    method, params, request_id = message.get("method"), message.get("params", {}), message.get("id")
    if method is None and ("result" in message or "error" in message):
        return None, {}, None
    identified = "id" not in message or (
        isinstance(request_id, str | int) and not isinstance(request_id, bool)
    )
    if not (isinstance(method, str) and isinstance(params, dict) and identified):
        raise RpcError(eras.INVALID_REQUEST, "Invalid Request")
    return method, params, request_id


def _meta(params: Mapping[str, Any]) -> Mapping[str, Any]:
    meta = params.get("_meta")
    return meta if isinstance(meta, dict) else {}
