"""HTTP+SSE: how a stream that broke is opened again, how often, and when it is given up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

import trunkline
from trunkline.core.call import Flight
from trunkline.protocol.frames import Encoder, Frame
from trunkline.transport.event_stream import Reopening
from trunkline.transport.link import Link, Request
from trunkline.transport.sse import SseTransport

pytestmark = pytest.mark.anyio

AT_ONCE = Reopening(shortest=0.0, first=0.0)
ENDPOINT = b"event: endpoint\ndata: /messages\n\n"


async def next_of(link: Link) -> Frame:
    assert await link.unsolicited.wait()
    frame = link.unsolicited.take()
    assert frame is not None
    return frame


class Streams:
    """A server whose every stream says the next thing and ends; a None hangs, a number is a status."""

    def __init__(self, *says: bytes | int | None) -> None:
        self.says = says
        self.seen: list[str | None] = []
        """`Last-Event-ID` of every attempt."""

    async def get(self, request: web.Request) -> web.StreamResponse:
        self.seen.append(request.headers.get("Last-Event-ID"))
        says = self.says[min(len(self.seen), len(self.says)) - 1]
        if isinstance(says, int):
            return web.Response(status=says)
        if says is None:
            await asyncio.Event().wait()
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(says or b"")
        if says and says.endswith(b": stay\n\n"):
            await asyncio.Event().wait()
        return response

    async def post(self, _: web.Request) -> web.StreamResponse:
        return web.Response(status=202)

    @asynccontextmanager
    async def opened(self, **settings: Any) -> AsyncIterator[Any]:
        app = web.Application()
        app.router.add_get("/sse", self.get)
        app.router.add_post("/messages", self.post)
        runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.05)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        url = f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}/sse"  # type: ignore[union-attr]
        link = await SseTransport(server="older", url=url, **settings).open()
        try:
            yield link
        finally:
            async with asyncio.timeout(10):
                await link.close()
                await runner.cleanup()


async def lost(link: Any) -> str:
    async with asyncio.timeout(10):
        reason: str = await link.wait_closed()
        return reason


def message(number: int, rest: bytes = b"") -> bytes:
    return b'id: %d\ndata: {"jsonrpc":"2.0","method":"x%d"}\n\n' % (number, number) + rest


async def test_a_stream_that_is_taken_up_again_loses_no_message():
    streams = Streams(ENDPOINT + message(1), message(2), message(3, b": stay\n\n"))
    async with streams.opened(reopening=AT_ONCE) as link:
        async with asyncio.timeout(5):
            assert [(await next_of(link)).method for _ in range(3)] == ["x1", "x2", "x3"]
        assert streams.seen == [None, "1", "2"]
        assert not link.lost


async def test_a_message_starts_the_count_of_attempts_anew():
    losses = [502, b"", ENDPOINT, 503]
    streams = Streams(ENDPOINT + message(1), *losses, message(2), *losses, message(3, b": stay\n\n"))
    async with streams.opened(reopening=AT_ONCE) as link:
        async with asyncio.timeout(5):
            assert [(await next_of(link)).method for _ in range(3)] == ["x1", "x2", "x3"]


@pytest.mark.parametrize("then", [500, 502, 503, 429, b"", ENDPOINT])
async def test_a_stream_that_brings_nothing_is_given_up_after_its_attempts(then: Any):
    streams = Streams(ENDPOINT + message(1), then)
    async with streams.opened(reopening=AT_ONCE) as link:
        assert "brought nothing in 5 attempts" in await lost(link)
    assert len(streams.seen) == 6


async def test_an_attempt_that_is_not_answered_ends_in_time():
    streams = Streams(ENDPOINT + message(1), None)
    async with streams.opened(reopening=Reopening(shortest=0, first=0, patience=0.02, attempts=2)) as link:
        assert "2 attempts" in await lost(link)
    assert len(streams.seen) == 3


@pytest.mark.parametrize("status", [204, 401, 404, 410])
async def test_a_server_that_refuses_the_stream_is_not_asked_again(status: int):
    streams = Streams(ENDPOINT + message(1), status)
    async with streams.opened(reopening=AT_ONCE) as link:
        assert str(status) in await lost(link)
    assert len(streams.seen) == 2


async def test_a_stream_that_comes_back_as_another_session_fails_what_was_in_flight_as_unknown():
    streams = Streams(ENDPOINT + message(1), b"event: endpoint\ndata: /other\n\n: stay\n\n")
    async with streams.opened(reopening=Reopening(shortest=0.05, first=0.0)) as link:
        number = link.next_id()
        body = Encoder({}).request(number, "tools/call", {})
        flight = Flight(asyncio.get_running_loop().time())
        async with asyncio.timeout(5):
            with pytest.raises(trunkline.OutcomeUnknownError, match="another session") as caught:
                await link.request(Request(id=number, method="tools/call", body=body, flight=flight))
        assert caught.value.delivery == "unknown"
        with pytest.raises(trunkline.UnavailableError) as refused:
            await link.request(Request(id=number + 1, method="ping", body=body, flight=flight))
        assert refused.value.delivery == "never_sent"


async def test_an_empty_id_says_that_there_is_nothing_to_take_up():
    streams = Streams(ENDPOINT + message(1) + b'id\ndata: {"jsonrpc":"2.0","method":"x"}\n\n')
    async with streams.opened(reopening=AT_ONCE) as link:
        assert await lost(link) == "its event stream ended"
    assert streams.seen == [None]


async def test_closing_ends_a_link_that_waits_to_open_its_stream_again():
    streams = Streams(ENDPOINT + message(1))
    async with streams.opened(reopening=Reopening(shortest=60.0, longest=60.0)) as link:
        await next_of(link)
    assert link.lost


@pytest.mark.parametrize(
    ("failures", "retry_ms", "draw", "seconds"),
    [
        (0, None, 0.0, 0.1),
        (0, None, 1.0, 0.6),
        (0, 0, 0.0, 0.1),
        (0, 2000, 0.0, 2.0),
        (0, 999_999_999, 0.0, 30.0),
        (3, None, 1.0, 4.1),
        (3, 1000, 0.5, 3.0),
        (50, None, 1.0, 30.1),
    ],
)
def test_a_wait_is_what_the_server_asked_for_within_bounds_and_a_random_part_that_grows(
    failures: int, retry_ms: int | None, draw: float, seconds: float
):
    assert Reopening().wait(failures, retry_ms, draw) == pytest.approx(seconds)
