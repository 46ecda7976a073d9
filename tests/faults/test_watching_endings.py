"""Every wait of watching ends: by cancellation, with its server, and over real pipes."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import trunkline
from trunkline.core.events import ListChanged, ResourceUpdated
from trunkline.runtime import assembly
from trunkline.supervision.listening import Listening
from trunkline.testing import FakeServer, Fault, stdio_entry

pytestmark = pytest.mark.anyio

A = "file:///a"
LISTEN = "subscriptions/listen"
SCRIPT = """
import os
from trunkline.testing import FakeServer

server = FakeServer(eras=["{family}"], watchable=True, ttl_ms=60_000)
server.resource("file:///a")


@server.tool
def touch():
    server.notify_resource("file:///a")
    return "touched"


@server.tool
def grow():
    server.tool("grown", returns="g")
    server.notify_list("tools")
    return "grown"


@server.tool
def pid():
    return str(os.getpid())
"""


@pytest.fixture(autouse=True)
def no_jitter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let attempts that failed be repeated at once."""
    monkeypatch.setattr(assembly, "_draw", lambda: 0.0)


def watchable(family: str = "modern") -> FakeServer:
    server = FakeServer(eras=[family], watchable=True, ttl_ms=60_000)
    server.tool("t", returns="x")
    server.resource(A)
    return server


async def first(stream: Any, seconds: float = 20) -> Any:
    return await asyncio.wait_for(anext(stream), seconds)


@pytest.mark.parametrize("family", ["legacy", "modern"])
async def test_over_pipes_a_killed_server_is_subscribed_to_again(
    family: str, tmp_path: Path, is_alive: Callable[[int], bool]
):
    (tmp_path / "watched.py").write_text(SCRIPT.format(family=family))
    entry = stdio_entry("watched:server")
    entry["env"]["PYTHONPATH"] += f":{tmp_path}"
    async with trunkline.connect({"fake": entry}) as trunk, trunk.events(ListChanged) as events:
        updates = await trunk.subscribe(A, timeout=20)
        await trunk.call("fake.touch")
        assert await first(updates) == ResourceUpdated(server="fake", uri=A)
        await trunk.call("fake.grow")
        assert (await first(events)).added == ("grown",)
        assert (await trunk.call("fake.grown")).text == "g"
        pid = int((await trunk.call("fake.pid")).text)
        os.kill(pid, 9)
        assert await first(updates) == ResourceUpdated(server="fake", uri=A, missed=True)
        assert (await first(events)).removed == ("grown",)
        assert not is_alive(pid)
        await trunk.call("fake.touch")
        assert await first(updates) == ResourceUpdated(server="fake", uri=A)


async def test_a_call_beside_an_open_stream_is_written_at_once():
    server = watchable()
    async with trunkline.connect({"fake": server}) as trunk, await trunk.subscribe(A):
        core = trunk._fleet.get("fake").live.link._core
        calling = asyncio.ensure_future(trunk.call("fake.t"))
        await asyncio.sleep(0)
        assert (len(core._exchanges), len(core._outbox)) == (1, 0)
        assert (await calling).text == "x"


async def test_a_wait_for_an_update_can_be_cancelled_and_loses_none():
    server = watchable()
    async with trunkline.connect({"fake": server}) as trunk, await trunk.subscribe(A) as updates:
        waiting = asyncio.ensure_future(anext(updates))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait({waiting})
        server.notify_resource(A)
        assert (await first(updates)).uri == A


@pytest.mark.parametrize("family", ["legacy", "modern"])
@pytest.mark.parametrize("method", ["subscribe", "listen"])
async def test_a_server_lost_while_it_is_asked_is_asked_again(family: str, method: str):
    asked = LISTEN if family == "modern" else "resources/subscribe"
    server = watchable(family)
    nth = 2 if family == "modern" and method == "subscribe" else 1
    server.fault(asked, Fault.crash_before_reply, nth=nth)
    async with trunkline.connect({"fake": server}) as trunk:
        updates = await trunk.subscribe(A, timeout=20)
        server.notify_resource(A)
        assert (await first(updates)).uri == A


@pytest.mark.parametrize("family", ["legacy", "modern"])
async def test_closing_while_the_server_is_asked_ends_at_once(family: str):
    server = watchable(family)
    server.fault(LISTEN if family == "modern" else "resources/subscribe", Fault.hang)
    async with trunkline.connect({"fake": server}) as trunk:
        waiting = asyncio.ensure_future(trunk.subscribe(A))
        method = LISTEN if family == "modern" else "resources/subscribe"
        await server.wait_for(lambda ledger: ledger.of(method))
    with pytest.raises(trunkline.UnavailableError):
        await asyncio.wait_for(waiting, 5)


async def test_closing_while_the_server_is_told_of_the_end_does_not_wait_for_it():
    server = watchable("legacy")
    server.fault("resources/unsubscribe", Fault.hang)
    async with trunkline.connect({"fake": server}) as trunk:
        (await trunk.subscribe(A)).close()
        await server.wait_for(lambda ledger: ledger.of("resources/unsubscribe"))
    assert trunk.status()["fake"].state == "stopped"


async def test_a_failed_end_of_a_subscription_costs_the_next_one_nothing():
    server = watchable("legacy")
    server.fault("resources/unsubscribe", Fault.rpc_error(-32603, "no"))
    async with trunkline.connect({"fake": server}) as trunk:
        (await trunk.subscribe(A)).close()
        await server.wait_for(lambda ledger: ledger.of("resources/unsubscribe"))
        async with await trunk.subscribe(A) as updates:
            server.notify_resource(A)
            assert (await first(updates)).uri == A


async def test_a_lost_http_server_is_listened_to_again_when_it_is_back():
    server = watchable()
    listener = await server.listen()
    try:
        async with (
            trunkline.connect({"fake": {"url": listener.url}}) as trunk,
            await trunk.subscribe(A) as updates,
        ):
            listener.crash()
            await asyncio.sleep(0)
            await listener.start()
            assert await first(updates) == ResourceUpdated(server="fake", uri=A, missed=True)
            server.notify_resource(A)
            assert await first(updates) == ResourceUpdated(server="fake", uri=A)
    finally:
        await listener.stop()


async def test_missed_messages_make_lists_and_resources_be_read_again():
    server = watchable("legacy")
    async with trunkline.connect({"fake": server}) as trunk, await trunk.subscribe(A) as updates:
        before = len(server.ledger.of("tools/list"))
        trunk._fleet.get("fake").live.link.unsolicited.miss()
        assert await first(updates) == ResourceUpdated(server="fake", uri=A, missed=True)
        await server.wait_for(lambda ledger: len(ledger.of("tools/list")) > before)


async def test_a_list_that_cannot_be_read_after_its_change_is_told_as_such():
    server = watchable()
    async with trunkline.connect({"fake": server}) as trunk, await trunk.subscribe(A):
        events = trunk.events(ListChanged)
        server.fault("tools/list", Fault.rpc_error(-32603, "broken"))
        server.notify_list("tools")
        event = await first(events)
        assert event.failure is not None
        assert "broken" in event.failure
        assert (await trunk.call("fake.t")).text == "x"


async def test_a_fault_of_ours_in_watching_ends_no_connection_and_is_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setattr(Listening, "_choose", lambda _: 1 / 0)
    async with trunkline.connect({"fake": watchable()}) as trunk:
        assert (await trunk.call("fake.t")).text == "x"
        assert any(
            one.levelno == logging.ERROR and "internal error" in one.getMessage() for one in caplog.records
        )
