"""The five mistakes that nearly every first MCP client makes, each as a test that this one does not."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

import trunkline
from trunkline.testing import FakeServer
from trunkline.testing.streams import Quirks, serve_streams

pytestmark = pytest.mark.anyio

Send = Callable[[bytes], None]


class Strict:
    """A legacy server that keeps silent about everything until it has heard that the handshake is over."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    async def serve(self, receive: Callable[[], Awaitable[bytes]], send: Send) -> None:
        while frame := await receive():
            message = json.loads(frame)
            self.heard.append(message["method"])
            if "id" not in message:
                continue
            if message["method"] == "server/discover":
                say(send, {"id": message["id"], "error": {"code": -32601, "message": "no"}})
            elif message["method"] == "initialize":
                await asyncio.sleep(0)
                say(
                    send,
                    {
                        "id": message["id"],
                        "result": {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}},
                    },
                )
            elif "notifications/initialized" in self.heard:
                say(send, {"id": message["id"], "result": {"tools": [TOOL], "content": []}})


TOOL = {"name": "echo", "inputSchema": {"type": "object"}}


def say(send: Send, message: dict[str, Any]) -> None:
    send(json.dumps({"jsonrpc": "2.0"} | message).encode())


async def test_mistake_one_requests_without_initialized():
    peer = Strict()
    async with trunkline.connect({"strict": peer}) as trunk:
        assert (await trunk.call("strict.echo", timeout=5)).is_error is False
    handshake = peer.heard[peer.heard.index("initialize") :]
    assert handshake[:3] == ["initialize", "notifications/initialized", "tools/list"]


@pytest.mark.over("stdio", "json", "sse", "websocket", "older", families=("legacy",))
async def test_mistake_one_over_every_other_transport(way: Any, reach: Any, tmp_path: Any):
    server = FakeServer(eras=["legacy"])
    server.tool("echo", reports="arguments")
    async with reach(server, way) as trunk:
        await trunk.call("fake.echo")
        ledger = server.journal(tmp_path).read() if way.carrier == "stdio" else server.ledger
        methods = [one.method for one in ledger]
    start = methods.index("initialize")
    assert methods[start + 1] == "notifications/initialized"
    assert set(methods[start + 2 :]) >= {"tools/list", "tools/call"}


async def test_mistake_two_a_request_before_the_endpoint():
    server = FakeServer(eras=["legacy"])
    server.tool("echo", reports="arguments")
    async with serve_streams(server, Quirks(endpoint="late")) as streams:
        entry = {"type": "sse", "url": f"{streams.origin}/sse"}
        async with trunkline.connect({"older": entry}) as trunk:
            assert (await trunk.call("older.echo", {"n": 1})).value == {"n": 1}
            assert next(iter(server.ledger)).method == "initialize"
    async with serve_streams(server, Quirks(endpoint="none")) as streams:
        entry = {"type": "sse", "url": f"{streams.origin}/sse"}
        async with trunkline.connect({"older": entry}, policy={"defaults": {"connect": 0.2}}) as trunk:
            await trunk.ready()
            assert trunk.status()["older"].state == "backoff"
        assert streams.posts == []


@pytest.mark.over("memory", "stdio", "json", "sse", "websocket", "older")
async def test_mistake_three_a_schema_without_required(way: Any, reach: Any):
    server = FakeServer(eras=[way.family])
    both = {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}}}
    server.tool("weather", schema=both, reports="arguments")
    server.tool("bare", schema={"type": "object"}, reports="arguments")
    server.tool("strict", schema=both | {"required": ["city"]}, reports="arguments")
    async with reach(server, way) as trunk:
        await trunk.ready()
        assert [tool.name for tool in trunk.catalog.tools] == ["weather", "bare", "strict"]
        assert (await trunk.search("weather"))[0].tool.name == "weather"
        assert (await trunk.call("fake.weather")).value == {}
        assert (await trunk.call("fake.weather", {"days": 2})).value == {"days": 2}
        assert (await trunk.call("fake.bare", {"n": 1})).value == {"n": 1}
        with pytest.raises(trunkline.InvalidArgumentsError, match="city"):
            await trunk.call("fake.strict", {"days": 2})


@pytest.mark.over("memory", "stdio", "json", "sse", "websocket", "older")
async def test_mistake_four_mixed_up_replies(way: Any, reach: Any):
    server = FakeServer(eras=[way.family])
    for place in range(10):
        # The later a call was made, the sooner its reply comes.
        server.tool(f"late{place}", delay=0.1 - place / 100, reports="arguments")
    async with reach(server, way) as trunk:
        await trunk.ready()
        calls = [(f"fake.late{n % 10}", {"n": n, "inner": {"id": n + 1, "result": {}}}) for n in range(30)]
        replies = await trunk.call_many(calls, max_concurrency=30)
    assert [reply.value["n"] for reply in replies] == list(range(30))


@pytest.mark.over("memory", "stdio", "sse", "websocket", "older")
async def test_mistake_five_progress_taken_for_a_result(way: Any, reach: Any):
    server = FakeServer(eras=[way.family])
    server.tool("work", progress=[(1, 2, "half way"), (2, 2, "done")], returns="the result")
    seen: list[float] = []
    async with reach(server, way) as trunk:
        reply = await trunk.call("fake.work", on_progress=lambda progress: seen.append(progress.progress))
        assert (reply.text, seen) == ("the result", [1, 2])


async def test_mistake_five_a_notification_that_looks_like_a_result():
    class Misleading(Strict):
        async def serve(self, receive: Callable[[], Awaitable[bytes]], send: Send) -> None:
            def sending(frame: bytes) -> None:
                if b'"content"' in frame:
                    token = json.loads(frame)["id"]
                    params = {"progressToken": token, "progress": 1, "result": {"content": []}, "id": token}
                    say(send, {"method": "notifications/progress", "params": params})
                    frame = frame.replace(b"[]}", b'[{"type": "text", "text": "the result"}]}')
                send(frame)

            await super().serve(receive, sending)

    async with trunkline.connect({"strict": Misleading()}) as trunk:
        assert (await trunk.call("strict.echo", timeout=5)).text == "the result"
