"""Over HTTP: what has not left yet says so, drips extend nothing, and nothing piles up."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

import trunkline
from trunkline.testing import FakeServer, Fault

pytestmark = [pytest.mark.anyio, pytest.mark.alone]

SLACK = 0.05
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def raw_server(serve: Serve) -> AsyncIterator[str]:
    """Accept connections, hand each to `serve`, and end them all at the end."""
    tasks: set[asyncio.Task[None]] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.current_task())
        try:
            await serve(reader, writer)
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/mcp"
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()


async def fail_timed(trunk: trunkline.Trunk, tool: str, **options: Any) -> tuple[trunkline.CallError, float]:
    started = time.perf_counter()
    with pytest.raises(trunkline.CallError) as caught:
        await trunk.call(tool, {"n": 1}, **options)
    return caught.value, time.perf_counter() - started


@pytest.mark.over("json")
async def test_calls_that_wait_for_a_free_connection_were_never_sent(way: Any, reach: Any):
    server = FakeServer(eras=[way.family])
    server.tool("work", delay=600)
    async with reach(server, way) as trunk:
        await trunk.ready()
        sent = [asyncio.create_task(trunk.call("fake.work")) for _ in range(256)]
        await server.wait_for(lambda ledger: len(ledger.calls) == 256)
        outcomes = await asyncio.gather(*(fail_timed(trunk, "fake.work", timeout=0.2) for _ in range(50)))
        assert {type(error) for error, _ in outcomes} == {trunkline.DeadlineExceededError}
        assert {error.delivery for error, _ in outcomes} == {"never_sent"}
        for call in sent:
            call.cancel()
        await asyncio.wait(sent)
        server.tool("echo", reports="arguments")
        assert (await trunk.call("fake.echo", {"n": 1})).value == {"n": 1}
        assert len(server.ledger.of("tools/call", "work")) == 256


async def test_a_server_whose_backlog_is_full_is_never_sent_to():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        plugs = []
        for _ in range(4):
            plug = socket.socket()
            plug.setblocking(False)
            plug.connect_ex(address)
            plugs.append(plug)
        try:
            url = f"http://127.0.0.1:{address[1]}/mcp"
            async with trunkline.connect({"full": {"url": url}}) as trunk:
                error, elapsed = await fail_timed(trunk, "full.echo", timeout=0.4)
        finally:
            for plug in plugs:
                plug.close()
    assert (type(error), error.delivery) == (trunkline.DeadlineExceededError, "never_sent")
    assert elapsed <= 0.4 + SLACK


DRIPS = {
    "a byte at a time": Fault.drip(0.01),
    "comments": Fault.comments(0.02),
    "hang": Fault.hang,
}


@pytest.mark.over("json", "sse")
@pytest.mark.parametrize("drip", DRIPS)
async def test_a_drip_does_not_outlive_the_deadline(way: Any, reach: Any, drip: str):
    server = FakeServer(eras=[way.family])
    server.tool("echo", reports="arguments")
    server.tool("slow", returns="x" * 10_000)
    server.fault("slow", DRIPS[drip])
    async with reach(server, way) as trunk:
        await trunk.ready()
        for attempt in (1, 2):
            results = await asyncio.gather(*(fail_timed(trunk, "fake.slow", timeout=0.3) for _ in range(10)))
            if max(elapsed for _, elapsed in results) <= 0.3 + SLACK:
                break
            assert attempt == 1, "late twice"
        assert {(type(error), error.delivery) for error, _ in results} == {
            (trunkline.DeadlineExceededError, "unknown")
        }
        assert (await trunk.call("fake.echo", {"n": 1})).value == {"n": 1}


@pytest.mark.over("stdio")
async def test_a_flood_of_progress_over_a_pipe_does_not_outlive_the_deadline(way: Any, reach: Any):
    server = FakeServer(eras=[way.family])
    server.tool("flood", delay=0.0, progress=[(n, None, None) for n in range(100_000)])
    server.fault("flood", Fault.hang.after_commit())
    async with reach(server, way) as trunk:
        await trunk.ready()
        for attempt in (1, 2):
            error, elapsed = await fail_timed(trunk, "fake.flood", timeout=0.4)
            if elapsed <= 0.4 + SLACK:
                break
            assert attempt == 1, "late twice"
        assert (type(error), error.delivery) == (trunkline.DeadlineExceededError, "unknown")


async def test_headers_that_drip_do_not_outlive_the_deadline():
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for byte in b"HTTP/1.1 200 OK\r\nX-Pad: " + b"x" * 10_000:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0.01)

    async with raw_server(serve) as url, trunkline.connect({"far": {"url": url}}) as trunk:
        error, elapsed = await fail_timed(trunk, "far.echo", timeout=0.4)
    assert (type(error), error.delivery) == (trunkline.DeadlineExceededError, "never_sent")
    assert elapsed <= 0.4 + SLACK


ANSWERS = {
    "not HTTP": b"SSH-2.0-OpenSSH_9.6\r\n",
    "nothing": b"",
    "a bad status line": b"HTTP/1.1 banana\r\n\r\n",
    "a header without end": b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n",
    "a bad chunk": (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n"
    ),
    "bad gzip": (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\n"
        b"Content-Length: 4\r\n\r\nnope"
    ),
    "a short body": b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 400\r\n\r\n{",
    "a page": b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>",
    "a lying length": b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: -5\r\n\r\n{}",
}


@pytest.mark.parametrize("answer", ANSWERS)
async def test_a_peer_that_is_no_mcp_server_fails_typed_and_keeps_the_secrets_of_its_url(answer: str):
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(ANSWERS[answer])
        await writer.drain()

    async with raw_server(serve) as url:
        secret = url.replace("http://", "http://bob:hunter22secret@") + "?api_key=QUERYSECRET"
        headers = {"Authorization": "Bearer HEADERSECRET"}
        async with trunkline.connect({"far": {"url": secret, "headers": headers}}) as trunk:
            error, _ = await fail_timed(trunk, "far.echo", timeout=5)
            told = [str(trunk.status()["far"]), repr(trunk.config), repr(trunk._fleet.get("far").settings)]
    assert isinstance(error, trunkline.UnavailableError)
    assert error.delivery == "never_sent"
    chain: BaseException | None = error
    while chain is not None:
        told += [str(chain), repr(chain)]
        chain = chain.__cause__
    told += [error.hint or ""]
    for canary in ("hunter22secret", "QUERYSECRET", "HEADERSECRET"):
        assert not [text for text in told if canary in text]


async def test_streams_that_the_server_leaves_open_after_the_answer_do_not_pile_up():
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        body = await reader.readexactly(length)
        number = body.partition(b'"id":')[2].partition(b",")[0].rstrip(b"}")
        found = b'{"supportedVersions":["2026-07-28"],"capabilities":{"tools":{}},"tools":[],"content":[]}'
        event = b'data: {"jsonrpc":"2.0","id":' + number + b',"result":' + found + b"}\n\n"
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: keep-alive\r\n\r\n" + event
        )
        await writer.drain()
        await asyncio.Event().wait()

    policy = {"tools": {"far.*": {"validate": False}}}
    async with raw_server(serve) as url, trunkline.connect({"far": {"url": url}}, policy=policy) as trunk:
        await trunk.call("far.any")
        link = trunk._fleet.get("far").connection.link
        await asyncio.gather(*(trunk.call("far.any") for _ in range(20)))
        assert len(link._draining) > 0
        async with asyncio.timeout(5):
            while link._draining:  # noqa: ASYNC110 - they are dropped by a timer
                await asyncio.sleep(0.05)
