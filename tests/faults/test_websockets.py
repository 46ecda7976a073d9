"""WebSocket: the handshake, its refusals, and what a socket that breaks means for calls."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web

import trunkline
from trunkline.testing import FakeServer
from trunkline.testing.streams import Quirks, StreamServer, serve_streams

pytestmark = pytest.mark.anyio


def offering(**options: Any) -> FakeServer:
    server = FakeServer(**options)
    server.tool("echo", reports="arguments")
    server.tool("slow", delay=30, returns="done")
    return server


@asynccontextmanager
async def answering(handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> AsyncIterator[str]:
    """A web server that answers everything in one way."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.05)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"ws://127.0.0.1:{site._server.sockets[0].getsockname()[1]}/ws"  # type: ignore[union-attr]
    finally:
        await runner.cleanup()


@asynccontextmanager
async def opened(server: FakeServer) -> AsyncIterator[tuple[StreamServer, trunkline.Trunk]]:
    async with serve_streams(server, Quirks()) as streams:
        entry = {"url": f"ws://127.0.0.1:{streams.port}/ws"}
        async with trunkline.connect({"ws": entry}) as trunk:
            yield streams, trunk


async def fail(url: str) -> trunkline.CallError:
    async with trunkline.connect({"ws": {"url": url, "headers": {"X-Key": "secret"}}}) as trunk:
        with pytest.raises(trunkline.CallError) as caught:
            await trunk.call("ws.echo", timeout=10)
    return caught.value


@pytest.mark.parametrize(("family", "era"), [("legacy", "2025-11-25"), ("modern", "2026-07-28")])
async def test_the_handshake_asks_for_mcp_and_carries_the_headers_of_the_entry(family: Any, era: str):
    async with serve_streams(offering(eras=[family]), Quirks()) as streams:
        entry = {"url": f"ws://127.0.0.1:{streams.port}/ws", "headers": {"X-Key": "k"}}
        async with trunkline.connect({"ws": entry}) as trunk:
            reply = await trunk.call("ws.echo", {"n": 1})
            assert (reply.value, reply.transport, reply.era) == ({"n": 1}, "websocket", era)
        assert (streams.headers[0]["Sec-WebSocket-Protocol"], streams.headers[0]["X-Key"]) == ("mcp", "k")


@pytest.mark.parametrize(("status", "code"), [(401, "authorization_required"), (404, None), (503, None)])
async def test_a_refused_handshake_says_its_status(status: int, code: str | None):
    async def refuse(_: web.Request) -> web.StreamResponse:
        return web.Response(status=status)

    async with answering(refuse) as url:
        error = await fail(url)
    assert f"HTTP {status}" in str(error)
    assert error.delivery == "never_sent"
    assert code is None or code in (error.code, getattr(error.__cause__, "code", None))


async def test_a_redirect_is_not_followed_so_no_header_leaks():
    seen: list[str | None] = []

    async def elsewhere(request: web.Request) -> web.StreamResponse:
        seen.append(request.headers.get("X-Key"))
        return web.Response(status=404)

    async with answering(elsewhere) as foreign:

        async def redirect(_: web.Request) -> web.StreamResponse:
            return web.Response(status=307, headers={"Location": foreign.replace("ws:", "http:")})

        async with answering(redirect) as url:
            error = await fail(url)
    assert "HTTP 307" in str(error)
    assert seen == []


async def test_nobody_listening_was_never_sent():
    error = await fail("ws://127.0.0.1:9/ws")
    assert (error.delivery, "127.0.0.1:9" in str(error)) == ("never_sent", True)


async def test_a_socket_that_breaks_fails_its_calls_as_unknown_and_the_next_call_opens_another():
    server = offering()
    async with opened(server) as (streams, trunk):
        await trunk.ready()
        calls = [asyncio.create_task(trunk.call("ws.slow", {"n": n})) for n in range(5)]
        await server.wait_for(lambda ledger: len(ledger.calls) == 5)
        (socket,) = streams.sockets
        socket._req.transport.abort()  # type: ignore[union-attr]
        for ended in await asyncio.gather(*calls, return_exceptions=True):
            assert isinstance(ended, trunkline.OutcomeUnknownError)
            assert "without a closing handshake" in str(ended)
        assert (await trunk.call("ws.echo", {"n": 1})).value == {"n": 1}
        assert trunk.status()["ws"].restarts == 1


async def test_a_socket_closed_by_the_server_says_its_code():
    server = offering()
    async with opened(server) as (streams, trunk):
        await trunk.ready()
        call = asyncio.create_task(trunk.call("ws.slow"))
        await server.wait_for(lambda ledger: len(ledger.calls) == 1)
        (socket,) = streams.sockets
        await socket.close(code=aiohttp.WSCloseCode.GOING_AWAY)
        with pytest.raises(trunkline.OutcomeUnknownError, match="with code 1001"):
            await call


async def test_a_handshake_that_never_ends_fails_at_the_connect_limit():
    released = asyncio.Event()

    async def hang(_: web.Request) -> web.StreamResponse:
        await released.wait()
        return web.Response()

    async with (
        answering(hang) as url,
        trunkline.connect({"ws": {"url": url}}, policy={"defaults": {"connect": 0.2}}) as trunk,
    ):
        with pytest.raises(trunkline.UnavailableError) as caught:
            await trunk.call("ws.echo")
        released.set()
    assert (caught.value.code, caught.value.delivery) == ("connect_timeout", "never_sent")


async def test_two_hundred_calls_at_once_are_all_answered():
    async with offering().websocket() as url, trunkline.connect({"ws": {"url": url}}) as trunk:
        replies = await trunk.call_many([("ws.echo", {"n": n}) for n in range(400)], max_concurrency=400)
        assert [reply.value for reply in replies] == [{"n": n} for n in range(400)]  # type: ignore[union-attr]
