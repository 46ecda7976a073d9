"""Many tenants of one runtime, and a server that says of private data that it is for everybody."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from typing import Any

import pytest
from msgspec.structs import replace

import trunkline
from trunkline.core.call import Call
from trunkline.core.principal import Principal
from trunkline.core.reply import Reply
from trunkline.errors import TrunklineError
from trunkline.pipeline.middleware import Middleware
from trunkline.pipeline.service import Service
from trunkline.testing import FakeServer, Fault, Result

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


@pytest.mark.parametrize("seed", [1])
async def test_ten_thousand_interleaved_calls_of_eight_tenants_give_nobody_what_is_another_s(
    seed: int,
) -> None:
    draw = random.Random(seed)
    server = lying()
    crossed: list[tuple[str, Any]] = []
    seen = {"cached": 0, "stale": 0, "degraded": 0, "failed": 0, "cancelled": 0}
    left = iter(range(CALLS))
    middleware = [Middleware(function=sign, at="send")]

    async def tenant(trunk: trunkline.Trunk) -> None:
        for _ in left:
            principal = draw.choice(TENANTS)
            name = draw.choice(NAMES)
            options: dict[str, Any] = {}
            if draw.random() < 0.02:
                options = draw.choice([{"cache": False}, {"max_age": 1.0}, {"timeout": 0.005}])
            arguments = {"n": draw.randrange(3)}
            try:
                with trunk.acting_as(principal):
                    if draw.random() < 0.98:
                        reply = await trunk.call(f"db.{name}", arguments, **options)
                    else:
                        running = asyncio.ensure_future(trunk.call(f"db.{name}", arguments, **options))
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

    async with trunkline.connect({"db": server}, policy=POLICY, middleware=middleware) as trunk:
        await trunk.ready()
        server.fault("read_b", Fault.rpc_error(-32603, "not now"), nth=200, times=60)
        async with asyncio.TaskGroup() as group:
            for _ in range(WORKERS):
                group.create_task(tenant(trunk))
        stats = trunk.cache.stats
    assert crossed == []
    assert seen["cached"] > CALLS / 2
    assert min(seen["stale"], seen["cancelled"], seen["failed"], stats.shared, stats.evicted) > 0
    assert stats.foreseen_hits > 0
