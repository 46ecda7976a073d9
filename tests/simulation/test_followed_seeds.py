"""Configuration files that change at random, in every way editors change them, under running calls."""

from __future__ import annotations

import asyncio
import json
import os
import random
import shutil
from collections.abc import Awaitable, Callable, Collection
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import trunkline
from trunkline.config.footprint import files_of
from trunkline.config.loading import Config, load
from trunkline.core.events import ConfigChanged
from trunkline.errors import ConfigError
from trunkline.runtime import assembly
from trunkline.runtime.followed_files import take_up
from trunkline.runtime.live_files import LONGEST, PATIENCE, QUIET, LiveFiles
from trunkline.testing import FakeServer
from trunkline.testing.virtual_time import VirtualTimeLoop
from trunkline.transport.memory import MemoryTransport

SEEDS = 200
SERVERS = ("one", "two", "three")
Receive = Callable[[], Awaitable[bytes]]
Send = Callable[[bytes], None]


class Working:
    """A server that tells which environment it was started with, and counts who is at work in it."""

    def __init__(self, play: Play, token: str) -> None:
        self._play = play
        self._token = token

    async def serve(self, receive: Receive, send: Send) -> None:
        self._play.open += 1
        fake = FakeServer("working", eras=["legacy"])
        fake.tool("who", returns=self._token)

        @fake.tool("work")
        async def work(arguments: dict[str, Any]) -> str:
            await asyncio.sleep(arguments["seconds"])
            return self._token

        try:
            await asyncio.sleep(self._play.chance.uniform(0, 0.5))
            await fake.serve(receive, send)
        finally:
            self._play.open -= 1


class Told:
    """A watch that tells late, several times, or of nothing; never of no change at all."""

    def __init__(self, tell: Callable[[], None]) -> None:
        self.tell = tell

    def watch(self, folders: Collection[Path], entries: Collection[Path]) -> None:
        assert {entry.parent for entry in entries} == set(folders)

    async def close(self) -> None:
        return


class Play:
    """Somebody who edits, and others who call."""

    def __init__(self, seed: int, folder: Path) -> None:
        self.chance = random.Random(seed)
        self.folder = folder
        self.open = 0
        self.told: list[Any] = []
        self.file, self.policy, self.env = (
            folder / name for name in ("mcp.json", "trunkline.toml", "tokens.env")
        )
        self.env.write_text("TOKEN=0\n")
        self.file.write_text(self.servers())

    def servers(self) -> str:
        chosen = self.chance.sample(SERVERS, self.chance.randrange(1, len(SERVERS) + 1))
        entries = {
            name: {"command": "sh", "args": [str(self.chance.randrange(2))], "envFile": "tokens.env"}
            for name in chosen
        }
        return json.dumps({"mcpServers": entries})

    def rules(self) -> str:
        wanted = self.chance.choice(
            ("max_restarts = 3", "pool = { max = 2 }", "max_concurrency = 2", "lazy = true", "timeout = 90")
        )
        return f'[servers."{self.chance.choice((*SERVERS, "*"))}"]\n{wanted}\n'

    async def edit(self) -> None:
        """Change one file the way some editor does."""
        path, text = self.chance.choice(
            (
                (self.file, self.servers()),
                (self.policy, self.rules()),
                (self.env, f"TOKEN={self.chance.randrange(100)}\n"),
            )
        )
        match self.chance.choice(("whole", "halves", "rename", "link", "gone", "broken")):
            case "whole":
                path.write_text(text)
            case "halves":
                for end in (0, len(text) // 2, len(text)):
                    path.write_text(text[:end])
                    self.tell()
                    await asyncio.sleep(self.chance.uniform(0, 1.5 * QUIET))
            case "rename":
                draft = path.with_suffix(".draft")
                draft.write_text(text)
                os.replace(draft, path)
            case "link":
                aim = self.folder / f"aim-{self.chance.randrange(3)}-{path.name}"
                aim.write_text(text)
                draft = path.with_suffix(".draft")
                draft.symlink_to(aim)
                os.replace(draft, path)
            case "gone":
                path.unlink(missing_ok=True)
            case "broken":
                path.write_text("{ this is nothing [")
        self.tell()

    def tell(self) -> None:
        loop = asyncio.get_running_loop()
        for _ in range(self.chance.randrange(1, 4)):
            loop.call_later(self.chance.expovariate(1 / QUIET), self.watch.tell)

    async def call(self, trunk: trunkline.Trunk) -> None:
        name = self.chance.choice(SERVERS)
        await asyncio.sleep(self.chance.expovariate(1 / 3))
        arguments = {"seconds": self.chance.expovariate(1 / 3)}
        outcome: Any
        try:
            outcome = (await trunk.call(f"{name}.work", arguments, timeout=60)).text
        except (trunkline.NotFoundError, trunkline.UnavailableError) as error:
            outcome = (type(error).__name__, error.code, error.delivery)
            # Only a server that is not configured, or cannot be, refuses; what it took, it finishes.
            assert outcome[2] == "never_sent"
        self.told.append((round(asyncio.get_running_loop().time(), 6), name, outcome))

    async def run(self) -> list[Any]:
        read = partial(load, self.file)
        async with trunkline.connect(str(self.file)) as trunk:
            watched = trunk.events(ConfigChanged)
            live = LiveFiles(
                read,
                partial(files_of, self.file),
                partial(take_up, trunk),
                trunk._bus,
                self.make,
            )
            following = asyncio.create_task(live.run())
            async with asyncio.timeout(3600), asyncio.TaskGroup() as group:
                for _ in range(self.chance.randrange(3, 12)):
                    group.create_task(self.call(trunk))
                for _ in range(self.chance.randrange(1, 8)):
                    await asyncio.sleep(self.chance.expovariate(1 / 2))
                    await self.edit()
            await asyncio.sleep(LONGEST + 2 * PATIENCE + 10)
            await self.check(trunk, live, read)
            following.cancel()
            await asyncio.wait({following})
        assert self.open == 0
        return [*self.told, *[(one.added, one.removed, one.changed, one.adjusted) async for one in watched]]

    def make(self, tell: Callable[[], None]) -> Told:
        self.watch = Told(tell)
        return self.watch

    async def check(self, trunk: trunkline.Trunk, live: LiveFiles, read: Callable[[], Config]) -> None:
        """What runs is what the files say, or what they said last; and it is told which."""
        try:
            wanted = read()
        except ConfigError:
            assert live.error is not None
        else:
            assert live.error is None
            assert described(trunk.config) == described(wanted)
        assert trunk.status().keys() == {entry.name for entry in trunk.config.entries}
        await trunk.ready(timeout=60)
        for name, status in trunk.status().items():
            entry = next(one for one in trunk.config.entries if one.name == name)
            if hasattr(entry, "error"):
                assert status.state in ("stopped", "failed")
            else:
                assert (await trunk.call(f"{name}.who", timeout=10)).text == entry.env.get("TOKEN", "")  # type: ignore[union-attr]


def described(config: Config) -> list[Any]:
    """Give what is configured; two errors that say the same are the same."""
    return [(one.name, str(one.error)) if hasattr(one, "error") else one for one in config.entries]


def run(lots: Any, folder: Path, seed: int) -> list[Any]:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    with (
        lots(seed) as (patch, _),
        asyncio.Runner(loop_factory=lambda: VirtualTimeLoop(seed=seed)) as runner,
    ):
        play = Play(seed, folder)

        async def open_here(entry: Any, way: Any, _: Any) -> Any:
            if hasattr(entry, "error"):
                raise entry.error
            peer = Working(play, entry.env.get("TOKEN", ""))
            return await MemoryTransport(server=entry.name, peer=peer, limits=way.rules.limits).open()

        patch.setattr(assembly, "_open", open_here)
        return runner.run(play.run())


@pytest.mark.parametrize("block", range(16))
def test_calls_are_never_cut_and_in_the_end_the_files_are_followed(
    block: int, tmp_path: Path, each_seed: Any, lots: Any
):
    each_seed(lambda seed: run(lots, tmp_path / str(seed), seed), range(block, SEEDS, 16))


@pytest.mark.parametrize("seed", [1, 6])
def test_a_seed_of_changed_files_gives_the_same_every_time(seed: int, tmp_path: Path, lots: Any):
    assert run(lots, tmp_path / "seed", seed) == run(lots, tmp_path / "seed", seed)


@pytest.mark.soak
def test_the_same_holds_of_changed_files_for_a_thousand_seeds(tmp_path: Path, each_seed: Any, lots: Any):
    each_seed(lambda seed: run(lots, tmp_path / str(seed), seed), range(SEEDS, 1_000))
