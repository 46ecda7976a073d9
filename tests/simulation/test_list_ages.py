"""A list's time to live: what is too old is read again when it is used, and no call waits for that."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import trunkline
from trunkline.testing import FakeServer, Fault

pytestmark = pytest.mark.anyio


def fresh_for(ttl_ms: int, **options: Any) -> FakeServer:
    server = FakeServer(eras=["modern"], ttl_ms=ttl_ms, cache_scope="public", **options)
    server.tool("t", returns="x")
    server.resource("mem://a", "text")
    return server


def reads(server: FakeServer, method: str = "tools/list") -> int:
    return len(server.ledger.of(method))


async def test_a_list_in_use_is_read_again_once_it_is_too_old_and_the_call_does_not_wait():
    server = fresh_for(60_000)
    async with trunkline.connect({"fake": server}) as trunk:
        await trunk.ready()
        await asyncio.sleep(59)
        await trunk.call("fake.t")
        assert reads(server) == 1
        await asyncio.sleep(2)
        server.fault("tools/list", Fault.hang)
        before = asyncio.get_running_loop().time()
        assert (await trunk.call("fake.t")).text == "x"
        assert asyncio.get_running_loop().time() - before < 0.01
        await server.wait_for(lambda _: reads(server) == 2)


async def test_a_list_nobody_uses_is_never_read_again():
    server = fresh_for(60_000)
    async with trunkline.connect({"fake": server}) as trunk:
        await trunk.ready()
        await asyncio.sleep(100_000)
        assert reads(server) == reads(server, "resources/list") == 1


async def test_a_new_list_takes_effect_and_is_fresh_for_its_own_time():
    server = fresh_for(60_000)
    async with trunkline.connect({"fake": server}) as trunk:
        await trunk.ready()
        server.resource("mem://b", "new")
        await asyncio.sleep(61)
        assert len(trunk.resources) == 1
        await asyncio.sleep(1)
        assert len(trunk.resources) == 2
        await asyncio.sleep(50)
        assert len(trunk.resources) == 2
        await asyncio.sleep(1)
        assert reads(server, "resources/list") == 2


async def test_a_list_that_is_never_fresh_is_still_not_read_at_every_use():
    server = fresh_for(0)
    async with trunkline.connect({"fake": server}) as trunk:
        await trunk.ready()
        for _ in range(600):
            await trunk.call("fake.t")
            await asyncio.sleep(0.1)
        assert 2 <= reads(server) <= 3


async def test_the_old_list_serves_while_the_new_one_cannot_be_read():
    server = fresh_for(60_000)
    async with trunkline.connect({"fake": server}) as trunk:
        await trunk.ready()
        server.fault("resources/list", Fault.rpc_error(-32603, "broken"), times=1)
        await asyncio.sleep(61)
        assert len(trunk.resources) == 1
        await asyncio.sleep(1)
        assert len(trunk.resources) == 1
        assert any("broken" in warning for warning in trunk.catalog.warnings)
        await asyncio.sleep(61)
        assert len(trunk.resources) == 1
        await asyncio.sleep(1)
        assert trunk.catalog.warnings == ()
