"""Several endpoints of one logical server, over real HTTP: calls go to one that is well, or stay at one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

import trunkline
from trunkline import Replica, Replicas
from trunkline.testing import FakeServer, Fault
from trunkline.testing.http import HttpServer

pytestmark = pytest.mark.anyio


class Site:
    """Two endpoints that offer the same and say which one they are."""

    def __init__(self, family: str, listeners: list[HttpServer], servers: list[FakeServer]) -> None:
        self.family = family
        self.listeners = listeners
        self.servers = servers
        self.urls = [listener.url for listener in listeners]

    @property
    def calls(self) -> list[int]:
        return [len(server.calls) for server in self.servers]


@asynccontextmanager
async def site(family: str, count: int = 2) -> AsyncIterator[Site]:
    servers, listeners = [], []
    for number in range(count):
        server = FakeServer(f"db-{number}", eras=[family], watchable=True)
        server.tool("who", returns=str(number))
        server.tool("slow", delay=0.3, returns=str(number))
        server.resource("db://rows", f"rows of {number}")
        servers.append(server)
        listeners.append(await server.listen())
    try:
        yield Site(family, listeners, servers)
    finally:
        for listener in listeners:
            await listener.stop()


def replicated(*replicas: Any, **settings: Any) -> dict[str, Any]:
    settings = {"health_check_interval": 0.2, "restart_delay": 0.1, **settings}
    return {
        "defaults": {"retry": {"attempts": 1}},
        "servers": {"db": {"replicas": list(replicas), **settings}},
    }


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - seen from outside only
            await asyncio.sleep(0.005)


async def stop(listener: HttpServer) -> None:
    """Stop an endpoint, and let the client see that its connections are closed."""
    await listener.stop()
    await asyncio.sleep(0.01)


def healthy(trunk: trunkline.Trunk) -> list[bool]:
    return [member.healthy for member in trunk.status()["db"].members]


async def test_calls_of_a_stateless_server_spread_by_weight():
    async with site("modern") as db:
        policy = replicated({"url": db.urls[0], "region": "eu"}, {"url": db.urls[1], "region": "us"})
        async with trunkline.connect({"db": {"url": db.urls[0]}}, policy=policy) as trunk:
            await trunk.ready()
            await until(lambda: healthy(trunk) == [True, True])
            for _ in range(10):
                await trunk.call("db.who")
            assert db.calls == [5, 5]
            members = trunk.status()["db"].members
            assert [(one.endpoint, one.region) for one in members] == [(db.urls[0], "eu"), (db.urls[1], "us")]
        heavy = replicated({"url": db.urls[1], "weight": 3})
        async with trunkline.connect({"db": {"url": db.urls[0]}}, policy=heavy) as trunk:
            await trunk.ready()
            await until(lambda: healthy(trunk) == [True, True])
            replies = await asyncio.gather(*(trunk.call("db.slow") for _ in range(8)))
            assert sorted(reply.text for reply in replies) == ["0"] * 2 + ["1"] * 6


async def test_calls_of_a_server_with_sessions_stay_at_one_endpoint():
    async with (
        site("legacy") as db,
        trunkline.connect({"db": {"url": db.urls[0]}}, policy=replicated(db.urls[1])) as trunk,
    ):
        await trunk.ready()
        await until(lambda: healthy(trunk) == [True, True])
        await asyncio.gather(*(trunk.call("db.slow") for _ in range(4)))
        home = [calls for calls in db.calls if calls]
        assert home == [4]


@pytest.mark.parametrize("family", ["legacy", "modern"])
async def test_an_endpoint_that_is_down_is_left_aside_and_used_again_when_it_answers(family: str):
    async with (
        site(family) as db,
        trunkline.connect({"db": {"url": db.urls[0]}}, policy=replicated(db.urls[1])) as trunk,
    ):
        await trunk.ready()
        await until(lambda: healthy(trunk) == [True, True])
        first = int((await trunk.call("db.who")).text)
        await stop(db.listeners[first])
        for _ in range(10):
            assert (await trunk.call("db.who")).text == str(1 - first)
        await until(lambda: healthy(trunk)[first] is False)
        assert trunk.status()["db"].state == "ready"
        await db.listeners[first].start()
        await until(lambda: healthy(trunk) == [True, True])
        before = db.calls[first]
        for _ in range(4):
            await trunk.call("db.who")
        # Calls that may go anywhere spread again; those of sessions have found another home.
        assert (db.calls[first] > before) is (family == "modern")


async def test_a_server_is_ready_and_takes_calls_while_one_endpoint_never_answers():
    async with site("modern") as db:
        db.servers[0].fault("*", Fault.hang)
        async with trunkline.connect({"db": {"url": db.urls[0]}}, policy=replicated(db.urls[1])) as trunk:
            await trunk.ready(timeout=5)
            assert (await trunk.call("db.who", timeout=5)).text == "1"
            assert healthy(trunk) == [False, True]


async def test_with_all_endpoints_down_a_call_says_why_and_nothing_was_sent():
    async with (
        site("modern") as db,
        trunkline.connect({"db": {"url": db.urls[0]}}, policy=replicated(db.urls[1])) as trunk,
    ):
        await trunk.ready()
        await until(lambda: healthy(trunk) == [True, True])
        for listener in db.listeners:
            await stop(listener)
        with pytest.raises(trunkline.UnavailableError) as caught:
            await trunk.call("db.who", timeout=5)
        assert caught.value.delivery == "never_sent"
        assert caught.value.attempts == 2


async def test_a_call_that_was_sent_is_not_given_to_another_endpoint():
    async with (
        site("modern") as db,
        trunkline.connect({"db": {"url": db.urls[0]}}, policy=replicated(db.urls[1])) as trunk,
    ):
        await trunk.ready()
        await until(lambda: healthy(trunk) == [True, True])
        call = asyncio.create_task(trunk.call("db.slow"))
        await until(lambda: sum(db.calls) == 1)
        db.listeners[db.calls.index(1)].crash()
        with pytest.raises(trunkline.OutcomeUnknownError):
            await call
        assert sum(db.calls) == 1


async def test_a_call_that_an_endpoint_refused_is_for_the_caller_to_repeat():
    async with (
        site("modern") as db,
        trunkline.connect({"db": {"url": db.urls[0]}}, policy=replicated(db.urls[1])) as trunk,
    ):
        await trunk.ready()
        await until(lambda: healthy(trunk) == [True, True])
        for server in db.servers:
            server.fault("who", Fault.http_status(503, {"Retry-After": "1"}))
        with pytest.raises(trunkline.UnavailableError) as caught:
            await trunk.call("db.who")
        assert (caught.value.delivery, caught.value.attempts) == ("refused", 1)


@pytest.mark.parametrize("family", ["legacy", "modern"])
async def test_a_subscription_goes_to_an_endpoint_that_is_well_and_stays_there(family: str):
    async with (
        site(family) as db,
        trunkline.connect({"db": {"url": db.urls[0]}}, policy=replicated(db.urls[1])) as trunk,
    ):
        await trunk.ready()
        await until(lambda: healthy(trunk) == [True, True])
        async with await trunk.subscribe("db://rows", "db") as updates:
            first = 0 if db.servers[0].watchers else 1
            other = 1 - first
            await stop(db.listeners[first])
            async with asyncio.timeout(5):
                assert (await anext(updates)).missed
            db.servers[other].notify_resource("db://rows")
            async with asyncio.timeout(5):
                while (await anext(updates)).missed:
                    pass
            await db.listeners[first].start()
            await until(lambda: healthy(trunk) == [True, True])
            await asyncio.sleep(0.3)
            db.servers[first].notify_resource("db://rows")
            db.servers[other].notify_resource("db://rows")
            async with asyncio.timeout(5):
                assert not (await anext(updates)).missed
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await anext(updates)


async def test_replicas_given_from_code_may_be_of_any_kind():
    async with site("modern", 1) as db:
        local = FakeServer("local", eras=["modern"])
        local.tool("who", returns="local")
        both = Replicas(Replica(local, region="here"), db.urls[0])
        async with trunkline.connect({"db": both}) as trunk:
            await trunk.ready()
            assert (await trunk.call("db.who")).text == "local"
            members = trunk.status()["db"].members
            assert [(one.region, one.endpoint) for one in members] == [
                ("here", "FakeServer"),
                ("", db.urls[0]),
            ]
            await trunk.remove("db")
            await trunk.add("db", Replicas({"url": db.urls[0]}))
            assert (await trunk.call("db.who")).text == "0"


@pytest.mark.parametrize("interval", [0, 0.2])
async def test_what_differs_at_the_endpoint_that_takes_over_is_told_and_listed(interval: float):
    async with site("legacy") as db:
        db.servers[1].tool("more", returns="more")
        db.servers[1].fault("initialize", Fault.delay(0.1), times=1)
        policy = replicated(db.urls[1], health_check_interval=interval)
        async with trunkline.connect({"db": {"url": db.urls[0]}}, policy=policy) as trunk:
            await trunk.ready()
            await until(lambda: healthy(trunk) == [True, True])
            assert trunk.status()["db"].tools == 2
            async with trunk.events(trunkline.ListChanged) as changes:
                await stop(db.listeners[0])
                assert (await trunk.call("db.who")).text == "1"
                async with asyncio.timeout(5):
                    change = await anext(changes)
            assert (change.kind, change.added) == ("tools", ("more",))
            assert (await trunk.call("db.more")).text == "more"
            # Resources are read where the calls go.
            await db.listeners[0].start()
            assert (await trunk.read("db://rows", "db")).text == "rows of 1"
            assert (await trunk.call("db.who")).text == "1"


async def test_an_endpoint_that_cannot_be_used_fails_alone():
    async with site("modern", 1) as db:
        policy = replicated("${NOWHERE_TO_BE_FOUND}")
        async with trunkline.connect({"db": {"url": db.urls[0]}}, policy=policy) as trunk:
            await trunk.ready()
            assert (await trunk.call("db.who")).text == "0"
            broken = trunk.status()["db"].members[1]
            assert broken.state == "failed"
            assert "NOWHERE_TO_BE_FOUND" in (broken.last_error or "")


async def test_replicas_of_a_server_without_a_url_are_refused_by_name():
    server = FakeServer()
    server.tool("who", returns="me")
    async with trunkline.connect({"db": server}, policy=replicated("https://elsewhere.example/mcp")) as trunk:
        assert (await trunk.call("db.who")).text == "me"
        broken = trunk.status()["db"].members[1]
        assert "replicas" in (broken.last_error or "")


async def test_a_secret_in_the_url_of_a_replica_is_shown_nowhere(monkeypatch: pytest.MonkeyPatch):
    async with site("modern", 1) as db:
        monkeypatch.setenv("DB_TOKEN", "hunter2-hunter2")
        url = f"{db.urls[0]}?token=${{DB_TOKEN}}"
        async with trunkline.connect({"db": {"url": db.urls[0]}}, policy=replicated(url)) as trunk:
            await trunk.ready()
            await until(lambda: healthy(trunk) == [True, True])
            assert "hunter2" not in repr(trunk.status())
            assert "hunter2" not in str(trunk.explain("db"))


async def test_a_leased_session_that_the_server_forgets_is_told_and_not_replaced():
    async with site("legacy", 1) as db, trunkline.connect({"db": {"url": db.urls[0]}}) as trunk:
        async with trunk.lease("db") as one:
            await one.call("who")
            db.servers[0].expire_sessions()
            calls = db.calls[0]
            with pytest.raises(trunkline.LeaseLostError) as caught:
                await one.call("who")
            assert (caught.value.delivery, caught.value.status) == ("refused", 404)
            assert db.calls[0] == calls
            with pytest.raises(trunkline.LeaseLostError) as caught:
                await one.call("who")
            assert caught.value.delivery == "never_sent"
        assert (await trunk.call("db.who")).text == "0"
