"""The MCP endpoint of a fake server: what each HTTP request becomes, and the legacy sessions. Sans-IO."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from trunkline.testing import answers, eras
from trunkline.testing.dialogue import BATCHING, Conversation
from trunkline.testing.exchange import Exchange
from trunkline.testing.framing import decode, encode, error_message
from trunkline.testing.http_batch import HttpBatch
from trunkline.testing.http_message import HttpRequest, render_response
from trunkline.testing.http_reply import HttpReply
from trunkline.testing.http_rules import check_headers
from trunkline.testing.script import RpcError
from trunkline.testing.session_stream import SessionStream
from trunkline.testing.watching import LISTEN

if TYPE_CHECKING:
    from trunkline.testing.fake import FakeServer

_ACCEPTED = ("application/json", "text/event-stream")
_OWN_HOSTS = ("127.0.0.1", "localhost", "[::1]")
_SERVER_ERROR = -32000


class Endpoint:
    """Decides on HTTP requests; playing the exchanges and moving the bytes is up to its owner.

    Args:
        json, path, sessions: as `FakeServer.http` takes them.
    """

    def __init__(self, server: FakeServer, *, json: bool, path: str, sessions: bool) -> None:
        self.sessions: dict[str, Conversation] = {}
        """The legacy sessions that are alive, by their id."""
        self._server = server
        self._json = json
        self._path = path
        self._keeps_sessions = sessions
        self._opened = 0

    def receive(self, request: HttpRequest) -> bytes | Exchange | HttpBatch:
        """Give the response, or what is played to write it."""
        if request.path.partition("?")[0] != self._path:
            return render_response(404, {"Content-Type": "text/plain"}, b"Not Found")
        if not _is_own(request.headers.get("origin")):
            return _refuse(403, eras.INVALID_REQUEST, "Origin not allowed")
        if request.method == "DELETE" and self._keeps_sessions and self._server.legacy_versions:
            return self._delete(request.headers)
        if request.method == "GET" and self._keeps_sessions and self._server.watchable:
            return self._listen(request.headers)
        if request.method != "POST":
            return render_response(405, {"Allow": "POST"})
        if not request.headers.get("content-type", "").startswith("application/json"):
            return _refuse(415, eras.INVALID_REQUEST, "Content-Type must be application/json")
        if not all(kind in request.headers.get("accept", "") for kind in _ACCEPTED):
            return _refuse(406, eras.INVALID_REQUEST, f"Accept must list {' and '.join(_ACCEPTED)}")
        try:
            return self._post(decode(request.body), request.headers)
        except RpcError as error:
            return _refuse(400, error.code, error.message)

    def _post(self, message: Any, headers: Mapping[str, str]) -> bytes | Exchange | HttpBatch:
        if isinstance(message, list) and message and BATCHING in self._server.legacy_versions:
            return self._post_batch(message, headers)
        if not isinstance(message, dict):
            raise RpcError(eras.INVALID_REQUEST, "the body must be a single JSON-RPC message")
        if self._is_modern(message, headers):
            return self._post_modern(message, headers)
        version = headers.get("mcp-protocol-version")
        if version is not None and version not in self._server.legacy_versions:
            return _refuse(400, _SERVER_ERROR, f"Bad Request: Unsupported protocol version: {version}")
        return self._post_legacy(message, headers)

    def _is_modern(self, message: Mapping[str, Any], headers: Mapping[str, str]) -> bool:
        """A header of no legacy revision, or modern `_meta`, opens with the modern rules."""
        if not (self._server.modern_versions and self._server.legacy_versions):
            discovers = message.get("method") == "server/discover" and self._server.discover == "answer"
            return discovers or not self._server.legacy_versions
        if message.get("method") == "initialize":
            return False
        version = headers.get("mcp-protocol-version", eras.LEGACY[-1])
        params = message.get("params")
        meta = params.get("_meta") if isinstance(params, dict) else None
        return version not in eras.LEGACY or (isinstance(meta, dict) and eras.META_VERSION in meta)

    def _post_modern(self, message: dict[str, Any], headers: Mapping[str, str]) -> bytes | Exchange:
        if "method" not in message:
            raise RpcError(eras.INVALID_REQUEST, "a client sends no responses")
        carrier = HttpReply(json=self._json and message["method"] != LISTEN, modern=True)
        conversation = Conversation(self._server)
        exchange = conversation.open(message, carrier, headers, self._find_refusal(message, headers))
        return render_response(202) if exchange is None else exchange

    def _find_refusal(self, message: Mapping[str, Any], headers: Mapping[str, str]) -> RpcError | None:
        method, params = message["method"], message.get("params") or {}
        try:
            if method == "initialize":
                return answers.unsupported(self._server, params.get("protocolVersion"))
            answers.admit_modern(self._server, params)
            tool = self._server.tools.get(params.get("name", "")) if method == "tools/call" else None
            check_headers(headers, method, params, tool)
        except RpcError as error:
            return error
        return None

    def _post_legacy(self, message: dict[str, Any], headers: Mapping[str, str]) -> bytes | Exchange:
        answered: dict[str, str] = {}
        session_id = headers.get("mcp-session-id")
        if not self._keeps_sessions:
            opens = message.get("method") == "initialize"
            assumed = None if opens else headers.get("mcp-protocol-version", "2025-03-26")
            conversation = Conversation(self._server, assumed)
        elif message.get("method") == "initialize":
            conversation = Conversation(self._server)
            answered = {"Mcp-Session-Id": self._open_session(conversation)}
        elif session_id is None:
            return _refuse(400, eras.INVALID_REQUEST, "Bad Request: Mcp-Session-Id header is required")
        elif session_id not in self.sessions:
            return _refuse(404, eras.INVALID_REQUEST, "Session not found")
        else:
            conversation = self.sessions[session_id]
        carrier = HttpReply(json=self._json, modern=False, headers=answered)
        exchange = conversation.open(message, carrier, headers)
        return render_response(202) if exchange is None else exchange

    def _post_batch(self, messages: list[Any], headers: Mapping[str, str]) -> bytes | HttpBatch:
        session_id = headers.get("mcp-session-id", "")
        if self._keeps_sessions and session_id not in self.sessions:
            return _refuse(404, eras.INVALID_REQUEST, "Session not found")
        conversation = self.sessions.get(session_id) or Conversation(self._server, BATCHING)
        batch = HttpBatch(json=self._json)
        batch.exchanges = conversation.open_each(messages, batch.carrier, headers)
        return batch if batch.exchanges else render_response(202)

    def _open_session(self, conversation: Conversation) -> str:
        self._opened += 1
        session_id = f"{self._server.name}-session-{self._opened}"
        self.sessions[session_id] = conversation
        return session_id

    def _listen(self, headers: Mapping[str, str]) -> bytes | Exchange:
        conversation = self.sessions.get(headers.get("mcp-session-id", ""))
        if conversation is None:
            return _refuse(404, eras.INVALID_REQUEST, "Session not found")
        return SessionStream(conversation, headers)

    def _delete(self, headers: Mapping[str, str]) -> bytes:
        session_id = headers.get("mcp-session-id")
        if session_id is None:
            return _refuse(400, eras.INVALID_REQUEST, "Bad Request: Mcp-Session-Id header is required")
        if self.sessions.pop(session_id, None) is None:
            return _refuse(404, eras.INVALID_REQUEST, "Session not found")
        return render_response(200)


def _refuse(status: int, code: int, message: str) -> bytes:
    body = encode(error_message(None, RpcError(code, message)))
    return render_response(status, {"Content-Type": "application/json"}, body)


def _is_own(origin: str | None) -> bool:
    if origin is None:
        return True
    host = origin.partition("://")[2]
    return (host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host) in _OWN_HOSTS
