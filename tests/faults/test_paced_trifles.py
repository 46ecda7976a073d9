"""Floods of what is no message: pings, comments, what is too large; and floods that nobody reads."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from trunkline.core.call import Flight
from trunkline.core.limits import Limits
from trunkline.protocol.eras import LATEST_LEGACY
from trunkline.transport.http import HttpTransport
from trunkline.transport.link import Request
from trunkline.transport.pace import Pacing
from trunkline.transport.sse import SseTransport
from trunkline.transport.websocket import WebSocketTransport

pytestmark = pytest.mark.anyio

LIMITS = Limits(notifications=50)
PINGS = 400
ANSWER = b'{"jsonrpc":"2.0","id":1,"result":{}}'
NOISE = b'{"jsonrpc":"2.0","method":"notifications/message","params":{"data":"' + b"x" * 65_000 + b'"}}'
Serve = Callable[[web.Request], Awaitable[web.StreamResponse]]


@pytest.fixture
def rests(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether each rest was one of a flood."""
    seen: list[bool] = []
    rest = Pacing.rest

    async def watched(pacing: Pacing) -> None:
        await rest(pacing)
        seen.append(pacing.flooding)

    monkeypatch.setattr(Pacing, "rest", watched)
    return seen


@asynccontextmanager
async def serving(serve: Serve) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_route("*", "/", serve)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.05)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"127.0.0.1:{runner.addresses[0][1]}/"
    finally:
        await runner.cleanup()


def over_websocket(send: Callable[[web.WebSocketResponse], Awaitable[object]]) -> Serve:
    async def serve(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse(protocols=("mcp",))
        await socket.prepare(request)
        await send(socket)
        async for _ in socket:
            pass
        return socket

    return serve


def over_events(send: Callable[[web.StreamResponse], Awaitable[object]]) -> Serve:
    async def serve(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b"event: endpoint\ndata: /\n\n")
        await send(response)
        return response

    return serve


async def ask(link: Any) -> Any:
    request = Request(id=link.next_id(), method="ping", body=b"{}", flight=Flight(0.0))
    async with asyncio.timeout(30):
        return await link.request(request)


async def test_a_flood_of_pings_is_read_less_and_the_last_one_is_answered(rests: list[bool]):
    answered: list[bytes] = []

    async def send(socket: web.WebSocketResponse) -> None:
        for number in range(PINGS):
            await socket.ping(b"%d" % number)
        while not answered or answered[-1] != b"%d" % (PINGS - 1):
            message = await socket.receive()
            answered.append(bytes(message.data))
        await socket.send_bytes(ANSWER)

    async def serve(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse(protocols=("mcp",), autoping=False)
        await socket.prepare(request)
        await socket.receive()
        await send(socket)
        async for _ in socket:
            pass
        return socket

    async with serving(serve) as place:
        link = await WebSocketTransport(server="loud", url=f"ws://{place}", limits=LIMITS).open()
        await ask(link)
        await link.close()
    assert True in rests


@pytest.mark.parametrize(
    "line", [b": nothing\n", b"\n", b"id: 1\n\n", b"event: x\n" * 1_000 + b"data: x\n\n"]
)
async def test_a_flood_of_lines_that_are_no_messages_is_read_less(line: bytes, rests: list[bool]):
    async def send(response: web.StreamResponse) -> None:
        await response.write(64_000 // len(line) * line)
        await response.write(b"data: %b\n\n" % ANSWER)

    async with serving(over_events(send)) as place:
        link = await HttpTransport(server="loud", url=f"http://{place}", limits=LIMITS).open()
        await ask(link)
        await link.close()
    assert True in rests


async def test_few_messages_that_are_very_large_are_a_flood_as_well(rests: list[bool]):
    async def send(response: web.StreamResponse) -> None:
        for _ in range(LIMITS.notifications // 2):
            await response.write(b"data: %b\n\n" % NOISE)
        await response.write(b"data: %b\n\n" % ANSWER)

    async with serving(over_events(send)) as place:
        link = await HttpTransport(server="loud", url=f"http://{place}", limits=LIMITS).open()
        await ask(link)
        await link.close()
    assert True in rests


@pytest.mark.parametrize("transport", ["websocket", "sse", "http", "http, the stream of a GET"])
async def test_what_is_not_read_of_a_flood_waits_at_the_server(
    transport: str, monkeypatch: pytest.MonkeyPatch
):
    held = asyncio.Event()

    async def send(stream: Any) -> None:
        message = NOISE if transport == "websocket" else b"data: %b\n\n" % NOISE
        write = stream.send_bytes if transport == "websocket" else stream.write
        for _ in range(2_000):
            try:
                async with asyncio.timeout(0.3):
                    await write(message)
            except TimeoutError:
                held.set()
                return

    async def rest_for_ever(_: Pacing) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(Pacing, "rest", rest_for_ever)
    serve = over_websocket(send) if transport == "websocket" else over_events(send)
    async with serving(serve) as place, asyncio.timeout(30), asyncio.TaskGroup() as group:
        if transport == "websocket":
            link: Any = await WebSocketTransport(server="loud", url=f"ws://{place}", limits=LIMITS).open()
        elif transport == "sse":
            link = await SseTransport(server="loud", url=f"http://{place}", limits=LIMITS).open()
        else:
            link = await HttpTransport(server="loud", url=f"http://{place}", limits=LIMITS).open()
        if transport == "http":
            asking = group.create_task(ask(link))
        elif transport != "websocket":
            link.adopt(LATEST_LEGACY)
            link.listen()
        await held.wait()
        if transport == "http":
            asking.cancel()
        await link.close()
