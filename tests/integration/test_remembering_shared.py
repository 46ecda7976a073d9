"""What is remembered of servers with several connections, of lazy ones, and across changed settings."""

from __future__ import annotations

from typing import Any

import pytest

import trunkline
from trunkline import MemoryStore
from trunkline.config.loading import load
from trunkline.runtime.recollection import recollect
from trunkline.store.port import SALT
from trunkline.testing import FakeServer, Fault

pytestmark = pytest.mark.anyio
NOWHERE = "http://127.0.0.1:1/mcp"


def shop(name: str = "shop") -> FakeServer:
    server = FakeServer(name, eras=["legacy"])
    server.tool("buy", returns=name)
    server.tool("slow", delay=0.2, returns=name)
    return server


def rules(**settings: Any) -> dict[str, Any]:
    return {"defaults": {"connect": 5, "restart_delay": 0.05}, "servers": {"shop": settings}}


def tools(trunk: trunkline.Trunk) -> dict[str, bool]:
    return {tool.name: tool.stale for tool in trunk.catalog.tools}


async def use(store: Any, url: str, policy: dict[str, Any]) -> None:
    """Have every connection there may be used once."""
    async with trunkline.connect({"shop": {"url": url}}, store=store, policy=policy) as trunk:
        await trunk.ready()
        await trunk.call_many([("shop.slow", {})] * 4)


async def test_all_connections_of_a_pool_have_one_memory_and_believe_it():
    server, store, policy = shop(), MemoryStore(), rules(pool={"max": 2})
    async with server.http() as url:
        await use(store, url, policy)
        assert len([key for key in store.kept if key != SALT]) == 2
        asked = len(server.ledger.of("server/discover"))
        await use(store, url, policy)
        assert len(server.ledger.of("server/discover")) == asked
        server.fault("tools/list", Fault.hang)
        async with trunkline.connect({"shop": {"url": url}}, store=store, policy=policy) as trunk:
            assert tools(trunk) == {"buy": True, "slow": True}
        found = recollect(load({"shop": {"url": url}}, policy=policy), {}, store)
        assert (found.unknown, len(found.catalog.tools)) == ((), 2)


async def test_of_a_server_whose_own_endpoint_is_down_the_next_start_knows_what_its_replica_listed():
    store = MemoryStore()
    async with shop().http() as url:
        policy = rules(replicas=[url])
        await use(store, NOWHERE, policy)
    found = recollect(load({"shop": {"url": NOWHERE}}, policy=policy), {}, store)
    assert (found.unknown, len(found.catalog.tools)) == ((), 2)
    async with trunkline.connect({"shop": {"url": NOWHERE}}, store=store, policy=policy) as trunk:
        assert tools(trunk) == {"buy": True, "slow": True}


async def test_a_lazy_server_is_shown_as_it_was_and_stays_asleep_until_it_is_used():
    server, store = shop(), MemoryStore()
    async with server.http() as url:
        await use(store, url, rules())
        seen = len(server.ledger.of("initialize"))
        policy = rules(lazy=True)
        async with trunkline.connect({"shop": {"url": url}}, store=store, policy=policy) as trunk:
            await trunk.ready()
            assert [match.tool.name for match in await trunk.search("buy")] == ["buy"]
            assert (tools(trunk)["buy"], trunk.status()["shop"].asleep) == (True, True)
            assert len(server.ledger.of("initialize")) == seen
            assert (await trunk.call("buy")).text == "shop"
            assert (tools(trunk)["buy"], trunk.status()["shop"].asleep) == (False, False)


async def test_a_server_that_is_kept_alive_differently_goes_on_with_its_memory():
    server, store, policy = shop(), MemoryStore(), rules()
    async with server.http() as url:
        async with trunkline.connect({"shop": {"url": url}}, store=store, policy=policy) as trunk:
            await trunk.ready()
            memory = trunk._fleet.get("shop").settings.remembered  # type: ignore[union-attr]
            policy["servers"]["shop"]["max_restarts"] = 9
            assert (await trunk.reload()).adjusted == ("shop",)
            server.tool("sell", returns="sold")
            await trunk.restart("shop")
            assert set(memory.lists) >= {"tools"}  # type: ignore[union-attr]
            assert trunk._fleet.get("shop").settings.remembered is memory  # type: ignore[union-attr]
        found = recollect(load({"shop": {"url": url}}, policy=policy), {}, store)
        assert [tool.name for tool in found.catalog.tools] == ["buy", "slow", "sell"]


async def test_a_pool_that_forgot_nothing_survives_clearing_while_it_runs():
    server, store, policy = shop(), MemoryStore(), rules(pool={"max": 2})
    async with server.http() as url:
        async with trunkline.connect({"shop": {"url": url}}, store=store, policy=policy) as trunk:
            await trunk.ready()
            store.kept.clear()
            replies = await trunk.call_many([("shop.slow", {})] * 4)
            assert {reply.text for reply in replies if isinstance(reply, trunkline.Reply)} == {"shop"}
        await use(store, url, policy)
        assert recollect(load({"shop": {"url": url}}, policy=policy), {}, store).unknown == ()
