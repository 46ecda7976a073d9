"""Servers that freeze, vanish or are closed: who notices, how soon, and that they come back."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

import trunkline
from trunkline.core.events import ServerChanged
from trunkline.testing import FakeServer, Fault
from trunkline.testing.network import Proxy

pytestmark = pytest.mark.anyio

FAMILIES = pytest.mark.parametrize("family", ["legacy", "modern"])


def working(family: str) -> FakeServer:
    server = FakeServer(eras=[family])
    server.tool("echo", reports="arguments")
    server.tool("pid", reports="pid")
    server.tool("work", delay=600, progress=[(1, 2, None)])
    return server


@asynccontextmanager
async def listening(server: FakeServer) -> AsyncIterator[Any]:
    listener = await server.listen()
    try:
        yield listener
    finally:
        await listener.stop()


def checked(interval: float, **more: Any) -> dict[str, Any]:
    return {"defaults": {"health_check_interval": interval, **more}}


async def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - seen from outside only
            await asyncio.sleep(0.005)


async def changed(events: Any, state: str) -> ServerChanged:
    async with asyncio.timeout(10):
        while (event := await anext(events)).state != state:
            pass
    return event


@pytest.mark.alone
@FAMILIES
@pytest.mark.parametrize("busy", [False, True], ids=["idle", "during a call"])
async def test_a_frozen_process_is_noticed_within_the_interval_and_replaced(
    tmp_path: Path, family: str, busy: bool
):
    interval = 0.6
    entry = working(family).to_stdio_entry(tmp_path)
    policy = checked(interval, restart_delay=0)
    async with trunkline.connect({"fake": entry}, policy=policy) as trunk:
        pid = int((await trunk.call("fake.pid")).text)
        running = asyncio.Event()
        call = None
        if busy:
            call = asyncio.create_task(trunk.call("fake.work", on_progress=lambda _: running.set()))
            await running.wait()
        async with trunk.events(ServerChanged) as events:
            os.kill(pid, signal.SIGSTOP)
            frozen = time.perf_counter()
            lost = await changed(events, "backoff")
            assert time.perf_counter() - frozen <= interval + 0.1
            assert "no sign of life" in (lost.reason or "")
            if call is not None:
                with pytest.raises(trunkline.OutcomeUnknownError, match="no sign of life"):
                    await call
            assert (await changed(events, "ready")).restarts == 1
        assert int((await trunk.call("fake.pid")).text) != pid
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


@FAMILIES
async def test_a_busy_server_that_misses_checks_is_doubted_and_keeps_its_calls(family: str):
    server = working(family)
    server.tool("long", delay=0.6, returns="done")
    check, first = ("ping", 1) if family == "legacy" else ("server/discover", 2)
    server.fault(check, Fault.hang, nth=first)
    async with trunkline.connect({"fake": server}, policy=checked(0.2)) as trunk:
        await trunk.ready()
        async with trunk.events(ServerChanged) as events:
            call = asyncio.create_task(trunk.call("fake.long"))
            assert "no sign of life" in str((await changed(events, "degraded")).reason)
            assert trunk.status()["fake"].last_error is not None
            assert (await call).text == "done"
            await changed(events, "ready")
        assert trunk.status()["fake"].restarts == 0
        assert trunk.status()["fake"].last_error is None


@FAMILIES
async def test_half_open_connections_are_doubted_and_the_next_call_opens_a_new_one(family: str):
    server = working(family)
    async with listening(server) as listener, Proxy(listener.port) as proxy:
        entry = {"url": listener.url.replace(str(listener.port), str(proxy.port))}
        async with trunkline.connect({"fake": entry}, policy=checked(0.4)) as trunk:
            replies = await asyncio.gather(*(trunk.call("fake.echo", {"n": n}) for n in range(5)))
            assert len(replies) == 5
            proxy.freeze()
            await until(lambda: trunk.status()["fake"].state == "degraded")
            assert (await trunk.call("fake.echo", {"n": 6}, timeout=5)).value == {"n": 6}
            await until(lambda: trunk.status()["fake"].state == "ready")
            assert trunk.status()["fake"].restarts == 0


@FAMILIES
async def test_a_server_behind_a_black_hole_fails_its_calls_in_time_and_works_when_healed(family: str):
    server = working(family)
    async with listening(server) as listener, Proxy(listener.port) as proxy:
        entry = {"url": listener.url.replace(str(listener.port), str(proxy.port))}
        async with trunkline.connect({"fake": entry}, policy=checked(0.4)) as trunk:
            await trunk.call("fake.echo", {"n": 1})
            proxy.black_hole()
            with pytest.raises(trunkline.DeadlineExceededError):
                await trunk.call("fake.echo", {"n": 2}, timeout=0.3)
            await until(lambda: trunk.status()["fake"].state == "degraded")
            proxy.heal()
            assert (await trunk.call("fake.echo", {"n": 3}, timeout=5)).value == {"n": 3}


async def test_a_server_that_idles_when_it_dies_comes_back_although_nobody_calls(tmp_path: Path):
    server = working("modern")
    async with trunkline.connect(
        {"fake": server.to_stdio_entry(tmp_path)}, policy=checked(30, restart_delay=0.1)
    ) as trunk:
        pid = int((await trunk.call("fake.pid")).text)
        async with trunk.events(ServerChanged) as events:
            os.kill(pid, signal.SIGKILL)
            assert "SIGKILL" in str((await changed(events, "backoff")).reason)
            assert (await changed(events, "ready")).restarts == 1
        assert len(server.journal(tmp_path).pids) == 2


async def test_without_automatic_reconnect_a_lost_server_waits_for_the_next_call(tmp_path: Path):
    server = working("modern")
    entry = server.to_stdio_entry(tmp_path)
    async with trunkline.connect({"fake": entry}, policy=checked(30, auto_reconnect=False)) as trunk:
        pid = int((await trunk.call("fake.pid")).text)
        async with trunk.events(ServerChanged) as events:
            os.kill(pid, signal.SIGKILL)
            await changed(events, "stopped")
        assert trunk.status()["fake"].retry_in is None
        assert int((await trunk.call("fake.pid")).text) != pid


async def test_calls_in_flight_end_while_a_trunk_drains_and_none_is_taken_any_more():
    server = working("modern")
    server.tool("brief", delay=0.2, returns="done")
    async with trunkline.connect({"fake": server}) as trunk:
        await trunk.ready()
        calls = [asyncio.create_task(trunk.call("fake.brief")) for _ in range(10)]
        stuck = asyncio.create_task(trunk.call("fake.work"))
        await server.wait_for(lambda ledger: len(ledger.of("tools/call")) == 11)
        draining = asyncio.create_task(trunk.drain(0.6))
        await until(lambda: trunk.status()["fake"].state == "draining")
        with pytest.raises(trunkline.UnavailableError) as caught:
            await trunk.call("fake.echo", {"n": 1})
        assert caught.value.delivery == "never_sent"
        assert {reply.text for reply in await asyncio.gather(*calls)} == {"done"}
        await draining
        with pytest.raises(trunkline.OutcomeUnknownError):
            await stuck
        assert server.ledger.of("tools/call", "echo") == []
