"""Legacy Streamable HTTP: responses that are taken up where they broke, and the stream for all else."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

import trunkline
from trunkline.runtime import assembly

pytestmark = pytest.mark.anyio

TOOL = {"name": "slow", "inputSchema": {"type": "object"}}


class Server:
    """A legacy server whose answers to `tools/call` come in pieces that a test writes down."""

    def __init__(self, *pieces: list[str]) -> None:
        self.pieces = list(pieces)
        """Events of the POST's response, then of each GET that resumes it; `$ID` is the id of the call."""
        self.listening: list[list[str] | int] = []
        """Events, or the status, of each GET without `Last-Event-ID`, in turn; none left is 405."""
        self.gets: list[str | None] = []
        self.calls = 0
        self.lists = 0
        self.closed = asyncio.Event()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if request.method == "GET":
            return await self._get(request)
        if request.method == "DELETE":
            return web.Response(status=405)
        message = await request.json()
        match message.get("method"):
            case "initialize":
                result = {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}, "serverInfo": {}}
            case "tools/list":
                self.lists += 1
                result = {"tools": [TOOL]}
            case "tools/call":
                self.calls += 1
                self.id = message["id"]
                return await self._stream(request, self.pieces.pop(0))
            case "server/discover":
                error = {"code": -32601, "message": "no"}
                return web.json_response({"jsonrpc": "2.0", "id": message["id"], "error": error})
            case _:
                return web.Response(status=202)
        reply = {"jsonrpc": "2.0", "id": message["id"], "result": result}
        return web.json_response(reply, headers={"Mcp-Session-Id": "s1"})

    async def _get(self, request: web.Request) -> web.StreamResponse:
        last = request.headers.get("Last-Event-ID")
        assert request.headers["Mcp-Session-Id"] == "s1"
        assert request.headers["MCP-Protocol-Version"] == "2025-11-25"
        if last is None and self.listening:
            self.gets.append(last)
            says = self.listening.pop(0)
            return web.Response(status=says) if isinstance(says, int) else await self._stream(request, says)
        if last is None or not self.pieces:
            return web.Response(status=405)
        self.gets.append(last)
        return await self._stream(request, self.pieces.pop(0))

    async def _stream(self, request: web.Request, events: list[str]) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for event in events:
            if event == "STAY":
                await self.closed.wait()
                break
            if event == "BREAK":
                assert request.transport is not None
                request.transport.abort()
                break
            await response.write((event.replace("$ID", str(getattr(self, "id", 0))) + "\n\n").encode())
        return response


@asynccontextmanager
async def running(server: Server, **options: Any) -> AsyncIterator[trunkline.Trunk]:
    app = web.Application()
    app.router.add_route("*", "/mcp", server.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.05)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    url = f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}/mcp"  # type: ignore[union-attr]
    try:
        async with trunkline.connect(url, name="s", **options) as trunk:
            await trunk.ready("s")
            yield trunk
    finally:
        server.closed.set()
        await runner.cleanup()


def event(data: Any, number: int | None = None, retry: int | None = None) -> str:
    lines = [] if number is None else [f"id: {number}"]
    lines += [] if retry is None else [f"retry: {retry}"]
    return "\n".join([*lines, f"data: {json.dumps(data) if data else ''}"]).replace('"$ID"', "$ID")


ANSWER = {"jsonrpc": "2.0", "id": "$ID", "result": {"content": [{"type": "text", "text": "done"}]}}
PRIMING = event(None, 1, retry=1)
PROGRESS = {
    "jsonrpc": "2.0",
    "method": "notifications/progress",
    "params": {"progressToken": "$ID", "progress": 1},
}


@pytest.mark.parametrize("end", [[], ["BREAK"]], ids=["closed", "broken"])
async def test_a_response_that_ended_early_is_taken_up_and_the_tool_runs_once(end: list[str]):
    server = Server([PRIMING, *end], [event(PROGRESS, 2), *end], [event(ANSWER, 3)])
    seen: list[float] = []
    async with running(server) as trunk:
        reply = await trunk.call("s.slow", on_progress=lambda step: seen.append(step.progress))
    assert (reply.text, seen, server.gets, server.calls) == ("done", [1], ["1", "2"], 1)


async def test_a_response_without_ids_is_not_taken_up():
    server = Server([event(PROGRESS)])
    async with running(server) as trunk:
        with pytest.raises(trunkline.OutcomeUnknownError) as caught:
            await trunk.call("s.slow")
    assert (caught.value.delivery, server.gets) == ("unknown", [])


async def test_a_stream_the_server_no_longer_has_leaves_the_outcome_unknown():
    server = Server([PRIMING])
    async with running(server) as trunk:
        with pytest.raises(trunkline.OutcomeUnknownError, match="ended before the answer"):
            await trunk.call("s.slow")
    assert server.calls == 1


async def test_a_stream_that_gives_nothing_new_is_given_up():
    server = Server(*[[PRIMING]] * 20)
    async with running(server) as trunk:
        trunk._fleet.get("s").connection.link._settings = _at_once(trunk)  # type: ignore[union-attr]
        with pytest.raises(trunkline.OutcomeUnknownError):
            await trunk.call("s.slow", timeout=30)
    assert 3 <= len(server.gets) <= 6


def _at_once(trunk: trunkline.Trunk) -> Any:
    from msgspec.structs import replace

    return replace(trunk._fleet.get("s").connection.link._settings, jitter=lambda: 0.0)  # type: ignore[union-attr]


async def test_a_call_that_waits_to_be_taken_up_ends_at_its_deadline():
    server = Server([event(None, 1, retry=60_000)])
    async with running(server) as trunk:
        with pytest.raises(trunkline.DeadlineExceededError) as caught:
            await trunk.call("s.slow", timeout=0.2)
    assert (caught.value.delivery, server.gets) == ("unknown", [])


async def test_a_call_that_waits_to_be_taken_up_can_be_cancelled():
    server = Server([event(None, 1, retry=60_000)])
    async with running(server) as trunk:
        call = asyncio.create_task(trunk.call("s.slow"))
        await _until(lambda: server.calls == 1)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call


CHANGED = {"jsonrpc": "2.0", "method": "notifications/tools/list_changed"}


async def test_what_belongs_to_no_request_comes_on_a_stream_of_its_own():
    server = Server()
    server.listening = [[event(CHANGED, 5, retry=1)], ["STAY"]]
    async with running(server):
        await _until(lambda: server.lists >= 2)
    assert server.gets[0] is None


async def test_the_stream_is_opened_again_after_its_last_event():
    server = Server([], [event(CHANGED, 6), "STAY"])
    server.pieces.pop(0)
    server.listening = [[event(CHANGED, 5, retry=1), "BREAK"]]
    async with running(server):
        await _until(lambda: server.lists >= 2)
        await _until(lambda: server.gets == [None, "5"])


@pytest.mark.parametrize("status", [429, 500, 502, 503])
async def test_a_stream_that_cannot_be_opened_again_just_now_is_asked_for_again(
    status: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(assembly, "_draw", lambda: 0.0)
    server = Server()
    server.listening = [["retry: 1"], *[status] * 8, [event(CHANGED), "STAY"]]
    async with running(server):
        await _until(lambda: server.lists >= 2)
    assert server.listening == []


async def test_a_server_that_never_had_that_stream_is_not_asked_for_ever(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(assembly, "_draw", lambda: 0.0)
    server = Server()
    server.listening = [500] * 100
    async with running(server) as trunk:
        await _until(trunk._fleet.get("s").connection.link._listening.done)  # type: ignore[union-attr]
    assert len(server.gets) < 10


async def test_an_answer_on_that_stream_answers_nothing():
    server = Server([PRIMING, "STAY"])
    server.listening = [[event({**ANSWER, "id": 4}), event({**ANSWER, "id": 5}), "STAY"]]
    async with running(server) as trunk:
        with pytest.raises(trunkline.DeadlineExceededError):
            await trunk.call("s.slow", timeout=0.2)


async def test_a_server_without_that_stream_is_asked_once():
    server = Server([event(ANSWER)])
    async with running(server) as trunk:
        assert (await trunk.call("s.slow")).text == "done"
        task = trunk._fleet.get("s").connection.link._listening  # type: ignore[union-attr]
        await _until(task.done)
        assert task.exception() is None


async def _until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - what is waited for has no waiters
            await asyncio.sleep(0.005)
