"""The fake server behind HTTP+SSE and WebSocket, as a client that knows nothing of Trunkline sees it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urljoin

import aiohttp
import pytest

from trunkline.testing import FakeServer, drips

pytestmark = pytest.mark.anyio

PING = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
PONG = b'{"jsonrpc":"2.0","id":1,"result":{}}'


@pytest.fixture
def fake() -> FakeServer:
    return FakeServer(eras=["legacy"])


@asynccontextmanager
async def streaming(url: str, last: str | None = None) -> AsyncIterator[tuple[Any, Any]]:
    headers = {"Last-Event-ID": last} if last is not None else {}
    async with (
        aiohttp.ClientSession() as client,
        asyncio.timeout(10),
        client.get(url, headers=headers) as get,
    ):
        assert (get.status, get.content_type) == (200, "text/event-stream")
        yield client, get.content


async def event(content: Any) -> dict[str, str]:
    lines: list[str] = []
    while line := (await content.readline()).decode().rstrip("\n"):
        lines.append(line)
    pairs = [line.split(": ", 1) for line in lines]
    data = "\n".join(value for name, value in pairs if name == "data")
    return {**dict(pairs), "data": data} if pairs else {}


async def test_a_stream_names_its_endpoint_and_carries_the_answers(fake: FakeServer):
    async with fake.sse() as url, streaming(url) as (client, content):
        named = await event(content)
        assert named["event"] == "endpoint"
        for _ in range(2):
            async with client.post(urljoin(url, named["data"]), json=PING) as post:
                assert (post.status, await post.read()) == (202, b"")
            assert await event(content) == {"event": "message", "data": PONG.decode()}
        async with client.post(urljoin(url, "/messages/elsewhere"), json=PING) as post:
            assert post.status == 404


async def test_two_streams_are_two_connections(fake: FakeServer):
    async with fake.sse() as url, streaming(url) as (_, one), streaming(url) as (client, other):
        first, second = (await event(one))["data"], (await event(other))["data"]
        assert first != second
        async with client.post(urljoin(url, second), json=PING):
            assert (await event(other))["data"] == PONG.decode()


async def test_a_stream_that_broke_goes_on_where_it_ended(fake: FakeServer):
    async with fake.sse(ids=True, retry_ms=70, cut_after=1) as url:
        async with streaming(url) as (client, content):
            named = await event(content)
            assert named["retry"] == "70"
            for _ in range(2):
                async with client.post(urljoin(url, named["data"]), json=PING):
                    pass
            assert (await event(content))["id"] == "1"
            with pytest.raises(aiohttp.ClientError):
                await content.read()
        async with streaming(url, last="1") as (_, content):
            assert (await event(content))["data"] == named["data"]
            assert await event(content) == {"id": "2", "event": "message", "data": PONG.decode()}


@pytest.mark.parametrize(
    ("endpoint", "starts"), [("absolute", "http://127.0.0.1:"), ("foreign", "http://192.0.2.1/")]
)
async def test_an_endpoint_may_be_of_any_origin(fake: FakeServer, endpoint: Any, starts: str):
    async with fake.sse(endpoint=endpoint) as url, streaming(url) as (_, content):
        assert (await event(content))["data"].startswith(starts)


async def test_posts_can_be_refused(fake: FakeServer):
    async with fake.sse(status=503) as url, streaming(url) as (client, content):
        named = await event(content)
        async with client.post(urljoin(url, named["data"]), json=PING) as post:
            assert post.status == 503
    assert len(fake.ledger) == 0


async def test_a_websocket_carries_a_message_in_each_text_frame_and_can_be_slow_and_break(fake: FakeServer):
    async with fake.websocket(cut_after=2, delay=0.03) as url, aiohttp.ClientSession() as client:
        async with asyncio.timeout(10), client.ws_connect(url, protocols=("mcp",)) as socket:
            assert socket.protocol == "mcp"
            begun = asyncio.get_running_loop().time()
            for _ in range(3):
                await socket.send_json(PING)
            received = [await socket.receive() for _ in range(3)]
            assert asyncio.get_running_loop().time() - begun >= 0.08
            assert [message.data for message in received[:2]] == [PONG.decode()] * 2
            assert received[2].type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)
        async with asyncio.timeout(10), client.ws_connect(url) as socket:
            for _ in range(5):
                await socket.send_json(PING)
                assert (await socket.receive()).data == PONG.decode()


async def test_a_tiresome_stream_sends_comments_and_events_by_the_piece(
    fake: FakeServer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(drips, "SELDOM", 1)
    async with fake.sse(tiresome=True) as url, streaming(url) as (client, content):
        endpoint = await event(content)
        async with client.post(urljoin(url, endpoint["data"]), json=PING) as post:
            assert post.status == 202
        read = b""
        while PONG not in read or b": nothing" not in read:
            read += await content.readany()
    assert b"data: " + PONG in read


async def test_a_tiresome_websocket_sends_pings_and_messages_in_fragments(
    fake: FakeServer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(drips, "SELDOM", 1)
    async with (
        fake.websocket(tiresome=True) as url,
        aiohttp.ClientSession() as client,
        client.ws_connect(url, autoping=False) as socket,
        asyncio.timeout(10),
    ):
        await socket.send_json(PING)
        seen: set[Any] = set()
        while seen != {(aiohttp.WSMsgType.TEXT, PONG.decode()), (aiohttp.WSMsgType.PING, b"")}:
            message = await socket.receive()
            seen.add((message.type, message.data))
