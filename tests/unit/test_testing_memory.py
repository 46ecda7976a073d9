"""One connection in memory: order, cancellation, crashes, functions, waiting, and whose clock counts."""

from __future__ import annotations

import asyncio
import json
import selectors
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from trunkline.testing import FakeServer, Fault, RpcError

pytestmark = pytest.mark.anyio

META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Wire:
    """The client's end: frames as they are."""

    def __init__(self) -> None:
        self.inbox: asyncio.Queue[bytes] = asyncio.Queue()
        self.outbox: asyncio.Queue[bytes] = asyncio.Queue()
        self.serving: asyncio.Task[None] | None = None

    def send(self, method: str, request_id: Any = None, /, **params: Any) -> None:
        message = {"jsonrpc": "2.0", "method": method, "params": {"_meta": META, **params}}
        identity = {} if request_id is None else {"id": request_id}
        self.inbox.put_nowait(json.dumps({**message, **identity}).encode())

    async def next(self) -> Any:
        return json.loads(await asyncio.wait_for(self.outbox.get(), 5))


@asynccontextmanager
async def connect(fake: FakeServer) -> AsyncIterator[Wire]:
    wire = Wire()
    wire.serving = asyncio.create_task(fake.serve(wire.inbox.get, wire.outbox.put_nowait))
    yield wire
    wire.inbox.put_nowait(b"")
    await asyncio.wait_for(wire.serving, 5)


async def test_replies_come_in_the_order_they_are_ready() -> None:
    fake, gate = FakeServer(), asyncio.Event()

    @fake.tool
    async def slow() -> str:
        await gate.wait()
        return "slow"

    @fake.tool(name := "quick")
    def _() -> str:
        gate.set()
        return "quick"

    async with connect(fake) as wire:
        wire.send("tools/call", 1, name="slow")
        wire.send("tools/call", 2, name=name)
        assert [(await wire.next())["id"] for _ in range(2)] == [2, 1]


async def test_a_function_sees_its_context_and_reports_through_it() -> None:
    fake, seen = FakeServer(), []

    @fake.tool(description="says what it sees")
    async def look(arguments: dict[str, Any], context: Any) -> dict[str, Any]:
        seen.append((arguments, context.request_id, context.version, context.meta["progressToken"]))
        await context.progress(1, 2, "half")
        await context.notify("notifications/tools/list_changed")
        return {"seen": True}

    async with connect(fake) as wire:
        wire.send("tools/call", "x", name="look", arguments={"a": 1}, _meta={**META, "progressToken": 9})
        progress, note, reply = [await wire.next() for _ in range(3)]
    assert seen == [({"a": 1}, "x", "2026-07-28", 9)]
    assert progress["params"] == {"progressToken": 9, "progress": 1, "total": 2, "message": "half"}
    assert note["method"] == "notifications/tools/list_changed"
    assert reply["result"]["structuredContent"] == {"seen": True}


async def test_what_a_function_raises_becomes_its_reply() -> None:
    fake = FakeServer()

    @fake.tool
    def broken() -> None:
        raise KeyError("city")

    @fake.tool
    async def refusing() -> None:
        raise RpcError(-32050, "no", {"a": 1})

    async with connect(fake) as wire:
        wire.send("tools/call", 1, name="broken")
        wire.send("tools/call", 2, name="refusing")
        broken_reply, refusal = await wire.next(), await wire.next()
    assert broken_reply["result"]["isError"] is True
    assert broken_reply["result"]["content"][0]["text"] == "'city'"
    assert refusal["error"] == {"code": -32050, "message": "no", "data": {"a": 1}}


async def test_a_cancelled_function_stops_and_gets_no_reply() -> None:
    fake, stopped = FakeServer(), []

    @fake.tool
    async def wait(_: Any, context: Any) -> str:
        try:
            await asyncio.Event().wait()
        finally:
            stopped.append(context.cancelled.is_set())
        return "never"

    async with connect(fake) as wire:
        wire.send("tools/call", 1, name="wait")
        await fake.wait_for(lambda ledger: len(ledger.calls) == 1)
        wire.send("notifications/cancelled", requestId=1)
        wire.send("tools/list", 2)
        assert (await wire.next())["id"] == 2
    assert (stopped, fake.calls[0].cancelled, fake.calls[0].executed) == ([True], True, False)
    assert wire.outbox.empty()


async def test_a_cancellation_right_behind_its_request_stops_it_before_it_runs() -> None:
    fake = FakeServer()
    fake.tool("act", returns="acted")
    async with connect(fake) as wire:
        wire.send("tools/call", 1, name="act")
        wire.send("notifications/cancelled", requestId=1)
        wire.send("tools/list", 2)
        assert (await wire.next())["id"] == 2
    assert fake.ledger.executed("act") == 0


async def test_a_tool_that_cannot_be_cancelled_records_it_and_replies_late() -> None:
    fake = FakeServer()

    @fake.tool(cancellable=False)
    async def stubborn(_: Any, context: Any) -> str:
        await context.cancelled.wait()
        return "late"

    async with connect(fake) as wire:
        wire.send("tools/call", 1, name="stubborn")
        await fake.wait_for(lambda ledger: len(ledger.calls) == 1)
        wire.send("notifications/cancelled", requestId=1)
        assert (await wire.next())["result"]["content"][0]["text"] == "late"
    assert (fake.calls[0].cancelled, fake.calls[0].executed) == (True, True)


@pytest.mark.parametrize("fault", [Fault.crash_after_commit, Fault.close_connection, Fault.truncated])
async def test_the_server_exits_where_a_fault_ends_it_and_other_calls_get_nothing(fault: Fault) -> None:
    fake = FakeServer()
    fake.tool("add", returns="x")
    fake.tool("slow", delay=60)
    fake.fault("add", fault)
    async with connect(fake) as wire:
        wire.send("tools/call", 1, name="slow")
        wire.send("tools/call", 2, name="add")
        assert wire.serving is not None
        await asyncio.wait_for(asyncio.shield(wire.serving), 5)
    assert wire.outbox.qsize() == (1 if fault is Fault.truncated else 0)
    assert [one.executed for one in fake.calls] == [False, fault is not Fault.close_connection]


async def test_each_connection_has_its_own_handshake() -> None:
    fake = FakeServer(eras=["legacy"])
    async with connect(fake) as first, connect(fake) as second:
        first.send("initialize", 1, protocolVersion="2025-03-26")
        assert (await first.next())["result"]["protocolVersion"] == "2025-03-26"
        second.send("tools/list", 1)
        assert (await second.next())["error"]["code"] == -32600


async def test_a_frame_that_is_no_message_is_answered_and_costs_nothing_else() -> None:
    fake = FakeServer()
    async with connect(fake) as wire:
        wire.inbox.put_nowait(b"{broken")
        wire.inbox.put_nowait(b"[]")
        wire.send("tools/list", 3)
        answers = [await wire.next() for _ in range(3)]
    assert [one.get("error", {}).get("code") for one in answers] == [-32700, -32600, None]
    assert [one["id"] for one in answers] == [None, None, 3]


async def test_notify_reaches_every_open_connection_and_no_closed_one() -> None:
    fake = FakeServer()
    async with connect(fake) as closed:
        pass
    async with connect(fake) as first, connect(fake) as second:
        await asyncio.sleep(0)
        fake.notify("notifications/tools/list_changed")
        for wire in (first, second):
            assert (await wire.next())["method"] == "notifications/tools/list_changed"
    assert closed.outbox.empty()


async def test_wait_for_returns_at_the_change_and_names_what_came_when_it_does_not() -> None:
    fake = FakeServer()
    async with connect(fake) as wire:
        wire.send("tools/list", 1)
        await fake.wait_for(lambda ledger: bool(ledger.of("tools/list")))
        with pytest.raises(
            TimeoutError, match=r"not within 0.01 s; received: \[<tools/list id=1 executed>\]"
        ):
            await fake.wait_for(lambda ledger: bool(ledger.calls), timeout=0.01)


async def test_serving_can_be_cancelled_from_outside() -> None:
    fake = FakeServer()
    fake.tool("slow", delay=60)
    wire, before = Wire(), asyncio.all_tasks()
    task = asyncio.create_task(fake.serve(wire.inbox.get, wire.outbox.put_nowait))
    wire.send("tools/call", 1, name="slow")
    await fake.wait_for(lambda ledger: len(ledger.calls) == 1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert asyncio.all_tasks() == before
    assert not fake.broadcasts


class JumpingSelector(selectors.DefaultSelector):
    """Never waits: each timeout moves the clock instead."""

    now = 0.0

    def select(self, timeout: float | None = None) -> Any:
        events = super().select(0)
        if not events and timeout:
            self.now += timeout
        return events


def test_delays_run_on_the_clock_of_the_loop() -> None:
    selector = JumpingSelector()
    loop = asyncio.SelectorEventLoop(selector)
    loop.time = lambda: selector.now  # type: ignore[method-assign]
    fake = FakeServer()
    fake.tool("slow", delay=86_400.0, returns="done")

    async def main() -> Any:
        async with connect(fake) as wire:
            wire.send("tools/call", 1, name="slow")
            return json.loads(await wire.outbox.get())

    try:
        assert loop.run_until_complete(main())["id"] == 1
        assert loop.time() >= 86_400.0
    finally:
        loop.close()


@pytest.mark.parametrize("keep", [None, 2])
async def test_the_ledger_keeps_as_much_as_it_was_told(keep: int | None) -> None:
    fake = FakeServer(keep=keep)
    async with connect(fake) as wire:
        for number in range(1, 5):
            wire.send("tools/list", number)
            await wire.next()
    assert [one.request_id for one in fake.ledger] == ([1, 2, 3, 4] if keep is None else [3, 4])


def test_a_function_cannot_also_be_scripted() -> None:
    decorate: Callable[[Any], Any] = FakeServer().tool("both", returns="x")
    with pytest.raises(ValueError, match="both is a function and cannot also have returns"):

        @decorate
        def both() -> str:
            return "y"


async def test_a_wait_sees_what_is_received_on_the_loop_of_another_thread() -> None:
    fake = FakeServer()

    def serve_elsewhere() -> None:
        async def main() -> None:
            async with connect(fake) as wire:
                wire.send("tools/list", 1)
                await wire.next()

        asyncio.run(main())

    serving = asyncio.create_task(asyncio.to_thread(serve_elsewhere))
    await fake.wait_for(lambda ledger: bool(ledger.of("tools/list")))
    await serving
