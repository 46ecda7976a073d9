"""Resources, templates and prompts are listed beside the tools, and their failures cost nothing else."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import trunkline
from trunkline.testing import FakeServer, Fault
from trunkline.testing.virtual_time import VirtualTimeLoop

pytestmark = pytest.mark.anyio

METHODS = {
    "tools": "tools/list",
    "resources": "resources/list",
    "templates": "resources/templates/list",
    "prompts": "prompts/list",
}
OTHERS = ("resources/list", "resources/templates/list", "prompts/list")


def with_everything(count: int = 3, **options: Any) -> FakeServer:
    server = FakeServer(**options)
    for number in range(count):
        server.tool(f"t{number}", returns=str(number))
        server.resource(f"mem://r{number}", f"text {number}")
        server.resource(f"mem://t{number}/{{name}}", "templated")
        server.prompt(f"p{number}", "Say {what}", arguments=["what"])
    return server


def lists(server: FakeServer, kind: str) -> int:
    return len(server.ledger.of(METHODS[kind]))


def counts(trunk: trunkline.Trunk) -> tuple[int | None, ...]:
    status = trunk.status()["fake"]
    return status.tools, status.resources, status.templates, status.prompts


async def turn(times: int = 50) -> None:
    for _ in range(times):
        await asyncio.sleep(0)


async def test_everything_a_server_has_is_listed_once_when_ready(way: Any, reach: Any):
    server = with_everything(eras=[way.family])
    async with reach(server, way) as trunk:
        await trunk.ready()
        assert counts(trunk) == (3, 3, 3, 3)
        assert [one.uri for one in trunk.resources] == ["mem://r0", "mem://r1", "mem://r2"]
        assert [one.uri_template for one in trunk.templates] == [f"mem://t{n}/{{name}}" for n in range(3)]
        assert [one.public_name for one in trunk.prompts] == ["fake.p0", "fake.p1", "fake.p2"]
        assert [argument.name for argument in trunk.prompts[0].arguments] == ["what"]
        assert trunk.catalog.warnings == ()
    if way.carrier != "stdio":
        assert [lists(server, kind) for kind in METHODS] == [1, 1, 1, 1]


@pytest.mark.over("memory")
async def test_only_what_a_server_declares_is_asked_for(way: Any, reach: Any):
    server = FakeServer(eras=[way.family])
    server.tool("t", returns="x")
    server.prompt("p", "text")
    async with reach(server, way) as trunk:
        await trunk.ready()
        assert counts(trunk) == (1, 0, 0, 1)
        assert [lists(server, kind) for kind in METHODS] == [1, 0, 0, 1]


@pytest.mark.parametrize("method", OTHERS)
@pytest.mark.over("memory", "json")
async def test_a_hung_list_delays_no_call_and_becomes_a_warning(way: Any, reach: Any, method: str):
    server = with_everything(eras=[way.family])
    server.fault(method, Fault.hang)
    async with reach(server, way, policy={"defaults": {"connect": 0.5}}) as trunk:
        async with asyncio.timeout(5):
            assert (await trunk.call("fake.t1")).text == "1"
        assert trunk.catalog.warnings == ()
        await trunk.ready("fake")
        assert trunk.catalog.warnings == ()
        async with asyncio.timeout(5):
            await trunk.ready()
        assert ["no answer within 0.5 s" in warning for warning in trunk.catalog.warnings] == [True]
        assert trunk.status()["fake"].state == "ready"
        assert sorted(count is None for count in counts(trunk)) == [False, False, False, True]


@pytest.mark.parametrize("method", OTHERS)
@pytest.mark.over("memory", "json")
async def test_a_failing_list_costs_itself_only(way: Any, reach: Any, method: str):
    server = with_everything(eras=[way.family])
    server.fault(method, Fault.rpc_error(-32603, "broken inside"))
    async with reach(server, way) as trunk:
        await trunk.ready()
        assert ["broken inside" in warning for warning in trunk.catalog.warnings] == [True]
        assert (await trunk.call("fake.t2")).text == "2"
        assert counts(trunk).count(3) == 3


@pytest.mark.over("memory")
async def test_a_server_with_resources_that_has_no_templates_is_not_warned_of(way: Any, reach: Any):
    server = with_everything(eras=[way.family])
    server.fault("resources/templates/list", Fault.rpc_error(-32601, "Method not found"))
    async with reach(server, way) as trunk:
        await trunk.ready()
        assert counts(trunk) == (3, 3, 0, 3)
        assert trunk.catalog.warnings == ()


@pytest.mark.parametrize("cursors", ["plain", "empty", "cyclic", "endless"])
@pytest.mark.over("memory", "sse")
async def test_every_way_of_paging_gives_all_items_of_every_kind(way: Any, reach: Any, cursors: str):
    server = with_everything(25, eras=[way.family], page_size=10, cursors=cursors)
    async with reach(server, way, policy={"servers": {"fake": {"limits": {"pages": 20}}}}) as trunk:
        await trunk.ready()
        lists = (trunk.catalog.tools, trunk.resources, trunk.templates, trunk.prompts)
        assert [len(found) for found in lists] == [25] * 4
        warned = [warning for warning in trunk.catalog.warnings if "what came before it is used" in warning]
        assert len(warned) == (4 if cursors in ("cyclic", "endless") else 0)


@pytest.mark.parametrize("anyio_backend", [("asyncio", {"loop_factory": VirtualTimeLoop})], ids=["virtual"])
@pytest.mark.parametrize("method", ["tools/list", "prompts/list"])
async def test_pages_that_do_not_come_in_time_leave_what_came_before(method: str):
    server = with_everything(25, page_size=10)
    server.fault(method, Fault.hang, nth=3)
    async with trunkline.connect({"fake": server}, policy={"defaults": {"connect": 0.5}}) as trunk:
        await trunk.ready()
        found = {"tools/list": trunk.catalog.tools, "prompts/list": trunk.prompts}[method]
        assert len(found) == 20
        assert ["in time" in warning for warning in trunk.catalog.warnings] == [True]
        assert (await trunk.call("fake.t3")).text == "3"


async def test_a_page_that_is_refused_leaves_what_came_before():
    server = with_everything(25, page_size=10)
    server.fault("resources/list", Fault.rpc_error(-32603, "no more"), nth=2)
    async with trunkline.connect({"fake": server}) as trunk:
        await trunk.ready()
        assert len(trunk.resources) == 10
        assert ["no more" in warning for warning in trunk.catalog.warnings] == [True]


async def test_a_cursor_that_became_invalid_means_that_the_list_is_read_from_its_beginning():
    server = with_everything(25, page_size=10)
    server.fault("resources/list", Fault.rpc_error(-32602, "invalid cursor"), nth=2)
    async with trunkline.connect({"fake": server}) as trunk:
        await trunk.ready()
        assert len(trunk.resources) == 25
        assert trunk.catalog.warnings == ()
        cursors = [one.params.get("cursor") for one in server.ledger.of("resources/list")]
        assert cursors == [None, "10", None, "10", "20"]


async def test_a_list_that_is_cut_short_later_does_not_take_the_place_of_a_whole_one():
    server = with_everything(25, page_size=10)
    async with trunkline.connect({"fake": server}) as trunk:
        await trunk.ready()
        server.fault("prompts/list", Fault.rpc_error(-32603, "no more"), nth=2)
        server.notify("notifications/prompts/list_changed")
        await server.wait_for(lambda _: lists(server, "prompts") == 5)
        await turn()
        assert len(trunk.prompts) == 25
        assert any("no more" in warning for warning in trunk.catalog.warnings)


BAD = {
    "resources": [7, {}, {"name": "no uri"}, {"uri": ""}, {"uri": 3, "name": "x"}],
    "templates": [None, {"uriTemplate": "mem://{unclosed"}, {"uriTemplate": "mem://{=op}"}, {"name": "no"}],
    "prompts": ["x", {}, {"name": ""}, {"name": "p", "arguments": [{}]}, {"name": "p", "arguments": "no"}],
}


@pytest.mark.parametrize(("kind", "bad"), [(kind, bad) for kind, several in BAD.items() for bad in several])
async def test_one_malformed_item_of_three_hundred_leaves_the_others(kind: str, bad: Any):
    class Planted(FakeServer):
        def complete(self, result: Any, method: str) -> dict[str, Any]:
            if method == METHODS[kind]:
                (member,) = [key for key in result if key in ("resources", "resourceTemplates", "prompts")]
                result = {member: [*result[member][:150], bad, *result[member][150:]]}
            return super().complete(result, method)

    server = Planted(eras=["modern"])
    for number in range(299):
        server.resource(f"mem://r{number}")
        server.resource(f"mem://t{number}/{{x}}")
        server.prompt(f"p{number}", "text")
    async with trunkline.connect({"fake": server}) as trunk:
        await trunk.ready()
        assert [len(found) for found in (trunk.resources, trunk.templates, trunk.prompts)] == [299] * 3
        assert len(trunk.catalog.warnings) == 1
        assert "151" in trunk.catalog.warnings[0]


@pytest.mark.parametrize(
    ("notification", "kinds"),
    [("tools", {"tools"}), ("resources", {"resources", "templates"}), ("prompts", {"prompts"})],
)
async def test_a_storm_of_changes_lists_its_own_kind_at_most_twice(notification: str, kinds: set[str]):
    server = with_everything()
    async with trunkline.connect({"fake": server}) as trunk:
        await trunk.ready()
        before = {kind: lists(server, kind) for kind in METHODS}
        for number in range(1_000):
            server.notify(f"notifications/{notification}/list_changed")
            if number == 500:
                server.tool("new")
                server.resource("mem://new")
                server.resource("mem://new/{x}")
                server.prompt("new")
        changed = {"tools": 4, "resources": 4, "templates": 4, "prompts": 4}
        async with asyncio.timeout(5):
            while any(getattr(trunk.status()["fake"], kind) != changed[kind] for kind in kinds):
                await turn(1)
        await turn()
        after = {kind: lists(server, kind) - before[kind] for kind in METHODS}
        assert all(1 <= after[kind] <= 2 for kind in kinds)
        assert all(after[kind] == 0 for kind in METHODS.keys() - kinds)


async def test_a_lost_server_keeps_what_it_listed_and_lists_it_anew_when_it_is_back():
    server = with_everything()
    server.tool("die")
    server.fault("die", Fault.crash_before_reply)
    async with trunkline.connect({"fake": server}) as trunk:
        await trunk.ready()
        with pytest.raises(trunkline.CallError):
            await trunk.call("fake.die")
        assert len(trunk.resources) == 3
        server.resource("mem://later")
        await trunk.call("fake.t1")
        await trunk.ready()
        assert len(trunk.resources) == 4


@pytest.mark.parametrize("method", OTHERS)
@pytest.mark.over("memory", "stdio")
async def test_a_server_that_ends_over_a_list_is_not_asked_for_it_again(way: Any, reach: Any, method: str):
    server = with_everything(eras=[way.family])
    server.fault(method, Fault.crash_before_reply)
    async with reach(server, way) as trunk:
        await trunk.ready("fake")
        async with asyncio.timeout(20):
            await trunk.ready()
        assert (await trunk.call("fake.t1")).text == "1"
        assert any("each time" in warning for warning in trunk.catalog.warnings)
        assert counts(trunk).count(3) == 3
        assert len(trunk.catalog.warnings) == 1


async def test_a_server_lost_once_while_it_lists_is_asked_for_everything_again():
    server = with_everything()
    server.fault("prompts/list", Fault.crash_before_reply, nth=1)
    async with trunkline.connect({"fake": server}) as trunk:
        await trunk.ready()
        assert counts(trunk) == (3, 3, 3, 3)
        assert trunk.catalog.warnings == ()


async def test_closing_while_every_other_list_hangs_is_quick_and_takes_the_requests_back():
    server = with_everything(eras=["legacy"])
    for method in OTHERS:
        server.fault(method, Fault.hang)
    async with trunkline.connect({"fake": server}) as trunk:
        await trunk.ready("fake")
        await server.wait_for(lambda ledger: all(ledger.of(method) for method in OTHERS))
        async with asyncio.timeout(2):
            await trunk.aclose()
    assert all(server.ledger.of(method)[0].cancelled for method in OTHERS)


async def test_giving_up_waiting_for_all_lists_names_the_one_that_is_late():
    server = with_everything()
    server.fault("prompts/list", Fault.hang)
    async with trunkline.connect({"fake": server}) as trunk:
        with pytest.raises(trunkline.DeadlineExceededError, match=r"fake \(its prompts\)"):
            await trunk.ready(timeout=0.3)
        waiting = asyncio.create_task(trunk.ready())
        await turn(3)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert (await trunk.call("fake.t1")).text == "1"
