"""Answers that are kept, shared and fetched behind others, cut short at every place where something waits."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
import redis
from fakeredis import FakeAsyncRedis

import trunkline
from trunkline.runtime.memory_key import Material
from trunkline.store import redis_replies
from trunkline.store.redis_replies import RedisReplies
from trunkline.store.replies import Found, ReplyStore
from trunkline.testing import FakeServer
from trunkline.testing.mortal import Mortal
from trunkline.testing.rehearsal import Rehearsal, Scenario

A = "file:///a"


class Table:
    """A place for answers, as slow as one far away."""

    def __init__(self, *, opens: bool = True) -> None:
        self.kept: dict[str, bytes] = {}
        self._opens = opens

    async def salt(self) -> bytes:
        await asyncio.sleep(0.2)
        return bytes(32 if self._opens else 0)

    async def get(self, key: str) -> Found:
        await asyncio.sleep(0.2)
        return Found(self.kept.get(key), 0)

    async def put(self, key: str, value: bytes, keep_for: float, mark: int) -> bool:
        await asyncio.sleep(0.2)
        self.kept[key] = value
        return keep_for > mark

    async def drop(self, server: str, concerned: Callable[[str], bool]) -> int:
        await asyncio.sleep(0.2)
        return sum(concerned(f"{server}:t:x:p:a") for _ in (1,))

    async def close(self) -> None:
        await asyncio.sleep(0.2)


class FarRedis(FakeAsyncRedis):
    """A Redis that is far away, and can be lost."""

    lost: asyncio.Future[None]

    async def execute_command(self, *arguments: Any, **options: Any) -> Any:
        await asyncio.wait({self.lost}, timeout=0.05)
        if self.lost.done():
            self.lost = asyncio.get_running_loop().create_future()
            raise redis.ConnectionError
        return await super().execute_command(*arguments, **options)

    async def aclose(self, close_connection_pool: bool | None = None) -> None:
        await asyncio.wait({self.lost}, timeout=0.05)
        await super().aclose(close_connection_pool)

    def lose(self) -> None:
        if not self.lost.done():
            self.lost.set_result(None)


def keep_far(trunk: trunkline.Trunk, store: ReplyStore | None = None, *, opens: bool = True) -> None:
    """Let answers be kept elsewhere, although the server is an object in this process."""
    caching = trunk._caching
    caching._materials["fake"] = Material(server=b"fake", context=b"")
    caching._places._open["memory"] = Table(opens=opens) if store is None else store


async def keep_in_redis(trunk: trunkline.Trunk, peer: Mortal) -> None:
    client = FarRedis()
    client.lost = asyncio.get_running_loop().create_future()
    peer.taken_along.append(client.lose)
    store = RedisReplies(client=client)
    store._own = True
    keep_far(trunk, store)
    await asyncio.gather(*(trunk.call("fake.slow", {"n": n}, timeout=60) for n in range(5)))
    await asyncio.sleep(2)
    running = trunk.start("fake.slow", {"n": 5}, timeout=60)
    await asyncio.sleep(0.2)
    # Another runtime has something forgotten while this one asks.
    with contextlib.suppress(redis.ConnectionError):
        await store.drop(trunk._caching._fars["fake"].place, lambda _: False)
    await running
    await trunk.call("fake.slow", {"n": 1}, timeout=60)
    await trunk.cache.clear("fake.*")
    await trunk.aclose()


async def share(trunk: trunkline.Trunk, _: Mortal) -> None:
    """Call alike, one of them leaving, and once more for what is kept by then."""
    calls = [trunk.start("fake.slow", {"n": 1}, timeout=60) for _ in range(3)]
    await asyncio.sleep(0.5)
    calls[0].cancel()
    await asyncio.gather(*(one.result() for one in calls[1:]))
    await trunk.call("fake.slow", {"n": 1}, timeout=60)
    await trunk.call("fake.slow", {"n": 1}, timeout=60, cache=False)


async def leave(trunk: trunkline.Trunk, _: Mortal) -> None:
    """Be the only one who waits, and give up."""
    with suppress(trunkline.DeadlineExceededError):
        await trunk.call("fake.slow", timeout=1)


async def refresh(trunk: trunkline.Trunk, _: Mortal) -> None:
    """Be given what is stale, while a new answer is fetched."""
    await trunk.call("fake.slow", timeout=60)
    await asyncio.sleep(10)
    await trunk.call("fake.slow", timeout=60)
    await asyncio.sleep(5)


async def write(trunk: trunkline.Trunk, _: Mortal) -> None:
    await trunk.call("fake.second", timeout=60)
    await trunk.call("fake.busy", timeout=60)
    await trunk.cache.clear("fake.*")


async def call_once(trunk: trunkline.Trunk, _: Mortal) -> None:
    await trunk.call("fake.slow", timeout=60)
    await trunk.read(A, "fake", timeout=60)


async def keep_elsewhere(trunk: trunkline.Trunk, _: Mortal) -> None:
    keep_far(trunk)
    await trunk.call("fake.slow", timeout=60)
    await trunk.call("fake.slow", timeout=60, cache=False)
    await asyncio.sleep(10)
    await trunk.call("fake.slow", timeout=60)
    await trunk.call("fake.busy", timeout=60)
    await trunk.cache.clear("fake.*")
    await asyncio.sleep(5)


async def do_without(trunk: trunkline.Trunk, _: Mortal) -> None:
    """Want answers kept in a place that cannot be opened."""
    keep_far(trunk, opens=False)
    await trunk.call("fake.slow", timeout=60)
    await trunk.call("fake.slow", timeout=60, cache=False)


async def clear_at_once(trunk: trunkline.Trunk, _: Mortal) -> None:
    """Have something forgotten before it is known under which keys it would be."""
    keep_far(trunk)
    await trunk.ready()
    call = trunk.start("fake.slow", timeout=60)
    await asyncio.sleep(0.1)
    await trunk.cache.clear()
    await call


async def hear_elsewhere(trunk: trunkline.Trunk, peer: Mortal) -> None:
    keep_far(trunk)
    await trunk.call("fake.slow", timeout=60)
    async with await trunk.subscribe(A, timeout=60) as updates:
        peer.server.notify_resource(A)
        await anext(updates)
        await asyncio.sleep(1)


async def close_elsewhere(trunk: trunkline.Trunk, _: Mortal) -> None:
    keep_far(trunk)
    await trunk.call("fake.slow", timeout=60)
    await trunk.aclose()


def slow_to_read(server: FakeServer) -> None:
    server.fault("resources/read", trunkline.testing.Fault.delay(1))


def rules(**more: Any) -> dict[str, Any]:
    kept = {"ttl": 5.0, "stale_while_revalidate": 60.0, "hints": "ignore", **more}
    return {
        "servers": {"fake": {"cache": kept}},
        "tools": {
            "fake.slow": {"read_only": True},
            "fake.second": {"read_only": True},
            "fake.busy": {"cache": {"invalidates": ["*"]}},
        },
    }


SHARED = {"defaults": {"coalesce": True}, "tools": {"fake.slow": {"read_only": True}}}
SCENARIOS = {
    "shares": Scenario(share, ("modern",), policy=rules()),
    "shares and keeps nothing": Scenario(share, ("modern",), policy=SHARED),
    "leaves": Scenario(leave, ("modern",), policy=rules()),
    "refreshes": Scenario(refresh, ("modern",), policy=rules()),
    "writes": Scenario(write, ("modern",), policy=rules()),
    "reads": Scenario(call_once, ("legacy",), slow_to_read, policy=rules()),
    "keeps elsewhere": Scenario(keep_elsewhere, ("modern",), policy=rules()),
    "keeps for everybody elsewhere": Scenario(keep_elsewhere, ("modern",), policy=rules(share="always")),
    "does without a place": Scenario(do_without, ("modern",), policy=rules()),
    "clears at once": Scenario(clear_at_once, ("modern",), policy=rules()),
    "hears elsewhere": Scenario(hear_elsewhere, ("modern",), policy=rules()),
    "keeps in Redis": Scenario(keep_in_redis, ("modern",), policy=rules(), final=True),
    "closes elsewhere": Scenario(close_elsewhere, ("modern",), policy=rules(), final=True),
}


def test_whatever_waits_for_an_answer_that_may_be_kept_can_be_cancelled_and_lose_its_server(
    rehearse: Any, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(redis_replies, "_PAGE", 3)
    rehearse("caching", SCENARIOS)


@pytest.mark.soak
@pytest.mark.parametrize("name", SCENARIOS)
def test_caching_can_be_cut_at_every_turn(name: str, rehearsal: Rehearsal):
    rehearsal.cut_everywhere([SCENARIOS[name]], lambda turns: range(len(turns)))
