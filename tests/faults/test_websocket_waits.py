"""WebSocket: why a socket ended, and that a peer which does not read or answer holds nothing up for ever."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

import trunkline
from trunkline.core.call import Flight
from trunkline.core.limits import Limits
from trunkline.protocol.frames import Encoder, Frame
from trunkline.transport.link import Link, Request
from trunkline.transport.websocket import WebSocketTransport, describe_close

pytestmark = pytest.mark.anyio

LARGE = {"text": "x" * 100_000}


async def next_of(link: Link) -> Frame:
    assert await link.unsolicited.wait()
    frame = link.unsolicited.take()
    assert frame is not None
    return frame


@asynccontextmanager
async def answering(play: Callable[[web.WebSocketResponse], Awaitable[None]]) -> AsyncIterator[str]:
    """A server that does one thing with every WebSocket."""

    async def accept(request: web.Request) -> web.StreamResponse:
        opened = web.WebSocketResponse(protocols=("mcp",), autoping=False)
        await opened.prepare(request)
        await play(opened)
        return opened

    app = web.Application()
    app.router.add_get("/ws", accept)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.05)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"ws://127.0.0.1:{site._server.sockets[0].getsockname()[1]}/ws"  # type: ignore[union-attr]
    finally:
        await runner.cleanup()


@asynccontextmanager
async def deaf() -> AsyncIterator[str]:
    """A server that shakes hands and then never reads."""

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        key = next(
            line.split(": ")[1] for line in head.split("\r\n") if line.lower().startswith("sec-websocket-key")
        )
        digest = hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()
        writer.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + base64.b64encode(digest) + b"\r\n\r\n"
        )
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        writers.append(writer)

    writers: list[asyncio.StreamWriter] = []
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    server = await asyncio.start_server(take, sock=listener)
    try:
        yield f"ws://127.0.0.1:{listener.getsockname()[1]}/ws"
    finally:
        server.close()
        for writer in writers:
            writer.transport.abort()
        await server.wait_closed()


@asynccontextmanager
async def opened(url: str, **settings: Any) -> AsyncIterator[Any]:
    link = await WebSocketTransport(server="ws", url=url, **settings).open()
    try:
        yield link
    finally:
        async with asyncio.timeout(10):
            await link.close()


def ask(link: Any, params: Any = None) -> Request:
    number = link.next_id()
    body = Encoder({}).request(number, "tools/call", params or {})
    flight = Flight(asyncio.get_running_loop().time())
    return Request(id=number, method="tools/call", body=body, flight=flight)


async def lost(link: Any) -> str:
    async with asyncio.timeout(10):
        reason: str = await link.wait_closed()
        return reason


@pytest.mark.parametrize(
    ("code", "text", "said"),
    [
        (1000, "", "it closed the WebSocket with code 1000 (its work is done)"),
        (1008, "no token", "it closed the WebSocket with code 1008 (its policy), saying 'no token'"),
        (3000, "", "it closed the WebSocket with code 3000 (authorization is missing)"),
        (4321, "\x1b[2Jmine\n", "it closed the WebSocket with code 4321, saying"),
    ],
)
async def test_a_close_code_becomes_a_reason(code: int, text: str, said: str):
    async def close(opened: web.WebSocketResponse) -> None:
        await opened.close(code=code, message=text.encode())

    async with answering(close) as url, opened(url) as link:
        reason = await lost(link)
    assert reason.startswith(said)
    assert reason.isprintable()


def test_a_close_without_a_code_says_so():
    assert describe_close(0, "") == describe_close(None, "") == "it closed the WebSocket without saying why"


async def test_a_ping_that_is_not_answered_ends_the_link_and_its_calls_are_unknown():
    async def ignore(opened: web.WebSocketResponse) -> None:
        async for _ in opened:
            pass

    async with answering(ignore) as url, opened(url, heartbeat=0.1) as link:
        with pytest.raises(trunkline.OutcomeUnknownError, match="did not answer a ping") as caught:
            async with asyncio.timeout(5):
                await link.request(ask(link))
        assert caught.value.delivery == "unknown"


async def test_a_server_that_answers_pings_is_kept_however_long_it_says_nothing():
    async def wait(opened: web.WebSocketResponse) -> None:
        for _ in range(5):
            message = await opened.receive()
            assert message.type is web.WSMsgType.PING
            await opened.pong(message.data)
        await opened.send_str('{"jsonrpc":"2.0","method":"notifications/still_here"}')
        await opened.receive()

    async with answering(wait) as url, opened(url, heartbeat=0.05) as link:
        async with asyncio.timeout(5):
            assert (await next_of(link)).method == "notifications/still_here"
        assert not link.lost


async def test_what_a_server_that_does_not_read_was_not_given_was_never_sent():
    async with deaf() as url, opened(url, farewell=0.05) as link:
        requests = [ask(link, LARGE) for _ in range(100)]
        calls = [asyncio.create_task(link.request(request)) for request in requests]
        await asyncio.sleep(0.05)
        sent = [request.flight.delivery for request in requests]
        assert (sent[0], sent[-1]) == ("unknown", "never_sent")
        calls[-1].cancel()
        await asyncio.wait({calls[-1]})
        async with asyncio.timeout(5):
            await link.close()
            errors = await asyncio.gather(*calls, return_exceptions=True)
    assert isinstance(errors[-1], asyncio.CancelledError)
    told = ["unknown" if isinstance(one, trunkline.OutcomeUnknownError) else "never_sent" for one in errors]
    assert told == sent


async def test_a_server_that_reads_again_gets_everything_in_order():
    release = asyncio.Event()
    seen: list[int] = []

    async def read_late(opened: web.WebSocketResponse) -> None:
        await release.wait()
        async for message in opened:
            number = message.json()["id"]
            seen.append(number)
            await opened.send_json({"jsonrpc": "2.0", "id": number, "result": {}})

    async with answering(read_late) as url, opened(url) as link:
        requests = [ask(link, LARGE) for _ in range(200)]
        calls = [asyncio.create_task(link.request(request)) for request in requests]
        await asyncio.sleep(0.05)
        assert requests[-1].flight.delivery == "never_sent"
        release.set()
        async with asyncio.timeout(20):
            answers = await asyncio.gather(*calls)
    assert [answer.id for answer in answers] == seen == [request.id for request in requests]


async def test_an_answer_over_the_limit_fails_its_call_alone_and_one_over_twice_the_limit_ends_the_link():
    sizes = iter((150, 10, 400))

    async def answer(opened: web.WebSocketResponse) -> None:
        async for message in opened:
            result = {"text": "x" * next(sizes)}
            await opened.send_json({"jsonrpc": "2.0", "id": message.json()["id"], "result": result})

    async with answering(answer) as url, opened(url, limits=Limits(frame_bytes=128)) as link:
        async with asyncio.timeout(5):
            with pytest.raises(trunkline.ProtocolError, match="larger than the limit"):
                await link.request(ask(link))
            assert (await link.request(ask(link))).result == {"text": "x" * 10}
            with pytest.raises(trunkline.OutcomeUnknownError, match="over 256 bytes"):
                await link.request(ask(link))
        assert link.lost


async def test_opening_can_be_cancelled_during_the_handshake():
    begun = asyncio.Event()

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        begun.set()
        await reader.read()
        writer.close()
        ended.set()

    ended = asyncio.Event()
    server = await asyncio.start_server(take, "127.0.0.1", 0)
    async with server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/ws"
        opening = asyncio.create_task(WebSocketTransport(server="ws", url=url).open())
        await begun.wait()
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
        async with asyncio.timeout(5):
            await ended.wait()


async def test_a_cancelled_close_of_a_socket_nobody_reads_ends_all_the_same_and_frees_it(until: Any):
    async with deaf() as url:
        link = await WebSocketTransport(server="ws", url=url, farewell=0.05).open()
        raw = link._socket.get_extra_info("socket")
        calls = [asyncio.create_task(link.request(ask(link, LARGE))) for _ in range(100)]
        await asyncio.sleep(0.05)
        closing = asyncio.create_task(link.close())
        await asyncio.sleep(0)
        closing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await closing
        async with asyncio.timeout(5):
            await link.close()
            await asyncio.gather(*calls, return_exceptions=True)
            await until(lambda: raw.fileno() < 0)
        assert link.lost
