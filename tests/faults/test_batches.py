"""Batches of 2025-03-26: what comes in one is taken one by one, and no other revision has them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

import trunkline
from trunkline.core.limits import Limits
from trunkline.protocol.frames import Broken, Frame, decode_frames

pytestmark = pytest.mark.anyio

ROOTS = {"jsonrpc": "2.0", "id": "q1", "method": "roots/list"}
PING = {"jsonrpc": "2.0", "id": "q2", "method": "ping"}
TOLD = {"jsonrpc": "2.0", "method": "notifications/told", "params": {"n": 1}}
BAD: list[Any] = [5, {"jsonrpc": "2.0", "id": 77, "result": {}, "method": 7}]
CARRIERS = ("memory", "stdio", "websocket", "json", "sse", "older")


class Batching:
    """A server that answers calls in arrays: the answer first, then what is wrong, asked and told."""

    def __init__(self, revision: str = "2025-03-26") -> None:
        self.revision = revision
        self.answers: dict[str, Any] = {}
        self.sent: list[Any] = []
        self.complete = asyncio.Event()
        self._posted: asyncio.Queue[list[Any]] = asyncio.Queue()

    def respond(self, message: dict[str, Any]) -> list[Any]:
        """Give the messages that answer one message: several for a call, and of these the first an array."""
        self.sent.append(message)
        number, method = message.get("id"), message.get("method")
        if method is None:
            self.answers[number] = message
            if len(self.answers) == 2:
                self.complete.set()
        if method is None or number is None:
            return []
        reply = {"jsonrpc": "2.0", "id": number}
        named = {"capabilities": {"tools": {}}, "serverInfo": {"name": "b", "version": "1"}}
        match method:
            case "initialize":
                return [{**reply, "result": {"protocolVersion": self.revision, **named}}]
            case "tools/list":
                tools = [{"name": "echo", "inputSchema": {"type": "object"}}]
                return [{**reply, "result": {"tools": tools}}]
            case "tools/call":
                text = json.dumps(message["params"]["arguments"])
                done = {**reply, "result": {"content": [{"type": "text", "text": text}]}}
                return [[done, *BAD, ROOTS, TOLD, PING]]
        return [{**reply, "error": {"code": -32601, "message": "no such method"}}]

    async def serve(self, receive: Any, send: Any) -> None:
        while frame := await receive():
            for message in self.respond(json.loads(frame)):
                send(b"[]")
                send(json.dumps(message).encode())

    @asynccontextmanager
    async def reached(self, carrier: str) -> AsyncIterator[Any]:
        if carrier == "memory":
            yield self
            return
        app = web.Application()
        if carrier == "websocket":
            app.router.add_get("/mcp", self._web_socket)
        app.router.add_post("/mcp", self._older_post if carrier == "older" else self._post(carrier))
        if carrier == "older":
            app.router.add_get("/mcp", self._older_stream)
        runner = web.AppRunner(app, shutdown_timeout=0.05, handler_cancellation=True)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        try:
            scheme = "ws" if carrier == "websocket" else "http"
            url = f"{scheme}://127.0.0.1:{runner.addresses[0][1]}/mcp"
            yield {"url": url, **({"type": "sse"} if carrier == "older" else {})}
        finally:
            await runner.cleanup()

    async def _web_socket(self, request: web.Request) -> web.WebSocketResponse:
        response = web.WebSocketResponse(protocols=("mcp",))
        await response.prepare(request)
        async for message in response:
            for one in self.respond(message.json()):
                await response.send_str("[]")
                await response.send_json(one)
        return response

    def _post(self, carrier: str) -> Any:
        async def handle(request: web.Request) -> web.Response:
            messages = self.respond(await request.json())
            if not messages:
                return web.Response(status=202)
            if carrier == "json":
                return web.json_response(messages[0])
            text = "data: []\n\n" + "".join(f"data: {json.dumps(one)}\n\n" for one in messages)
            return web.Response(text=text, content_type="text/event-stream")

        return handle

    async def _older_post(self, request: web.Request) -> web.Response:
        self._posted.put_nowait(self.respond(await request.json()))
        return web.Response(status=202)

    async def _older_stream(self, request: web.Request) -> web.StreamResponse:
        stream = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await stream.prepare(request)
        await stream.write(b"event: endpoint\ndata: /mcp\n\n")
        while True:
            for message in await self._posted.get():
                await stream.write(b"event: message\ndata: []\n\n")
                await stream.write(f"event: message\ndata: {json.dumps(message)}\n\n".encode())


@pytest.mark.parametrize("carrier", CARRIERS)
async def test_everything_in_a_batch_is_taken_also_what_comes_after_the_answer(carrier: str, relayed: Any):
    told: list[Any] = []
    handlers = trunkline.Handlers(
        roots=lambda _: ["file:///work"],
        notifications={"notifications/told": lambda _, params: told.append(params)},
    )
    server = Batching()
    way = relayed(server) if carrier == "stdio" else server.reached(carrier)
    async with way as entry, trunkline.connect({"b": entry}, handlers=handlers) as trunk:
        assert json.loads((await trunk.call("b.echo", {"n": 1}, timeout=20)).text) == {"n": 1}
        await asyncio.wait_for(server.complete.wait(), 20)
        assert trunk.status()["b"].era == "2025-03-26"
        assert json.loads((await trunk.call("b.echo", {"n": 2}, timeout=20)).text) == {"n": 2}
    assert server.answers["q1"]["result"]["roots"][0]["uri"] == "file:///work"
    assert server.answers["q2"]["result"] == {}
    assert told[0] == {"n": 1}


@pytest.mark.parametrize("carrier", CARRIERS)
@pytest.mark.parametrize("revision", ["2024-11-05", "2025-06-18", "2025-11-25"])
async def test_with_another_revision_an_array_is_no_message(carrier: str, revision: str, relayed: Any):
    server = Batching(revision)
    way = relayed(server) if carrier == "stdio" else server.reached(carrier)
    async with way as entry, trunkline.connect({"b": entry}) as trunk:
        with pytest.raises(trunkline.ProtocolError) as caught:
            await trunk.call("b.echo", timeout=20)
        assert trunk.status()["b"].state == "ready"
    assert (caught.value.code, caught.value.delivery) == ("malformed_answer", "unknown")
    assert server.answers == {}


@pytest.mark.parametrize("carrier", ["memory", "json"])
async def test_calls_to_a_server_that_has_batches_are_sent_one_by_one(carrier: str):
    server = Batching()
    async with server.reached(carrier) as entry, trunkline.connect({"b": entry}) as trunk:
        replies = await trunk.call_many([("b.echo", {"n": n}) for n in range(5)], timeout=20)
    assert [json.loads(reply.text)["n"] for reply in replies if isinstance(reply, trunkline.Reply)] == [
        *range(5)
    ]
    assert all(isinstance(message, dict) for message in server.sent)


async def test_an_array_without_batches_fails_each_call_that_it_answers_and_no_other():
    waiting: list[Any] = []

    class Holding(Batching):
        def respond(self, message: dict[str, Any]) -> list[Any]:
            replies = super().respond(message)
            if message["method"] != "tools/call":
                return replies
            waiting.append(replies[0][0])
            return [[*waiting[:2], ROOTS, *BAD]] if len(waiting) == 3 else []

    async with trunkline.connect({"b": Holding("2025-06-18")}) as trunk:
        calls = [asyncio.create_task(trunk.call("b.echo", {"n": n}, timeout=20)) for n in range(3)]
        outcomes = await asyncio.gather(*calls[:2], return_exceptions=True)
        assert not calls[2].done()
        calls[2].cancel()
    assert [type(one) for one in outcomes] == [trunkline.ProtocolError] * 2
    assert "array" in str(outcomes[0])


async def test_a_discovery_that_is_answered_in_an_array_is_no_answer_of_a_modern_server():
    class Wrapping(Batching):
        def respond(self, message: dict[str, Any]) -> list[Any]:
            replies = super().respond(message)
            return [replies] if message["method"] == "server/discover" else replies

    async with trunkline.connect({"b": Wrapping()}) as trunk:
        assert (await trunk.call("b.echo", timeout=20)).text == "{}"
        assert trunk.status()["b"].era == "2025-03-26"


def test_a_message_that_nests_too_deep_costs_only_itself():
    deep = b'{"id":1,"result":' + b"[" * 70 + b"]" * 70 + b"}"
    (bad, _), (good, size) = decode_frames(b"[" + deep + b',{"id":2,"result":{}}]', Limits())
    assert isinstance(bad, Broken)
    assert bad.id == 1
    assert isinstance(good, Frame)
    assert size == len(b'{"id":2,"result":{}}')


def test_more_messages_than_values_are_allowed_are_refused_before_there_are_any():
    limits = Limits()
    ((refused, _),) = decode_frames(b"[" + b"0," * limits.nodes + b"0]", limits)
    assert isinstance(refused, Broken)


def test_an_empty_batch_holds_nothing_and_where_there_are_no_batches_it_is_no_message():
    assert list(decode_frames(b" [] ", Limits())) == []
    ((refused, _),) = decode_frames(b"[]", Limits(), batches=False)
    assert isinstance(refused, Broken)
