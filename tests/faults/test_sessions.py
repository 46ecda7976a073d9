"""Legacy HTTP sessions that the server forgets: opened again once, shared by all who lost the same one."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import trunkline
from trunkline.testing import FakeServer, Fault

pytestmark = [pytest.mark.anyio, pytest.mark.over("json", "sse", families=("legacy",))]


def echoing() -> FakeServer:
    server = FakeServer(eras=["legacy"])
    server.tool("echo", reports="arguments")
    return server


def handshakes(server: FakeServer) -> int:
    return len(server.ledger.of("initialize"))


async def test_a_lost_session_is_opened_once_for_all_calls_and_each_runs_once(way: Any, reach: Any):
    server = echoing()
    async with reach(server, way) as trunk:
        await trunk.ready()
        server.expire_sessions()
        replies = await asyncio.gather(*(trunk.call("fake.echo", {"n": n}) for n in range(20)))
        assert [reply.value["n"] for reply in replies] == list(range(20))
        assert handshakes(server) == 2
        assert server.ledger.executed("echo") == 20


async def test_a_call_that_learns_late_of_the_lost_session_uses_the_one_already_opened(way: Any, reach: Any):
    server = echoing()
    # A 404 that arrives long after the other call has opened a new session.
    server.fault("echo", Fault.http_status(404), nth=2)
    async with reach(server, way) as trunk:
        await trunk.ready()
        server.expire_sessions()
        assert (await trunk.call("fake.echo", {"n": 1})).value == {"n": 1}
        assert handshakes(server) == 2


async def test_a_list_asked_for_in_a_lost_session_opens_a_new_one(way: Any, reach: Any):
    server = echoing()
    async with reach(server, way) as trunk:
        await trunk.ready()
        server.tool("new", returns="here")
        server.expire_sessions()
        assert (await trunk.call("fake.new")).text == "here"


async def test_a_new_session_has_the_lists_read_anew_though_the_server_tells_of_no_changes(
    way: Any, reach: Any, until: Any
):
    server = echoing()
    async with reach(server, way) as trunk:
        await trunk.ready()
        server.tool("new", returns="here")
        for _ in range(3):
            server.expire_sessions()
            await trunk.call("fake.echo", {})
            await until(lambda: "fake.new" in [tool.public_name for tool in trunk.catalog.tools])
        assert len(server.ledger.of("tools/list")) == 2


async def test_a_session_lost_twice_in_a_row_is_refused_and_not_tried_for_ever(way: Any, reach: Any):
    server = echoing()
    server.fault("echo", Fault.http_status(404))
    async with reach(server, way) as trunk:
        with pytest.raises(trunkline.CallError) as caught:
            await trunk.call("fake.echo")
        assert (caught.value.delivery, caught.value.status) == ("refused", 404)
        assert server.ledger.executed("echo") == 0
        server.heal()
        assert (await trunk.call("fake.echo", {"n": 1})).value == {"n": 1}


async def test_a_new_session_that_cannot_be_opened_leaves_the_call_refused(way: Any, reach: Any):
    server = echoing()
    async with reach(server, way) as trunk:
        await trunk.ready()
        server.expire_sessions()
        server.fault("initialize", Fault.reset)
        outcomes = await asyncio.gather(
            *(trunk.call("fake.echo", {"n": n}) for n in range(5)), return_exceptions=True
        )
        assert {getattr(error, "delivery", None) for error in outcomes} <= {"refused", "never_sent"}
        assert len({id(error) for error in outcomes}) == 5
        assert len({error.call_id for error in outcomes if isinstance(error, trunkline.CallError)}) == 5
        server.heal()
        assert (await trunk.call("fake.echo", {"n": 1})).value == {"n": 1}


async def test_a_new_session_that_never_opens_does_not_poison_later_calls(way: Any, reach: Any):
    server = echoing()
    async with reach(
        server, way, policy={"servers": {"fake": {"connect": 0.5, "retry": {"attempts": 1}}}}
    ) as trunk:
        await trunk.ready()
        server.expire_sessions()
        server.fault("initialize", Fault.hang, nth=1)
        with pytest.raises(trunkline.DeadlineExceededError) as caught:
            await trunk.call("fake.echo", timeout=0.2)
        assert caught.value.delivery == "never_sent"
        with pytest.raises(trunkline.UnavailableError, match="initialize"):
            await trunk.call("fake.echo", timeout=5)
        assert (await trunk.call("fake.echo", {"n": 1}, timeout=5)).value == {"n": 1}
