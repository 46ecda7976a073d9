"""What limits are for: a server that is asked for three times as much as it can do still does what it can."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any
from urllib.parse import urlsplit

import pytest

import trunkline
from trunkline.core.call import Call, Flight
from trunkline.core.limit import LimitSettings
from trunkline.core.principal import Principal
from trunkline.core.reply import Reply
from trunkline.errors import DeadlineExceededError, RejectedError
from trunkline.pipeline.adaptive_limit import AdaptiveLimit
from trunkline.pipeline.deadline import Deadline
from trunkline.pipeline.limit import Limit, Limiter
from trunkline.pipeline.service import Service, stack
from trunkline.testing import FakeServer, Toxic, ToxicProxy
from trunkline.testing.virtual_time import VirtualTimeLoop

SLOTS = 4
SECONDS = 0.2
CAPACITY = SLOTS / SECONDS
"""Calls a second."""
LASTS = 30.0


class Server:
    """Works on `slots` calls at a time; more of them wait for each other, and cost it time besides."""

    def __init__(self, slots: int = SLOTS) -> None:
        self.slots = slots
        self.done = 0
        self._free: asyncio.Queue[None] = asyncio.Queue()
        self._present = 0
        for _ in range(slots):
            self._free.put_nowait(None)

    async def __call__(self, call: Call) -> Reply:
        call.flight.attempts += 1
        await self.work()
        return Reply(raw={}, server="s", tool="s.t")

    async def work(self) -> None:
        self._present += 1
        try:
            await self._free.get()
            try:
                crowd = max(0, self._present - 4 * self.slots)
                await asyncio.sleep(SECONDS * (1 + crowd / (4 * self.slots)))
            finally:
                self._free.put_nowait(None)
        finally:
            self._present -= 1
        self.done += 1


class Tally:
    """What became of the calls that were offered."""

    def __init__(self) -> None:
        self.good = self.rejected = self.late = 0
        self.seconds = 0.0
        """From the first call to the end of the last."""
        self.waits: list[float] = []
        """Seconds until a call was turned away."""
        self.by_principal: dict[str, int] = {}

    @property
    def goodput(self) -> float:
        """What was answered in time, as a part of what the server can do in that time."""
        return self.good / (CAPACITY * self.seconds)


PATIENCE = 3.0
Ask = Callable[[str], Awaitable[object]]
"""Makes one call on behalf of a principal."""


def ask_of(service: Service) -> Ask:
    return lambda principal: service(make_call(principal, asyncio.get_running_loop().time() + PATIENCE))


def ask_of_trunk(trunk: trunkline.Trunk) -> Ask:
    async def ask(principal: str) -> None:
        with trunk.acting_as(Principal(name=principal)):
            await trunk.call("s.work", timeout=PATIENCE)

    return ask


async def offer(ask: Ask, per_second: float, principals: list[str]) -> Tally:
    """Offer calls for as long as `LASTS`, and wait for their ends."""
    loop, tally = asyncio.get_running_loop(), Tally()
    begun = loop.time()

    async def one(principal: str) -> None:
        asked = loop.time()
        try:
            await ask(principal)
        except RejectedError:
            tally.rejected += 1
            tally.waits.append(loop.time() - asked)
        except DeadlineExceededError:
            tally.late += 1
        else:
            tally.good += 1
            tally.by_principal[principal] = tally.by_principal.get(principal, 0) + 1

    async with asyncio.TaskGroup() as group:
        for at in range(int(LASTS * per_second)):
            group.create_task(one(principals[at % len(principals)]))
            await asyncio.sleep(max(0.0, begun + (at + 1) / per_second - loop.time()))
    tally.seconds = loop.time() - begun
    return tally


def make_call(principal: str, deadline: float) -> Call:
    return Call(
        id="c",
        server="s",
        name="t",
        public_name="s.t",
        arguments={},
        principal=Principal(name=principal),
        deadline=deadline,
        idle=1e9,
        flight=Flight(asyncio.get_running_loop().time()),
    )


def run(body: Callable[[], Coroutine[Any, Any, None]]) -> None:
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(body())


@pytest.mark.parametrize(
    "settings",
    [LimitSettings(concurrency=SLOTS, queue=20), LimitSettings(adaptive=True, queue=20)],
    ids=["fixed", "adaptive"],
)
def test_three_times_overload_for_half_a_minute_leaves_nine_tenths_of_the_capacity(
    settings: LimitSettings,
) -> None:
    async def body() -> None:
        limiter = Limiter(settings)
        service = stack([Deadline(), Limit(limiters=(limiter,))], Server())
        tally = await offer(ask_of(service), 3 * CAPACITY, ["a", "b", "c"])
        assert tally.goodput >= 0.9
        assert tally.rejected > CAPACITY * LASTS
        assert tally.late <= 0.01 * tally.good
        assert max(tally.waits) <= 0.005
        assert (limiter.status().running, limiter.status().waiting) == (0, 0)

    run(body)


def policy(settings: LimitSettings) -> dict[str, Any]:
    return {"servers": {"s": {"limit": settings, "health_check_interval": 0}}}


def working() -> tuple[FakeServer, Server]:
    """Give a server to connect to, and what its tool works on."""
    server, worker = FakeServer("s", eras=["modern"], keep=10), Server()
    server.tool("work")(worker.work)
    return server, worker


def test_so_does_the_same_through_a_whole_runtime_and_the_server_has_done_what_was_answered() -> None:
    async def body() -> None:
        server, worker = working()
        limits = policy(LimitSettings(concurrency=SLOTS, queue=20))
        async with trunkline.connect({"s": server}, policy=limits) as trunk:
            await trunk.ready()
            tally = await offer(ask_of_trunk(trunk), 3 * CAPACITY, ["a", "b", "c"])
            status = trunk.status()["s"]
        assert tally.goodput >= 0.9
        assert tally.late == 0
        assert tally.good + tally.rejected == int(3 * CAPACITY * LASTS)
        assert tally.good == worker.done
        assert max(tally.waits) <= 0.005
        assert (status.waiting, status.breaker) == (0, "closed")

    run(body)


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_the_same_holds_over_http_in_real_time() -> None:
    async def body() -> tuple[Tally, Server]:
        server, worker = working()
        limits = policy(LimitSettings(concurrency=SLOTS, queue=20))
        async with (
            server.http() as url,
            ToxicProxy(urlsplit(url).port or 0) as proxy,
            trunkline.connect({"s": {"url": proxy.url()}}, policy=limits) as trunk,
        ):
            proxy.toxics.add(Toxic.latency(0.002))
            await trunk.ready()
            return await offer(ask_of_trunk(trunk), 3 * CAPACITY, ["a", "b", "c"]), worker

    tally, worker = asyncio.run(body())
    assert tally.goodput >= 0.9
    assert tally.good == worker.done
    assert sorted(tally.waits)[int(0.99 * len(tally.waits))] <= 0.005


def test_without_a_limit_the_same_overload_leaves_next_to_nothing() -> None:
    async def body() -> None:
        tally = await offer(ask_of(stack([Deadline()], Server())), 3 * CAPACITY, ["a", "b", "c"])
        assert tally.goodput < 0.5

    run(body)


def test_a_principal_that_offers_ten_times_as_much_gets_no_more_than_its_share() -> None:
    async def body() -> None:
        limiter = Limiter(LimitSettings(concurrency=SLOTS, queue=20))
        service = stack([Deadline(), Limit(limiters=(limiter,))], Server())
        tally = await offer(ask_of(service), 3 * CAPACITY, ["greedy"] * 10 + ["modest", "other"])
        offered = int(LASTS * 3 * CAPACITY) // 12
        assert tally.by_principal["modest"] >= 0.98 * offered
        assert tally.by_principal["other"] >= 0.98 * offered

    run(body)


class Machine:
    """A server of so many slots, as a formula: what calls take when so many are there."""

    def __init__(self, slots: float, seconds: float = 0.2) -> None:
        self.slots = slots
        self.seconds = seconds
        self.dice = random.Random(1)

    def latency(self, present: int) -> float:
        return self.seconds * max(1.0, present / self.slots) * self.dice.uniform(0.9, 1.1)


def settle(limit: AdaptiveLimit, machine: Machine, now: float, seconds: float) -> tuple[float, list[int]]:
    """Keep as many calls running as the limit allows; give the time and the limits seen."""
    ends: list[tuple[float, float]] = []
    seen, until = [], now + seconds
    while now < until:
        while len(ends) < limit.limit:
            ends.append((now + machine.latency(len(ends) + 1), now))
        ends.sort()
        now, began = ends[0]
        limit.sample(now, began, len(ends))
        ends.pop(0)
        seen.append(limit.limit)
    return now, seen


@pytest.mark.parametrize("slots", [3, 10, 40])
def test_the_limit_follows_what_the_server_can_do(slots: int) -> None:
    limit, machine = AdaptiveLimit(10, 1, 200), Machine(slots)
    now, seen = settle(limit, machine, 0.0, 100.0)
    tail = sorted(seen[len(seen) // 2 :])
    middle = tail[len(tail) // 2]
    assert 0.9 * slots <= middle <= 2.5 * slots + 3
    machine.slots = slots / 2
    _, seen = settle(limit, machine, now, 150.0)
    tail = sorted(seen[-len(seen) // 4 :])
    assert tail[len(tail) // 2] <= 0.75 * middle + 1


def test_the_limit_shrinks_at_once_when_calls_fail_for_overload_and_stays_within_its_bounds() -> None:
    limit = AdaptiveLimit(100, 5, 100)
    for at in range(200):
        limit.sample(at * 0.2, at * 0.2 - 0.1, 50, overloaded=True)
    assert limit.limit == 5


def test_the_limit_does_not_grow_for_calls_that_nobody_makes() -> None:
    limit = AdaptiveLimit(20, 1, 200)
    for at in range(2000):
        limit.sample(at * 0.05, at * 0.05 - 0.01, 1)
    assert limit.limit <= 20
