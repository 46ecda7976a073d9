"""The application's own callbacks: whatever they do, the call and the connection go on."""

from __future__ import annotations

import asyncio
import functools
import logging
from typing import Any

import pytest

import trunkline
from trunkline.testing import FakeServer
from trunkline.testing.virtual_time import VirtualTimeLoop

pytestmark = pytest.mark.anyio

STEPS = [(n, 5, None) for n in range(1, 6)]
CHANGED = "notifications/tools/list_changed"


def stepping(**options: Any) -> FakeServer:
    server = FakeServer(**options)
    server.tool("echo", reports="arguments")
    server.tool("steps", returns="done", delay=0.05, progress=STEPS)
    server.tool("fails", error="no", delay=0.02, progress=STEPS)
    server.tool("refuses", rpc_error=(-32000, "no"), progress=STEPS)
    server.tool("work", delay=600, progress=STEPS)
    return server


@pytest.mark.over("memory", "stdio", "sse")
async def test_progress_comes_in_order_and_before_the_reply(way: Any, reach: Any):
    seen: list[float] = []
    async with reach(stepping(eras=[way.family]), way) as trunk:
        reply = await trunk.call("fake.steps", on_progress=lambda one: seen.append(one.progress))
        assert reply.text == "done"
        assert seen == [1, 2, 3, 4, 5]


@pytest.mark.over("memory", "sse")
async def test_an_async_progress_handler_sees_everything_in_order(way: Any, reach: Any):
    seen: list[float] = []

    async def take(one: trunkline.Progress) -> None:
        await asyncio.sleep(0)
        seen.append(one.progress)

    async with reach(stepping(eras=[way.family]), way) as trunk:
        for handler in (take, functools.partial(take), lambda one: take(one)):
            seen.clear()
            assert (await trunk.call("fake.steps", on_progress=handler)).text == "done"
            assert seen == [1, 2, 3, 4, 5]


def raise_boom(_: trunkline.Progress) -> None:
    raise ZeroDivisionError("boom")


async def raise_later(_: trunkline.Progress) -> None:
    await asyncio.sleep(0)
    raise ZeroDivisionError("boom")


@pytest.mark.over("memory", "stdio", "sse")
@pytest.mark.parametrize("handler", [raise_boom, raise_later])
async def test_a_progress_handler_that_raises_is_logged_and_the_call_goes_on(
    way: Any, reach: Any, handler: Any, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.ERROR, "trunkline")
    async with reach(stepping(eras=[way.family]), way) as trunk:
        assert (await trunk.call("fake.steps", on_progress=handler)).text == "done"
        assert (await trunk.call("fake.echo", {"n": 1})).value == {"n": 1}
        assert trunk.status()["fake"].restarts == 0
    assert "progress handler failed" in caplog.text
    assert "boom" in caplog.text


async def never(_: trunkline.Progress) -> None:
    await asyncio.Event().wait()


@pytest.mark.parametrize("handler", [never, raise_later, raise_boom])
async def test_a_call_that_fails_raises_its_own_error_whatever_its_progress_handler_does(handler: Any):
    async with trunkline.connect({"fake": stepping()}) as trunk:
        await trunk.ready()
        with pytest.raises(trunkline.ServerError):
            await trunk.call("fake.refuses", on_progress=handler)
        with pytest.raises(trunkline.DeadlineExceededError):
            await trunk.call("fake.work", timeout=0.05, on_progress=handler)
        with pytest.raises(trunkline.InvalidArgumentsError):
            await trunk.call("fake.echo", {"n": object()}, on_progress=handler)
        call = asyncio.create_task(trunk.call("fake.work", on_progress=handler))
        await asyncio.sleep(0.02)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call


@pytest.mark.parametrize("anyio_backend", [("asyncio", {"loop_factory": VirtualTimeLoop})], ids=["virtual"])
async def test_a_stuck_async_handler_drops_old_reports_and_holds_no_task_after_the_call():
    server = FakeServer()
    server.tool("flood", returns="done", progress=[(n, None, None) for n in range(2_000)])
    async with trunkline.connect({"fake": server}) as trunk:
        await trunk.ready()
        before = asyncio.all_tasks()
        assert (await trunk.call("fake.flood", timeout=3, on_progress=never)).text == "done"
        assert asyncio.all_tasks() == before


async def test_a_handler_that_swallows_its_cancellation_delays_a_call_by_a_second_at_most():
    release = asyncio.Event()

    async def clings(_: trunkline.Progress) -> None:
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue

    async with trunkline.connect({"fake": stepping()}) as trunk:
        await trunk.ready()
        async with asyncio.timeout(3):
            assert (await trunk.call("fake.steps", timeout=0.2, on_progress=clings)).text == "done"
        release.set()
        await asyncio.sleep(0)


async def test_a_handler_that_calls_back_into_the_runtime_works():
    inner: list[asyncio.Task[trunkline.Reply]] = []
    async with trunkline.connect({"fake": stepping()}) as trunk:

        def call_again(one: trunkline.Progress) -> None:
            inner.append(asyncio.ensure_future(trunk.call("fake.echo", {"n": one.progress})))

        await trunk.call("fake.steps", on_progress=call_again)
        assert [(await task).value for task in inner] == [{"n": n} for n in range(1, 6)]


async def test_a_notification_handler_that_raises_is_logged_and_the_next_message_is_handled(
    caplog: pytest.LogCaptureFixture,
):
    seen: list[Any] = []

    def take(server: str, params: Any) -> None:
        seen.append((server, params["data"]))
        if len(seen) == 1:
            raise ZeroDivisionError("boom")

    server = stepping()
    handlers = trunkline.Handlers(notifications={"notifications/message": take})
    async with trunkline.connect({"fake": server}, handlers=handlers) as trunk:
        await trunk.ready()
        for number in range(3):
            server.notify("notifications/message", {"level": "info", "data": number})
        server.tool("new", returns="n")
        server.notify(CHANGED)
        async with asyncio.timeout(5):
            while trunk.catalog.get("fake.new") is None:  # noqa: ASYNC110 - the catalog has no waiters
                await asyncio.sleep(0)
        assert (await trunk.call("fake.echo", {"n": 1})).value == {"n": 1}
    assert seen == [("fake", 0), ("fake", 1), ("fake", 2)]
    assert "boom" in caplog.text


@pytest.mark.parametrize("params", [None, [], 7, {"no": "data"}])
async def test_notifications_of_any_shape_harm_nothing(params: Any):
    server = stepping()
    handlers = trunkline.Handlers(notifications={"notifications/message": lambda *_: None})
    async with trunkline.connect({"fake": server}, handlers=handlers) as trunk:
        await trunk.ready()
        for method in ("notifications/message", "notifications/progress", "notifications/unknown", CHANGED):
            server.notify(method, params)
        assert (await trunk.call("fake.echo", {"n": 1})).value == {"n": 1}
