"""Three replicas in processes of their own behind toxic proxies, over real sockets and in real time.

`test_faulty_replicas`, `test_killed_replicas` and `test_hedging` do the same on virtual time.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import math
import os
import random
import signal
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest

import trunkline
from trunkline.testing import Account, FakeServer, Toxic, ToxicProxy
from trunkline.testing.server_process import ServerProcess

pytestmark = [pytest.mark.anyio, pytest.mark.soak]

RATE = 300
"""Calls a second; of fewer, the retries that are free of the budget are a greater part."""
FAULTS = (Toxic.reset(), Toxic.reset(-1, way="up"), Toxic.cut(60), Toxic.http_status(503))


class Site:
    """A runtime on three replicas, their processes and the proxies before them."""

    def __init__(
        self, trunk: trunkline.Trunk, processes: list[ServerProcess], proxies: list[ToxicProxy]
    ) -> None:
        self.trunk = trunk
        self.processes = processes
        self.proxies = proxies
        self.account = Account()
        self.taken: list[float] = []
        self.repeated = 0
        self._numbers = itertools.count()

    @property
    def exchanges(self) -> int:
        return sum(proxy.toxics.exchanges for proxy in self.proxies)

    async def read(self, calls: int, rate: float = RATE) -> float:
        """Make so many calls, so many each second; give the part that was answered."""
        self.taken.clear()
        loop = asyncio.get_running_loop()
        begun = loop.time()
        async with asyncio.TaskGroup() as group:
            for number in range(calls):
                group.create_task(self._read_one())
                await asyncio.sleep(max(0.0, begun + number / rate - loop.time()))
        self.taken.sort()
        return len(self.taken) / calls

    async def _read_one(self) -> None:
        number, loop = next(self._numbers), asyncio.get_running_loop()
        begun = loop.time()
        outcome: trunkline.Reply | trunkline.CallError
        try:
            outcome = await self.trunk.call("db.get", {"n": number}, timeout=30)
            self.taken.append(loop.time() - begun)
        except trunkline.CallError as error:
            outcome = error
        self.repeated += outcome.attempts - 1
        self.account.note(number, outcome)


@asynccontextmanager
async def site(**rules: Any) -> AsyncIterator[Site]:
    async with AsyncExitStack() as stack:
        processes: list[ServerProcess] = []
        proxies: list[ToxicProxy] = []
        for _ in range(3):
            server = FakeServer("db", eras=["modern"], ttl_ms=3_600_000)
            server.tool("get", delay=0.005, returns="row")
            process = stack.enter_context(ServerProcess())
            port = urlsplit(process.serve(server, "json")).port or 0
            proxies.append(await stack.enter_async_context(ToxicProxy(port)))
            processes.append(process)
        first, *others = [proxy.url() for proxy in proxies]
        policy = {
            "servers": {"db": {"replicas": others, **rules}},
            "tools": {"db.get": {"read_only": True}},
        }
        trunk = await stack.enter_async_context(trunkline.connect({"db": {"url": first}}, policy=policy))
        await trunk.ready()
        async with asyncio.timeout(30):
            while not all(one.state == "ready" for one in trunk.status()["db"].members):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        yield Site(trunk, processes, proxies)


def report(**figures: Any) -> None:
    """Show what was measured, where somebody asks for it with `-s`."""
    print(json.dumps(figures))


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("share", "success", "most"), [(0.05, 0.9995, 1.15), (0.1, 0.998, 1.15), (0.2, 0.97, 1.25)]
)
async def test_reads_survive_faults_and_few_more_requests_are_made(share: float, success: float, most: float):
    async with site() as db:
        for proxy in db.proxies:
            for fault in FAULTS:
                proxy.toxics.add(fault, share=1 - (1 - share) ** (1 / len(FAULTS)))
        before = db.exchanges
        answered = await db.read(6_000)
        exchanges = (db.exchanges - before) / 6_000
    amplification = 1 + db.repeated / 6_000
    report(faults=share, answered=answered, amplification=amplification, exchanges=exchanges)
    assert answered >= success
    assert amplification <= most


@pytest.mark.timeout(600)
@pytest.mark.parametrize("strategy", ["least_loaded", "latency", "failover", "weighted"])
async def test_a_replica_whose_process_is_killed_is_known_by_its_first_failures_and_tried_once_a_second(
    strategy: str,
):
    tried: list[float] = []
    known = math.inf
    async with site(route={"strategy": strategy}) as db:
        loop, victim = asyncio.get_running_loop(), db.proxies[0]

        def note() -> tuple[Toxic, ...]:
            tried.append(loop.time())
            return ()

        def kill() -> None:
            os.kill(db.processes[0].pid, signal.SIGKILL)
            victim.draw = note

        async def watch() -> None:
            nonlocal known
            while db.trunk.status()["db"].members[0].healthy:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
            known = loop.time()

        loop.call_later(5, kill)
        watching = asyncio.ensure_future(watch())
        answered = await db.read(2_000, 100)
        await watching
    # What was on its way by then is not asked anew.
    later = [moment for moment in tried if moment > known + 0.5]
    apart = min((after - before for before, after in itertools.pairwise(later)), default=None)
    after = known - tried[0]
    report(strategy=strategy, answered=answered, repeated=db.repeated, known_after=after, apart=apart)
    assert answered >= 0.999
    assert apart is None or apart >= 0.99


@pytest.mark.timeout(600)
async def test_a_fleet_slow_in_one_of_a_hundred_calls_is_as_quick_as_one_that_is_not() -> None:
    calls, chance, rate = 3_000, random.Random(1), 30
    async with site(trust=True, hedge={"share": 0.02}) as db:

        def hinder() -> Iterable[Toxic]:
            # Most answers come from memory, some from a disk, and a few hang.
            draw = chance.random()
            return (Toxic.latency(6.0 if draw < 0.0125 else 0.4 if draw < 0.15 else 0.05),)

        for proxy in db.proxies:
            proxy.draw = hinder
        await db.read(600, rate)  # until it knows what slow is
        exchanges = db.repeated
        answered = await db.read(calls, rate)
        extra = (db.repeated - exchanges) / calls
        p95, p99 = (db.taken[int(part * len(db.taken))] for part in (0.95, 0.99))
    report(p95=p95, p99=p99, ratio=p99 / p95, extra=extra)
    assert answered == 1
    assert p99 <= 1.3 * p95
    assert extra <= 0.02 + 2 / calls
