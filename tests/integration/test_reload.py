"""Reading the configuration again: what is touched, what is not, and what happens to calls in flight."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

import trunkline
from trunkline.config.changes import Changes, compare
from trunkline.config.loading import load
from trunkline.testing import FakeServer

pytestmark = pytest.mark.anyio


def serving(name: str, folder: Path) -> dict[str, Any]:
    server = FakeServer(name)
    server.tool("pid", reports="pid")
    server.tool("slow", delay=0.5, returns="done")
    return server.to_stdio_entry(folder)


def write(file: Path, **servers: Any) -> None:
    file.write_text(json.dumps({"mcpServers": servers}))


async def test_only_what_is_different_is_touched_and_calls_in_flight_end_where_they_began(tmp_path: Path):
    one, two, three = (serving(name, tmp_path) for name in ("one", "two", "three"))
    file = tmp_path / "mcp.json"
    write(file, one=one, two=two)
    async with trunkline.connect(file) as trunk:
        kept = (await trunk.call("one.pid")).text
        changed = (await trunk.call("two.pid")).text
        slow = asyncio.create_task(trunk.call("two.slow"))
        await asyncio.sleep(0.1)
        write(file, one=one, two={**two, "env": {**two["env"], "NEW": "1"}}, three=three)
        assert await trunk.reload() == Changes(added=("three",), changed=("two",))
        assert (await trunk.call("one.pid")).text == kept
        assert (await trunk.call("two.pid")).text != changed
        assert (await trunk.call("three.pid")).text
        assert (await slow).text == "done"
        assert [status.restarts for status in trunk.status().values()] == [0, 0, 0]
        write(file, three=three)
        assert await trunk.reload() == Changes(removed=("one", "two"))
        with pytest.raises(trunkline.NotFoundError):
            await trunk.call("one.pid")
        assert list(trunk.status()) == ["three"]
        assert not await trunk.reload()


async def test_a_file_that_cannot_be_read_changes_nothing(tmp_path: Path):
    file = tmp_path / "mcp.json"
    write(file, one=serving("one", tmp_path))
    async with trunkline.connect(file) as trunk:
        pid = (await trunk.call("one.pid")).text
        file.write_text('{"mcpServers": {')
        with pytest.raises(trunkline.ConfigError):
            await trunk.reload()
        assert (await trunk.call("one.pid")).text == pid


async def test_settings_of_a_tool_hold_from_the_next_call_and_restart_nothing(tmp_path: Path):
    file, policy = tmp_path / "mcp.json", tmp_path / "trunkline.toml"
    write(file, one=serving("one", tmp_path))
    async with trunkline.connect(file) as trunk:
        pid = (await trunk.call("one.pid")).text
        policy.write_text('[tools."one.slow"]\ntimeout = 0.1\n')
        assert not await trunk.reload()
        with pytest.raises(trunkline.DeadlineExceededError):
            await trunk.call("one.slow")
        assert (await trunk.call("one.pid")).text == pid


async def test_closing_ends_a_server_that_was_taken_out_and_still_works():
    server = FakeServer("one")
    server.tool("endless", delay=600)
    servers: dict[str, Any] = {"one": server}
    async with trunkline.connect(servers) as trunk:
        running = asyncio.create_task(trunk.call("one.endless"))
        await server.wait_for(lambda ledger: len(ledger.of("tools/call")) == 1)
        del servers["one"]
        servers["two"] = FakeServer("two")
        assert await trunk.reload() == Changes(added=("two",), removed=("one",))
    with pytest.raises(trunkline.OutcomeUnknownError):
        await running


async def test_servers_that_were_added_by_hand_stay(tmp_path: Path):
    file = tmp_path / "mcp.json"
    write(file, one=serving("one", tmp_path))
    extra = FakeServer("extra")
    extra.tool("echo", reports="arguments")
    async with trunkline.connect(file) as trunk:
        await trunk.add("extra", extra)
        assert not await trunk.reload()
        assert (await trunk.call("extra.echo", {"n": 1})).value == {"n": 1}


async def test_a_configuration_that_was_read_already_cannot_be_read_again():
    async with trunkline.connect(load({"a": FakeServer("a")}, policy={})) as trunk:
        with pytest.raises(trunkline.ConfigError, match="read already"):
            await trunk.reload()


def test_the_order_of_servers_and_settings_of_tools_touch_nothing():
    a, b = {"command": "a"}, {"command": "b"}
    before = load({"a": a, "b": b}, policy={})
    assert not compare(before, load({"b": b, "a": a}, policy={"tools": {"a.*": {"timeout": 1}}}))
    after = load({"a": a, "b": b}, policy={"servers": {"a": {"limits": {"depth": 3}}}})
    assert compare(before, after) == Changes(changed=("a",))
