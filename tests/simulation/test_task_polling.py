"""Tasks over hours of virtual time: how often they are asked about, until when, and what interrupts that."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import trunkline
from trunkline.runtime import assembly
from trunkline.testing import Ask, FakeServer, Fault, TaskScript

pytestmark = pytest.mark.anyio

NAME = Ask.form("name", "Who?", {"name": {"type": "string"}})


@pytest.fixture(autouse=True)
def longest_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every wait be as long as it may be."""
    monkeypatch.setattr(assembly, "_draw", lambda: 1.0)


def serve(family: str = "modern", **script: Any) -> FakeServer:
    server = FakeServer("ci", eras=[family])
    server.tool(
        "build", returns="built", task=TaskScript(**{"ttl_ms": None, "support": "required", **script})
    )
    return server


def moments(server: FakeServer, method: str) -> list[float]:
    """Note when such requests come, in seconds from now."""
    loop = asyncio.get_running_loop()
    began, seen = loop.time(), []
    strike = server.strike

    def noting(struck: str, name: str | None) -> Any:
        if struck == method:
            seen.append(round(loop.time() - began, 2))
        return strike(struck, name)

    server.strike = noting  # type: ignore[method-assign]
    return seen


async def failure(awaitable: Any) -> trunkline.CallError:
    with pytest.raises(trunkline.CallError) as caught:
        await awaitable
    return caught.value


@pytest.mark.parametrize(
    ("interval", "expected"),
    [
        (5000, [5.0, 10.0, 15.0]),
        (0, [0.1, 0.2, 0.3]),
        (10**9, [60.0, 120.0, 180.0]),
        (-7, [1.0, 2.0, 3.0]),
        ("soon", [1.0, 2.0, 3.0]),
        (None, [1.0, 2.0, 3.0]),
    ],
)
async def test_the_server_says_how_often_it_is_asked_within_bounds(interval: Any, expected: list[float]):
    server = serve(polls=2, poll_ms=interval)
    async with trunkline.connect({"ci": server}) as trunk:
        await trunk.ready()
        seen = moments(server, "tasks/get")
        assert (await trunk.call("ci.build")).text == "built"
    assert seen == expected


async def test_an_interval_that_changes_is_followed():
    server = serve(polls=4, poll_ms=1000)
    async with trunkline.connect({"ci": server}) as trunk:
        await trunk.ready()
        seen = moments(server, "tasks/get")
        waiting = asyncio.create_task(trunk.call("ci.build"))
        await asyncio.sleep(1.5)
        (task,) = server.tasks.values()
        task.script = task.script._replace(poll_ms=10_000)
        await waiting
    assert seen == [1.0, 2.0, 12.0, 22.0, 32.0]


async def test_a_task_may_be_quiet_for_longer_than_the_idle_deadline():
    server = serve(polls=8, poll_ms=59_000)
    async with trunkline.connect({"ci": server}, policy={"defaults": {"idle": 5}}) as trunk:
        assert (await trunk.call("ci.build", timeout=None)).text == "built"


async def test_a_poll_that_is_never_answered_ends_with_the_idle_deadline():
    server = serve(poll_ms=1000)
    server.fault("tasks/get", Fault.hang)
    async with trunkline.connect({"ci": server}) as trunk:
        error = await failure(trunk.call("ci.build"))
        await server.wait_for(lambda ledger: ledger.of("tasks/cancel"))
    assert (error.code, error.delivery, error.task) == ("idle_exceeded", "unknown", "ci/build/ci-task-1")


async def test_a_task_that_never_ends_is_given_up_at_the_deadline_to_the_second():
    server = serve(ends="never", poll_ms=7000)
    async with trunkline.connect({"ci": server}) as trunk:
        await trunk.ready()
        began = asyncio.get_running_loop().time()
        error = await failure(trunk.call("ci.build", timeout=3600))
        assert asyncio.get_running_loop().time() - began == pytest.approx(3600, abs=0.01)
        await server.wait_for(lambda ledger: ledger.of("tasks/cancel"))
    assert error.code == "deadline_exceeded"
    assert len(server.calls) == 1


async def test_a_task_is_asked_about_before_the_server_forgets_it_and_not_after():
    server = serve(ends="never", poll_ms=60_000, ttl_ms=10_000)
    async with trunkline.connect({"ci": server}) as trunk:
        await trunk.ready()
        seen = moments(server, "tasks/get")
        error = await failure(trunk.call("ci.build"))
    assert seen[0] == 8.0
    assert 10.0 <= seen[-1] < 10.2
    assert (error.code, error.delivery) == ("task_expired", "unknown")


async def test_polling_goes_on_when_a_server_was_away_for_minutes():
    server = serve(polls=5, poll_ms=10_000)
    async with trunkline.connect({"ci": server}) as trunk:
        waiting = asyncio.create_task(trunk.call("ci.build"))
        await asyncio.sleep(15)
        server.fault("*", Fault.crash_before_reply)
        await asyncio.sleep(200)
        server.heal()
        assert (await waiting).text == "built"
    assert len(server.calls) == 1


async def test_a_person_may_take_longer_than_the_idle_deadline():
    async def elicit(_: Any) -> dict[str, Any]:
        await asyncio.sleep(300)
        return {"action": "accept", "content": {"name": "Ada"}}

    for family in ("legacy", "modern"):
        server = serve(family, asks=[NAME], polls=0)
        async with trunkline.connect({"ci": server}, handlers=trunkline.Handlers(elicit=elicit)) as trunk:
            assert (await trunk.call("ci.build")).text == "built"


@pytest.mark.parametrize("family", ["legacy", "modern"])
async def test_a_call_cancelled_at_any_turn_leaves_nothing_pending_and_no_task_unasked(family: str):
    for turn in range(0, 60, 3):
        server = serve(family, asks=[NAME], polls=1, ends="never", poll_ms=100)
        handlers = trunkline.Handlers(elicit=lambda _: {"action": "decline"})
        async with trunkline.connect({"ci": server}, handlers=handlers) as trunk:
            await trunk.ready()
            waiting = asyncio.create_task(trunk.call("ci.build"))
            for _ in range(turn):
                await asyncio.sleep(0.01)
            waiting.cancel()
            await asyncio.wait({waiting})
            assert waiting.cancelled()
            await asyncio.sleep(5)
            connection = trunk._fleet.get("ci").connection  # type: ignore[union-attr]
            assert connection is not None
            assert not connection.calls
        known = turn > 0
        assert [task.cancelled for task in server.tasks.values()] == [True] * len(server.tasks)
        assert len(server.tasks) <= 1
        assert bool(server.tasks) or not known
