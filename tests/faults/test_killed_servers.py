"""A server that dies: what its calls are told, how soon, and who starts it again."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

import trunkline
from trunkline.testing import FakeServer, Fault

pytestmark = [pytest.mark.anyio, pytest.mark.alone]

KILLS = 100
SERVERS = 4


def killable(name: str) -> FakeServer:
    """A server whose `work` says that it runs and then never ends; `pid` tells whom to kill."""
    server = FakeServer(name)
    server.tool("pid", reports="pid")
    server.tool("work", delay=600, progress=[(1, 2, None), (2, 2, None)])
    return server


async def kill_during_a_call(trunk: trunkline.Trunk, name: str) -> tuple[float, Exception]:
    """Kill a server once a call is known to run there; give the seconds to its error, and the error."""
    pid = int((await trunk.call(f"{name}.pid")).text)
    running = asyncio.Event()
    call = asyncio.create_task(trunk.call(f"{name}.work", on_progress=lambda _: running.set()))
    await running.wait()
    killed = time.perf_counter()
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(trunkline.CallError) as caught:
        await call
    return time.perf_counter() - killed, caught.value


async def measure_start(entry: dict[str, Any]) -> float:
    """Give the seconds a server takes from nothing to its first answer."""
    began = time.perf_counter()
    async with trunkline.connect({"s": entry}) as trunk:
        await trunk.call("s.pid")
        return time.perf_counter() - began


async def measure_kills(folder: Path, kills: int) -> tuple[list[float], list[float]]:
    """Give the seconds from each kill to its error, and those from it to the next success beyond a start."""
    names = [f"s{number}" for number in range(SERVERS)]
    entries = {name: killable(name).to_stdio_entry(folder) for name in names}
    told: list[float] = []
    back: list[float] = []
    start = 0.0
    async with trunkline.connect(entries, policy={"defaults": {"max_restarts": 0}}) as trunk:
        await trunk.ready()
        for number in range(kills):
            name = names[number % SERVERS]
            if number % 10 == 0:
                start = await measure_start(entries[name])
            elapsed, error = await kill_during_a_call(trunk, name)
            assert type(error) is trunkline.OutcomeUnknownError
            assert (error.delivery, error.retryable) == ("unknown", False)
            assert "SIGKILL" in str(error)
            told.append(elapsed)
            began = time.perf_counter()
            await trunk.call(f"{name}.pid")
            back.append(elapsed + time.perf_counter() - began - start)
        assert {status.restarts for status in trunk.status().values()} == {kills // SERVERS}
    return sorted(told), sorted(back)


@pytest.mark.parametrize(
    "kills", [KILLS, pytest.param(1000, marks=[pytest.mark.soak, pytest.mark.timeout(3600)])]
)
async def test_kills_are_each_told_within_fifty_milliseconds_and_mended_in_a_quarter_second(
    tmp_path: Path, kills: int
):
    for attempt in (1, 2):
        folder = tmp_path / str(attempt)
        folder.mkdir()
        told, back = await measure_kills(folder, kills)
        p95, worst, mended = told[int(0.95 * kills)], told[-1], back[int(0.95 * kills)]
        if p95 <= 0.050 and worst <= 0.250 and mended <= 0.250:
            return
    pytest.fail(
        f"kill to error: p95 {p95 * 1000:.0f} ms, max {worst * 1000:.0f} ms; "
        f"kill to next success beyond a start: p95 {mended * 1000:.0f} ms"
    )


async def test_fifty_waiters_share_one_start_of_a_killed_server(tmp_path: Path):
    server = killable("fake")
    async with trunkline.connect({"fake": server.to_stdio_entry(tmp_path)}) as trunk:
        await kill_during_a_call(trunk, "fake")
        replies = await asyncio.gather(*(trunk.call("fake.pid") for _ in range(50)))
        status = trunk.status()["fake"]
    pids = server.journal(tmp_path).pids
    assert len(pids) == 2
    assert {reply.text for reply in replies} == {str(pids[1])}
    assert (status.state, status.restarts) == ("ready", 1)


async def test_all_calls_in_flight_of_a_killed_server_fail_and_those_of_others_do_not(tmp_path: Path):
    entries = {name: killable(name).to_stdio_entry(tmp_path) for name in ("ill", "well")}
    async with trunkline.connect(entries) as trunk:
        pid = int((await trunk.call("ill.pid")).text)
        running = asyncio.Semaphore(0)
        ill = [
            asyncio.create_task(trunk.call("ill.work", on_progress=lambda _: running.release()))
            for _ in range(10)
        ]
        well = asyncio.create_task(trunk.call("well.work", on_progress=lambda _: running.release()))
        for _ in range(11):
            await running.acquire()
        os.kill(pid, signal.SIGKILL)
        errors = await asyncio.gather(*ill, return_exceptions=True)
        assert {type(error) for error in errors} == {trunkline.OutcomeUnknownError}
        assert not well.done()
        assert (await trunk.call("well.pid")).text
        well.cancel()


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (Fault.crash_before_reply, "code 70"),
        (Fault.crash_after_commit, "code 70"),
        (Fault.kill, "SIGKILL"),
        (Fault.close_connection, "streams"),
        (Fault.truncated, "code 70"),
    ],
)
async def test_a_server_that_goes_instead_of_answering_leaves_the_outcome_unknown(
    tmp_path: Path, fault: Fault, told: str
):
    server = FakeServer()
    server.tool("echo", reports="arguments")
    server.fault("echo", fault, nth=1)
    async with trunkline.connect({"fake": server.to_stdio_entry(tmp_path)}) as trunk:
        with pytest.raises(trunkline.OutcomeUnknownError, match=told) as caught:
            await trunk.call("fake.echo", {"n": 1}, timeout=10)
        assert caught.value.delivery == "unknown"
        assert caught.value.attempts == 1


async def test_a_server_that_died_while_idle_is_started_by_the_next_call(tmp_path: Path):
    server = killable("fake")
    async with trunkline.connect({"fake": server.to_stdio_entry(tmp_path)}) as trunk:
        first = int((await trunk.call("fake.pid")).text)
        os.kill(first, signal.SIGKILL)
        second = None
        while second is None:
            try:
                second = int((await trunk.call("fake.pid", timeout=10)).text)
            except trunkline.OutcomeUnknownError:
                continue
        assert second != first
