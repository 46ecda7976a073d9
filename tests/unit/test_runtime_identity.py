"""Who we say we are reaches servers of both families; on whose behalf a call is made travels in it."""

from __future__ import annotations

import asyncio

import pytest

import trunkline
from trunkline import Principal
from trunkline.connection.connection import Connection
from trunkline.core.call import Call
from trunkline.core.reply import Reply
from trunkline.testing import FakeServer

pytestmark = pytest.mark.anyio

ALICE, BOB = Principal(name="alice"), Principal(name="bob", roles=frozenset({"admin"}))
INFO = {"name": "my-app", "version": "7.1"}


@pytest.fixture
def principals(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Give the name of each principal that reached a connection, in order."""
    reached: list[str] = []
    original = Connection.call

    async def call(self: Connection, call: Call) -> Reply:
        reached.append(call.principal.name)
        return await original(self, call)

    monkeypatch.setattr(Connection, "call", call)
    return reached


def make_server() -> FakeServer:
    server = FakeServer("s")
    server.tool("t", returns="ok", progress=[(1, 1, None)])
    return server


@pytest.mark.parametrize("way", ["memory", "http"])
async def test_client_info_reaches_a_modern_server_in_every_request(way: str) -> None:
    server = FakeServer("s", eras=["modern"])
    server.tool("t", returns="ok")
    async with server.http() as url:
        entry = server if way == "memory" else {"url": url}
        async with trunkline.connect({"s": entry}, client_info=INFO) as trunk:
            await trunk.call("s.t")
    requests = [one for one in server.ledger if one.request_id is not None]
    assert {one.method for one in requests} == {"server/discover", "tools/list", "tools/call"}
    assert [one.meta["io.modelcontextprotocol/clientInfo"] for one in requests] == [INFO] * len(requests)


@pytest.mark.parametrize("way", ["memory", "http"])
async def test_client_info_reaches_a_legacy_server_in_its_handshake(way: str) -> None:
    server = FakeServer("s", eras=["legacy"])
    async with server.http() as url:
        entry = server if way == "memory" else {"url": url}
        async with trunkline.connect({"s": entry}, client_info=INFO) as trunk:
            await trunk.ready("s")
    (handshake,) = server.ledger.of("initialize")
    assert handshake.params["clientInfo"] == INFO


async def test_without_client_info_the_library_names_itself() -> None:
    server = FakeServer("s", eras=["legacy"])
    async with trunkline.connect({"s": server}) as trunk:
        await trunk.ready("s")
    (handshake,) = server.ledger.of("initialize")
    assert handshake.params["clientInfo"] == {"name": "trunkline", "version": trunkline.__version__}


async def test_a_block_acts_as_its_principal_in_every_way_to_call(principals: list[str]) -> None:
    async with trunkline.connect({"s": make_server()}, principal=ALICE) as trunk:
        await trunk.call("s.t")
        with trunk.acting_as(BOB):
            await trunk.call("s.t")
            await trunk.call_many([("s.t", {}), ("s.t", {})])
            handle, events = trunk.start("s.t"), trunk.stream("s.t")
            function = trunk.tool("s.t")
            await function()
        await handle
        assert [event async for event in events]
        await function()
        await trunk.call("s.t")
    assert principals == ["alice", *["bob"] * 6, "alice", "alice"]


async def test_blocks_nest_and_end_with_an_error(principals: list[str]) -> None:
    async with trunkline.connect({"s": make_server()}) as trunk:
        with trunk.acting_as(ALICE):
            with pytest.raises(ZeroDivisionError), trunk.acting_as(BOB):
                await trunk.call("s.t", {"n": 1 / 0})
            await trunk.call("s.t")
        await trunk.call("s.t")
    assert principals == ["alice", "local"]


async def test_a_block_concerns_its_own_task_and_its_own_trunk_only(principals: list[str]) -> None:
    async with trunkline.connect({"s": make_server()}) as one, trunkline.connect({"s": make_server()}) as two:
        inside = asyncio.Event()
        called = asyncio.Event()

        async def other() -> None:
            await inside.wait()
            await one.call("s.t")
            called.set()

        task = asyncio.ensure_future(other())
        with one.acting_as(ALICE):
            inside.set()
            await called.wait()
            await two.call("s.t")
            await one.call("s.t")
        await task
    assert principals == ["local", "local", "alice"]
