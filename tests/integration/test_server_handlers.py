"""What an application is told of its servers and calls: by handlers, and by events."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

import trunkline
from trunkline.core.events import CallFinished, ServerChanged
from trunkline.core.handlers import HandlerLimits, Handlers
from trunkline.testing import FakeServer, Fault

pytestmark = pytest.mark.anyio


def mortal() -> FakeServer:
    server = FakeServer()
    server.tool("echo", reports="arguments")
    server.tool("die")
    server.tool("slow", delay=60)
    server.fault("die", Fault.crash_before_reply)
    return server


async def until(condition: Any) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - told by handlers of another task
            await asyncio.sleep(0.01)


async def test_handlers_hear_of_servers_in_order_whether_they_are_async_or_not():
    told: list[tuple[str, str, int]] = []

    async def connected(event: ServerChanged) -> None:
        told.append(("up", event.server, event.restarts))

    def disconnected(event: ServerChanged) -> None:
        told.append(("down", event.server, event.restarts))

    def failed(event: ServerChanged) -> None:
        told.append(("error", event.server, event.restarts))
        assert event.reason

    handlers = Handlers(on_connect=connected, on_disconnect=disconnected, on_error=failed)
    async with trunkline.connect({"fake": mortal()}, handlers=handlers) as trunk:
        await trunk.call("fake.echo")
        with pytest.raises(trunkline.OutcomeUnknownError):
            await trunk.call("fake.die")
        await trunk.call("fake.echo")
        await until(lambda: len(told) == 4)
    assert told == [
        ("up", "fake", 0),
        ("down", "fake", 0),
        ("error", "fake", 0),
        ("up", "fake", 1),
        ("down", "fake", 1),
    ]


async def test_a_server_that_never_comes_up_is_an_error_and_no_disconnection():
    told: list[str] = []
    handlers = Handlers(
        on_connect=lambda _: told.append("up"),
        on_disconnect=lambda _: told.append("down"),
        on_error=lambda event: told.append(f"{event.state}: {event.reason}"),
    )
    async with trunkline.connect({"gone": {"command": "/no/such/program"}}, handlers=handlers):
        await until(lambda: told)
    assert len(told) == 1
    assert told[0].startswith("failed: the command '/no/such/program' was not found")


async def test_a_handler_that_fails_or_hangs_costs_nothing_but_itself(caplog: pytest.LogCaptureFixture):
    told: list[str] = []

    async def hang(_: ServerChanged) -> None:
        await asyncio.Event().wait()

    def fail(_: ServerChanged) -> None:
        raise LookupError("our own mistake")

    handlers = Handlers(
        on_connect=hang,
        on_disconnect=fail,
        on_error=lambda event: told.append(event.state),
        limits=HandlerLimits(timeout=0.05),
    )
    with caplog.at_level(logging.WARNING, "trunkline.handlers"):
        async with trunkline.connect({"fake": mortal()}, handlers=handlers) as trunk:
            with pytest.raises(trunkline.OutcomeUnknownError):
                await trunk.call("fake.die")
            assert (await trunk.call("fake.echo", {"n": 1})).value == {"n": 1}
            await until(lambda: told == ["backoff"])
    assert "our own mistake" in caplog.text
    assert "TimeoutError" in caplog.text


async def test_every_end_of_a_call_is_an_event_for_who_watches():
    async with trunkline.connect({"fake": mortal()}) as trunk:
        await trunk.call("fake.echo")
        watch = trunk.events(CallFinished)
        reply = await trunk.call("fake.echo")
        with pytest.raises(trunkline.DeadlineExceededError):
            await trunk.call("fake.slow", timeout=0.05)
        running = asyncio.ensure_future(trunk.call("fake.slow"))
        await asyncio.sleep(0.01)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        with pytest.raises(trunkline.NotFoundError):
            await trunk.call("nowhere.echo")
        with pytest.raises(trunkline.OutcomeUnknownError):
            await trunk.call("fake.die")
    ends = [event async for event in watch]
    assert [(end.tool, end.code, end.delivery) for end in ends] == [
        ("fake.echo", None, "answered"),
        ("fake.slow", "deadline_exceeded", "unknown"),
        ("fake.slow", "cancelled", "unknown"),
        ("fake.die", "outcome_unknown", "unknown"),
    ]
    assert (ends[0].call_id, ends[0].server, ends[0].attempts) == (reply.call_id, "fake", 1)
    assert ends[0].elapsed == pytest.approx(reply.elapsed)
