"""A store that fails and a server that is another one in every run, at random: what always holds."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest

import trunkline
from trunkline.config.loading import load
from trunkline.connection.workers import Workers
from trunkline.runtime import assembly
from trunkline.runtime.recollection import recollect
from trunkline.store.port import MemoryStore
from trunkline.testing import FakeServer
from trunkline.testing.virtual_time import VirtualTimeLoop
from trunkline.transport.memory import MemoryTransport

SEEDS = 200
RUNS = 3
NAMES = tuple("abcdef")
ENTRY = {"command": "sh", "args": ["-c", "a server that is never started"]}
NEWER = b'{"version":99}'
"""What a newer version wrote; it is left as it is."""
Receive = Callable[[], Awaitable[bytes]]
Send = Callable[[bytes], None]


class Unreliable(MemoryStore):
    """A store that fails, forgets, and gives back what was never put."""

    def __init__(self, chance: random.Random) -> None:
        super().__init__()
        self.sick = False
        self.failed = False
        self._chance = chance

    def get(self, key: str) -> bytes | None:
        found = super().get(key)
        match self._fate():
            case "fails":
                raise OSError("the disk is gone")
            case "forgets":
                return None
            case "spoils" if found is not None:
                return self._spoil(found)
        return found

    def put(self, key: str, value: bytes) -> None:
        match self._fate():
            case "fails":
                raise OSError("the disk is full")
            case "forgets":
                return
            case "spoils":
                value = self._spoil(value)
        super().put(key, value)

    def _fate(self) -> str:
        fate = self._chance.choice(("well", "well", "fails", "forgets", "spoils")) if self.sick else "well"
        self.failed |= fate != "well"
        return fate

    def _spoil(self, value: bytes) -> bytes:
        cut = self._chance.randrange(len(value) + 1)
        return self._chance.choice((value[:cut], b"", b"\xff" + value, NEWER, b'{"version":1}'))


class Changing:
    """A server whose family, tools and health are drawn anew for every run."""

    def __init__(self, chance: random.Random) -> None:
        self.tools: tuple[str, ...] = ()
        self.open = 0
        self._chance = chance
        self._family = "legacy"
        self._healed = False

    def change(self) -> None:
        self.tools = tuple(self._chance.sample(NAMES, self._chance.randrange(1, len(NAMES))))
        self._family = self._chance.choice(("legacy", "modern"))
        self._healed = False

    def heal(self) -> None:
        self._healed = True

    async def serve(self, receive: Receive, send: Send) -> None:
        self.open += 1
        fake = FakeServer("changing", eras=[self._family])
        for name in self.tools:
            fake.tool(name, returns=name)
        serving = asyncio.ensure_future(fake.serve(receive, send))
        try:
            fate = "well" if self._healed else self._chance.choice(("well", "exits", "dies", "slow"))
            if fate == "exits":
                return
            if fate == "slow":
                await asyncio.sleep(self._chance.uniform(0, 10))
            longest = self._chance.uniform(0, 5) if fate == "dies" else None
            await asyncio.wait({serving}, timeout=longest)
        finally:
            self.open -= 1
            serving.cancel()
            await asyncio.wait({serving})


class Play:
    """One server and one store, over several runs."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.store = Unreliable(self.chance)
        self.server = Changing(self.chance)
        self.told: list[Any] = []
        self.ever: set[str] = set()
        self.policy: dict[str, Any] = {
            "defaults": {
                "connect": 8,
                "lazy": self.chance.random() < 0.2,
                "pool": {"max": self.chance.choice((1, 1, 2))},
            }
        }

    async def run(self) -> list[Any]:
        for _ in range(RUNS):
            self.server.change()
            self.store.sick = self.chance.random() < 0.5
            self.store.failed = False
            before = frozenset(self.ever)
            self.ever |= set(self.server.tools)
            async with trunkline.connect({"one": ENTRY}, store=self.store, policy=self.policy) as trunk:
                await self.use(trunk, before)
                self.server.heal()
                if self.chance.random() < 0.3:
                    continue  # left before anything is certain
                await asyncio.sleep(120)
                await self.check_truth(trunk)
            self.store.sick = False
            if not self.store.failed and NEWER not in self.store.kept.values():
                self.check_memory()
        assert self.server.open == 0
        return self.told

    async def use(self, trunk: trunkline.Trunk, before: frozenset[str]) -> None:
        """Call while the server is sick; nobody is told of a missing tool because of what is remembered."""
        async with asyncio.TaskGroup() as group:
            for _ in range(self.chance.randrange(1, 5)):
                group.create_task(self.call(trunk))
            for _ in range(5):
                await asyncio.sleep(self.chance.expovariate(1))
                for tool in trunk.catalog.tools:
                    assert tool.name in (before if tool.stale else self.server.tools)

    async def call(self, trunk: trunkline.Trunk) -> None:
        await asyncio.sleep(self.chance.expovariate(1))
        name = self.chance.choice(NAMES)
        asked = self.chance.choice((f"one.{name}", name))
        try:
            outcome: Any = (await trunk.call(asked, timeout=self.chance.uniform(0.1, 20))).text
            assert outcome == name
            assert name in self.server.tools
        except trunkline.NotFoundError as error:
            listed = trunk.status()["one"].tools is not None
            assert name not in self.server.tools or not listed
            outcome = error.code
        except trunkline.CallError as error:
            outcome = (error.code, error.delivery)
        self.told.append((round(asyncio.get_running_loop().time(), 6), asked, outcome))

    async def check_truth(self, trunk: trunkline.Trunk) -> None:
        """Whatever was remembered, a server that is well is shown as it is."""
        await trunk.ready("one", timeout=30)
        assert {tool.name: tool.stale for tool in trunk.catalog.tools} == dict.fromkeys(
            self.server.tools, False
        )
        for name in self.server.tools:
            assert (await trunk.call(name, timeout=10)).text == name
        self.told.append((trunk.status()["one"].era, sorted(self.server.tools)))

    def check_memory(self) -> None:
        """What a run could keep is what the next one begins with."""
        found = recollect(load({"one": ENTRY}, policy=self.policy), {}, self.store)
        assert {tool.name for tool in found.catalog.tools} == set(self.server.tools)


def run(lots: Any, seed: int) -> list[Any]:
    with (
        lots(seed) as (patch, draws),
        asyncio.Runner(loop_factory=lambda: VirtualTimeLoop(seed=seed)) as runner,
    ):
        play = Play(seed)

        async def open_here(entry: Any, way: Any, _: Any) -> Any:
            return await MemoryTransport(server=entry.name, peer=play.server, limits=way.rules.limits).open()

        async def write_here(_: Workers, function: Callable[..., Any], *arguments: Any) -> Any:
            await asyncio.sleep(draws.uniform(0, 0.5))
            return function(*arguments)

        patch.setattr(assembly, "_open", open_here)
        patch.setattr(Workers, "run", write_here)
        return runner.run(play.run())


@pytest.mark.parametrize("block", range(16))
def test_whatever_is_remembered_or_lost_a_server_is_shown_and_called_as_it_is(
    block: int, each_seed: Any, lots: Any
):
    each_seed(partial(run, lots), range(block, SEEDS, 16))


@pytest.mark.parametrize("seed", [2, 9])
def test_a_seed_of_memories_gives_the_same_every_time(seed: int, lots: Any):
    assert run(lots, seed) == run(lots, seed)


@pytest.mark.soak
def test_the_same_holds_of_memories_for_a_thousand_seeds(each_seed: Any, lots: Any):
    each_seed(partial(run, lots), range(SEEDS, 1_000))
