"""HTTP+SSE: what overtakes what, which endpoints are trusted, and that no wait is without bound."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

import trunkline
from trunkline.core.call import Flight
from trunkline.protocol.frames import Encoder
from trunkline.testing import FakeServer
from trunkline.testing.streams import Quirks, StreamServer, serve_streams
from trunkline.transport import posting
from trunkline.transport.link import Request
from trunkline.transport.sse import SseTransport

pytestmark = pytest.mark.anyio

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def answering(get: Handler, post: Handler) -> AsyncIterator[str]:
    """A web server of one stream and one endpoint, both of the test's own making."""
    app = web.Application()
    app.router.add_get("/sse", get)
    app.router.add_post("/{path:.*}", post)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.05)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}/sse"  # type: ignore[union-attr]
    finally:
        await runner.cleanup()


def naming(endpoint: str) -> Handler:
    """Serve a stream that names this endpoint and stays open."""

    async def get(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(f"event: endpoint\ndata: {endpoint}\n\n".encode())
        await asyncio.Event().wait()
        return response

    return get


async def accept(_: web.Request) -> web.StreamResponse:
    return web.Response(status=202)


def ask(link: Any, method: str = "ping") -> Request:
    number = link.next_id()
    body = Encoder({}).request(number, method, {})
    return Request(id=number, method=method, body=body, flight=Flight(asyncio.get_running_loop().time()))


@asynccontextmanager
async def opened(url: str, **settings: Any) -> AsyncIterator[Any]:
    link = await SseTransport(server="older", url=url, **settings).open()
    try:
        yield link
    finally:
        async with asyncio.timeout(10):
            await link.close()


async def test_nothing_overtakes_the_notification_that_the_handshake_is_over():
    """A server may refuse what comes before `initialized`, and posts travel on connections of their own."""
    server = FakeServer(eras=["legacy"])
    server.tool("echo", reports="arguments")
    async with serve_streams(server, Quirks()) as streams:
        taken = _delay_posts(streams, b"notifications/initialized", 0.05)
        async with trunkline.connect({"older": {"type": "sse", "url": f"{streams.origin}/sse"}}) as trunk:
            await trunk.ready()
        assert [name for name in taken if name != "ping"][:3] == [
            "initialize",
            "notifications/initialized",
            "tools/list",
        ]


async def test_a_cancellation_never_overtakes_the_request_it_is_for():
    server = FakeServer(eras=["legacy"])
    server.tool("long", delay=30)
    async with serve_streams(server, Quirks()) as streams:
        taken = _delay_posts(streams, b"tools/call", 0.1)
        async with trunkline.connect({"older": {"type": "sse", "url": f"{streams.origin}/sse"}}) as trunk:
            await trunk.ready()
            with pytest.raises(trunkline.DeadlineExceededError):
                await trunk.call("older.long", timeout=0.05)
            await server.wait_for(lambda ledger: bool(ledger.of("notifications/cancelled")))
        assert taken.index("tools/call") < taken.index("notifications/cancelled")
        assert server.calls[0].cancelled


def _delay_posts(streams: StreamServer, mark: bytes, seconds: float) -> list[str]:
    """Let posts that hold `mark` arrive late; give the methods in the order in which they arrive."""
    taken: list[str] = []
    plain = streams.take_post

    async def late(session: Any, body: bytes) -> None:
        if mark in body:
            await asyncio.sleep(seconds)
        taken.append(body.partition(b'"method":"')[2].partition(b'"')[0].decode())
        await plain(session, body)

    streams.take_post = late  # type: ignore[method-assign]
    return taken


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://[broken/messages",
        "//192.0.2.1/messages",
        "/\t/192.0.2.1/messages",
        "ftp://127.0.0.1/messages",
        "javascript:alert(1)",
        "http://127.0.0.1:1/messages",
        "http://user:secret@127.0.0.1:{port}/messages",
        "http://127.0.0.1:{port}@192.0.2.1/messages",
        "https://127.0.0.1:{port}/messages",
        "http://localhost:{port}/messages",
        "http://127.0.0.1:{port}.example/messages",
    ],
)
async def test_an_endpoint_that_is_not_surely_of_the_same_origin_is_refused(endpoint: str):
    posted: list[str] = []

    async def post(request: web.Request) -> web.StreamResponse:
        posted.append(request.path)
        return web.Response(status=202)

    port = ""

    async def get(request: web.Request) -> web.StreamResponse:
        return await naming(endpoint.replace("{port}", port))(request)

    async with answering(get, post) as url:
        port = url.partition("127.0.0.1:")[2].partition("/")[0]
        with pytest.raises(trunkline.ProtocolError) as caught:
            async with asyncio.timeout(5):
                await SseTransport(server="older", url=url, headers={"Authorization": "Bearer x"}).open()
    assert (caught.value.code, caught.value.delivery) == ("foreign_endpoint", "never_sent")
    assert posted == []


@pytest.mark.parametrize("endpoint", ["/messages?id=1#part", "messages?id=1", "?id=1"])
async def test_an_endpoint_may_be_relative_to_the_url_in_any_way(endpoint: str):
    posted: list[str] = []

    async def post(request: web.Request) -> web.StreamResponse:
        posted.append(request.path_qs)
        return web.Response(status=202)

    async with answering(naming(endpoint), post) as url, opened(url) as link:
        await link.notify(b"{}")
    assert posted == ["/sse?id=1" if endpoint.startswith("?") else "/messages?id=1"]


@pytest.mark.parametrize("body", [b"", b"Accepted"])
async def test_posts_share_a_connection_when_their_answers_are_short(body: bytes):
    ports: set[int] = set()

    async def post(request: web.Request) -> web.StreamResponse:
        ports.add(request.transport.get_extra_info("peername")[1])  # type: ignore[union-attr]
        response = web.StreamResponse(status=202)
        await response.prepare(request)
        await asyncio.sleep(0.005)
        await response.write(body)
        return response

    async with answering(naming("/messages"), post) as url, opened(url) as link:
        for _ in range(10):
            await link.notify(b"{}")
    assert len(ports) == 1


@pytest.mark.parametrize("piece", [b"", b"x" * 4096])
async def test_an_answer_to_a_post_that_never_ends_holds_nobody_up(piece: bytes):
    async def post(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(status=202)
        await response.prepare(request)
        while True:
            await response.write(piece)
            await asyncio.sleep(0.001)

    async with answering(naming("/messages"), post) as url, opened(url, farewell=0.05) as link:
        async with asyncio.timeout(5):
            await link.notify(b"{}")
        assert not link.lost


async def test_closing_ends_a_notification_that_is_not_taken():
    async def never(_: web.Request) -> web.StreamResponse:
        await asyncio.Event().wait()
        return web.Response()

    async with answering(naming("/messages"), never) as url:
        link = await SseTransport(server="older", url=url, farewell=0.05).open()
        notifying = asyncio.create_task(link.notify(b"{}"))
        await asyncio.sleep(0.02)
        async with asyncio.timeout(2):
            await link.close()
            with pytest.raises(trunkline.CallError):
                await notifying


async def test_a_notification_that_is_not_taken_ends_in_time(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(posting, "_TAKING", 0.02)

    async def never(_: web.Request) -> web.StreamResponse:
        await asyncio.Event().wait()
        return web.Response()

    async with answering(naming("/messages"), never) as url, opened(url, farewell=0.05) as link:
        async with asyncio.timeout(5):
            with pytest.raises(trunkline.OutcomeUnknownError, match="not taken a message"):
                await link.notify(b"{}")
        assert not link.lost


async def test_a_cancelled_request_leaves_the_link_usable():
    async with answering(naming("/messages"), accept) as url, opened(url) as link:
        asking = asyncio.create_task(link.request(ask(link)))
        await asyncio.sleep(0.02)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        await link.notify(b"{}")
        assert not link.lost


async def test_opening_can_be_cancelled_while_the_endpoint_is_awaited_and_leaves_nothing_open():
    gone = asyncio.Event()

    async def silent(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        try:
            await asyncio.Event().wait()
        finally:
            gone.set()
        return response

    async with answering(silent, accept) as url:
        opening = asyncio.create_task(SseTransport(server="older", url=url).open())
        await asyncio.sleep(0.05)
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
        async with asyncio.timeout(2):
            await gone.wait()


async def test_posts_that_are_never_answered_do_not_pile_up(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(posting, "_LINGERING", 0.05)
    monkeypatch.setattr(posting, "_OVERTAKING", 0.05)
    server = FakeServer(eras=["legacy"])
    server.tool("echo", reports="arguments")
    async with serve_streams(server, Quirks()) as streams:
        entry = {"type": "sse", "url": f"{streams.origin}/sse"}
        async with trunkline.connect({"older": entry}) as trunk:
            await trunk.ready()
            take = streams.take_post

            async def take_and_hang(session: Any, body: bytes) -> None:
                if b"tools/call" in body and b'"kept"' in body:
                    await take(session, body)
                await asyncio.Event().wait()

            monkeypatch.setattr(streams, "take_post", take_and_hang)
            answered = [trunk.call("older.echo", {"kept": n}, timeout=5) for n in range(5)]
            lost = [trunk.call("older.echo", {"n": n}, timeout=0.05) for n in range(5)]
            ends = await asyncio.gather(*answered, *lost, return_exceptions=True)
            assert [type(end) for end in ends] == [trunkline.Reply] * 5 + [
                trunkline.DeadlineExceededError
            ] * 5
            posts = trunk._fleet.get("older").connection.link._core._posting  # type: ignore[union-attr]
            async with asyncio.timeout(5):
                while posts:  # noqa: ASYNC110 - what is posted has no waiters
                    await asyncio.sleep(0.01)
            monkeypatch.setattr(streams, "take_post", take)
            assert (await trunk.call("older.echo", {"n": 9}, timeout=5)).value == {"n": 9}
