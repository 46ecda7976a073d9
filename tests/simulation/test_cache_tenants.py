"""Many tenants of one runtime, and a server that says of private data that it is for everybody."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from msgspec.structs import replace

import trunkline
from trunkline.core.cache_stats import CacheStats
from trunkline.core.call import Call
from trunkline.core.principal import Principal
from trunkline.core.reply import Reply
from trunkline.errors import TrunklineError
from trunkline.pipeline.middleware import Middleware
from trunkline.pipeline.service import Service
from trunkline.store.replies import Found
from trunkline.testing import FakeServer, Fault, Result, VirtualNetwork

pytestmark = pytest.mark.anyio

TENANTS = [Principal(name=name) for name in ("anna", "ben", "anna ", "Anna", "", "root", "local")] + [
    Principal(name="anna", roles=frozenset({"admin"}))
]
CALLS, WORKERS = 10_000, 40
NAMES = ("read_a", "read_b") * 50 + ("read_c", "read_c", "write")
KEEPS = {
    "ttl": 30.0,
    "hints": "follow",
    "stale_while_revalidate": 20.0,
    "stale_if_error": 60.0,
    "max_entries": 45,
}
POLICY = {
    "servers": {"db": {"cache": KEEPS, "coalesce": True, "retry": {"attempts": 1}}},
    "tools": {
        "db.read_*": {"read_only": True, "prefetch": {"enabled": True, "budget": 1.0, "least": 1}},
        "db.read_c": {
            "cache": {"ttl": 0.0, "hints": "shorten", "stale_while_revalidate": 0.0, "stale_if_error": 0.0}
        },
        "db.write": {"cache": {"invalidates": ["read_a"]}},
    },
}


def lying() -> FakeServer:
    """Give a server whose every result claims to be public, and to be fresh for long."""
    server = FakeServer(eras=["modern"], ttl_ms=9_000, cache_scope="public")

    async def answer(arguments: Mapping[str, Any]) -> Any:
        await asyncio.sleep(float(arguments["n"]) / 100)
        result = {"structuredContent": dict(arguments), "content": []}
        return Result({**result, "ttlMs": 9_000, "cacheScope": "public"})

    for name in ("read_a", "read_b", "read_c", "write"):
        server.tool(name)(answer)
    return server


async def sign(call: Call, following: Service) -> Reply:
    """Say to the server on whose behalf a call is, as credentials do."""
    return await following(replace(call, arguments={**call.arguments, "who": owner(call.principal)}))


def owner(principal: Principal) -> str:
    return f"{principal.name}/{sorted(principal.roles)}"


class Table:
    """A place for answers outside of the runtime, in which one that is looked for may be any other's."""

    def __init__(self, draw: random.Random) -> None:
        self.kept: dict[str, bytes] = {}
        self.mixed = 0
        self._draw = draw

    async def salt(self) -> bytes:
        return bytes(32)

    async def get(self, key: str) -> Found:
        await asyncio.sleep(0.001)
        if self.kept and self._draw.random() < 0.01:
            self.mixed += 1
            return Found(self._draw.choice(list(self.kept.values())), 0)
        return Found(self.kept.get(key), 0)

    async def put(self, key: str, value: bytes, keep_for: float, mark: int) -> bool:
        await asyncio.sleep(0.001)
        self.kept[key] = value
        return keep_for > mark

    async def drop(self, server: str, concerned: Callable[[str], bool]) -> int:
        await asyncio.sleep(0.001)
        gone = [key for key in self.kept if key.startswith(server) and concerned(key)]
        for key in gone:
            del self.kept[key]
        return len(gone)

    async def close(self) -> None:
        return None


async def test_ten_thousand_interleaved_calls_of_eight_tenants_give_nobody_what_is_another_s() -> None:
    server = lying()
    seen, stats = await interleave({"db": server}, server, CALLS)
    assert seen["cached"] > CALLS / 2
    assert min(seen["stale"], seen["cancelled"], seen["failed"], stats.shared, stats.evicted) > 0
    assert stats.foreseen_hits > 0


@pytest.mark.timeout(600)
@pytest.mark.parametrize("calls", [500, pytest.param(CALLS, marks=pytest.mark.soak)])
async def test_nor_do_they_where_answers_are_kept_outside_in_a_place_that_mixes_them_up(calls: int) -> None:
    server, place = lying(), Table(random.Random(2))
    with VirtualNetwork() as network:
        target = {"db": {"url": network.serve(server).url}}
        seen, stats = await interleave(target, server, calls, cache=place)
    assert seen["cached"] > calls / 4
    assert min(seen["cancelled"], stats.shared, stats.invalidated, place.mixed) > 0


async def interleave(
    target: Any, server: FakeServer, calls: int, **options: Any
) -> tuple[dict[str, int], CacheStats]:
    """Have all tenants call, and hold each answer against who asked; give what was seen."""
    draw = random.Random(1)
    crossed: list[tuple[str, Any]] = []
    seen = {"cached": 0, "stale": 0, "degraded": 0, "failed": 0, "cancelled": 0}
    left = iter(range(calls))
    middleware = [Middleware(function=sign, at="send")]

    async def tenant(trunk: trunkline.Trunk) -> None:
        for _ in left:
            principal = draw.choice(TENANTS)
            name = draw.choice(NAMES)
            given: dict[str, Any] = {}
            if draw.random() < 0.02:
                given = draw.choice([{"cache": False}, {"max_age": 1.0}, {"timeout": 0.005}])
            arguments = {"n": draw.randrange(3)}
            try:
                with trunk.acting_as(principal):
                    if draw.random() < 0.98:
                        reply = await trunk.call(f"db.{name}", arguments, **given)
                    else:
                        running = asyncio.ensure_future(trunk.call(f"db.{name}", arguments, **given))
                        asyncio.get_running_loop().call_later(0.005, running.cancel)
                        reply = await running
            except TrunklineError:
                seen["failed"] += 1
                continue
            except asyncio.CancelledError:
                seen["cancelled"] += 1
                continue
            for fact in ("cached", "stale", "degraded"):
                seen[fact] += getattr(reply, fact)
            if reply.structured["who"] != owner(principal):
                crossed.append((owner(principal), reply.structured))
            if draw.random() < 0.05:
                await asyncio.sleep(draw.random() * 15)

    async with trunkline.connect(target, policy=POLICY, middleware=middleware, **options) as trunk:
        await trunk.ready()
        server.fault("read_b", Fault.rpc_error(-32603, "not now"), nth=200, times=60)
        async with asyncio.TaskGroup() as group:
            for _ in range(WORKERS):
                group.create_task(tenant(trunk))
        stats = trunk.cache.stats
    assert crossed == []
    return seen, stats
