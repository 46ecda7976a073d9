"""Changes of lists and resources reach whoever wants them, over every transport and in both families."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

import trunkline
from trunkline.core.events import ListChanged, ResourceUpdated
from trunkline.runtime import assembly
from trunkline.testing import FakeServer, Fault

pytestmark = [pytest.mark.anyio]
everywhere = pytest.mark.parametrize(
    "path",
    [
        "memory-legacy",
        "memory-modern",
        "json-modern",
        "sse-modern",
        "websocket-legacy",
        "websocket-modern",
        "json-legacy",
        "sse-legacy",
        "older-legacy",
    ],
)

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


@everywhere
async def test_a_subscriber_is_told_of_each_update_and_the_server_of_the_end(path: str, open_path: Any):
    server = watchable(path)
    async with open_path(server, path) as trunk, trunk.events(ResourceUpdated) as events:
        async with await trunk.subscribe(A, timeout=10) as updates:
            assert (updates.server, updates.uri) == ("fake", A)
            assert server.watchers.uris == {A}
            server.notify_resource(B)
            for _ in range(2):
                server.notify_resource(A)
                assert await heard(updates) == ResourceUpdated(server="fake", uri=A)
                assert await heard(events) == ResourceUpdated(server="fake", uri=A)
        async with asyncio.timeout(10):
            while server.watchers.uris:  # noqa: ASYNC110 - a fake's set has no waiters
                await asyncio.sleep(0.001)
        assert (await trunk.call("fake.first")).text == "1"


@everywhere
async def test_a_changed_list_is_read_again_and_told_with_what_changed(path: str, open_path: Any):
    server = watchable(path)
    async with open_path(server, path) as trunk, trunk.events(ListChanged) as events:
        await trunk.ready()
        if path.endswith("modern"):
            await streams(server)
        server.tool("second", returns="2")
        del server.tools["first"]
        server.notify_list("tools")
        assert await first(events) == ListChanged(
            server="fake", kind="tools", added=("second",), removed=("first",)
        )
        assert [tool.name for tool in trunk.catalog.tools] == ["second"]
        server.resource("file:///d")
        server.notify_list("resources")
        assert await first(events) == ListChanged(server="fake", kind="resources", added=("file:///d",))


@everywhere
async def test_a_part_of_a_resource_is_an_update_of_the_resource(path: str, open_path: Any):
    server = watchable(path)
    async with open_path(server, path) as trunk, await trunk.subscribe(A, "fake") as updates:
        server.notify_resource(A, part=f"{A}/inner")
        assert (await heard(updates)).uri == f"{A}/inner"


@everywhere
async def test_subscriptions_to_one_resource_are_one_at_the_server_until_the_last_is_closed(
    path: str, open_path: Any
):
    server = watchable(path)
    async with open_path(server, path) as trunk:
        one, two = await asyncio.gather(trunk.subscribe(A), trunk.subscribe(A))
        three = await trunk.subscribe(A)
        method = LISTEN if path.endswith("modern") else "resources/subscribe"
        assert len([one for one in asked(server, method) if A in one]) == 1
        one.close()
        one.close()
        three.close()
        server.notify_resource(A)
        assert (await heard(two)).uri == A
        assert [event async for event in one] == []
        assert server.watchers.uris == {A}


@everywhere
async def test_a_resource_that_cannot_be_watched_costs_only_itself(path: str, open_path: Any):
    server = watchable(path)
    async with open_path(server, path) as trunk, await trunk.subscribe(A) as updates:
        with pytest.raises((trunkline.NotFoundError, trunkline.RejectedError)) as caught:
            await trunk.subscribe("file:///nowhere", "fake")
        assert caught.value.code in ("not_offered", "subscription_refused")
        assert caught.value.server == "fake"
        server.notify_resource(A)
        assert (await heard(updates)).uri == A


@everywhere
async def test_a_server_that_tells_of_nothing_is_a_clear_error_and_still_works(path: str, open_path: Any):
    server = watchable(path)
    server.watchable = False
    async with open_path(server, path) as trunk:
        with pytest.raises(trunkline.NotFoundError, match="cannot be subscribed to") as caught:
            await trunk.subscribe(A)
        assert (caught.value.code, caught.value.delivery) == ("not_offered", "never_sent")
        assert caught.value.hint
        assert (await trunk.call("fake.first")).text == "1"


async def test_a_uri_of_no_server_and_an_unknown_server_are_not_found():
    async with trunkline.connect({"fake": FakeServer(), "other": FakeServer()}) as trunk:
        with pytest.raises(trunkline.NotFoundError):
            await trunk.subscribe("file:///nowhere", timeout=10)
        with pytest.raises(trunkline.NotFoundError, match="ghost"):
            await trunk.subscribe(A, "ghost")


async def test_a_server_that_never_agrees_ends_the_wait_and_leaves_nothing_behind():
    server = watchable("memory-legacy")
    server.fault("resources/subscribe", Fault.hang)
    async with trunkline.connect({"fake": server}) as trunk:
        await trunk.ready()
        with pytest.raises(trunkline.DeadlineExceededError, match="agreement"):
            await trunk.subscribe(A, "fake", timeout=0.05)
        assert not trunk._fleet.get("fake").following.subscriptions


async def test_a_cancelled_wait_for_agreement_leaves_nothing_behind():
    server = watchable("memory-legacy")
    server.fault("resources/subscribe", Fault.hang)
    async with trunkline.connect({"fake": server}) as trunk:
        waiting = asyncio.ensure_future(trunk.subscribe(A))
        await server.wait_for(lambda ledger: ledger.of("resources/subscribe"))
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert not trunk._fleet.get("fake").following.subscriptions


@everywhere
async def test_closing_the_trunk_ends_every_iteration_and_every_wait(path: str, open_path: Any):
    server = watchable(path)
    async with open_path(server, path) as trunk:
        updates = await trunk.subscribe(A)
        events = trunk.events(ResourceUpdated)
        waits = [asyncio.ensure_future(anext(stream, "end")) for stream in (updates, events)]
        await asyncio.sleep(0)
    assert await asyncio.wait_for(asyncio.gather(*waits), 10) == ["end", "end"]
    assert [event async for event in trunk.events()] == []


async def test_a_removed_server_ends_its_subscriptions_and_refuses_whoever_waits():
    server = watchable("memory-legacy")
    server.fault("resources/subscribe", Fault.hang, nth=2)
    async with trunkline.connect({"fake": server}) as trunk:
        updates = await trunk.subscribe(A)
        waiting = asyncio.ensure_future(trunk.subscribe(B))
        await server.wait_for(lambda ledger: len(ledger.of("resources/subscribe")) == 2)
        await trunk.remove("fake")
        assert [event async for event in updates] == []
        with pytest.raises(trunkline.UnavailableError, match="removed"):
            await waiting


@pytest.mark.parametrize("path", ["json-modern", "memory-modern", "memory-legacy"])
async def test_calls_do_not_notice_streams_and_subscriptions(path: str, open_path: Any):
    server = watchable(path)
    server.tool("slow", returns="s", delay=0.01)
    async with open_path(server, path) as trunk, await trunk.subscribe(A):
        replies = await asyncio.gather(*(trunk.call("fake.slow", timeout=10) for _ in range(50)))
        assert {reply.text for reply in replies} == {"s"}


async def test_what_changed_before_a_legacy_session_listened_is_found_out():
    server = watchable("json-legacy")
    async with server.http() as url, trunkline.connect({"fake": {"url": url}}) as trunk:
        await trunk.ready()
        await server.wait_for(lambda ledger: ledger.of("GET"))
        await server.wait_for(lambda ledger: len(ledger.of("tools/list")) == 2)


async def test_a_new_session_that_refuses_the_resource_ends_the_subscription_with_the_reason():
    server = watchable("json-legacy")
    server.fault("resources/subscribe", Fault.rpc_error(-32002, "Resource not found"), nth=2)
    async with server.http() as url, trunkline.connect({"fake": {"url": url}}) as trunk:
        updates = await trunk.subscribe(A)
        server.expire_sessions()
        await trunk.call("fake.first")
        with pytest.raises(trunkline.RejectedError, match="Resource not found"):
            await heard(updates)


async def test_a_lost_session_is_subscribed_to_again_and_at_its_log_level():
    server = watchable("json-legacy")
    async with server.http() as url, trunkline.connect({"fake": {"url": url}}) as trunk:
        await trunk.ready()
        await trunk.set_log_level("error", "fake")
        async with await trunk.subscribe(A) as updates:
            server.expire_sessions()
            assert (await trunk.call("fake.first")).text == "1"
            assert await first(updates) == ResourceUpdated(server="fake", uri=A, missed=True)
            assert asked(server, "resources/subscribe") == [A, A]
            levels = [one.params["level"] for one in server.ledger.of("logging/setLevel")]
            assert levels == ["error", "error"]
