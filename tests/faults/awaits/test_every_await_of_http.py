"""Whatever waits because of Streamable HTTP or of a thread, cut short at every such place."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from aiohttp import web

import trunkline
from trunkline.testing.player import RealScenario
from trunkline.testing.stage import Lose

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(300)]

TOOLS = ("echo", "lost", "gone", "torn", "batch", "array")


def number_of(message: Any) -> int:
    return int(message.get("id") or 0) if isinstance(message, dict) else 0


LOG = '{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"x"}}'
MANY = f"data: {LOG}\n\n" * 8 + ":\n" * 200


class Pieces:
    """A legacy server that answers in pieces, breaks its streams and lets them be taken up again."""

    def __init__(self, revision: str) -> None:
        self.revision = revision
        self.sessions = 0
        self.delay = 0.0
        """Of `initialize`, in seconds."""
        self.cut: set[Any] = set()
        self.told = False
        """Whether it was asked to log errors only, which costs the session once."""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if request.method == "DELETE":
            await asyncio.sleep(0.005)
            return web.Response(status=200)
        if request.method == "GET":
            return await self._get(request)
        message = await request.json()
        await asyncio.sleep(0.002)
        if isinstance(message, list):
            return await self._answer_together(request, message)
        number = message.get("id")
        if message.get("params", {}).get("level") == "error" and not self.told:
            self.told = True
            self.sessions += 1
        if message["method"] == "initialize":
            self.sessions += 1
        elif (
            request.headers.get("Mcp-Session-Id") != str(self.sessions)
            and message["method"] != "server/discover"
        ):
            return web.Response(status=404)
        match message["method"]:
            case "initialize":
                await asyncio.sleep(self.delay)
                tools = {"tools": {}, "logging": {}}
                result: Any = {"protocolVersion": self.revision, "capabilities": tools, "serverInfo": {}}
            case "tools/list":
                tools = [{"name": one, "inputSchema": {"type": "object"}} for one in TOOLS]
                result = {"tools": tools}
            case "tools/call":
                return await self._call(request, number, message["params"])
            case "logging/setLevel" | "ping":
                result = {}
            case "server/discover":
                return web.Response(status=400)
            case _:
                return web.Response(status=202)
        return await self._pieces(request, {"jsonrpc": "2.0", "id": number, "result": result})

    async def _call(self, request: web.Request, number: Any, params: Any) -> web.StreamResponse:
        name = params["name"]
        if name in ("lost", "gone") and number not in self.cut:
            self.delay = 0.3 * (name == "gone")
            self.cut.add(number)
            self.sessions += 1
            return web.Response(status=404)
        content = [{"type": "text", "text": str(params.get("arguments"))}]
        reply = {"jsonrpc": "2.0", "id": number, "result": {"content": content}}
        if name == "batch":
            return await self._pieces(request, [*[json.loads(LOG)] * 12, reply], 200 + 200 * (number % 2))
        if name == "array":
            text = json.dumps([*[json.loads(LOG)] * 12, reply])
            return await self._stream(request, [f"data: {text}\n\n"])
        if name != "torn":
            return await self._pieces(request, reply)
        self.reply = reply
        return await self._stream(request, ["retry: 5\nid: a\ndata:\n\n"])

    async def _answer_together(self, request: web.Request, messages: list[Any]) -> web.StreamResponse:
        names = [one.get("params", {}).get("name") for one in messages]
        if request.headers.get("Mcp-Session-Id") != str(self.sessions):
            return web.Response(status=404)
        if "lost" in names and self.sessions < 2:
            self.sessions += 1
            return web.Response(status=404)
        result = {"content": [{"type": "text", "text": "together"}]}
        replies = [{"jsonrpc": "2.0", "id": one["id"], "result": result} for one in messages]
        if "torn" not in names:
            return await self._pieces(request, [*[json.loads(LOG)] * 100 * ("batch" in names), *replies])
        self.reply = replies
        return await self._stream(request, ["retry: 5\nid: a\ndata:\n\n"])

    async def _get(self, request: web.Request) -> web.StreamResponse:
        last = request.headers.get("Last-Event-ID")
        await asyncio.sleep(0.002)
        if last == "a":
            return await self._stream(request, ["retry: 5\nid: b\ndata:\n\n"])
        if last == "b":
            text = json.dumps(self.reply)
            return await self._stream(request, [MANY, f"data: {text}\n\n"])
        return await self._stream(request, ["retry: 20\n" + MANY])

    async def _stream(self, request: web.Request, events: list[str]) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for event in events:
            await asyncio.sleep(0.002)
            await response.write(event.encode())
        await asyncio.sleep(0.002)
        return response

    async def _pieces(self, request: web.Request, message: Any, status: int = 200) -> web.StreamResponse:
        body = web.json_response(message).body
        assert isinstance(body, bytes)
        headers = {"Content-Type": "application/json", "Mcp-Session-Id": str(self.sessions)}
        response = web.StreamResponse(status=status, headers=headers)
        if number_of(message) % 2:
            response.content_length = len(body)
        await response.prepare(request)
        for piece in (body[:10], body[10:]):
            await asyncio.sleep(0.002)
            await response.write(piece)
        return response


async def lose_things(trunk: trunkline.Trunk, _: Lose) -> None:
    """Have a session lost under several calls, and a stream torn that can be taken up again."""
    await trunk.set_log_level("error")
    await trunk.ready()
    await trunk.call("fake.torn", timeout=10)
    await trunk.call_many([("fake.lost", {}), ("fake.echo", {"n": 1}), ("fake.echo", {"n": 3})], timeout=10)
    await asyncio.sleep(0.02)


async def call_without_a_session(trunk: trunkline.Trunk, _: Lose) -> None:
    """Call while another call is about to have a new session opened."""
    await trunk.ready()
    losing = await lose_session(trunk, "fake.lost")
    await trunk.call("fake.echo", {"n": 1}, timeout=10)
    with suppress(trunkline.UnavailableError):
        await losing


async def lose_session(trunk: trunkline.Trunk, tool: str) -> trunkline.Handle:
    """Call a tool whose server forgets the session, and return when a new one is being opened."""
    losing = trunk.start(tool, timeout=10)
    while not losing.done:
        connection: Any = trunk._fleet.get("fake").connection
        if connection is not None and connection._session.missing:
            break
        await asyncio.sleep(0)
    return losing


async def listen(trunk: trunkline.Trunk, _: Lose) -> None:
    await trunk.ready()
    await asyncio.sleep(0.03)


async def read_batches(trunk: trunkline.Trunk, _: Lose) -> None:
    for _ in range(2):
        await trunk.call("fake.batch", timeout=10)


async def read_an_array(trunk: trunkline.Trunk, _: Lose) -> None:
    """Be answered in an array by a server that has no batches."""
    with suppress(trunkline.ProtocolError):
        await trunk.call("fake.array", timeout=10)


async def end_without_a_session(trunk: trunkline.Trunk, _: Lose) -> None:
    await trunk.ready()
    await lose_session(trunk, "fake.gone")
    await trunk.aclose()


async def call_bare_names(trunk: trunkline.Trunk, _: Lose) -> None:
    await trunk.call("echo", {"n": 1}, timeout=10)
    with suppress(trunkline.NotFoundError):
        await trunk.call("fake.ghost", timeout=10)


async def call_together(trunk: trunkline.Trunk, _: Lose) -> None:
    """Have batches answered whole, torn and taken up again, and a session lost under one."""
    for one, other in (("echo", "batch"), ("torn", "torn"), ("lost", "echo")):
        async with trunk.batch() as batch:
            calls = [batch.call(f"fake.{tool}", timeout=10) for tool in (one, other)]
        for call in calls:
            await call


async def end_together(trunk: trunkline.Trunk, _: Lose) -> None:
    async with trunk.batch() as batch:
        batch.call("fake.echo", timeout=10)
    late = trunk.batch()
    late.call("fake.torn", timeout=10)
    late.send()
    await asyncio.sleep(0.004)
    await trunk.remove("fake")


def over_http(places: Any, family: str, *, json: bool) -> Any:
    return places.behind(lambda: places.make_server(family).http(json=json))


def mirroring(places: Any) -> tuple[Any, Any]:
    """A server that wants an argument in a header, too, once its tools have been listed; and a call of it."""
    servers: list[Any] = []

    def serve() -> Any:
        server = places.make_server("modern")
        server.tool("mirrored", schema=placed(None), returns="done")
        servers.append(server)
        return server.http(json=True)

    async def call(trunk: trunkline.Trunk, _: Lose) -> None:
        await trunk.ready()
        servers[-1].tool("mirrored", schema=placed("Place"), returns="done")
        await trunk.call("fake.mirrored", {"place": "Rome"}, timeout=10)

    return places.behind(serve), call


def placed(header: str | None) -> dict[str, Any]:
    place = {"type": "string"} | ({"x-mcp-header": header} if header else {})
    return {"type": "object", "properties": {"place": place}}


def in_pieces(places: Any, revision: str = "2025-11-25") -> Any:
    @asynccontextmanager
    async def serve() -> AsyncIterator[Any]:
        app = web.Application()
        app.router.add_route("*", "/mcp", Pieces(revision).handle)
        async with (
            places.on_a_port(app) as port,
            places.proxied(f"http://127.0.0.1:{port}/mcp") as found,
        ):
            yield found

    return serve


def make_scenarios(places: Any, works: Any, known: Any) -> dict[str, dict[str, RealScenario]]:
    logged = {"wire": lambda _: None}
    json, pieces = over_http(places, "modern", json=True), in_pieces(places)
    streams, batches = over_http(places, "legacy", json=False), in_pieces(places, "2025-03-26")
    return {
        "modern": {
            "plain": RealScenario(json, works.use),
            "logged": RealScenario(json, works.use, options=logged),
            "streams": RealScenario(over_http(places, "modern", json=False), works.use),
            "questions": RealScenario(json, works.answer),
            "bare names": RealScenario(json, call_bare_names),
            "much": RealScenario(json, works.send_much),
            "mirroring": RealScenario(*mirroring(places)),
            "securely": RealScenario(places.securely(json), works.start_in_vain, final=True),
            "to its end": RealScenario(json, works.end, final=True),
        },
        "legacy": {
            "plain": RealScenario(streams, works.use),
            "logged": RealScenario(streams, works.follow, options=logged),
            "known": RealScenario(streams, works.list_all, options=known),
            "questions": RealScenario(streams, works.answer),
            "much": RealScenario(streams, works.send_much),
            "pieces": RealScenario(pieces, lose_things),
            "pieces, called without a session": RealScenario(pieces, call_without_a_session),
            "pieces in batches": RealScenario(batches, read_batches),
            "pieces together": RealScenario(batches, call_together),
            "pieces together, logged": RealScenario(batches, call_together, options=logged),
            "pieces in arrays": RealScenario(pieces, read_an_array),
            "pieces, logged": RealScenario(pieces, listen, options=logged),
            "pieces together, to their end": RealScenario(batches, end_together, final=True),
            "pieces, to their end": RealScenario(pieces, end_without_a_session, final=True),
            "to its end": RealScenario(streams, works.end, final=True),
        },
    }


async def test_whatever_waits_over_http_can_be_cancelled_and_lose_its_server(
    cutter: Any, places: Any, works: Any, known: Any
):
    await cutter.cut("http", make_scenarios(places, works, known))


@pytest.mark.soak
async def test_all_of_http_can_be_cut_wherever_anything_waits(
    cutter: Any, places: Any, works: Any, known: Any
):
    await cutter.cut_all(make_scenarios(places, works, known))
