"""Pools and leases of real processes: each connection is one, and ends when it is not needed."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

import trunkline
from trunkline.testing import FakeServer

pytestmark = pytest.mark.anyio


def entry(folder: Path) -> dict[str, object]:
    server = FakeServer()
    server.tool("pid", reports="pid")
    server.tool("work", reports="pid", delay=1.5)
    return server.to_stdio_entry(folder)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - seen from outside only
            await asyncio.sleep(0.005)


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


async def test_calls_at_the_same_time_run_in_processes_that_end_when_idle(tmp_path: Path):
    policy = {"servers": {"fake": {"pool": {"max": 2, "max_idle": 0.2}}}}
    async with trunkline.connect({"fake": entry(tmp_path)}, policy=policy) as trunk:
        home = int((await trunk.call("fake.pid")).text)
        pids = {int((await call).text) for call in [trunk.start("fake.work") for _ in range(2)]}
        assert home in pids
        (other,) = pids - {home}
        await until(lambda: gone(other))
        assert int((await trunk.call("fake.pid")).text) == home
        assert trunk.status()["fake"].restarts == 0
    assert gone(home)


async def test_a_killed_process_ends_the_lease_of_it_and_nothing_else(tmp_path: Path):
    policy = {"servers": {"fake": {"pool": {"min": 2}}}}
    async with trunkline.connect({"fake": entry(tmp_path)}, policy=policy) as trunk:
        await trunk.ready()
        await until(lambda: all(one.state == "ready" for one in trunk.status()["fake"].members))
        async with trunk.lease("fake") as one:
            leased = int((await one.call("pid")).text)
            others = int((await trunk.call("fake.pid")).text)
            assert leased != others
            os.kill(leased, signal.SIGKILL)
            await until(lambda: one.lost)
            with pytest.raises(trunkline.LeaseLostError) as caught:
                await one.call("pid")
            assert caught.value.delivery == "never_sent"
            assert int((await trunk.call("fake.pid")).text) == others
        await until(lambda: all(one.state == "ready" for one in trunk.status()["fake"].members))
