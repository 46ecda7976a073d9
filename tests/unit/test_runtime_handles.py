"""A started call runs on its own, is cancelled at the server, and never outlives its trunk."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from typing import Any

import pytest

import trunkline
from trunkline.errors import NotFoundError, OutcomeUnknownError, UnavailableError
from trunkline.testing import FakeServer

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["legacy", "modern"])
def fake(request: pytest.FixtureRequest) -> FakeServer:
    server = FakeServer("shop", eras=[request.param])
    server.tool("list", returns="apples")
    server.tool("slow", delay=3600, progress=[(1, 2, "half"), (2, 2, "whole")])
    server.tool("reject", rpc_error=(-32000, "no", None))

    @server.tool
    async def count(arguments: dict[str, Any], context: Any) -> str:
        for number in range(arguments["to"]):
            await context.progress(number)
        return "counted"

    return server


@pytest.fixture
async def trunk(fake: FakeServer) -> AsyncIterator[trunkline.Trunk]:
    async with trunkline.connect({"shop": fake}) as opened:
        await opened.ready("shop")
        yield opened


async def test_start_returns_at_once_and_awaiting_gives_the_reply(trunk: trunkline.Trunk) -> None:
    handle = trunk.start("shop.list")
    assert not handle.done
    reply = await handle
    assert (reply.text, reply.call_id, handle.done) == ("apples", handle.call_id, True)
    assert await handle is reply


async def test_start_takes_bare_names_and_its_own_timeout(trunk: trunkline.Trunk) -> None:
    assert (await trunk.start("list")).text == "apples"
    with pytest.raises(trunkline.DeadlineExceededError, match=r"within 0\.05 s"):
        await trunk.start("slow", timeout=0.05)


async def test_progress_is_a_stream_that_ends_with_the_call(trunk: trunkline.Trunk) -> None:
    handle = trunk.start("shop.count", {"to": 3})
    assert [report.progress async for report in handle.progress] == [0, 1, 2]
    assert (await handle).text == "counted"
    assert [report.progress async for report in handle.progress] == [0, 1, 2]


async def test_progress_nobody_reads_is_bounded_and_counted(trunk: trunkline.Trunk) -> None:
    handle = trunk.start("shop.count", {"to": 300})
    await handle
    assert handle.progress.dropped == 300 - 256
    assert [report.progress async for report in handle.progress] == list(range(300 - 256, 300))


async def test_cancel_reaches_the_server_with_its_reason(trunk: trunkline.Trunk, fake: FakeServer) -> None:
    handle = trunk.start("shop.slow")
    await anext(aiter(handle.progress))
    assert handle.cancel("the user left")
    with pytest.raises(asyncio.CancelledError, match="the user left"):
        await handle
    await fake.wait_for(lambda ledger: ledger.calls[0].cancelled)
    (told,) = fake.ledger.of("notifications/cancelled")
    assert told.params["reason"] == "the user left"
    assert handle.delivery == "unknown"
    assert not handle.cancel()


async def test_cancel_before_anything_left_sends_nothing(trunk: trunkline.Trunk, fake: FakeServer) -> None:
    handle = trunk.start("shop.list")
    assert handle.cancel()
    with pytest.raises(asyncio.CancelledError):
        await handle
    assert handle.delivery == "never_sent"
    assert (await trunk.call("shop.list")).text == "apples"
    assert len(fake.calls) == 1


async def test_ceasing_to_wait_does_not_end_the_call(trunk: trunkline.Trunk, fake: FakeServer) -> None:
    handle = trunk.start("shop.slow")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(handle.result(), 0.02)
    assert not handle.done
    await fake.wait_for(lambda ledger: bool(ledger.calls))
    assert not fake.calls[0].cancelled
    handle.cancel()


async def test_a_failed_call_raises_for_every_waiter(trunk: trunkline.Trunk) -> None:
    handle = trunk.start("shop.reject")
    for _ in range(2):
        with pytest.raises(trunkline.ServerError):
            await handle
    with pytest.raises(NotFoundError):
        await trunk.start("nowhere.list")


async def test_an_abandoned_failure_is_not_reported_as_never_retrieved(trunk: trunkline.Trunk) -> None:
    complaints: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: complaints.append(context))
    handle = trunk.start("shop.reject")
    assert [report async for report in handle.progress] == []
    assert handle.done
    del handle
    await trunk.call("shop.list")
    gc.collect()
    assert complaints == []


async def test_closing_the_trunk_ends_its_calls_and_tells_the_server(fake: FakeServer) -> None:
    async with trunkline.connect({"shop": fake}) as trunk:
        handle = trunk.start("shop.slow")
        await anext(aiter(handle.progress))
    assert handle.done
    with pytest.raises(OutcomeUnknownError, match="closed before the answer") as caught:
        await handle
    assert caught.value.call_id == handle.call_id
    (told,) = fake.ledger.of("notifications/cancelled")
    assert told.params["reason"] == "the client is closing"


async def test_a_closed_trunk_starts_nothing(fake: FakeServer) -> None:
    async with trunkline.connect({"shop": fake}) as trunk:
        early = trunk.start("shop.slow")
    with pytest.raises(UnavailableError, match="before the call was sent"):
        await early
    with pytest.raises(UnavailableError, match="closed"):
        trunk.start("shop.list")


async def test_a_deadline_tells_the_server_why(trunk: trunkline.Trunk, fake: FakeServer) -> None:
    with pytest.raises(trunkline.DeadlineExceededError):
        await trunk.call("shop.slow", timeout=0.05)
    await fake.wait_for(lambda ledger: bool(ledger.of("notifications/cancelled")))
    assert fake.ledger.of("notifications/cancelled")[0].params["reason"] == "the call's time is over"


async def test_closing_that_is_cancelled_still_closes_everything(fake: FakeServer) -> None:
    trunk = trunkline.connect({"shop": fake})
    await trunk.__aenter__()
    handle = trunk.start("shop.slow")
    await anext(aiter(handle.progress))
    closing = asyncio.create_task(trunk.aclose())
    for _ in range(3):
        await asyncio.sleep(0)
        closing.cancel()
    await asyncio.wait({closing})
    assert closing.cancelled()
    assert handle.done
    assert trunk.status()["shop"].state == "stopped"
    assert [task for task in asyncio.all_tasks() if task.get_name() == "trunkline"] == []
