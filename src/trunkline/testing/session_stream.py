"""The event stream that a GET opens in a legacy HTTP session: what belongs to no request comes on it."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from trunkline.testing.effects import Await, Steps, Write
from trunkline.testing.exchange import Exchange, Request
from trunkline.testing.http_reply import HttpReply
from trunkline.testing.ledger import Received
from trunkline.testing.watching import Outlet

if TYPE_CHECKING:
    from trunkline.testing.dialogue import Conversation

_KEY = "session stream"


class SessionStream(Exchange):
    """One such stream; the ledger knows it by the method `GET`. It ends with its connection."""

    def __init__(self, conversation: Conversation, headers: Mapping[str, str]) -> None:
        self._reply = HttpReply(json=False, modern=False)
        received = Received("GET", {}, version=conversation.version, headers=headers)
        conversation.server.ledger.add(received)
        super().__init__(conversation, Request("GET", {}, _KEY, conversation.version), received, self._reply)

    def _play(self) -> Steps:
        waiting: deque[bytes] = deque()

        def put(method: str, params: Mapping[str, Any]) -> None:
            waiting.append(self.note(method, params))
            self.conversation.settle(_KEY, {})

        outlet = Outlet(self.conversation, put)
        yield Write(self._reply.open_stream())
        self.server.watchers.outlets.add(outlet)
        try:
            while True:
                while waiting:
                    yield Write(waiting.popleft())
                yield Await(_KEY)
        finally:
            self.server.watchers.outlets.discard(outlet)
