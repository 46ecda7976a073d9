"""When a change of the configuration files counts: editors write twice, half, and by way of another file."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from trunkline.config.changes import Changes, compare
from trunkline.config.footprint import files_of
from trunkline.config.loading import Config, load
from trunkline.core.events import ConfigChanged
from trunkline.runtime.live_files import LONGEST, PATIENCE, QUIET, LiveFiles

pytestmark = pytest.mark.anyio

ONE = '{"mcpServers": {"one": {"command": "one"}}}'
TWO = '{"mcpServers": {"one": {"command": "one"}, "two": {"command": "two"}}}'


class Told:
    """A watch that says that something changed when a test says so."""

    def __init__(self, tell: Callable[[], None]) -> None:
        self.tell = tell
        self.folders: list[set[Path]] = []
        self.closed = False

    def watch(self, folders: Collection[Path], entries: Collection[Path]) -> None:
        assert {entry.parent for entry in entries} == set(folders)
        self.folders.append(set(folders))

    async def close(self) -> None:
        await asyncio.sleep(0.05)
        self.closed = True


class Followed:
    """Files that are followed, what was taken up, and when."""

    watched = True

    def __init__(self, file: Path) -> None:
        self.file = file
        self.events: list[tuple[float, ConfigChanged]] = []
        self.loads = 0
        self._config = self._read()
        self.live = LiveFiles(self._load, self._files, self._adopt, self, self._make)

    def _make(self, tell: Callable[[], None]) -> Told:
        self.watch = Told(tell)
        return self.watch

    def _read(self) -> Config:
        return load(self.file, cwd=self.file.parent, environ={})

    def _load(self) -> Config:
        self.loads += 1
        return self._read()

    def _files(self) -> tuple[Path, ...]:
        return files_of(self.file, cwd=self.file.parent, environ={})

    def _adopt(self, config: Config) -> Changes:
        changes, self._config = compare(self._config, config), config
        return changes

    def put(self, event: Any) -> None:
        self.events.append((asyncio.get_running_loop().time(), event))

    def write(self, text: str) -> None:
        self.file.write_text(text)
        self.watch.tell()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "mcp.json"
    path.write_text(ONE)
    return path


@asynccontextmanager
async def following(file: Path) -> AsyncIterator[Followed]:
    followed = Followed(file)
    task = asyncio.create_task(followed.live.run())
    yield followed
    task.cancel()
    await asyncio.wait({task})
    assert followed.watch.closed


async def test_a_change_is_taken_up_once_the_files_are_quiet(file: Path):
    async with following(file) as followed:
        for text in (ONE, "{", "", TWO[:30], TWO):
            followed.write(text)
            await asyncio.sleep(QUIET / 2)
        assert followed.events == []
        await asyncio.sleep(QUIET)
        ((when, event),) = followed.events
        assert event.added == ("two",)
        assert when == pytest.approx(QUIET / 2 * 4 + QUIET)
        assert followed.loads == 1


async def test_files_that_are_never_quiet_are_looked_at_all_the_same(file: Path):
    async with following(file) as followed:
        followed.write(TWO)
        for _ in range(int(LONGEST / QUIET) * 2 + 1):
            await asyncio.sleep(QUIET / 2)
            followed.watch.tell()
        ((when, _),) = followed.events
        assert when <= LONGEST + QUIET


async def test_half_a_file_that_is_soon_whole_is_never_spoken_of(file: Path):
    async with following(file) as followed:
        followed.write(TWO[:40])
        await asyncio.sleep(QUIET + PATIENCE / 2)
        followed.write(TWO)
        await asyncio.sleep(QUIET * 2)
        ((_, event),) = followed.events
        assert (event.error, event.added) == (None, ("two",))


async def test_a_file_that_stays_broken_is_told_once_and_all_goes_on_as_before(
    file: Path, caplog: pytest.LogCaptureFixture
):
    async with following(file) as followed:
        followed.write(TWO[:-2] + "\n ,")
        await asyncio.sleep(60)
        ((when, event),) = followed.events
        assert when == pytest.approx(QUIET + PATIENCE)
        assert (event.source, event.line) == (str(file), 2)
        assert f"{file}:2" in str(event.error)
        assert event.hint
        assert str(followed.live.error).startswith(f"{file}:2")
        assert f"{file}:2" in caplog.text
        assert event.hint in caplog.text
        followed.write(ONE)
        await asyncio.sleep(1)
        assert followed.events[1][1] == ConfigChanged()
        assert followed.live.error is None


async def test_what_a_broken_file_holds_is_not_repeated(file: Path, caplog: pytest.LogCaptureFixture):
    async with following(file) as followed:
        followed.write('{"mcpServers": {"one": {"env": {"TOKEN": "hunter2" "x"}}}}')
        await asyncio.sleep(5)
        error = str(followed.events[0][1].error)
        assert error.endswith("expecting ',' delimiter")
        assert error == followed.live.error_text
        assert "hunter2" not in str(followed.events) + caplog.text


async def test_a_file_that_is_gone_for_a_moment_was_never_gone(file: Path):
    async with following(file) as followed:
        aside = file.with_suffix(".bak")
        os.rename(file, aside)
        followed.watch.tell()
        await asyncio.sleep(QUIET + PATIENCE / 2)
        os.rename(aside, file)
        followed.watch.tell()
        await asyncio.sleep(60)
        assert followed.events == []
        os.unlink(file)
        followed.watch.tell()
        await asyncio.sleep(60)
        ((_, event),) = followed.events
        assert str(file) in str(event.error)


async def test_an_emptied_policy_is_given_time_to_be_written(file: Path):
    policy = file.with_name("trunkline.toml")
    policy.write_text("[defaults]\nera = 'legacy'\n")
    async with following(file) as followed:
        policy.write_text("")
        followed.watch.tell()
        await asyncio.sleep(QUIET + PATIENCE / 2)
        policy.write_text("[defaults]\nera = 'legacy'\nmax_restarts = 2\n")
        followed.watch.tell()
        await asyncio.sleep(5)
        assert [event.adjusted for _, event in followed.events] == [("one",)]


async def test_a_file_that_is_written_with_what_it_held_is_not_read_again(file: Path):
    async with following(file) as followed:
        for _ in range(3):
            followed.write(ONE)
            await asyncio.sleep(5)
        assert (followed.loads, followed.events) == (0, [])


async def test_a_fault_while_taking_up_ends_nothing(file: Path, caplog: pytest.LogCaptureFixture):
    async with following(file) as followed:
        followed._config = None  # type: ignore[assignment]
        followed.write(TWO)
        await asyncio.sleep(1)
        assert "could not be taken up" in caplog.text
        followed._config = followed._read()
        followed.write(ONE)
        await asyncio.sleep(1)
        assert [event.removed for _, event in followed.events] == [("two",)]


async def test_a_folder_that_is_made_anew_is_watched_anew(tmp_path: Path):
    folder = tmp_path / "conf"
    folder.mkdir()
    file = folder / "mcp.json"
    file.write_text(ONE)
    async with following(file) as followed:
        (watched,) = followed.watch.folders
        assert folder in watched
        file.unlink()
        folder.rename(tmp_path / "old")
        followed.watch.tell()
        await asyncio.sleep(5)
        assert tmp_path in followed.watch.folders[-1]
        folder.mkdir()
        followed.write(TWO)
        await asyncio.sleep(5)
        assert folder in followed.watch.folders[-1]
        assert [event.added for _, event in followed.events] == [(), ("two",)]
