"""A caller that stops waiting: the server hears of it, and nothing of the call is left here."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

import trunkline
from trunkline.testing import FakeServer

pytestmark = pytest.mark.anyio


def working(family: str) -> FakeServer:
    server = FakeServer(eras=[family])
    server.tool("echo", reports="arguments")
    server.tool("work", delay=600, progress=[(1, 2, None), (2, 2, None)])
    return server


def is_cancelled(server: FakeServer, folder: Any, way: Any) -> bool:
    ledger = server.journal(folder).read() if way.carrier == "stdio" else server.ledger
    return any(call.cancelled for call in ledger.calls if call.name == "work")


def pending(trunk: trunkline.Trunk) -> int:
    """How many exchanges the shared stream of a memory server still waits for."""
    connection = trunk._fleet.get("fake").connection
    return len(connection.link._core._exchanges)


@pytest.mark.parametrize("means", ["cancel", "deadline"])
async def test_a_call_given_up_is_cancelled_at_the_server_and_the_next_one_works(
    way: Any, reach: Any, until: Any, tmp_path: Any, means: str
):
    server = working(way.family)
    async with reach(server, way) as trunk:
        await trunk.ready()
        running = asyncio.Event()
        timeout = 0.3 if means == "deadline" else 30
        call = asyncio.create_task(
            trunk.call("fake.work", timeout=timeout, on_progress=lambda _: running.set())
        )
        if way.carrier == "json":
            await server.wait_for(lambda ledger: ledger.of("tools/call", "work"))
        else:
            await running.wait()
        if means == "cancel":
            call.cancel("enough")
            with pytest.raises(asyncio.CancelledError):
                await call
        else:
            with pytest.raises(trunkline.DeadlineExceededError) as caught:
                await call
            assert (caught.value.delivery, caught.value.retryable) == ("unknown", False)
        await until(lambda: is_cancelled(server, tmp_path, way))
        assert (await trunk.call("fake.echo", {"n": 1})).value == {"n": 1}
    if way.carrier != "stdio":
        told = len(server.ledger.of("notifications/cancelled"))
        assert told == (0 if way.is_http and way.family == "modern" else 1)


@pytest.mark.over("memory")
async def test_a_cancellation_that_meets_its_reply_leaves_nothing_pending(way: Any, reach: Any):
    server = working(way.family)
    async with reach(server, way) as trunk:
        await trunk.ready()
        for turns in range(12):
            call = asyncio.create_task(trunk.call("fake.echo", {"n": turns}))
            for _ in range(turns):
                await asyncio.sleep(0)
            call.cancel()
            outcome = (await asyncio.gather(call, return_exceptions=True))[0]
            if not isinstance(outcome, asyncio.CancelledError):
                assert outcome.value == {"n": turns}
            assert pending(trunk) == 0
        assert (await trunk.call("fake.echo", {"n": 99})).value == {"n": 99}


@pytest.mark.over("memory", "stdio", "json", "sse")
async def test_five_hundred_cancellations_at_random_moments_leave_nothing_behind(
    way: Any, reach: Any, until: Any
):
    server = working(way.family)
    chance = random.Random(20)
    cancelled = 0
    async with reach(server, way) as trunk:
        await trunk.ready()
        before = asyncio.all_tasks()
        for _ in range(25):
            calls = [asyncio.create_task(trunk.call("fake.echo", {"n": n})) for n in range(20)]
            for call in calls:
                asyncio.get_running_loop().call_later(chance.uniform(0, 0.02), call.cancel)
            outcomes = await asyncio.gather(*calls, return_exceptions=True)
            for n, outcome in enumerate(outcomes):
                if isinstance(outcome, BaseException):
                    assert type(outcome) is asyncio.CancelledError
                    cancelled += 1
                else:
                    assert outcome.value == {"n": n}
        assert (await trunk.call("fake.echo", {"n": 99})).value == {"n": 99}
        if way.carrier in ("memory", "stdio"):
            assert pending(trunk) == 0
        await until(lambda: not asyncio.all_tasks() - before)
        assert trunk.status()["fake"].restarts == 0
    assert cancelled > 0


async def test_a_call_cancelled_while_its_server_starts_never_leaves_and_the_start_goes_on(
    way: Any, reach: Any
):
    server = working(way.family)
    async with reach(server, way) as trunk:
        call = asyncio.create_task(trunk.call("fake.echo", {"n": 1}))
        await asyncio.sleep(0)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert (await trunk.call("fake.echo", {"n": 2})).value == {"n": 2}
    if way.carrier != "stdio":
        assert [call.arguments for call in server.calls] == [{"n": 2}]


async def test_the_callers_own_cancellation_wins_over_a_deadline_that_passes_with_it():
    server = working("modern")
    async with trunkline.connect({"fake": server}) as trunk:
        await trunk.ready()
        loop = asyncio.get_running_loop()
        call = asyncio.create_task(trunk.call("fake.work", timeout=0.05))
        loop.call_later(0.05, call.cancel)
        outcome = (await asyncio.gather(call, return_exceptions=True))[0]
        assert isinstance(outcome, (asyncio.CancelledError, trunkline.DeadlineExceededError))
        assert not call.cancelling() or isinstance(outcome, asyncio.CancelledError)


async def test_an_outer_timeout_of_the_caller_is_its_own_and_not_a_deadline_of_ours():
    server = working("modern")
    async with trunkline.connect({"fake": server}) as trunk:
        await trunk.ready()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await trunk.call("fake.work", timeout=60)
        assert pending(trunk) == 0
        assert asyncio.current_task().cancelling() == 0
