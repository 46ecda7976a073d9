"""Configuration files that change under an open runtime, on real files and real servers."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import logging
import os
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import uvloop

import trunkline
import trunkline.sync
from trunkline import ConfigChanged
from trunkline.runtime import live_files
from trunkline.testing import FakeServer

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_files, "QUIET", 0.05)
    monkeypatch.setattr(live_files, "PATIENCE", 0.3)


@pytest.fixture(scope="module", autouse=True)
def _uvloop_has_begun() -> None:
    """The first uvloop of a process makes a pipe for signals that is never closed; make it now."""
    uvloop.new_event_loop().close()


def serving(name: str, folder: Path) -> dict[str, Any]:
    server = FakeServer(name)
    server.tool("pid", reports="pid")
    server.tool("slow", delay=0.8, reports="pid", progress=[(1, 2, None)])
    return server.to_stdio_entry(folder)


def write(file: Path, **servers: Any) -> None:
    file.write_text(json.dumps({"mcpServers": servers}))


def replace(file: Path, **servers: Any) -> None:
    """Write as editors do: beside it, then by renaming."""
    draft = file.with_name(".mcp.json.swp")
    write(draft, **servers)
    draft.replace(file)


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "trunkline files"]


@asynccontextmanager
async def watching(target: Any, **options: Any) -> AsyncIterator[tuple[trunkline.Trunk, Any]]:
    async with (
        trunkline.connect(target, watch=True, **options) as trunk,
        trunk.events(ConfigChanged) as events,
    ):
        yield trunk, events


async def following(events: Any) -> ConfigChanged:
    async with asyncio.timeout(10):
        return await anext(events)


async def pid(trunk: trunkline.Trunk, server: str) -> int:
    return int((await trunk.call(f"{server}.pid")).text)


async def test_calls_in_flight_end_where_they_began_and_unchanged_servers_keep_their_process(tmp_path: Path):
    one, two, three = (serving(name, tmp_path) for name in ("one", "two", "three"))
    file = tmp_path / "mcp.json"
    write(file, one=one, two=two, three=three)
    async with watching(file) as (trunk, events):
        kept, changed, removed = [await pid(trunk, name) for name in ("one", "two", "three")]
        begun = [asyncio.Event(), asyncio.Event()]
        slow = [
            asyncio.create_task(trunk.call(f"{name}.slow", on_progress=lambda _, event=event: event.set()))
            for name, event in zip(("two", "three"), begun, strict=True)
        ]
        for event in begun:
            await event.wait()
        replace(file, one=one, two={**two, "env": {**two["env"], "NEW": "1"}})
        assert await following(events) == ConfigChanged(removed=("three",), changed=("two",))
        assert await pid(trunk, "two") != changed
        with pytest.raises(trunkline.NotFoundError):
            await trunk.call("three.pid")
        assert [int((await call).text) for call in slow] == [changed, removed]
        assert await pid(trunk, "one") == kept
        assert [status.restarts for status in trunk.status().values()] == [0, 0]


async def test_a_file_that_cannot_be_read_keeps_what_runs_and_is_told_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.INFO)
    entry, file = serving("one", tmp_path), tmp_path / "mcp.json"
    write(file, one=entry)
    async with watching(file) as (trunk, events):
        before = await pid(trunk, "one")
        assert trunk.config_status().last_error is None
        assert str(file) in trunk.config_status().files
        file.write_text('{"mcpServers": {\n  "two": {"command": }\n')
        event = await following(events)
        place = f"{file}:2:"
        assert str(event.error).startswith(place)
        assert (event.source, event.line) == (str(file), 2)
        status = trunk.config_status()
        assert str(status.last_error).startswith(place)
        assert (status.hint, bool(status.hint)) == (event.hint, True)
        assert place in caplog.text
        assert await pid(trunk, "one") == before
        replace(file, one=entry)
        assert await following(events) == ConfigChanged()
        assert trunk.config_status().last_error is None
        assert await pid(trunk, "one") == before


async def test_a_policy_that_appears_changes_and_goes_touches_only_what_it_must(tmp_path: Path):
    file, policy = tmp_path / "mcp.json", tmp_path / "trunkline.toml"
    write(file, one=serving("one", tmp_path), two=serving("two", tmp_path))
    async with watching(file) as (trunk, events):
        first, second = await pid(trunk, "one"), await pid(trunk, "two")
        policy.write_text(
            '[defaults]\ntimeout = 50\n[servers.one]\nmax_restarts = 9\n[tools."*"]\nidle = 9\n'
        )
        assert await following(events) == ConfigChanged(adjusted=("one",))
        assert trunk.explain("one")["max_restarts"].value == 9
        assert (await pid(trunk, "one"), await pid(trunk, "two")) == (first, second)
        policy.write_text("[servers.two.limits]\ndepth = 9\n")
        assert await following(events) == ConfigChanged(changed=("two",), adjusted=("one",))
        assert await pid(trunk, "one") == first
        assert await pid(trunk, "two") != second
        policy.unlink()
        assert await following(events) == ConfigChanged(changed=("two",))
        policy.write_text("[defaults]\nmax_restart = 1\n")
        assert f"{policy}:2" in str((await following(events)).error)


async def test_a_mounted_folder_that_is_swapped_is_followed(tmp_path: Path):
    mount = tmp_path / "mount"
    for name, servers in (("..1", ["one"]), ("..2", ["one", "two"]), ("..3", ["two"])):
        (mount / name).mkdir(parents=True)
        write(mount / name / "mcp.json", **{server: serving(server, tmp_path) for server in servers})
    (mount / "..data").symlink_to("..1")
    (mount / "mcp.json").symlink_to("..data/mcp.json")
    async with watching(mount / "mcp.json") as (trunk, events):
        kept = await pid(trunk, "one")
        for name, expected in (
            ("..2", ConfigChanged(added=("two",))),
            ("..3", ConfigChanged(removed=("one",))),
        ):
            (mount / "..data_tmp").symlink_to(name)
            (mount / "..data_tmp").replace(mount / "..data")
            assert await following(events) == expected
            if name == "..2":
                assert await pid(trunk, "one") == kept
        assert list(trunk.status()) == ["two"]


async def test_included_files_and_files_that_appear_in_the_folder_are_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    project, home = tmp_path / "project", tmp_path / "home"
    project.mkdir()
    monkeypatch.chdir(project)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    entry = serving("one", tmp_path)
    write(
        project / "mcp.json",
        one={**entry, "envFile": "one.env", "env": {"KEY": "${file:key}", **entry["env"]}},
    )
    (project / "one.env").write_text("A=1\n")
    (project / "key").write_text("k1")
    async with watching(None) as (trunk, events):
        await trunk.ready()
        for name, text in (("one.env", "A=2\n"), ("key", "k2")):
            (project / name).write_text(text)
            assert await following(events) == ConfigChanged(changed=("one",))
        (home / ".config/trunkline").mkdir(parents=True)
        write(home / ".config/trunkline/mcp.json", mine=serving("mine", tmp_path))
        assert await following(events) == ConfigChanged(added=("mine",))
        assert await pid(trunk, "mine")
        (home / ".config/trunkline/mcp.json").unlink()
        assert await following(events) == ConfigChanged(removed=("mine",))


async def test_a_server_that_cannot_be_used_is_its_own_matter(tmp_path: Path):
    file, one = tmp_path / "mcp.json", serving("one", tmp_path)
    write(file, one=one)
    async with watching(file) as (trunk, events):
        kept = await pid(trunk, "one")
        write(file, one=one, bad={"command": "x", "cwd": "/nonexistent"})
        assert await following(events) == ConfigChanged(added=("bad",))
        await trunk.ready()
        assert "/nonexistent" in str(trunk.status()["bad"].last_error)
        (tmp_path / "trunkline.toml").write_text("[defaults]\ntimeout = 9\n")
        assert await following(events) == ConfigChanged()
        assert await pid(trunk, "one") == kept


async def test_watching_ends_with_the_trunk_and_leaves_no_thread(tmp_path: Path):
    file = tmp_path / "mcp.json"
    write(file)
    for _ in range(3):
        async with watching(file) as (_, events):
            write(file, bad={"command": "/nonexistent/x"})
            await following(events)
            assert len(threads()) == 1
            write(file)
        assert threads() == []
        assert events.ended


async def test_a_log_in_the_watched_folder_is_no_change(tmp_path: Path):
    file, log = tmp_path / "mcp.json", tmp_path / "all.log"
    write(file)
    handler = logging.FileHandler(log)
    root = logging.getLogger()
    root.addHandler(handler)
    level = root.level
    root.setLevel(logging.DEBUG)
    try:
        async with watching(file) as (_, events):
            write(file, bad={"command": "/nonexistent/x"})
            await following(events)
            await asyncio.sleep(0.4)
            size = log.stat().st_size
            await asyncio.sleep(0.4)
            assert log.stat().st_size == size
    finally:
        root.setLevel(level)
        root.removeHandler(handler)
        handler.close()


async def test_files_are_polled_where_the_system_cannot_tell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("WATCHFILES_FORCE_POLLING", "1")
    file = tmp_path / "mcp.json"
    write(file)
    async with watching(file) as (_, events):
        write(file, bad={"command": "/nonexistent/x"})
        os.utime(file, (1, 1))
        assert (await following(events)).added == ("bad",)


async def test_without_the_library_the_error_names_the_command_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    write(tmp_path / "mcp.json")
    with pytest.raises(trunkline.ConfigError, match="watchfiles") as caught:
        async with trunkline.connect(tmp_path / "mcp.json", watch=True):
            pytest.fail("it cannot watch")
    assert "pip install 'trunkline[watch]'" in str(caught.value.hint)


def test_blocking_code_can_watch_too(tmp_path: Path):
    file = tmp_path / "mcp.json"
    write(file)
    with trunkline.sync.connect(file, watch=True) as trunk:
        events = trunk.events(ConfigChanged)
        write(file, bad={"command": "/nonexistent/x"})
        assert next(iter(events)).added == ("bad",)
        assert str(file) in trunk.config_status().files
    assert threads() == []
