"""Streams of notifications at modern servers: what is asked, acknowledged, refused, lost and not ours."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

import trunkline
from trunkline.core.events import ListChanged, ResourceUpdated
from trunkline.runtime import assembly
from trunkline.testing import FakeServer, Fault, RpcError

pytestmark = pytest.mark.anyio

A, B, C = "file:///a", "file:///b", "file:///c"
LISTEN = "subscriptions/listen"


@pytest.fixture(autouse=True)
def no_jitter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let attempts that failed be repeated at once."""
    monkeypatch.setattr(assembly, "_draw", lambda: 0.0)


@pytest.fixture
def open_path(reach: Any) -> Callable[..., Any]:
    """Give a function that connects to a server over what `carrier-family` names."""

    def open_trunk(server: FakeServer, path: str, **options: Any) -> Any:
        carrier, _, family = path.partition("-")
        return reach(
            server, type("Way", (), {"carrier": carrier, "family": family, "is_http": False})(), **options
        )

    return open_trunk


def watchable(path: str, **options: Any) -> FakeServer:
    """A server with three resources that tells of changes; its lists hold for a minute."""
    server = FakeServer(eras=[path.partition("-")[2]], watchable=True, ttl_ms=60_000, **options)
    server.tool("first", returns="1")
    for uri in (A, B, C):
        server.resource(uri, uri)
    return server


def asked(server: FakeServer, method: str) -> list[Any]:
    """Give the URIs of each subscription request, in order."""
    requests = server.ledger.of(method)
    if method != LISTEN:
        return [one.params["uri"] for one in requests]
    return [one.params["notifications"].get("resourceSubscriptions", []) for one in requests]


async def first(stream: Any) -> Any:
    return await asyncio.wait_for(anext(stream), 10)


async def heard(stream: Any) -> Any:
    """Give the next update that the server told of; a legacy HTTP session may begin to listen late."""
    while (event := await first(stream)).missed:
        pass
    return event


async def streams(server: FakeServer, count: int = 1) -> None:
    """Wait until so many streams are open."""
    async with asyncio.timeout(10):
        while len(server.watchers.listeners) != count:  # noqa: ASYNC110 - a fake's set has no waiters
            await asyncio.sleep(0.001)


@pytest.mark.parametrize("cut", [False, True], ids=["ended", "cut"])
@pytest.mark.parametrize("path", ["json-modern", "sse-modern"])
async def test_a_lost_stream_is_opened_again_and_everything_is_read_again(
    path: str, cut: bool, open_path: Any
):
    server = watchable(path)
    async with open_path(server, path) as trunk, await trunk.subscribe(A) as updates:
        events = trunk.events(ListChanged)
        await server.wait_for(lambda ledger: len(ledger.of("tools/list")) == 2)
        server.tool("unheard", returns="u")
        server.end_streams(cut=cut)
        assert await first(updates) == ResourceUpdated(server="fake", uri=A, missed=True)
        assert (await first(events)).added == ("unheard",)
        assert len(server.ledger.of("tools/list")) == 3
        server.notify_resource(A)
        assert await first(updates) == ResourceUpdated(server="fake", uri=A)


@pytest.mark.parametrize("path", ["json-modern", "memory-modern", "websocket-modern"])
async def test_a_new_stream_is_open_before_the_old_one_is_closed(path: str, open_path: Any):
    server = watchable(path)
    open_at_once: list[int] = []

    class Counting(set[Any]):
        def add(self, one: Any) -> None:
            super().add(one)
            open_at_once.append(len(self))

    server.watchers.listeners = Counting()
    async with open_path(server, path) as trunk:
        await trunk.ready()
        await streams(server)
        one = await trunk.subscribe(A)
        two = await trunk.subscribe(B)
        await streams(server)
        one.close()
        await server.wait_for(lambda ledger: len(ledger.of(LISTEN)) == 4)
        await streams(server)
        assert open_at_once == [1, 2, 2, 2]
        assert asked(server, LISTEN) == [[], [A], [A, B], [B]]
        two.close()


@pytest.mark.parametrize("path", ["json-modern", "sse-modern"])
async def test_closing_the_trunk_cancels_the_stream_at_the_server(path: str, open_path: Any):
    server = watchable(path)
    async with open_path(server, path) as trunk:
        await trunk.subscribe(A)
        await streams(server)
    await streams(server, 0)
    assert server.ledger.of(LISTEN)[-1].cancelled


@pytest.mark.parametrize("path", ["json-modern", "memory-modern"])
async def test_one_resource_that_makes_the_server_refuse_the_stream_costs_only_itself(
    path: str, open_path: Any
):
    server = watchable(path)

    def honor(filter_: Any) -> Any:
        if B in filter_.get("resourceSubscriptions", ()):
            raise RpcError(-32602, "not that one")
        return filter_

    server.watchers.honors = honor
    async with open_path(server, path) as trunk:
        outcomes = await asyncio.gather(*(trunk.subscribe(uri) for uri in (A, B, C)), return_exceptions=True)
        assert isinstance(outcomes[1], trunkline.RejectedError)
        assert (outcomes[1].code, outcomes[1].delivery) == ("subscription_refused", "refused")
        server.notify_resource(A)
        server.notify_resource(C)
        assert (await first(outcomes[0])).uri == A
        assert (await first(outcomes[2])).uri == C


async def test_a_list_that_is_declared_and_not_acknowledged_is_warned_of(caplog: pytest.LogCaptureFixture):
    server = watchable("memory-modern")
    server.watchers.honors = lambda _: {"resourcesListChanged": True}
    async with trunkline.connect({"fake": server}) as trunk:
        await trunk.ready()
        await streams(server)
        for _ in range(20):
            await asyncio.sleep(0)
        assert "does not tell of changes of its tools" in caplog.text
        assert len(server.ledger.of(LISTEN)) == 1


async def test_a_server_that_declares_streams_and_has_none_is_asked_once():
    server = watchable("memory-modern")
    server.fault(LISTEN, Fault.rpc_error(-32601, "Method not found"))
    async with trunkline.connect({"fake": server}) as trunk:
        for _ in range(3):
            with pytest.raises(trunkline.NotFoundError):
                await trunk.subscribe(A)
        assert len(server.ledger.of(LISTEN)) == 1


async def test_a_modern_server_that_declares_no_changes_is_not_listened_to():
    server = FakeServer(eras=["modern"])
    server.tool("t", returns="x")
    async with trunkline.connect({"fake": server}) as trunk:
        await trunk.call("fake.t")
        await asyncio.sleep(0.01)
        assert server.ledger.of(LISTEN) == []


async def test_what_changed_between_reading_and_listening_is_found_out():
    server = watchable("memory-modern")

    @server.tool
    def grow() -> str:
        server.tool("grown", returns="g")
        return "grown"

    async with trunkline.connect({"fake": server}) as trunk, trunk.events(ListChanged) as events:
        await trunk.call("fake.grow")
        assert (await first(events)).added == ("grown",)
        assert len(server.ledger.of("tools/list")) == 2


async def test_notifications_of_a_stream_that_is_not_ours_are_ignored():
    server = watchable("memory-modern")
    async with trunkline.connect({"fake": server}) as trunk, await trunk.subscribe(A) as updates:
        await server.wait_for(lambda ledger: len(ledger.of("tools/list")) == 2)
        foreign = {"_meta": {"io.modelcontextprotocol/subscriptionId": 999}}
        server.notify("notifications/tools/list_changed", foreign)
        server.notify("notifications/resources/updated", {**foreign, "uri": A})
        server.notify("notifications/subscriptions/acknowledged", {**foreign, "notifications": {}})
        server.notify("notifications/subscriptions/acknowledged", {})
        server.notify_resource(A, part=f"{A}/own")
        assert (await first(updates)).uri == f"{A}/own"
        await asyncio.sleep(0.1)
        assert len(server.ledger.of("tools/list")) == 2
