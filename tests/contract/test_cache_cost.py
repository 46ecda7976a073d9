"""What an answer out of the cache costs, and that a tool without a cache pays nothing for it."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

import trunkline
from trunkline.core.cache_settings import CacheSettings
from trunkline.core.call import Call, Flight
from trunkline.core.principal import LOCAL
from trunkline.core.reply import Reply
from trunkline.pipeline.cache import Cache
from trunkline.pipeline.cache_index import Index
from trunkline.pipeline.cache_key import Keys
from trunkline.pipeline.flights import Flights
from trunkline.pipeline.shelf import Shelf
from trunkline.testing import FakeServer

pytestmark = pytest.mark.anyio

MOST = 15e-6
"""Seconds of CPU that a hit may take (docs/decisions/0012)."""
HITS, TRIES = 2_000, 10
RESULT: dict[str, Any] = {"content": [{"type": "text", "text": "x" * 200}], "structuredContent": {"n": 1}}


@pytest.mark.alone
async def test_a_hit_takes_at_most_fifteen_microseconds() -> None:
    loop = asyncio.get_running_loop()

    async def answer(call: Call) -> Reply:
        return Reply(raw=RESULT, server="s", tool="s.t", call_id=call.id)

    shelf = Shelf("s", "place", Keys(b"salt"), Index(100, 100_000), loop.time)
    flights = Flights(lambda work, name: loop.create_task(work, name=name))
    layer = Cache(settings=CacheSettings(ttl=3600.0), shelf=shelf, flights=flights, allows=lambda _: True)
    cached = layer.wrap(answer)
    call = Call(
        id="c",
        server="s",
        name="t",
        public_name="s.t",
        arguments={"path": "/srv/notes/a.txt", "limit": 10},
        principal=LOCAL,
        deadline=1e12,
        idle=60.0,
        flight=Flight(0.0),
    )
    await cached(call)
    taken = []
    for _ in range(TRIES):
        started = time.process_time()
        for _ in range(HITS):
            await cached(call)
        taken.append((time.process_time() - started) / HITS)
        if taken[-1] <= MOST:
            break
    assert min(taken) <= MOST
    assert shelf.hits >= HITS


async def test_a_tool_of_which_nothing_is_kept_has_no_layer_for_it() -> None:
    server = FakeServer()
    server.tool("look", returns="x")
    async with trunkline.connect({"db": server}) as trunk:
        await trunk.call("db.look")
        names = {layer.name for layer in (*trunk.layers("db", "look"), *trunk.layers("db"))}
        assert names.isdisjoint({"cache", "coalesce"})
