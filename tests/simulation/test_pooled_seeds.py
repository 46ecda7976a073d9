"""A server with several unreliable connections under random calls and leases: what always holds."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest

import trunkline
from trunkline.core.events import MemberChanged, ServerChanged
from trunkline.supervision.states import TABLE
from trunkline.testing import FakeServer
from trunkline.testing.virtual_time import VirtualTimeLoop

SEEDS = 48
Receive = Callable[[], Awaitable[bytes]]
Send = Callable[[bytes], None]


class Unreliable:
    """Each connection of it counts its own calls, and may end at any moment until it is healed."""

    def __init__(self, family: str, chance: random.Random) -> None:
        self.at_once = self.most_at_once = 0
        self.executed: Counter[int] = Counter()
        self.running = self.most_running = 0
        self._family = family
        self._chance = chance
        self._healed = False

    def heal(self) -> None:
        self._healed = True

    async def serve(self, receive: Receive, send: Send) -> None:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        serving = asyncio.ensure_future(self._make().serve(receive, send))
        try:
            way = "well" if self._healed else self._chance.choice(("well", "dies", "slow", "exits"))
            if way == "exits":
                return
            longest = {"well": None, "dies": 3, "slow": 40}[way]
            await asyncio.wait({serving}, timeout=longest and self._chance.uniform(0, longest))
        finally:
            self.at_once -= 1
            serving.cancel()
            await asyncio.wait({serving})

    def _make(self) -> FakeServer:
        fake = FakeServer(eras=[self._family])
        own: list[int] = []

        @fake.tool("count")
        async def count(arguments: dict[str, Any]) -> dict[str, Any]:
            self.executed[arguments["id"]] += 1
            self.running += 1
            self.most_running = max(self.most_running, self.running)
            try:
                await asyncio.sleep(arguments["delay"])
            finally:
                self.running -= 1
            own.append(arguments["id"])
            return {"seen": own[-2:]}

        return fake


class Play:
    """Callers and holders of leases against one server."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.server = Unreliable(self.chance.choice(("legacy", "modern")), self.chance)
        self.told: list[Any] = []
        self.most = self.chance.randrange(1, 4)
        self.limit = self.chance.choice((0, 1, 2, 3))
        self.numbers = iter(range(1, 1_000_000))

    @property
    def policy(self) -> dict[str, Any]:
        pool = {
            "min": self.chance.randrange(0, self.most + 1),
            "max": self.most,
            "max_idle": self.chance.choice((0, 1, 20)),
        }
        server = {"pool": pool, "max_concurrency": self.limit, "lazy": self.chance.random() < 0.3}
        return {"servers": {"fake": server}, "defaults": {"connect": 5}}

    async def call(self, one: Any) -> Any:
        loop, number = asyncio.get_running_loop(), next(self.numbers)
        timeout, started = self.chance.uniform(0.1, 20), loop.time()
        arguments = {"id": number, "delay": self.chance.expovariate(1 / 2)}
        outcome: Any
        try:
            outcome = (await one.call("fake.count", arguments, timeout=timeout)).value["seen"]
        except trunkline.CallError as error:
            outcome = (type(error).__name__, error.code, error.delivery)
            if error.delivery == "never_sent":
                assert self.server.executed[number] == 0
        assert self.server.executed[number] <= 1
        assert loop.time() - started <= timeout + 0.05
        self.told.append((round(loop.time(), 6), number, outcome))
        return outcome

    async def caller(self, trunk: trunkline.Trunk) -> None:
        for _ in range(self.chance.randrange(1, 6)):
            await asyncio.sleep(self.chance.expovariate(1 / 5))
            await self.call(trunk)

    async def holder(self, trunk: trunkline.Trunk) -> None:
        await asyncio.sleep(self.chance.expovariate(1 / 10))
        try:
            async with trunk.lease("fake", timeout=self.chance.uniform(1, 30)) as one:
                last = None
                for _ in range(3):
                    outcome = await self.call(one)
                    if not isinstance(outcome, list):
                        continue
                    # Between two calls of a holder nobody else's comes.
                    assert last is None or outcome[0] == last
                    last = outcome[-1]
        except trunkline.CallError as error:
            self.told.append((type(error).__name__, error.code))

    async def run(self) -> list[Any]:
        async with trunkline.connect({"fake": self.server}, policy=self.policy) as trunk:
            members, whole = trunk.events(MemberChanged), trunk.events(ServerChanged)
            async with asyncio.timeout(3600), asyncio.TaskGroup() as group:
                for _ in range(self.chance.randrange(1, 8)):
                    group.create_task(self.caller(trunk))
                for _ in range(self.chance.randrange(0, 3)):
                    group.create_task(self.holder(trunk))
            self.server.heal()
            await asyncio.sleep(100)
            reply = await trunk.call("fake.count", {"id": 0, "delay": 0}, timeout=10)
            assert reply.value["seen"][-1] == 0
            status = trunk.status()["fake"]
            assert (status.waiting, [one.calls for one in status.members if one.calls or one.leased]) == (
                0,
                [],
            )
        async for change in members:
            assert change.state in TABLE[change.before].values()
        assert self.server.at_once == 0
        assert self.server.most_at_once <= self.most
        if self.limit:
            assert self.server.most_running <= self.limit + self.most
        return [*self.told, *[(one.before, one.state) async for one in whole]]


def run(lots: Any, seed: int) -> list[Any]:
    with (
        lots(seed),
        asyncio.Runner(loop_factory=lambda: VirtualTimeLoop(seed=seed)) as runner,
    ):
        return runner.run(Play(seed).run())


@pytest.mark.parametrize("block", range(8))
def test_no_call_runs_twice_or_too_long_and_no_one_comes_between_a_holders_calls(
    block: int, each_seed: Any, lots: Any
):
    each_seed(partial(run, lots), range(block, SEEDS, 8))


@pytest.mark.parametrize("seed", [3, 14, 15])
def test_a_seed_of_a_pool_gives_the_same_every_time(seed: int, lots: Any):
    assert run(lots, seed) == run(lots, seed)


@pytest.mark.soak
def test_the_same_holds_of_pools_for_a_thousand_seeds(each_seed: Any, lots: Any):
    each_seed(partial(run, lots), range(SEEDS, 1_000))
