"""Each hostile behavior: a typed end by the deadline, free loop, bounded memory, no harm to a sibling."""

from __future__ import annotations

import asyncio
import gc
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import pytest

import trunkline
from trunkline.testing import FakeServer
from trunkline.testing.hostile import HOSTILE, Hostile, hostile_server

pytestmark = pytest.mark.anyio

CAP = 1024 * 1024
DEADLINE = 0.7
POLICY = {"servers": {"hostile": {"limits": {"frame_bytes": CAP}}}, "defaults": {"connect": 20}}
PATIENCE = 20.0
"""Deadline of attacks that must end by themselves long before it."""
LATE = 0.5
"""Seconds past the deadline that a busy test machine may need; the benches hold 50 ms."""
BUSY = 0.4
"""CPU seconds the loop's thread may spend in one turn on a slow machine; an unbounded attack takes many."""

GROWTH = 2 * CAP + 32 * 1024 * 1024
"""Bytes of memory an attack may make this process grow by, at its peak."""

SPOKEN = {"stdio": ("legacy", "modern"), "json": ("modern",), "sse": ("legacy",)}
"""Families that are attacked over each carrier: over HTTP one each, as the reading of answers is the same."""
CASES = [
    pytest.param(one, carrier, family, id=f"{one.id}-{carrier}-{family}")
    for one in HOSTILE
    for carrier in one.carriers
    for family in one.families
    if family in SPOKEN[carrier] or len(one.families) == 1
]


class Meter:
    """The longest turn of the loop, in CPU seconds of its own thread."""

    def __init__(self) -> None:
        self.longest = 0.0

    async def run(self) -> None:
        while True:
            before = time.thread_time()
            await asyncio.sleep(0)
            self.longest = max(self.longest, time.thread_time() - before)
            await asyncio.sleep(0.001)


def peak_memory(*, anew: bool = False) -> int:
    """Give the highest resident size of this process, in bytes; `anew` begins to measure."""
    if anew:
        with open("/proc/self/clear_refs", "w", encoding="ascii") as file:
            file.write("5")
    with open("/proc/self/status", encoding="ascii") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM"))


@contextmanager
def elsewhere() -> Iterator[tuple[str, socket.socket]]:
    """Another origin, and the socket on which a client that fetches it would be seen."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/", listener


def was_connected(listener: socket.socket) -> bool:
    try:
        listener.accept()[0].close()
    except BlockingIOError:
        return False
    return True


class Elsewhere(threading.Thread):
    """Serves a fake over HTTP on a loop of its own, so that its work is not the client's."""

    def __init__(self, server: FakeServer, json: bool) -> None:
        super().__init__(daemon=True)
        self.server, self.json = server, json
        self.url = ""
        self.ready = threading.Event()
        self.loop = asyncio.new_event_loop()
        self.stopped = asyncio.Event()

    def run(self) -> None:
        self.loop.run_until_complete(self._serve())
        self.loop.close()

    async def _serve(self) -> None:
        async with self.server.http(json=self.json) as self.url:
            self.ready.set()
            await self.stopped.wait()


@asynccontextmanager
async def serve(server: FakeServer, one: Hostile, carrier: str, folder: Any) -> AsyncIterator[dict[str, Any]]:
    if carrier == "stdio":
        yield server.to_stdio_entry(folder, **one.process)
        return
    thread = Elsewhere(server, carrier == "json")
    thread.start()
    assert await asyncio.to_thread(thread.ready.wait, 10)
    try:
        yield {"url": thread.url}
    finally:
        thread.loop.call_soon_threadsafe(thread.stopped.set)
        await asyncio.to_thread(thread.join, 10)
        assert not thread.is_alive()


async def attack(trunk: trunkline.Trunk, deadline: float) -> trunkline.Reply | trunkline.CallError:
    started = time.monotonic()
    try:
        return await trunk.call("hostile.attack", timeout=deadline)
    except trunkline.CallError as error:
        return error
    finally:
        assert time.monotonic() - started < deadline + LATE


async def recover(trunk: trunkline.Trunk) -> trunkline.Reply:
    """Call again until it works: the link may have been closed because of the attack, or still be closing."""
    for _ in range(5):
        try:
            return await trunk.call("hostile.echo", {"n": 1}, timeout=10)
        except trunkline.OutcomeUnknownError:
            continue
    raise AssertionError("it never worked again")


def judge(one: Hostile, ended: trunkline.Reply | trunkline.CallError) -> None:
    if one.outcome == "reply":
        assert isinstance(ended, trunkline.Reply), ended
    elif one.outcome == "deadline":
        assert isinstance(ended, trunkline.DeadlineExceededError), ended
        assert ended.delivery == "unknown"
    elif one.outcome == "error":
        assert isinstance(ended, trunkline.CallError), ended
        assert not isinstance(ended, trunkline.DeadlineExceededError)
    assert "\x1b" not in str(ended)


async def keep_calling(trunk: trunkline.Trunk) -> int:
    """Call the sibling until cancelled; give how often it answered."""
    answered = 0
    try:
        while True:
            assert (await trunk.call("sibling.echo", {"n": answered}, timeout=5)).value == {"n": answered}
            answered += 1
            await asyncio.sleep(0.005)
    except asyncio.CancelledError:
        return answered


@pytest.mark.parametrize(("one", "carrier", "family"), CASES)
async def test_a_hostile_server_harms_nobody(one: Hostile, carrier: Any, family: Any, tmp_path: Any):
    sibling = FakeServer("sibling")
    sibling.tool("echo", reports="arguments")
    meter = Meter()
    with elsewhere() as (foreign, listener):
        server = hostile_server(one.id, family=family, cap=CAP, elsewhere=foreign)
        async with (
            serve(server, one, carrier, tmp_path) as entry,
            trunkline.connect({"hostile": entry, "sibling": sibling}, policy=POLICY) as trunk,
        ):
            await trunk.ready("sibling")
            await trunk.ready("hostile")
            gc.collect()
            memory = peak_memory(anew=True)
            metering = asyncio.create_task(meter.run())
            calling = asyncio.create_task(keep_calling(trunk))
            await asyncio.sleep(0)
            ended = await attack(trunk, DEADLINE if one.outcome in ("deadline", "either") else PATIENCE)
            judge(one, ended)
            assert (await recover(trunk)).value == {"n": 1}
            if carrier == "stdio":  # over HTTP the attacker shares this process
                assert peak_memory() - memory < GROWTH
            calling.cancel()
            metering.cancel()
            assert await calling > 0
        assert not was_connected(listener)
    assert meter.longest < BUSY


def test_every_behavior_has_an_id_and_a_title_of_its_own():
    assert len({one.id for one in HOSTILE}) == len({one.title for one in HOSTILE}) == len(HOSTILE)
    assert {f"B{n:02}" for n in range(1, 25)} - {one.id for one in HOSTILE} == {"B22", "B23"}


def test_an_unknown_behavior_is_refused():
    with pytest.raises(KeyError):
        hostile_server("B99")
