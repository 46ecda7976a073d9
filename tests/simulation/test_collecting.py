"""Calls collected in a window, or in a block: they leave together, and each goes its own way."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import trunkline
from trunkline.testing import FakeServer, Fault

pytestmark = pytest.mark.anyio

BATCHING = {"eras": ["legacy"], "versions": ["2025-03-26"]}


def now() -> float:
    return asyncio.get_running_loop().time()


def offering(**options: Any) -> FakeServer:
    server = FakeServer("fake", **{**BATCHING, **options})
    server.tool("echo", reports="arguments")
    server.tool("slow", delay=10, returns="late")
    return server


def collecting(size: int = 3, milliseconds: float = 50, **more: Any) -> dict[str, Any]:
    return {"servers": {"fake": {"batch": {"size": size, "milliseconds": milliseconds}, **more}}}


async def test_a_window_opens_when_it_is_full_or_its_time_is_over():
    server = offering()
    async with trunkline.connect({"fake": server}, policy=collecting()) as trunk:
        await trunk.call("fake.echo")  # finds out that the server reads batches
        server.batches.clear()
        begun = now()
        full = await asyncio.gather(*(trunk.call("fake.echo", {"n": n}) for n in range(3)))
        assert now() - begun < 0.001
        two = await asyncio.gather(*(trunk.call("fake.echo", {"n": n}) for n in range(2)))
        assert now() - begun == pytest.approx(0.05)
        alone = await trunk.call("fake.echo", {"n": 0})
        assert now() - begun == pytest.approx(0.1)
    assert server.batches == [3, 2]
    assert [reply.text for reply in full] == ['{"n": 0}', '{"n": 1}', '{"n": 2}']
    assert [round(reply.timing.queue, 3) for reply in (*full, *two, alone) if reply.timing] == [
        *(0, 0, 0),
        *(0.05, 0.05),
        0.05,
    ]


async def test_more_calls_than_fit_leave_in_several_messages():
    server = offering()
    async with trunkline.connect({"fake": server}, policy=collecting(size=4, milliseconds=0)) as trunk:
        async with trunk.batch() as batch:
            calls = [batch.call("fake.echo", {"n": n}) for n in range(10)]
        assert [(await call).text for call in calls] == [f'{{"n": {n}}}' for n in range(10)]
    assert server.batches == [2, 4, 4, 2]


async def test_a_call_that_stops_waiting_leaves_the_window_without_the_others():
    server = offering()
    async with trunkline.connect({"fake": server}, policy=collecting()) as trunk:
        await trunk.ready()
        async with asyncio.TaskGroup() as group:
            first = group.create_task(trunk.call("fake.echo", {"n": 1}))
            second = group.create_task(trunk.call("fake.echo", {"n": 2}))
            await asyncio.sleep(0.01)
            first.cancel()
        assert second.result().text == '{"n": 2}'
        with pytest.raises(trunkline.DeadlineExceededError) as late:
            await trunk.call("fake.echo", timeout=0.01)
        assert late.value.delivery == "never_sent"
    assert [call.arguments for call in server.calls] == [{"n": 2}]


async def test_calls_that_a_limit_holds_back_follow_when_it_is_their_turn():
    server = offering()
    policy = {"servers": {"fake": {"max_concurrency": 2}}}
    async with trunkline.connect({"fake": server}, policy=policy) as trunk:
        await trunk.ready()
        begun = now()
        async with trunk.batch() as batch:
            calls = [batch.call("fake.slow") for _ in range(5)]
        assert [(await call).text for call in calls] == ["late"] * 5
        assert now() - begun == pytest.approx(30, abs=0.01)


async def test_awaiting_a_call_within_the_block_sends_what_is_collected():
    server = offering()
    async with asyncio.timeout(60), trunkline.connect({"fake": server}) as trunk, trunk.batch() as batch:
        one, two = batch.call("fake.echo", {"n": 1}), batch.call("fake.echo", {"n": 2})
        assert (await one).text == '{"n": 1}'
        three = batch.call("fake.echo", {"n": 3})
        assert not three.done
    assert (await two).text == '{"n": 2}'
    assert (await three).text == '{"n": 3}'
    with pytest.raises(RuntimeError, match="left"):
        batch.call("fake.echo")


async def test_a_block_that_fails_sends_nothing_more_and_cancels_what_runs():
    server = offering()
    calls: list[trunkline.BatchedCall] = []

    async def fail(trunk: trunkline.Trunk) -> None:
        async with trunk.batch() as batch:
            calls.append(batch.call("fake.slow"))
            batch.send()
            await asyncio.sleep(1)
            calls.append(batch.call("fake.echo"))
            raise ZeroDivisionError

    async with asyncio.timeout(60), trunkline.connect({"fake": server}) as trunk:
        with pytest.raises(ZeroDivisionError):
            await fail(trunk)
        for call in calls:
            with pytest.raises(asyncio.CancelledError):
                await call
        await server.wait_for(lambda ledger: bool(ledger.of("notifications/cancelled")))
    assert [call.name for call in server.calls] == ["slow"]


async def test_who_leaves_the_block_by_a_cancellation_cancels_every_call_of_it():
    server = offering()
    async with trunkline.connect({"fake": server}) as trunk:
        await trunk.ready()
        calls: list[trunkline.BatchedCall] = []

        async def work() -> None:
            async with trunk.batch() as batch:
                calls.extend(batch.call("fake.slow") for _ in range(3))

        task = asyncio.create_task(work())
        await asyncio.sleep(2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.sleep(1)
        assert all(call.done for call in calls)
        assert len(server.ledger.of("notifications/cancelled")) == 3


async def test_a_call_can_be_taken_out_of_a_batch_before_it_is_sent():
    server = offering()
    async with trunkline.connect({"fake": server}) as trunk:
        async with trunk.batch() as batch:
            one, two = batch.call("fake.echo", {"n": 1}), batch.call("fake.echo", {"n": 2})
            assert one.cancel()
            assert not one.cancel()
        with pytest.raises(asyncio.CancelledError):
            await one
        assert (await two).text == '{"n": 2}'
    assert len(server.calls) == 1


async def test_each_call_is_made_for_whom_it_was_added():
    server, principal = offering(), trunkline.Principal(name="ada")
    seen: list[str] = []

    async def note(call: Any, inner: Any) -> Any:
        seen.append(call.principal.name)
        return await inner(call)

    async with trunkline.connect({"fake": server}, middleware=[note]) as trunk, trunk.batch() as batch:
        with trunk.acting_as(principal):
            batch.call("fake.echo")
        batch.call("fake.echo")
    assert sorted(seen) == ["ada", "local"]


async def test_a_lost_server_fails_each_call_of_a_batch_with_what_is_true_of_it():
    server = offering()
    async with trunkline.connect({"fake": server}, policy=collecting(milliseconds=0, size=2)) as trunk:
        await trunk.call("fake.echo")
        server.fault("slow", Fault.crash_before_reply)
        async with trunk.batch() as batch:
            calls = [batch.call("fake.slow"), batch.call("fake.echo")]
        errors = []
        for call in calls:
            try:
                await call
            except trunkline.CallError as error:
                errors.append(error)
        assert errors
        assert {error.delivery for error in errors} == {"unknown"}
        assert len({id(error) for error in errors}) == len(errors)
