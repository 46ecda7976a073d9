"""What status, logs, why, events and handlers tell of servers with several connections, on virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

import trunkline
from trunkline import Handlers, Replicas
from trunkline.core.events import MemberChanged, ServerChanged
from trunkline.testing import FakeServer, Fault

pytestmark = pytest.mark.anyio

Receive = Callable[[], Awaitable[bytes]]
Send = Callable[[bytes], None]


class Endpoint:
    """One endpoint, which can be down."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.down = False
        self._open: set[asyncio.Task[None]] = set()

    async def serve(self, receive: Receive, send: Send) -> None:
        if self.down:
            return
        server = FakeServer("db", eras=["legacy"])
        server.tool("who", returns=self.name)
        server.tool("work", delay=10, returns=self.name)
        server.tool("crash")
        server.fault("crash", Fault.crash_before_reply)
        serving = asyncio.ensure_future(server.serve(receive, send))
        self._open.add(serving)
        try:
            await asyncio.wait({serving})
        finally:
            self._open.discard(serving)
            serving.cancel()
            await asyncio.wait({serving})

    def fall(self) -> None:
        self.down = True
        for serving in self._open:
            serving.cancel()


def policy(**settings: Any) -> dict[str, Any]:
    return {"defaults": {"health_check_interval": 0}, "servers": {"db": settings}}


async def test_a_sick_replica_is_told_by_status_why_and_logs_while_the_server_is_well():
    first, second = Endpoint("first"), Endpoint("second")
    async with trunkline.connect({"db": Replicas(first, second)}, policy=policy(max_restarts=2)) as trunk:
        await trunk.ready()
        await asyncio.sleep(1)
        second.fall()
        async with asyncio.timeout(120), trunk.events(MemberChanged) as events:
            while (await anext(events)).state != "failed":
                pass
        status = trunk.status()["db"]
        assert (status.state, status.last_error, status.restarts) == ("ready", None, 0)
        well, sick = status.members
        assert (well.state, sick.state, sick.healthy) == ("ready", "failed", False)
        assert sick.last_error is not None
        assert "again 2 times in 30 s" in sick.last_error
        notes = trunk.why("db").notes
        assert any(note.startswith("connection 2 (Endpoint) is failed: ") for note in notes)
        lines = [line.text for line in trunk.logs("db") if line.source == "state"]
        assert any(line.startswith("connection 2: failed: ") for line in lines)
        second.down = False
        await asyncio.sleep(120)
        assert [member.state for member in trunk.status()["db"].members] == ["ready", "ready"]
        assert not any("connection 2" in note for note in trunk.why("db").notes)
        assert [line.text for line in trunk.logs("db")][-1] == "connection 2: ready"


async def test_replicas_that_may_restart_any_number_of_times_never_fail():
    first, second = Endpoint("first"), Endpoint("second")
    rules = policy(max_restarts=0, restart_delay=0.1, restart_delay_max=0.5)
    async with trunkline.connect({"db": Replicas(first, second)}, policy=rules) as trunk:
        await trunk.ready()
        await asyncio.sleep(1)
        second.fall()
        for _ in range(100):
            await asyncio.sleep(0.3)
            assert [one.state for one in trunk.status()["db"].members][1] != "failed"
        second.down = False
        await asyncio.sleep(2)
        assert [one.state for one in trunk.status()["db"].members] == ["ready", "ready"]


async def test_replicas_that_are_not_brought_back_by_themselves_come_back_with_a_call():
    first, second = Endpoint("first"), Endpoint("second")
    async with trunkline.connect(
        {"db": Replicas(first, second)}, policy=policy(auto_reconnect=False)
    ) as trunk:
        await trunk.ready()
        await asyncio.sleep(1)
        first.fall()
        second.fall()
        await asyncio.sleep(600)
        assert trunk.status()["db"].state == "stopped"
        assert "by the next call" in " ".join(trunk.why("db").notes)
        first.down = second.down = False
        assert (await trunk.call("db.who")).text in ("first", "second")
        assert trunk.status()["db"].restarts == 1


@pytest.mark.parametrize("pool", [{"max": 3}, {"min": 3, "max": 3}])
async def test_a_restart_of_a_pool_starts_all_anew_and_counts_what_it_cut(pool: dict[str, int]):
    events: list[str] = []
    handlers = Handlers(
        on_connect=lambda _: events.append("up"),
        on_disconnect=lambda _: events.append("down"),
        on_error=lambda event: events.append(f"error {event.state}"),
    )
    server = Endpoint("one")
    async with trunkline.connect({"db": server}, policy=policy(pool=pool), handlers=handlers) as trunk:
        await trunk.ready()
        calls = [asyncio.create_task(trunk.call("db.work")) for _ in range(3)]
        await asyncio.sleep(8)
        calls.append(asyncio.create_task(trunk.call("db.work")))
        await asyncio.sleep(1)
        lease = trunk.lease("db")
        restarting = asyncio.create_task(trunk.restart("db", grace=4))
        await asyncio.sleep(1)
        later = asyncio.create_task(trunk.call("db.who"))
        report = await restarting
        assert (report.finished, report.cut) == (3, 1)
        assert [call.exception() is None for call in calls] == [True, True, True, False]
        assert (await later).text == "one"
        async with lease as one:
            assert (await one.call("who")).text == "one"
            await trunk.restart("db")
            with pytest.raises(trunkline.LeaseLostError):
                await one.call("who")
        status = trunk.status()["db"]
        assert (status.state, status.restarts) == ("ready", 2)
    assert events == ["up", "down", "up", "down", "up", "down"]


async def test_events_and_handlers_tell_of_the_server_once_however_many_connections_it_has():
    told: list[str] = []
    handlers = Handlers(on_connect=lambda _: told.append("up"), on_disconnect=lambda _: told.append("down"))
    rules = policy(pool={"min": 2, "max": 3})
    async with trunkline.connect({"db": Endpoint("one")}, policy=rules, handlers=handlers) as trunk:
        whole, members = trunk.events(ServerChanged), trunk.events(MemberChanged)
        await trunk.ready()
        await asyncio.sleep(1)
        with pytest.raises(trunkline.OutcomeUnknownError):
            await trunk.call("db.crash")
        assert (await trunk.call("db.who")).text == "one"
        await asyncio.sleep(10)
    assert told == ["up", "down"]
    assert [event.state async for event in whole] == ["connecting", "ready", "stopped"]
    assert len([event async for event in members if event.state == "ready"]) == 3


async def test_a_pool_that_is_kept_alive_differently_keeps_its_connections_and_follows_the_new_settings():
    rules = policy(pool={"min": 2, "max": 3})
    async with trunkline.connect({"db": Endpoint("one")}, policy=rules) as trunk:
        await trunk.ready()
        calls = [asyncio.create_task(trunk.call("db.work")) for _ in range(3)]
        await asyncio.sleep(1)
        rules["servers"]["db"] = {"pool": {"min": 2, "max": 3}, "auto_reconnect": False}
        assert (await trunk.reload()).adjusted == ("db",)
        assert [(await call).text for call in calls] == ["one"] * 3
        with pytest.raises(trunkline.OutcomeUnknownError):
            await trunk.call("db.crash")
        await asyncio.sleep(300)
        assert [one.state for one in trunk.status()["db"].members] == ["stopped", "ready", "ready"]
        rules["servers"]["db"] = {"pool": {"min": 2, "max": 3}}
        assert (await trunk.reload()).adjusted == ("db",)
        with pytest.raises(trunkline.OutcomeUnknownError):
            await trunk.call("db.crash")
        await asyncio.sleep(10)
        assert [one.state for one in trunk.status()["db"].members].count("ready") == 2


async def test_the_size_of_a_pool_changes_while_its_calls_run_and_none_is_disturbed():
    rules = policy(pool={"max": 2})
    async with trunkline.connect({"db": Endpoint("one")}, policy=rules) as trunk:
        await trunk.ready()
        calls = [asyncio.create_task(trunk.call("db.work")) for _ in range(4)]
        for pool in ({"max": 4}, {"min": 3, "max": 3}, {"max": 1}):
            await asyncio.sleep(1)
            rules["servers"]["db"] = {"pool": pool}
            assert (await trunk.reload()).changed == ("db",)
            calls += [asyncio.create_task(trunk.call("db.work")) for _ in range(3)]
        assert [reply.text for reply in await asyncio.gather(*calls)] == ["one"] * 13
        await asyncio.sleep(5)
        assert trunk.status()["db"].state == "ready"


async def test_a_lease_outlives_a_reload_and_ends_with_the_removal_of_its_server():
    rules = policy(pool={"max": 2})
    async with trunkline.connect({"db": Endpoint("one")}, policy=rules) as trunk:
        async with trunk.lease("db") as one:
            rules["servers"]["db"] = {"pool": {"max": 3}}
            assert (await trunk.reload()).changed == ("db",)
            await trunk.ready()
            await asyncio.sleep(30)
            assert (await one.call("who")).text == "one"
            assert not one.lost
        async with trunk.lease("db") as one:
            waiting = [asyncio.create_task(trunk.lease("db", timeout=50).__aenter__()) for _ in range(4)]
            await asyncio.sleep(1)
            await trunk.remove("db")
            assert one.lost
            with pytest.raises(trunkline.LeaseLostError):
                await one.call("who")
            outcomes = await asyncio.gather(*waiting, return_exceptions=True)
            refused = [one for one in outcomes if isinstance(one, trunkline.CallError)]
            assert {error.delivery for error in refused} == {"never_sent"}
            assert len(refused) == 2


async def test_a_server_that_never_comes_up_has_the_same_code_after_many_tries_as_after_the_first():
    class Exiting:
        async def serve(self, receive: Receive, send: Send) -> None:
            del receive, send

    seen = []
    async with trunkline.connect({"db": Exiting()}) as trunk:
        for _ in range(12):
            with pytest.raises(trunkline.UnavailableError) as failed:
                await trunk.call("db.who")
            seen.append(failed.value)
            await asyncio.sleep(2)
        assert trunk.status()["db"].state == "failed"
    assert {error.code for error in seen} == {"start_failed"}
    assert "started again 5 times" not in seen[0].message
    assert "started again 5 times" in seen[-1].message
    assert len({error.hint for error in seen}) == 1
