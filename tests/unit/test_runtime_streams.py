"""A stream gives what a call reports and then its reply; ended early, it cancels the call at the server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest

import trunkline
from trunkline import Log, Progress, Reply
from trunkline.testing import FakeServer

pytestmark = pytest.mark.anyio


def make_server(family: Any) -> FakeServer:
    server = FakeServer("build", eras=[family])

    @server.tool
    async def run(_: dict[str, Any], context: Any) -> str:
        await context.log("debug", "chatter")
        await context.progress(1, 2, "compiling")
        await context.log("warning", {"file": "a.c"}, "cc")
        return "built"

    @server.tool
    async def flood(_: dict[str, Any], context: Any) -> str:
        for number in range(300):
            await context.progress(number)
        return "flooded"

    server.tool("slow", delay=3600, progress=[(1, 2, "half"), (2, 2, "whole")])
    server.tool("reject", rpc_error=(-32000, "no", None))
    return server


@asynccontextmanager
async def opened(server: FakeServer, way: str) -> AsyncIterator[trunkline.Trunk]:
    if way == "memory":
        async with trunkline.connect({"build": server}) as trunk:
            yield trunk
    else:
        async with server.http(json=False) as url, trunkline.connect({"build": {"url": url}}) as trunk:
            yield trunk


@pytest.mark.parametrize(
    ("way", "family", "logs"),
    [
        ("http", "modern", True),
        ("http", "legacy", True),
        ("memory", "modern", True),
        ("memory", "legacy", False),
    ],
)
async def test_reports_come_in_order_then_one_reply(way: str, family: str, logs: bool) -> None:
    """On a stream that calls share, a legacy log message names no call, so it is given to none."""
    async with opened(make_server(family), way) as trunk:
        events = [event async for event in trunk.stream("build.run")]
    *reports, reply = events
    assert isinstance(reply, Reply)
    assert reply.text == "built"
    expected: list[Any] = [Progress(progress=1, total=2, message="compiling")]
    if logs:
        expected.append(Log(level="warning", data={"file": "a.c"}, logger="cc"))
    assert reports == expected


async def test_milder_messages_come_only_when_asked_for() -> None:
    async with opened(make_server("modern"), "http") as trunk:
        logs = [event async for event in trunk.stream("build.run", log_level="debug") if type(event) is Log]
        assert [log.level for log in logs] == ["debug", "warning"]
        logs = [event async for event in trunk.stream("build.run", log_level="error") if type(event) is Log]
        assert logs == []


async def test_a_plain_call_asks_a_modern_server_for_no_logs() -> None:
    server = make_server("modern")
    async with opened(server, "memory") as trunk:
        await trunk.call("build.run")
        [event async for event in trunk.stream("build.run", log_level="error")]
    asked = [one.meta.get("io.modelcontextprotocol/logLevel") for one in server.calls]
    assert asked == [None, "error"]


async def test_logs_of_two_streams_on_one_connection_are_given_to_neither() -> None:
    server = make_server("modern")
    go_on = asyncio.Event()

    @server.tool
    async def wait(_: dict[str, Any], context: Any) -> str:
        await context.progress(1)
        await go_on.wait()
        return "waited"

    async with opened(server, "memory") as trunk, aclosing(trunk.stream("build.wait")) as waiting:
        await anext(waiting)
        assert [type(event) async for event in trunk.stream("build.run")] == [Progress, Reply]
        go_on.set()
        assert [type(event) async for event in waiting] == [Reply]
    go_on.clear()
    async with opened(server, "memory") as trunk:
        handle = trunk.start("build.wait")
        await anext(aiter(handle.progress))
        assert [type(event) async for event in trunk.stream("build.run")] == [Progress, Log, Reply]


@pytest.mark.parametrize("family", ["legacy", "modern"])
@pytest.mark.parametrize("way", ["memory", "http"])
async def test_closing_early_cancels_at_the_server(way: str, family: str) -> None:
    server = make_server(family)
    async with opened(server, way) as trunk:
        events = trunk.stream("build.slow")
        assert await anext(events) == Progress(progress=1, total=2, message="half")
        await events.aclose()
        await server.wait_for(lambda ledger: ledger.calls[0].cancelled)
    if (way, family) != ("http", "modern"):
        assert server.ledger.of("notifications/cancelled")[0].params["reason"] == "the caller stopped reading"


async def test_leaving_the_loop_cancels_at_the_server() -> None:
    server = make_server("modern")
    async with opened(server, "memory") as trunk:
        async for _ in trunk.stream("build.slow"):
            break
        await server.wait_for(lambda ledger: ledger.calls[0].cancelled)


async def test_a_cancelled_reader_cancels_at_the_server() -> None:
    server = make_server("modern")

    async def read(trunk: trunkline.Trunk) -> None:
        async for _ in trunk.stream("build.slow"):
            pass

    async with opened(server, "memory") as trunk:
        reading = asyncio.ensure_future(read(trunk))
        await server.wait_for(lambda ledger: bool(ledger.calls))
        reading.cancel()
        await asyncio.wait({reading})
        await server.wait_for(lambda ledger: ledger.calls[0].cancelled)


async def test_a_failure_is_raised_where_the_reply_would_be() -> None:
    async with opened(make_server("modern"), "memory") as trunk:
        with pytest.raises(trunkline.ServerError):
            await anext(trunk.stream("build.reject"))


async def test_a_stream_nobody_reads_sends_nothing() -> None:
    server = make_server("modern")
    async with opened(server, "memory") as trunk:
        await trunk.stream("build.run").aclose()
        await trunk.call("build.run")
    assert len(server.calls) == 1


async def test_a_slow_reader_is_told_what_it_missed() -> None:
    async with opened(make_server("modern"), "memory") as trunk:
        events = trunk.stream("build.flood")
        await anext(events)
        await trunk.call("build.run")
        *seen, reply = [event async for event in events]
    assert isinstance(reply, Reply)
    missed = 300 - 1 - len(seen)
    assert missed > 0
    assert reply.warnings == (f"{missed} of its reports were dropped, because they were read too slowly",)
