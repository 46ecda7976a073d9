"""Servers that are connected by their first use: what costs nothing until then, and what counts as a use."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

import trunkline
from trunkline.testing import FakeServer

pytestmark = pytest.mark.anyio

LAZY = {"servers": {"lazy*": {"lazy": True}}}


def server(*tools: str) -> FakeServer:
    fake = FakeServer(eras=["modern"])
    for tool in tools:
        fake.tool(tool, returns=tool)
    return fake


async def test_a_hundred_lazy_servers_start_no_process_and_a_call_starts_its_own_only(tmp_path: Path):
    started = tmp_path / "started"
    script = tmp_path / "server.sh"
    real = server("greet").to_stdio_entry(tmp_path)
    command = " ".join([real["command"], *real.get("args", [])])
    script.write_text(f'echo "$1" >> {started}\nexec {command}\n')
    entries = {
        f"lazy-{number}": {**real, "command": "/bin/sh", "args": [str(script), str(number)]}
        for number in range(100)
    }
    async with trunkline.connect(entries, policy=LAZY) as trunk:
        await trunk.ready(timeout=5)
        assert not started.exists()
        assert {(one.state, one.asleep) for one in trunk.status().values()} == {("stopped", True)}
        assert trunk.catalog.tools == ()
        assert (await trunk.call("lazy-42.greet")).text == "greet"
        assert started.read_text() == "42\n"
        assert [tool.public_name for tool in trunk.catalog.tools] == ["lazy-42.greet"]
        status = trunk.status()
        assert (status["lazy-42"].state, status["lazy-42"].asleep) == ("ready", False)
        assert status["lazy-7"].state == "stopped"


async def test_waiting_for_a_lazy_server_by_name_connects_it():
    lazy = server("greet")
    async with trunkline.connect({"lazy": lazy, "other": server("other")}, policy=LAZY) as trunk:
        await trunk.ready()
        assert trunk.status()["lazy"].state == "stopped"
        await trunk.ready("lazy")
        assert "lazy.greet" in [tool.public_name for tool in trunk.catalog.tools]


@pytest.mark.parametrize("settings", [{}, {"pool": {"max": 2}}, {"max_concurrency": 1}], ids=str)
async def test_everything_that_names_a_lazy_server_connects_it(settings: dict[str, Any]):
    uses = {
        "call": lambda trunk: trunk.call("lazy.greet"),
        "read": lambda trunk: trunk.read("page://one", "lazy"),
        "prompt": lambda trunk: trunk.get_prompt("lazy.hello"),
        "request": lambda trunk: trunk.request("lazy", "server/discover"),
        "lease": lambda trunk: trunk.lease("lazy").__aenter__(),
        "subscribe": lambda trunk: trunk.subscribe("page://one", "lazy"),
        "tool": lambda trunk: trunk.tool("lazy.greet")(),
    }
    for use in uses.values():
        lazy = FakeServer(eras=["modern"], watchable=True)
        lazy.tool("greet", returns="greet")
        lazy.resource("page://one", "one")
        lazy.prompt("hello", "hi")
        policy = {"servers": {"lazy": {"lazy": True, **settings}}}
        async with trunkline.connect({"lazy": lazy}, policy=policy) as trunk:
            await trunk.ready()
            assert trunk.status()["lazy"].state == "stopped"
            assert len(lazy.ledger) == 0
            await use(trunk)
            assert trunk.status()["lazy"].state == "ready"


async def test_a_bare_name_means_the_same_as_if_no_server_were_lazy():
    entries = {"lazy-a": server("greet", "only"), "eager": server("greet", "mine")}
    async with trunkline.connect(entries, policy=LAZY) as trunk:
        await trunk.ready()
        # Who is lazy may have this tool too, so it is asked before a tool of that name is called.
        with pytest.raises(trunkline.AmbiguousNameError) as ambiguous:
            await trunk.call("greet")
        assert ambiguous.value.candidates == ("eager.greet", "lazy-a.greet")
        assert (await trunk.call("only")).text == "only"
    async with trunkline.connect(entries, policy=LAZY) as trunk:
        with pytest.raises(trunkline.NotFoundError):
            await trunk.call("nowhere")
        assert trunk.status()["lazy-a"].state == "ready"


async def test_a_public_name_and_search_leave_other_lazy_servers_asleep():
    entries = {"lazy-a": server("greet"), "lazy-b": server("greet"), "eager": server("mine")}
    async with trunkline.connect(entries, policy=LAZY) as trunk:
        await trunk.call("lazy-a.greet")
        await trunk.search("greet")
        assert {name: one.state for name, one in trunk.status().items()} == {
            "lazy-a": "ready",
            "lazy-b": "stopped",
            "eager": "ready",
        }


async def test_a_required_server_is_connected_although_it_is_lazy():
    async with trunkline.connect({"lazy": server("greet")}, policy=LAZY, require=["lazy"]) as trunk:
        assert trunk.status()["lazy"].state == "ready"


async def test_a_lazy_server_with_min_0_sleeps_again():
    policy = {"servers": {"lazy": {"lazy": True, "pool": {"min": 0, "max_idle": 0.05}}}}
    lazy = server("greet")
    async with trunkline.connect({"lazy": lazy}, policy=policy) as trunk:
        await trunk.call("lazy.greet")
        async with asyncio.timeout(5):
            while trunk.status()["lazy"].state != "stopped":  # noqa: ASYNC110 - seen from outside
                await asyncio.sleep(0.01)
        assert (await trunk.call("lazy.greet")).text == "greet"


async def test_a_lazy_server_is_left_asleep_by_a_reload_that_does_not_concern_it():
    policy = {"servers": {"lazy": {"lazy": True}}, "defaults": {"validate": True}}
    async with trunkline.connect({"lazy": server("greet")}, policy=policy) as trunk:
        policy["defaults"]["validate"] = False
        assert not await trunk.reload()
        assert trunk.status()["lazy"].state == "stopped"
