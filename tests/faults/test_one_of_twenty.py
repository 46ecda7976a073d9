"""One aborted call of twenty fails alone and the next one works, over pipes and HTTP, in both families."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any
from urllib.parse import urlsplit

import pytest

import trunkline
from trunkline.testing import FakeServer, Fault, Toxic, ToxicProxy

pytestmark = pytest.mark.anyio


def offering(family: str) -> FakeServer:
    server = FakeServer("fake", eras=[family])
    server.tool("echo", delay=0.02, reports="arguments")
    server.tool("bad", delay=0.01, returns="never read")
    return server


async def twenty(trunk: trunkline.Trunk, odd: str) -> list[Any]:
    calls = [trunk.call("fake.echo", {"n": n}, timeout=20) for n in range(19)]
    calls.insert(7, trunk.call(odd, timeout=20))
    return await asyncio.gather(*calls, return_exceptions=True)


def count(outcomes: list[Any]) -> Counter[str]:
    return Counter(type(outcome).__name__ for outcome in outcomes)


@pytest.mark.over("stdio", "json", "sse", "websocket")
async def test_an_answer_that_cannot_be_read_costs_its_own_call(reach: Any, way: Any):
    server = offering(way.family)
    server.fault("bad", Fault.raw('{"jsonrpc": "2.0", "id": $ID, "result": "no object"}'))
    async with reach(server, way) as trunk:
        await trunk.ready()
        for _ in range(3):
            outcomes = await twenty(trunk, "fake.bad")
            assert count(outcomes) == {"Reply": 19, "ProtocolError": 1}
            assert isinstance(outcomes[7], trunkline.ProtocolError)
        assert (await trunk.call("fake.echo", {"n": 1})).value["n"] == 1


@pytest.mark.over("stdio", "json", "sse", "websocket")
async def test_a_call_that_is_cancelled_costs_no_other(reach: Any, way: Any):
    async with reach(offering(way.family), way) as trunk:
        await trunk.ready()
        calls = [trunk.start("fake.echo", {"n": n}) for n in range(20)]
        await asyncio.sleep(0.005)
        calls[7].cancel()
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        assert count(outcomes) == {"Reply": 19, "CancelledError": 1}
        assert (await trunk.call("fake.echo", {"n": 1})).value["n"] == 1


@pytest.mark.parametrize("family", ["legacy", "modern"])
@pytest.mark.parametrize("toxic", [Toxic.reset(60), Toxic.cut(60), Toxic.reset(-1), Toxic.reset(0)])
async def test_a_connection_that_breaks_costs_the_call_on_it(family: str, toxic: Toxic):
    server = offering(family)
    async with (
        server.http() as url,
        ToxicProxy(urlsplit(url).port or 0) as proxy,
        trunkline.connect({"fake": {"url": proxy.url()}}) as trunk,
    ):
        await trunk.ready()
        armed = [toxic]
        proxy.draw = lambda: (armed.pop(),) if armed else ()
        outcomes = await twenty(trunk, "fake.echo")
        assert not armed
        assert count(outcomes) == {"Reply": 19, "OutcomeUnknownError": 1}
        assert (await trunk.call("fake.echo", {"n": 1})).value["n"] == 1
