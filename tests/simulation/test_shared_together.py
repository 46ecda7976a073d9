"""What pools, leases, limits, changed files, restarts and drains do together, on virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

import trunkline
from trunkline.core.events import ServerChanged
from trunkline.testing import FakeServer, Fault

pytestmark = pytest.mark.anyio

Receive = Callable[[], Awaitable[bytes]]
Send = Callable[[bytes], None]
SINGLE, SHARED, POOLED = {}, {"max_concurrency": 4}, {"pool": {"max": 2}}
KINDS = pytest.mark.parametrize("settings", [SINGLE, SHARED, POOLED], ids=["single", "shared", "pooled"])


class SlowToStart:
    """A server that takes its time to start; `start` is how long the next one takes."""

    def __init__(self, start: float = 0.0, **options: Any) -> None:
        self.start = start
        self.lives = 0
        self._options = options

    async def serve(self, receive: Receive, send: Send) -> None:
        await asyncio.sleep(self.start)
        self.lives += 1
        await make(**self._options).serve(receive, send)


def make(**options: Any) -> FakeServer:
    server = FakeServer("work", **options)
    server.tool("work", delay=10, returns="done")
    server.tool("long", delay=100, returns="done")
    server.tool("echo", reports="arguments")
    server.tool("crash")
    server.fault("crash", Fault.crash_before_reply)
    return server


def policy(settings: dict[str, Any], **defaults: Any) -> dict[str, Any]:
    return {"defaults": {"health_check_interval": 0, **defaults}, "servers": {"work": settings}}


def loads(trunk: trunkline.Trunk) -> list[int]:
    return [member.calls for member in trunk.status()["work"].members]


async def test_a_caller_who_gives_up_in_the_turn_in_which_another_call_ends_costs_nobody_anything(
    monkeypatch: pytest.MonkeyPatch,
):
    from trunkline.supervision.admission import Admission

    async with trunkline.connect({"work": make()}, policy=policy({"max_concurrency": 1})) as trunk:
        await trunk.ready()
        first, second = (asyncio.create_task(trunk.call("work.work")) for _ in range(2))
        await asyncio.sleep(1)
        third = asyncio.create_task(trunk.call("work.echo"))
        await asyncio.sleep(1)
        assert trunk.status()["work"].waiting == 2
        leave = Admission.leave

        def leave_while_second_gives_up(admission: Admission, member: Any) -> None:
            second.cancel()
            leave(admission, member)

        with monkeypatch.context() as patch:
            patch.setattr(Admission, "leave", leave_while_second_gives_up)
            assert (await first).text == "done"
        with pytest.raises(asyncio.CancelledError):
            await second
        await third
        assert (loads(trunk), trunk.status()["work"].waiting) == ([0], 0)


@pytest.mark.parametrize("held", [False, True])
async def test_a_connection_that_was_busy_for_long_is_closed_once_it_has_idled(held: bool):
    settings = {"pool": {"min": 1, "max": 2, "max_idle": 60}, "idle": 500}
    async with trunkline.connect({"work": make()}, policy=policy(settings)) as trunk:
        await trunk.ready()
        if held:
            async with trunk.lease("work"):
                await asyncio.sleep(100)
        else:
            await asyncio.gather(trunk.call("work.long"), trunk.call("work.long"))
        assert [one.state for one in trunk.status()["work"].members] == ["ready", "ready"]
        await asyncio.sleep(59)
        assert [one.state for one in trunk.status()["work"].members] == ["ready", "ready"]
        await asyncio.sleep(62)
        assert [one.state for one in trunk.status()["work"].members] == ["ready", "stopped"]


@KINDS
async def test_a_drain_lets_calls_of_a_server_that_was_changed_or_removed_end_as_well(
    settings: dict[str, Any],
):
    rules = policy(settings)
    target = {"work": make()}
    async with trunkline.connect(target, policy=rules) as trunk:
        await trunk.ready()
        first = asyncio.create_task(trunk.call("work.work"))
        await asyncio.sleep(1)
        rules["servers"]["work"] = {"max_concurrency": 9}
        assert (await trunk.reload()).changed == ("work",)
        await trunk.ready()
        second = asyncio.create_task(trunk.call("work.work"))
        await asyncio.sleep(1)
        del target["work"]
        assert (await trunk.reload()).removed == ("work",)
        await asyncio.sleep(1)
        begun = asyncio.get_running_loop().time()
        await trunk.drain(grace=30)
        assert [(await first).text, (await second).text] == ["done", "done"]
        assert asyncio.get_running_loop().time() - begun < 12


@KINDS
async def test_a_drain_takes_no_more_calls_servers_or_leases(settings: dict[str, Any]):
    rules = policy(settings)
    target = {"work": make(), "other": make()}
    async with trunkline.connect(target, policy=rules) as trunk:
        await trunk.ready()
        call = asyncio.create_task(trunk.call("work.work"))
        await asyncio.sleep(1)
        draining = asyncio.create_task(trunk.drain(grace=30))
        await asyncio.sleep(1)
        for attempt in (
            lambda: trunk.call("work.echo"),
            lambda: trunk.call("other.echo"),
            lambda: trunk.add("more", make()),
            lambda: trunk.restart("work"),
            trunk.lease("work").__aenter__,
        ):
            with pytest.raises(trunkline.UnavailableError) as refused:
                await attempt()
            assert (refused.value.code, refused.value.delivery) == ("closed", "never_sent")
        assert (await call).text == "done"
        await draining


@KINDS
async def test_a_drain_lets_a_call_that_waits_for_its_server_to_start_run(settings: dict[str, Any]):
    server = SlowToStart(3)
    async with trunkline.connect({"work": server}, policy=policy(settings)) as trunk:
        call = asyncio.create_task(trunk.call("work.work"))
        await asyncio.sleep(1)
        await trunk.drain(grace=30)
        assert (await call).text == "done"


@KINDS
async def test_a_drain_ends_in_time_although_a_restart_or_a_start_takes_longer(settings: dict[str, Any]):
    server = SlowToStart()
    loop = asyncio.get_running_loop()
    async with trunkline.connect({"work": server}, policy=policy(settings, connect=500)) as trunk:
        await trunk.ready()
        call = asyncio.create_task(trunk.call("work.long"))
        await asyncio.sleep(1)
        restart = asyncio.create_task(trunk.restart("work", grace=90))
        server.start = 400
        await asyncio.sleep(1)
        waiting = asyncio.create_task(trunk.call("work.echo"))
        await asyncio.sleep(1)
        begun = loop.time()
        await trunk.drain(grace=5)
        assert loop.time() - begun < 8
        with pytest.raises(trunkline.OutcomeUnknownError):
            await call
        with pytest.raises(trunkline.UnavailableError) as unsent:
            await waiting
        assert unsent.value.delivery == "never_sent"
        await asyncio.wait({restart})
        assert restart.exception() is not None


@KINDS
async def test_a_restart_and_a_loss_count_the_same_for_all_kinds_of_servers(settings: dict[str, Any]):
    rules = policy({**settings, "auto_reconnect": False})
    async with trunkline.connect({"work": make()}, policy=rules) as trunk:
        await trunk.ready()
        await trunk.restart("work")
        assert trunk.status()["work"].restarts == 1
        with pytest.raises(trunkline.OutcomeUnknownError):
            await trunk.call("work.crash")
        await asyncio.sleep(1)
        assert trunk.status()["work"].state == "stopped"
        await trunk.call("work.echo")
        assert trunk.status()["work"].restarts == 2


async def test_closing_what_nobody_uses_is_no_restart():
    rules = policy({"pool": {"min": 0, "max": 2, "max_idle": 10}})
    async with trunkline.connect({"work": make()}, policy=rules) as trunk:
        for _ in range(3):
            await asyncio.gather(trunk.call("work.work"), trunk.call("work.work"))
            await asyncio.sleep(60)
            assert (trunk.status()["work"].state, trunk.status()["work"].asleep) == ("stopped", True)
        assert trunk.status()["work"].restarts == 0


async def test_a_lease_is_not_entered_while_an_earlier_call_waits_for_the_same_connection():
    async with trunkline.connect({"work": SlowToStart(3)}, policy=policy({})) as trunk:
        await trunk.ready()
        with pytest.raises(trunkline.OutcomeUnknownError):
            await trunk.call("work.crash")
        call = asyncio.create_task(trunk.call("work.work"))
        await asyncio.sleep(1)
        async with trunk.lease("work"):
            assert call.done()
        assert (await call).text == "done"


@KINDS
async def test_of_a_changed_server_watchers_hear_last_how_its_successor_is(settings: dict[str, Any]):
    rules = policy(settings)
    async with trunkline.connect({"work": make()}, policy=rules) as trunk:
        await trunk.ready()
        call = asyncio.create_task(trunk.call("work.work"))
        await asyncio.sleep(1)
        events = trunk.events(ServerChanged)
        rules["servers"]["work"] = {"max_concurrency": 9}
        await trunk.reload()
        await call
        await asyncio.sleep(5)
        await trunk.remove("work")
        heard = [(one.before, one.state) for one in [await anext(events) for _ in range(4)]]
    told = [*heard, *[(one.before, one.state) async for one in events]]
    assert [state for _, state in told if state != "draining"] == ["connecting", "ready", "stopped"]
    assert ("ready", "draining") in told


@KINDS
async def test_a_call_that_waits_for_a_server_that_is_changed_goes_to_its_successor(settings: dict[str, Any]):
    server = SlowToStart(3)
    rules = policy(settings, connect=60)
    async with trunkline.connect({"work": server}, policy=rules) as trunk:
        await trunk.ready()
        server.start = 50
        with pytest.raises(trunkline.OutcomeUnknownError):
            await trunk.call("work.crash")
        call = asyncio.create_task(trunk.call("work.work"))
        await asyncio.sleep(1)
        server.start = 0
        rules["servers"]["work"] = {"max_concurrency": 9}
        begun = asyncio.get_running_loop().time()
        assert (await trunk.reload()).changed == ("work",)
        assert (await call).text == "done"
        assert asyncio.get_running_loop().time() - begun < 11
