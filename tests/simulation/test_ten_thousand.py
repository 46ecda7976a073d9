"""Ten thousand calls that are cut at any moment: by their deadline or by their caller."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

import trunkline
from trunkline.testing import FakeServer

pytestmark = pytest.mark.anyio
NO_BREAKER = {"defaults": {"breaker": {"enabled": False}}}

CALLS = 5_000
"""In each family: ten thousand in all."""
AT_ONCE = 100
LATE = 0.05


def now() -> float:
    return asyncio.get_running_loop().time()


def offering(family: str) -> FakeServer:
    server = FakeServer(eras=[family])
    server.tool("echo", reports="arguments")
    server.tool("silent", delay=10_000)
    server.tool("brief", delay=0.02, returns="done")
    server.tool("chatty", delay=1_000, progress=[(n, None, None) for n in range(1_000)])
    server.tool("flood", delay=0.01, progress=[(n, None, None) for n in range(30)], returns="done")
    return server


async def in_parallel(one: Any) -> None:
    """Run `one(number)` for each call, a hundred at once."""
    numbers = iter(range(CALLS))

    async def work() -> None:
        for number in numbers:
            await one(number)

    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(work())


@pytest.mark.parametrize("family", ["legacy", "modern"])
async def test_no_call_outlives_its_deadline(family: str):
    chance = random.Random(4)
    server = offering(family)
    ends = {"reply": 0, "deadline": 0}

    async with trunkline.connect({"fake": server}, policy=NO_BREAKER) as trunk:
        await trunk.ready()

        async def one(_: int) -> None:
            tool = chance.choice(("silent", "brief", "chatty", "flood", "echo"))
            timeout = chance.choice((0.001, 0.015, 0.5, 5.0)) * chance.random()
            started = now()
            try:
                await trunk.call(f"fake.{tool}", timeout=timeout)
                ends["reply"] += 1
            except trunkline.DeadlineExceededError as error:
                ends["deadline"] += 1
                started += 0 if error.delivery in ("unknown", "never_sent") else 1_000
            assert now() - started <= timeout + LATE

        await in_parallel(one)
        assert min(ends.values()) > CALLS / 10, ends
        assert (await trunk.call("fake.echo", {"n": 1})).value == {"n": 1}


@pytest.mark.parametrize("family", ["legacy", "modern"])
async def test_a_cancelled_call_is_cancelled_at_the_server_and_leaves_nothing(family: str):
    chance = random.Random(5)
    server = offering(family)
    cancelled: list[int] = []

    async with trunkline.connect({"fake": server}, policy=NO_BREAKER) as trunk:
        await trunk.ready()
        await asyncio.sleep(1)  # what was begun at the start has ended
        before = len(asyncio.all_tasks())

        async def one(number: int) -> None:
            call = asyncio.create_task(trunk.call("fake.silent", {"number": number}))
            if chance.random() < 0.5:
                await asyncio.sleep(chance.random())
            else:
                for _ in range(chance.randrange(12)):
                    await asyncio.sleep(0)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            cancelled.append(number)

        await in_parallel(one)
        await asyncio.sleep(LATE)
        ran = server.ledger.of("tools/call", "silent")
        told = server.ledger.of("notifications/cancelled")
        assert len(cancelled) == CALLS
        assert len(ran) > CALLS / 3
        assert {one.params["requestId"] for one in told} == {one.request_id for one in ran}
        assert all(one.cancelled and not one.executed for one in ran)
        assert len(asyncio.all_tasks()) == before
        assert (await trunk.call("fake.echo", {"n": 1})).value == {"n": 1}
