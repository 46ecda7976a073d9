"""Lists that lie, change or never end: what is valid is kept, and nobody asks more than it takes."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import trunkline
from trunkline.testing import FakeServer, Fault

pytestmark = pytest.mark.anyio

CHANGED = "notifications/tools/list_changed"


def with_tools(count: int, **options: Any) -> FakeServer:
    server = FakeServer(**options)
    for number in range(count):
        server.tool(f"t{number}", returns=str(number))
    return server


def lists(server: FakeServer) -> int:
    return len(server.ledger.of("tools/list"))


@pytest.mark.parametrize("cursors", ["plain", "empty", "cyclic", "endless"])
async def test_every_way_of_paging_gives_all_tools_and_ends(way: Any, reach: Any, cursors: str):
    server = with_tools(25, eras=[way.family], page_size=10, cursors=cursors)
    policy = {"servers": {"fake": {"limits": {"pages": 20}}}}
    async with reach(server, way, policy=policy) as trunk:
        await trunk.ready("fake", timeout=20)
        assert [tool.name for tool in trunk.catalog.tools] == [f"t{number}" for number in range(25)]
        assert bool(trunk.catalog.warnings) == (cursors in ("cyclic", "endless"))
        assert (await trunk.call("fake.t24")).text == "24"


async def test_more_items_than_the_limit_are_cut_and_said_so():
    server = with_tools(50, page_size=10)
    async with trunkline.connect(
        {"fake": server}, policy={"servers": {"fake": {"limits": {"items": 30}}}}
    ) as trunk:
        await trunk.ready("fake")
        assert len(trunk.catalog.tools) == 30
        assert any("30" in warning for warning in trunk.catalog.warnings)


@pytest.mark.parametrize(
    "definition",
    [
        {"name": 7, "inputSchema": {"type": "object"}},
        {"inputSchema": {"type": "object"}},
        {"name": "broken", "inputSchema": "no"},
        {"name": "broken"},
        {"name": "", "inputSchema": {"type": "object"}},
    ],
)
async def test_one_malformed_tool_of_three_hundred_leaves_the_others(way: Any, reach: Any, definition: Any):
    server = FakeServer(eras=[way.family])
    for number in range(150):
        server.tool(f"t{number}", returns=str(number))
    server.raw_tool(definition)
    for number in range(150, 299):
        server.tool(f"t{number}", returns=str(number))
    async with reach(server, way) as trunk:
        await trunk.ready("fake")
        assert len(trunk.catalog.tools) == 299
        assert (await trunk.call("fake.t298")).text == "298"


async def test_a_storm_of_list_changes_causes_at_most_two_lists_and_the_last_state_wins():
    server = with_tools(1)
    async with trunkline.connect({"fake": server}) as trunk:
        await trunk.ready("fake")
        before = lists(server)
        for number in range(1_000):
            server.notify(CHANGED)
            if number == 500:
                server.tool("middle", returns="m")
        server.tool("last", returns="l")
        server.notify(CHANGED)
        await server.wait_for(lambda _: lists(server) > before)
        async with asyncio.timeout(5):
            while not trunk.catalog.get("fake.last"):  # noqa: ASYNC110 - the catalog has no waiters
                await asyncio.sleep(0)
        for _ in range(50):
            await asyncio.sleep(0)
        assert lists(server) - before <= 2
        assert trunk.catalog.get("fake.middle")


async def test_a_list_change_is_not_lost_in_a_flood_of_other_messages():
    server = with_tools(1)
    async with trunkline.connect({"fake": server}) as trunk:
        await trunk.ready("fake")
        before = lists(server)
        server.tool("new", returns="n")
        server.notify(CHANGED)
        for _ in range(5_000):
            server.notify("notifications/message", {"level": "info", "data": "x"})
        await server.wait_for(lambda _: lists(server) > before)


async def test_a_change_during_a_list_causes_one_more_and_its_state_wins():
    server = with_tools(1)
    async with trunkline.connect({"fake": server}) as trunk:
        await trunk.ready("fake")
        before = lists(server)
        server.fault("tools/list", Fault.delay(0.05).after_commit(), nth=1)
        server.notify(CHANGED)
        await server.wait_for(lambda _: lists(server) == before + 1)
        server.tool("late", returns="l")
        server.notify(CHANGED)
        await server.wait_for(lambda _: lists(server) == before + 2)
        assert (await trunk.call("fake.late")).text == "l"


async def test_a_list_that_hangs_after_a_change_does_not_stop_later_changes():
    server = with_tools(1)
    async with trunkline.connect({"fake": server}, policy={"defaults": {"connect": 0.3}}) as trunk:
        await trunk.ready("fake")
        server.fault("tools/list", Fault.hang, nth=1)
        before = lists(server)
        server.notify(CHANGED)
        await server.wait_for(lambda _: lists(server) == before + 1)
        server.tool("new", returns="n")
        server.notify(CHANGED)
        await server.wait_for(lambda _: lists(server) == before + 2)


async def test_a_failed_list_after_a_change_keeps_the_tools_there_are():
    server = with_tools(3)
    async with trunkline.connect({"fake": server}) as trunk:
        await trunk.ready("fake")
        server.fault("tools/list", Fault.rpc_error(-32603, "broken"))
        before = lists(server)
        server.notify(CHANGED)
        await server.wait_for(lambda _: lists(server) > before)
        assert len(trunk.catalog.tools) == 3
        assert (await trunk.call("fake.t2")).text == "2"


async def test_an_unknown_tool_is_looked_for_once_more_and_then_not_found(way: Any, reach: Any):
    server = with_tools(3, eras=[way.family])
    server.tool("read_file", returns="x")
    async with reach(server, way) as trunk:
        await trunk.ready("fake")
        before = lists(server)
        with pytest.raises(trunkline.NotFoundError) as caught:
            await trunk.call("fake.read_fle")
        assert caught.value.delivery == "never_sent"
        assert caught.value.candidates == ("fake.read_file",)
        if way.carrier != "stdio":
            assert lists(server) - before == 1


async def test_many_unknown_names_at_once_share_one_more_list():
    server = with_tools(3)
    async with trunkline.connect({"fake": server}) as trunk:
        await trunk.ready("fake")
        before = lists(server)
        errors = await asyncio.gather(
            *(trunk.call(f"fake.ghost{number}") for number in range(50)), return_exceptions=True
        )
        assert {type(error) for error in errors} == {trunkline.NotFoundError}
        assert lists(server) - before <= 2


async def test_a_tool_that_cannot_be_looked_up_is_not_called_missing():
    server = with_tools(3)
    async with trunkline.connect({"fake": server}) as trunk:
        await trunk.ready("fake")
        server.tool("new", returns="here")
        server.fault("tools/list", Fault.rpc_error(-32603, "broken"))
        assert (await trunk.call("fake.new")).text == "here"


async def test_a_server_without_tools_is_ready_and_has_none():
    async with trunkline.connect({"fake": FakeServer()}) as trunk:
        await trunk.ready("fake")
        assert trunk.status()["fake"].tools == 0
        with pytest.raises(trunkline.NotFoundError):
            await trunk.call("fake.any")
