"""Where the time of calls went that waited, failed, were tried again and shared: the parts make the whole."""

from __future__ import annotations

import asyncio
import random

import pytest

import trunkline
from trunkline.testing import FakeServer, Toxic, Toxics, VirtualNetwork

pytestmark = pytest.mark.anyio

FAULTS = (Toxic.reset(), Toxic.cut(60), Toxic.http_status(503, retry_after=1), Toxic.latency(0.3))
POLICY = {
    "servers": {
        "db": {
            "health_check_interval": 0,
            "limit": {"concurrency": 2, "rate": 5, "burst": 2},
            "batch": {"milliseconds": 20, "size": 5},
        }
    },
    "tools": {"db.get": {"read_only": True, "coalesce": True, "cache": {"ttl": 2, "stale_if_error": 60}}},
}


@pytest.mark.parametrize("seed", range(3))
async def test_the_parts_of_every_call_make_the_whole_of_what_its_caller_waited(seed: int):
    chance, loop = random.Random(seed), asyncio.get_running_loop()
    told: set[str] = set()

    async def one(trunk: trunkline.Trunk) -> None:
        await asyncio.sleep(20 * chance.random())
        begun, tool = loop.time(), chance.choice(("db.get", "db.set"))
        outcome: trunkline.Reply | trunkline.CallError
        try:
            outcome = await trunk.call(tool, timeout=chance.choice((1, 60)))
        except trunkline.CallError as error:
            outcome = error
        timing = outcome.timing
        assert timing is not None
        hops = timing.to_hops(answered=isinstance(outcome, trunkline.Reply))
        assert min(hop.seconds for hop in hops) >= 0
        assert timing.total == pytest.approx(loop.time() - begun, abs=0.01)
        assert sum(hop.seconds for hop in hops) == pytest.approx(timing.total)
        if isinstance(outcome, trunkline.Reply) and not outcome.cached:
            # Nothing takes time in this process, where time stands still while it works.
            assert timing.own < 0.01
        told.update(hop.name for hop in hops if hop.seconds)

    server = FakeServer("db", eras=["modern"], ttl_ms=3_600_000)
    server.tool("get", delay=0.5, returns="row")
    server.tool("set", delay=0.2, returns="done")
    with VirtualNetwork() as network:
        endpoint = network.serve(server, toxics=Toxics(seed=seed))
        async with trunkline.connect({"db": {"url": endpoint.url}}, policy=POLICY) as trunk:
            await trunk.ready()
            for fault in FAULTS:
                endpoint.toxics.add(fault, share=0.15)
            async with asyncio.TaskGroup() as group:
                for _ in range(60):
                    group.create_task(one(trunk))
    assert told >= {"waited for its turn", "attempts before the last", "paused between attempts"}
