"""Servers that write down, byte by byte, what a client says: one in memory and one behind a URL."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import pytest
from aiohttp import web

from trunkline.testing import FakeServer

REVISIONS = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28")


class Tap:
    """A peer in memory that passes every frame on to a fake server and keeps what came from the client."""

    def __init__(self, server: FakeServer) -> None:
        self.frames: list[bytes] = []
        self._server = server

    @property
    def messages(self) -> list[Any]:
        return [json.loads(frame) for frame in self.frames]

    @property
    def requests(self) -> list[Any]:
        return [one for one in self.messages if "method" in one and "id" in one]

    async def serve(self, receive: Callable[[], Awaitable[bytes]], send: Callable[[bytes], None]) -> None:
        async def listen() -> bytes:
            frame = await receive()
            if frame:
                self.frames.append(frame)
            return frame

        await self._server.serve(listen, send)


class Seen(NamedTuple):
    """One HTTP request as it arrived; names of headers are in lower case, no body is no message."""

    verb: str
    headers: Mapping[str, str]
    message: Any

    @property
    def method(self) -> str | None:
        """The JSON-RPC method, or None."""
        return None if self.message is None else self.message.get("method")


class Web:
    """A server of one revision behind a URL, with one tool; it writes down every request of any verb.

    Args:
        revision: what it speaks.
        tool: the definition of its tool.
        session: the session id it gives to legacy clients, or None.
    """

    def __init__(
        self, revision: str, tool: Mapping[str, Any] | None = None, session: str | None = "s-1"
    ) -> None:
        self.seen: list[Seen] = []
        self.modern = revision >= "2026"
        self._revision = revision
        self._tool = tool or {"name": "echo", "inputSchema": {"type": "object"}}
        self._session = session

    def of(self, method: str) -> list[Seen]:
        """Give the requests of one JSON-RPC method."""
        return [one for one in self.seen if one.method == method]

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        headers = {name.lower(): value for name, value in request.headers.items()}
        seen = Seen(request.method, headers, json.loads(body) if body else None)
        self.seen.append(seen)
        if seen.message is None:
            return web.Response(status=200 if request.method == "DELETE" else 405)
        if "id" not in seen.message:
            return web.Response(status=202)
        return self._answer(seen)

    def _answer(self, seen: Seen) -> web.Response:
        results: dict[str | None, Any] = {
            "tools/list": {"tools": [self._tool]},
            "tools/call": {"content": [{"type": "text", "text": "done"}]},
        }
        named = {"capabilities": {"tools": {}}, "serverInfo": {"name": "web", "version": "1"}}
        if self.modern:
            results["server/discover"] = {"supportedVersions": [self._revision], **named}
        else:
            results["initialize"] = {"protocolVersion": self._revision, **named}
        reply: dict[str, Any] = {"jsonrpc": "2.0", "id": seen.message["id"]}
        if (result := results.get(seen.method)) is None:
            return web.json_response({**reply, "error": {"code": -32601, "message": "no such method"}})
        extra = {"resultType": "complete", "ttlMs": 0, "cacheScope": "private"} if self.modern else {}
        opening = seen.method == "initialize" and self._session
        headers = {"Mcp-Session-Id": self._session} if opening and self._session else {}
        return web.json_response({**reply, "result": {**extra, **result}}, headers=headers)


@asynccontextmanager
async def _serve(handle: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", handle)
    runner = web.AppRunner(app, shutdown_timeout=0.05, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/mcp"
    finally:
        await runner.cleanup()


@pytest.fixture
def serve() -> Any:
    """Give a context manager that puts a handler of HTTP requests behind a URL of this machine."""
    return _serve


@pytest.fixture(params=REVISIONS)
def revision(request: pytest.FixtureRequest) -> str:
    """Give each revision in turn."""
    return str(request.param)


@pytest.fixture
def tap(revision: str) -> Tap:
    """Give a tapped server of one revision with the tool `echo`."""
    family = "modern" if revision >= "2026" else "legacy"
    server = FakeServer(eras=[family], versions=[revision])
    server.tool("echo", reports="arguments")
    return Tap(server)


@pytest.fixture
def make_tap() -> type[Tap]:
    """Give the class of tapped servers."""
    return Tap


@pytest.fixture
def make_web() -> type[Web]:
    """Give the class of servers behind a URL."""
    return Web
