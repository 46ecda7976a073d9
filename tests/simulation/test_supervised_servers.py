"""A server with random faults under random calls, on virtual time: what always holds, from 200 seeds."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest

import trunkline
from trunkline.core.events import ServerChanged
from trunkline.supervision.states import TABLE
from trunkline.testing import FakeServer
from trunkline.testing.virtual_time import VirtualTimeLoop

SEEDS = 200
WAYS = ("well", "exits", "dies", "freezes", "babbles", "mute")
Receive = Callable[[], Awaitable[bytes]]
Send = Callable[[bytes], None]


class Unreliable:
    """A fake server that, each time it is connected to, has a way of its own to fail, until it is healed."""

    def __init__(self, family: str, chance: random.Random) -> None:
        self.fake = FakeServer(eras=[family])
        self.fake.tool("echo", reports="arguments")
        self.fake.tool("slow", delay=3, returns="done")
        self.lives = self.at_once = self.most_at_once = 0
        self._chance = chance
        self._ways = chance.choice((WAYS, ("dies",)))
        self._longest = chance.choice((1, 90))
        self._healed = False

    def heal(self) -> None:
        self._healed = True

    async def serve(self, receive: Receive, send: Send) -> None:
        self.lives += 1
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await self._fail(receive, send)
        finally:
            self.at_once -= 1

    async def _fail(self, receive: Receive, send: Send) -> None:
        way = "well" if self._healed else self._chance.choice(self._ways)
        if way == "exits":
            return
        if way == "mute":
            await asyncio.sleep(self._chance.uniform(1, 200))
            return
        if way == "babbles":
            send(b"this is no JSON")
        frozen = asyncio.Event()

        def answer(frame: bytes) -> None:
            if not frozen.is_set():
                send(frame)

        serving = asyncio.ensure_future(self.fake.serve(receive, answer))
        try:
            if way == "dies":
                await asyncio.wait({serving}, timeout=self._chance.uniform(0, self._longest))
                return
            if way == "freezes":
                await asyncio.wait({serving}, timeout=self._chance.uniform(0, self._longest))
                frozen.set()
            await serving
        finally:
            serving.cancel()
            await asyncio.wait({serving})


async def play(seed: int) -> list[Any]:
    """Give all that happened, for what always holds to be looked up in."""
    chance = random.Random(seed)
    family = chance.choice(("legacy", "modern"))
    server = Unreliable(family, chance)
    loop = asyncio.get_running_loop()
    told: list[Any] = []
    policy = {"defaults": {"connect": 5, "health_check_interval": chance.choice((2, 10, 30))}}
    async with trunkline.connect({"fake": server}, policy=policy) as trunk:
        watch = trunk.events(ServerChanged)

        async def caller(number: int) -> None:
            for _ in range(chance.randrange(1, 6)):
                await asyncio.sleep(chance.expovariate(1 / 10))
                tool, timeout = chance.choice(("echo", "slow")), chance.uniform(0.1, 20)
                started = loop.time()
                try:
                    outcome: Any = (await trunk.call(f"fake.{tool}", {"n": number}, timeout=timeout)).text
                except trunkline.CallError as error:
                    outcome = (type(error).__name__, error.code, error.delivery)
                assert loop.time() - started <= timeout + 0.05
                told.append((round(loop.time(), 6), number, tool, outcome))

        async def restarter() -> None:
            for _ in range(chance.randrange(0, 4)):
                await asyncio.sleep(chance.expovariate(1 / 15))
                try:
                    report = await trunk.restart("fake", grace=chance.choice((0, 1, 5)))
                    told.append((round(loop.time(), 6), report.finished, report.cut))
                except trunkline.CallError as error:
                    told.append((round(loop.time(), 6), type(error).__name__, error.code))

        async with asyncio.timeout(3600), asyncio.TaskGroup() as group:
            if chance.random() < 0.5:
                group.create_task(restarter())
            for number in range(chance.randrange(1, 8)):
                group.create_task(caller(number))
        server.heal()
        async with asyncio.timeout(300):
            while trunk.status()["fake"].state != "ready":  # noqa: ASYNC110 - looked at from outside
                await asyncio.sleep(1)
        # It may have become ready before it was healed, and be frozen: that is noticed in time.
        await asyncio.sleep(100)
        assert trunk.status()["fake"].state == "ready"
        assert (await trunk.call("fake.echo", {"n": -1}, timeout=5)).value == {"n": -1}
    changes = [event async for event in watch]
    assert watch.dropped == 0
    for change in changes:
        assert change.state in TABLE[change.before].values()
    for before, following in itertools.pairwise(changes):
        assert following.before == before.state
    assert changes[-1].state == "stopped"
    assert server.most_at_once <= 1
    assert server.at_once == 0
    return [*told, *((change.before, change.state, change.reason) for change in changes), server.lives]


def run(lots: Any, seed: int) -> list[Any]:
    with (
        lots(seed),
        asyncio.Runner(loop_factory=lambda: VirtualTimeLoop(seed=seed)) as runner,
    ):
        return runner.run(play(seed))


@pytest.mark.parametrize("block", range(8))
def test_calls_end_in_time_and_a_healed_server_comes_back(block: int, each_seed: Any, lots: Any):
    each_seed(partial(run, lots), range(block, SEEDS, 8))


@pytest.mark.parametrize("seed", [3, 14, 159])
def test_a_seed_gives_the_same_every_time(seed: int, lots: Any):
    assert run(lots, seed) == run(lots, seed)


@pytest.mark.soak
def test_the_same_holds_for_a_thousand_seeds(each_seed: Any, lots: Any):
    each_seed(partial(run, lots), range(SEEDS, 1_000))
