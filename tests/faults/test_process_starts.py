"""Starting and ending a child process, cut short at every turn of the loop."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from trunkline.errors import OutcomeUnknownError, UnavailableError
from trunkline.testing import FakeServer
from trunkline.transport.link import Request
from trunkline.transport.stdio import StdioTransport

pytestmark = pytest.mark.anyio

SLEEPER = """
import signal, sys, time
if len(sys.argv) > 1:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
time.sleep(600)
"""
PARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(child.pid, file=sys.stderr, flush=True)
{then}
"""


def sleeper(*arguments: str, **settings: Any) -> StdioTransport:
    return StdioTransport(server="s", command=sys.executable, args=("-c", SLEEPER, *arguments), **settings)


def descriptors() -> set[str]:
    return set(os.listdir("/proc/self/fd"))


def children() -> set[str]:
    return {pid for path in Path("/proc/self/task").glob("*/children") for pid in path.read_text().split()}


@pytest.mark.usefixtures("watched")
@pytest.mark.parametrize("turns", range(16))
async def test_a_start_cancelled_at_any_turn_leaves_no_process_and_no_descriptor(turns: int, until: Any):
    before, born = descriptors(), children()
    opening = asyncio.create_task(sleeper().open())
    for _ in range(turns):
        await asyncio.sleep(0)
    opening.cancel()
    try:
        link = await opening
    except asyncio.CancelledError:
        pass
    else:
        await link.close()
    await until(lambda: descriptors() == before and children() == born)


@pytest.mark.parametrize("turns", range(0, 12, 2))
async def test_a_closing_cancelled_at_any_turn_goes_on_and_the_process_ends(turns: int, is_alive: Any):
    link = await sleeper("stubborn", grace=0.05).open()
    pid = link.pid
    closing = asyncio.create_task(link.close())
    for _ in range(turns):
        await asyncio.sleep(0)
    closing.cancel()
    await asyncio.wait({closing})
    await link.close()
    assert not is_alive(pid)


async def test_closing_from_many_tasks_at_once_is_one_closing(is_alive: Any):
    link = await sleeper(grace=0.05).open()
    await asyncio.gather(*(link.close() for _ in range(10)))
    await link.close()
    assert not is_alive(link.pid)


@pytest.mark.parametrize("then", ["sys.exit(3)", "time.sleep(600)"], ids=["parent exits", "parent stays"])
async def test_what_a_server_left_behind_in_its_group_ends_with_it(then: str, until: Any, is_alive: Any):
    link = await StdioTransport(
        server="s", command=sys.executable, args=("-c", PARENT.format(then=then)), grace=0.2
    ).open()
    grandchild = int(await until(link.stderr_tail))
    assert is_alive(grandchild)
    if then.startswith("sys"):
        assert "code 3" in await link.wait_closed()
    await link.close()
    await until(lambda: not is_alive(grandchild))


async def test_a_server_stopped_by_a_signal_is_ended_on_closing(is_alive: Any):
    link = await sleeper(grace=0.1).open()
    os.kill(link.pid, signal.SIGSTOP)
    async with asyncio.timeout(3):
        await link.close()
    assert not is_alive(link.pid)


def request(link: Any, body: bytes = b"{}") -> Request:
    from trunkline.core.call import Flight

    return Request(id=link.next_id(), method="tools/call", body=body, flight=Flight(0.0))


async def test_a_request_after_the_server_closed_its_input_was_never_sent(until: Any):
    script = "import os,sys,time\nos.close(0)\nprint('closed', file=sys.stderr, flush=True)\ntime.sleep(600)"
    link = await StdioTransport(server="s", command=sys.executable, args=("-c", script), grace=0.05).open()
    try:
        await until(lambda: not link._input_open)
        one = request(link)
        with pytest.raises(UnavailableError) as caught:
            await link.request(one)
        assert (caught.value.delivery, one.flight.delivery) == ("never_sent", "never_sent")
    finally:
        await link.close()


async def test_requests_in_flight_when_the_link_is_closed_are_unknown_and_later_ones_never_sent():
    link = await sleeper(grace=0.05).open()
    waiting = asyncio.create_task(link.request(request(link)))
    await asyncio.sleep(0)
    await link.close()
    with pytest.raises(OutcomeUnknownError):
        await waiting
    with pytest.raises(UnavailableError) as caught:
        await link.request(request(link))
    assert caught.value.delivery == "never_sent"
    await link.notify(b"{}")


async def test_a_flood_on_stderr_never_blocks_the_server_and_only_its_tail_is_kept(tmp_path: Path):
    import trunkline

    server = FakeServer()
    server.tool("echo", reports="arguments")
    entry = server.to_stdio_entry(tmp_path, stderr_flood=20_000_000)
    async with trunkline.connect({"fake": entry}) as trunk:
        assert (await trunk.call("fake.echo", {"n": 1}, timeout=20)).value == {"n": 1}
        tail = trunk._fleet.get("fake").connection.link.stderr_tail()
    assert 0 < len(tail.splitlines()) <= 20
    assert len(tail) <= 20 * 2_000
