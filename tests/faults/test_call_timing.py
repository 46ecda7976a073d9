"""Each reply, error, event and explanation tells where the time of its call went."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import pytest
from aiohttp import web

import trunkline
from trunkline.testing import FakeServer, Fault
from trunkline.testing.virtual_time import VirtualTimeLoop

pytestmark = pytest.mark.anyio

ON_VIRTUAL_TIME = pytest.mark.parametrize(
    "anyio_backend", [("asyncio", {"loop_factory": partial(VirtualTimeLoop, 100.0)})], ids=["virtual"]
)


def adds_up(timing: trunkline.Timing) -> bool:
    return abs(sum(hop.seconds for hop in timing.to_hops()) - timing.total) < 1e-6


@ON_VIRTUAL_TIME
async def test_a_reply_tells_how_long_the_call_waited_and_how_long_it_was_with_the_server():
    server = FakeServer()
    server.tool("work", delay=4, returns="done")
    server.fault("server/discover", Fault.delay(0.5))
    policy = {"servers": {"fake": {"max_concurrency": 1}}}
    async with trunkline.connect({"fake": server}, policy=policy) as trunk:
        first, second = await asyncio.gather(trunk.call("fake.work"), trunk.call("fake.work"))
        warm = await trunk.call("fake.work")
    assert first.timing is not None
    assert second.timing is not None
    assert warm.timing is not None
    assert (first.timing.connect, first.timing.queue, first.timing.exchange) == (0.5, 0, 4)
    assert (second.timing.connect, second.timing.queue, second.timing.exchange) == (0.5, 4, 4)
    assert (warm.timing.connect, warm.timing.queue, warm.timing.exchange) == (0, 0, 4)
    assert (warm.timing.total, warm.timing.wire, warm.timing.own) == (4, None, 0)
    assert all(adds_up(reply.timing) for reply in (first, second, warm))
    assert first.elapsed == first.timing.total == 4.5


@ON_VIRTUAL_TIME
async def test_errors_events_and_why_tell_the_same_as_replies():
    server = FakeServer()
    server.tool("work", delay=4, returns="done")
    async with trunkline.connect({"fake": server}) as trunk:
        await trunk.ready()
        async with asyncio.timeout(60), trunk.events(trunkline.CallFinished) as events:
            reply = await trunk.call("fake.work")
            with pytest.raises(trunkline.DeadlineExceededError) as caught:
                await trunk.call("fake.work", timeout=3)
            finished = [await anext(events), await anext(events)]
        assert caught.value.timing == trunkline.Timing(total=3.0, sent_after=0.0)
        assert [event.timing for event in finished] == [reply.timing, caught.value.timing]
        why = trunk.why(reply.call_id)
        assert why.call is not None
        assert why.call.timing == reply.timing
        assert [(hop.name, hop.seconds) for hop in why.call.hops] == [
            ("prepared", 0.0),
            ("with the server", 4.0),
            ("handed to the caller", 0.0),
        ]


async def test_over_http_the_server_tells_its_share_and_a_new_connection_is_told_apart():
    app = web.Application()

    async def post(request: web.Request) -> web.Response:
        message = await request.json()
        results: dict[str, Any] = {
            "server/discover": None,
            "initialize": {
                "protocolVersion": "2025-11-25",
                "capabilities": {"tools": {}},
                "serverInfo": {"name": "x", "version": "1"},
            },
            "tools/list": {"tools": [{"name": "echo", "inputSchema": {"type": "object"}}]},
            "tools/call": {"content": [{"type": "text", "text": "hello"}]},
        }
        if "id" not in message:
            return web.Response(status=202)
        result = results.get(message["method"])
        said = {"error": {"code": -32601, "message": "no"}} if result is None else {"result": result}
        headers = {"Server-Timing": "db;dur=0.004, total;dur=0.01"}
        response = web.json_response({"jsonrpc": "2.0", "id": message["id"], **said}, headers=headers)
        if request.query.get("close"):
            response.force_close()
        return response

    app.router.add_post("/mcp", post)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/mcp"
    try:
        async with trunkline.connect({"kept": {"url": url}, "fresh": {"url": f"{url}?close=1"}}) as trunk:
            await trunk.ready()
            kept, *fresh = [await trunk.call(f"{name}.echo") for name in ("kept", "fresh", "fresh")]
    finally:
        await runner.cleanup()
    assert kept.timing is not None
    assert kept.timing.server == 0.00001
    assert kept.timing.wire is not None
    assert kept.timing.exchange == pytest.approx(kept.timing.wire + 0.00001)
    assert kept.timing.connect == 0.0
    assert max(reply.timing.connect for reply in fresh if reply.timing) > 0.0
    assert all(adds_up(reply.timing) for reply in (kept, *fresh) if reply.timing)


@ON_VIRTUAL_TIME
async def test_what_is_written_late_waited_for_its_turn_and_not_with_the_server():
    """Calls that leave together are written in the next turn of the loop, and their clock starts then."""
    server = FakeServer()
    server.tool("work", delay=4, returns="done")
    async with trunkline.connect({"fake": server}) as trunk:
        await trunk.ready()
        replies = await trunk.call_many([("fake.work", None)] * 3)
    for reply in replies:
        assert isinstance(reply, trunkline.Reply)
        assert reply.timing is not None
        assert (reply.timing.exchange, reply.timing.queue, reply.timing.total) == (4, 0, 4)
