"""A child process is the same under asyncio's own loop and under uvloop."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import trunkline
from trunkline.testing import FakeServer, Fault
from trunkline.transport.stdio import StdioTransport

pytest.importorskip("uvloop")
pytestmark = [pytest.mark.anyio, pytest.mark.leaves_open("uvloop keeps descriptors of its own")]

OPEN = "import json,os,sys; sys.stderr.write(json.dumps(sorted(map(int,os.listdir('/proc/self/fd'))))+'\\n')"


@pytest.fixture(params=[False, True], ids=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    return "asyncio", {"use_uvloop": request.param}


def children() -> set[str]:
    return {pid for path in Path("/proc/self/task").glob("*/children") for pid in path.read_text().split()}


def echoing(folder: Path) -> dict[str, Any]:
    server = FakeServer()
    server.tool("echo", reports="arguments")
    server.tool("pid", reports="pid")
    server.tool("work", delay=600, progress=[(1, 2, None), (2, 2, None)])
    server.tool("shut", returns="x")
    server.fault("shut", Fault.close_connection)
    return server.to_stdio_entry(folder)


async def test_a_server_gets_its_three_streams_and_no_other_descriptor_of_ours(until: Any):
    ours, other = os.pipe()
    os.set_inheritable(ours, True)
    try:
        link = await StdioTransport(server="s", command=sys.executable, args=("-c", OPEN)).open()
        seen = json.loads(await until(link.stderr_tail))
        await link.close()
    finally:
        os.close(ours)
        os.close(other)
    # The listing of its descriptors takes one itself.
    assert len(seen) == 4
    assert seen[:3] == [0, 1, 2]


async def test_a_server_that_closes_its_output_and_lives_on_is_noticed(tmp_path: Path):
    async with trunkline.connect({"fake": echoing(tmp_path)}) as trunk:
        with pytest.raises(trunkline.OutcomeUnknownError, match="streams"):
            await trunk.call("fake.shut", timeout=5)
        assert (await trunk.call("fake.echo", {"n": 1})).value == {"n": 1}


@pytest.mark.alone
async def test_a_killed_server_is_noticed_and_started_again(tmp_path: Path):
    async with trunkline.connect({"fake": echoing(tmp_path)}) as trunk:
        for _ in range(3):
            pid = int((await trunk.call("fake.pid")).text)
            running = asyncio.Event()
            call = asyncio.create_task(trunk.call("fake.work", on_progress=lambda _, on=running: on.set()))
            await running.wait()
            killed = time.perf_counter()
            os.kill(pid, signal.SIGKILL)
            with pytest.raises(trunkline.OutcomeUnknownError, match="SIGKILL"):
                await call
            assert time.perf_counter() - killed < 0.25
    assert str(pid) not in children()


async def test_a_thousand_calls_at_once_find_their_own_answers(tmp_path: Path):
    async with trunkline.connect({"fake": echoing(tmp_path)}) as trunk:
        replies = await asyncio.gather(*(trunk.call("fake.echo", {"n": n}) for n in range(1_000)))
    assert [reply.value["n"] for reply in replies] == list(range(1_000))


@pytest.mark.usefixtures("watched")
@pytest.mark.parametrize("turns", range(10))
async def test_a_start_cancelled_at_any_turn_leaves_no_process(turns: int, until: Any):
    born = children()
    sleeper = ("-c", "import time; time.sleep(600)")
    opening = asyncio.create_task(StdioTransport(server="s", command=sys.executable, args=sleeper).open())
    for _ in range(turns):
        await asyncio.sleep(0)
    opening.cancel()
    try:
        link = await opening
    except asyncio.CancelledError:
        pass
    else:
        await link.close()
    await until(lambda: children() == born)


async def test_a_web_socket_is_closed_without_an_error():
    server = FakeServer()
    server.tool("echo", reports="arguments")
    async with server.websocket() as url, trunkline.connect({"fake": {"url": url}}) as trunk:
        assert (await trunk.call("fake.echo", {"n": 1})).value == {"n": 1}
