"""Streams that are lost over and over: attempts are spread and bounded, and nothing stays unheard."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import trunkline
from trunkline.core.events import ListChanged, ResourceUpdated
from trunkline.runtime import assembly
from trunkline.testing import FakeServer, Fault

pytestmark = pytest.mark.anyio

A = "file:///a"
LISTEN = "subscriptions/listen"


@pytest.fixture(autouse=True)
def longest_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every wait be as long as it may be."""
    monkeypatch.setattr(assembly, "_draw", lambda: 1.0)


def watchable(family: str = "modern") -> FakeServer:
    server = FakeServer(eras=[family], watchable=True, ttl_ms=3_600_000)
    server.tool("t", returns="x")
    server.resource(A)
    return server


def moments(server: FakeServer, method: str) -> list[float]:
    """Note the moment of every such request from now on."""
    loop = asyncio.get_running_loop()
    seen: list[float] = []
    strike = server.strike

    def noting(struck: str, name: str | None) -> Any:
        if struck == method:
            seen.append(loop.time())
        return strike(struck, name)

    server.strike = noting  # type: ignore[method-assign]
    return seen


async def first(stream: Any, seconds: float = 120.0) -> Any:
    return await asyncio.wait_for(anext(stream), seconds)


async def test_attempts_to_listen_again_double_their_waits_up_to_a_bound():
    server = watchable()
    async with trunkline.connect({"fake": server}) as trunk:
        updates = await trunk.subscribe(A)
        seen = moments(server, LISTEN)
        started = asyncio.get_running_loop().time()
        server.fault(LISTEN, Fault.rpc_error(-32603, "not now"), times=7)
        server.end_streams()
        assert (await first(updates, 600)).missed
        waits = [after - before for before, after in zip([started, *seen], seen, strict=False)]
        assert [round(wait) for wait in waits] == [1, 2, 4, 8, 16, 30, 30, 30]


async def test_a_stream_that_was_steady_is_opened_again_soon_and_a_flapping_one_ever_later():
    server = watchable()
    loop = asyncio.get_running_loop()
    async with trunkline.connect({"fake": server}) as trunk:
        updates = await trunk.subscribe(A)
        waits = []
        for steady in (0, 0, 0, 120, 0):
            await asyncio.sleep(steady)
            lost = loop.time()
            server.end_streams()
            assert (await first(updates)).missed
            waits.append(round(loop.time() - lost))
        assert waits == [1, 2, 4, 1, 2]


async def test_a_stream_that_is_not_acknowledged_is_given_up_and_asked_for_again():
    server = watchable()
    async with trunkline.connect({"fake": server}, policy={"defaults": {"connect": 5}}) as trunk:
        server.fault(LISTEN, Fault.hang, nth=1)
        await trunk.ready()
        updates = await trunk.subscribe(A, timeout=60)
        server.notify_resource(A)
        assert await first(updates) == ResourceUpdated(server="fake", uri=A)
        hung = server.ledger.of(LISTEN)[0]
        assert hung.cancelled


async def test_what_changed_while_no_stream_was_open_is_found_out():
    server = watchable()
    async with trunkline.connect({"fake": server}) as trunk:
        updates = await trunk.subscribe(A)
        events = trunk.events(ListChanged)
        server.fault(LISTEN, Fault.rpc_error(-32603, "not now"), times=3)
        server.end_streams()
        await server.wait_for(lambda ledger: len(ledger.of(LISTEN)) == 3, timeout=60)
        server.tool("new", returns="n")
        server.notify_list("tools")
        assert (await first(events)).added == ("new",)
        assert (await first(updates)).missed


async def test_a_stream_that_ends_while_the_next_is_asked_for_leaves_updates_missed():
    server = watchable()
    server.resource("file:///b")
    async with trunkline.connect({"fake": server}) as trunk:
        updates = await trunk.subscribe(A)
        events = trunk.events(ListChanged)
        server.fault(LISTEN, Fault.delay(3.0), times=1)
        other = asyncio.ensure_future(trunk.subscribe("file:///b", "fake", timeout=20))
        await asyncio.sleep(1)
        server.end_streams()
        await asyncio.sleep(1)
        server.notify_resource(A)
        server.tool("new", returns="n")
        server.notify_list("tools")
        await other
        assert await first(updates, 10) == ResourceUpdated(server="fake", uri=A, missed=True)
        assert (await first(events, 10)).added == ("new",)


@pytest.mark.parametrize("family", ["legacy", "modern"])
async def test_a_server_that_dies_is_started_again_while_somebody_is_subscribed(family: str):
    server = watchable(family)
    server.tool("die")
    server.fault("die", Fault.crash_before_reply)
    policy = {"defaults": {"auto_reconnect": False}}
    async with trunkline.connect({"fake": server}, policy=policy) as trunk:
        updates = await trunk.subscribe(A)
        for _ in range(3):
            with pytest.raises(trunkline.CallError):
                await trunk.call("fake.die")
            assert await first(updates) == ResourceUpdated(server="fake", uri=A, missed=True)
        server.notify_resource(A)
        assert await first(updates) == ResourceUpdated(server="fake", uri=A)
        assert trunk.status()["fake"].restarts == 3
        updates.close()
        with pytest.raises(trunkline.CallError):
            await trunk.call("fake.die")
        await asyncio.sleep(600)
        assert trunk.status()["fake"].state == "stopped"


async def test_a_subscription_request_that_is_lost_is_sent_again():
    server = watchable("legacy")
    server.fault("resources/subscribe", Fault.hang, times=2)
    async with trunkline.connect({"fake": server}, policy={"defaults": {"connect": 5}}) as trunk:
        updates = await trunk.subscribe(A, timeout=60)
        server.notify_resource(A)
        assert await first(updates) == ResourceUpdated(server="fake", uri=A)
        assert len(server.ledger.of("resources/subscribe")) == 3


@pytest.mark.parametrize("hung", ["file:///hung", "logging/setLevel"])
async def test_a_request_that_is_never_answered_holds_up_no_other_subscription(hung: str):
    server = watchable("legacy")
    server.resource("file:///hung")
    server.resource("file:///z")
    async with trunkline.connect({"fake": server}) as trunk:
        if hung == "logging/setLevel":
            await trunk.set_log_level("info")
        server.fault(hung, Fault.hang)
        await trunk.ready("fake", lists=True)
        first_of_all = asyncio.ensure_future(trunk.subscribe("file:///hung", "fake", timeout=20))
        await asyncio.sleep(1)
        updates = await trunk.subscribe("file:///z", "fake", timeout=1)
        server.notify_resource("file:///z")
        assert await first(updates, 1) == ResourceUpdated(server="fake", uri="file:///z")
        updates.close()
        await server.wait_for(lambda ledger: bool(ledger.of("resources/unsubscribe")), timeout=1)
        first_of_all.cancel()


async def test_a_stream_has_no_deadline():
    server = watchable()
    policy = {"defaults": {"timeout": 5, "idle": 1, "connect": 3}}
    async with trunkline.connect({"fake": server}, policy=policy) as trunk:
        updates = await trunk.subscribe(A)
        await asyncio.sleep(86_400)
        server.notify_resource(A)
        assert await first(updates) == ResourceUpdated(server="fake", uri=A)
        assert len(server.ledger.of(LISTEN)) <= 2
        assert (await trunk.call("fake.t")).text == "x"
