"""One of three replicas over HTTP is gone, each in its way: what it costs, and how often it is tried."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Iterable

import pytest

import trunkline
from trunkline.runtime import layering
from trunkline.testing import FakeServer, Toxic, VirtualNetwork

pytestmark = pytest.mark.anyio

RATE = 20
FIRST_PAUSE = 4.5
"""Seconds for which a replica that has failed too often is left alone at first; by default 5."""
WAYS = {
    "is killed": None,
    "resets": Toxic.reset(),
    "answers 500": Toxic.http_status(500),
    "hangs": Toxic.blackhole(),
}


@pytest.fixture(autouse=True)
def _lots(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw the same lots every time."""
    monkeypatch.setattr(layering, "draw", random.Random(7).random)


SAMPLE = [
    ("is killed", "least_loaded", 5),
    ("resets", "failover", 5),
    ("answers 500", "latency", 5),
    ("hangs", "latency", 25),
]
ALL = [
    *itertools.product(("is killed", "resets", "answers 500"), ("least_loaded", "latency", "failover")),
    # Whoever looks neither at load nor at times learns of it when the first calls have had all theirs.
    *itertools.product(("hangs",), ("least_loaded", "latency")),
]


@pytest.mark.parametrize(
    ("way", "strategy", "seconds"),
    [
        *SAMPLE,
        *(pytest.param(*one, 200, marks=pytest.mark.soak) for one in ALL),
    ],
)
async def test_it_costs_at_most_five_tries_and_a_call_in_a_thousand_and_is_tried_once_a_second(
    way: str, strategy: str, seconds: int
):
    toxic, loop = WAYS[way], asyncio.get_running_loop()
    tried: list[float] = []
    repeated: list[float] = []
    ends: list[trunkline.Reply | trunkline.CallError] = []

    async def one(trunk: trunkline.Trunk) -> None:
        try:
            ends.append(reply := await trunk.call("db.get", timeout=30))
            repeated.extend([loop.time()] * (reply.attempts - 1))
        except trunkline.CallError as error:
            ends.append(error)

    with VirtualNetwork() as network:
        places = []
        for _ in range(3):
            server = FakeServer("db", eras=["modern"], ttl_ms=3_600_000, keep=1)
            server.tool("get", returns="row", delay=0.02)
            places.append(network.serve(server))
        first, *others = places

        def spoil() -> Iterable[Toxic]:
            tried.append(loop.time())
            return [] if toxic is None else [toxic]

        rules = {
            "replicas": [place.url for place in others],
            "route": {"strategy": strategy},
            "health_check_interval": 0,
        }
        policy = {"servers": {"db": rules}, "tools": {"db.get": {"read_only": True}}}
        async with trunkline.connect({"db": {"url": first.url}}, policy=policy) as trunk:
            await trunk.ready()
            await asyncio.sleep(5)
            first.draw = spoil
            if toxic is None:
                first.stop()
            async with asyncio.TaskGroup() as group:
                for _ in range(RATE * seconds):
                    group.create_task(one(trunk))
                    await asyncio.sleep(1 / RATE)
    failed = [end for end in ends if isinstance(end, Exception)]
    # One that hangs takes all the time of the calls that find that out, and of each that asks again later.
    asked_again = len(ends) // 1_000 if way == "hangs" else 0
    assert len(failed) <= (3 + asked_again if way == "hangs" else 0)
    # The first failures come at once; from then on it is asked only to find out how it does.
    before_it_is_out = [moment for moment in repeated if moment < repeated[0] + FIRST_PAUSE]
    assert 0 < len(before_it_is_out) + len(failed) <= 5 + asked_again
    probes = repeated[len(before_it_is_out) :]
    assert all(after - before >= 1 for before, after in itertools.pairwise(probes)), probes
    later = [moment for moment in tried if moment > tried[0] + 0.1]
    assert all(after - before >= 1 for before, after in itertools.pairwise(later)), later
