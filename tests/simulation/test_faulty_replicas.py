"""Reads from three replicas behind faulty networks: how many succeed, and how many requests that takes."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import pytest

import trunkline
from trunkline.runtime import layering
from trunkline.testing import FakeServer, Toxic, Toxics, VirtualNetwork

pytestmark = pytest.mark.anyio

RATE = 500
"""Calls a second."""
FAULTS = (Toxic.reset(), Toxic.reset(-1, way="up"), Toxic.cut(60), Toxic.http_status(503))


class Outcome(NamedTuple):
    success: float
    amplification: float
    """Requests on the networks per call, with all that is asked to find out how the replicas are."""


@asynccontextmanager
async def replicas(seed: int, server_rules: Mapping[str, Any]) -> Any:
    """Give a runtime on three replicas, and the toxics of each."""
    with VirtualNetwork() as network:
        endpoints = []
        for number in range(3):
            server = FakeServer("db", eras=["modern"], ttl_ms=3_600_000, keep=10)
            server.tool("get", delay=0.02, returns="row")
            endpoints.append(network.serve(server, toxics=Toxics(seed=10 * seed + number)))
        first, *others = [endpoint.url for endpoint in endpoints]
        policy = {
            "servers": {"db": {"replicas": others, **server_rules}},
            "tools": {"db.get": {"read_only": True}},
        }
        async with trunkline.connect({"db": {"url": first}}, policy=policy) as trunk:
            await trunk.ready()
            await asyncio.sleep(5)
            yield trunk, [endpoint.toxics for endpoint in endpoints]


async def read(share: float, calls: int, seed: int = 1, **server_rules: Any) -> Outcome:
    """Make so many calls, while so large a share of all exchanges is spoiled."""
    answered = 0

    async def one(trunk: trunkline.Trunk) -> None:
        nonlocal answered
        try:
            await trunk.call("db.get", timeout=30)
            answered += 1
        except trunkline.CallError:
            pass

    async with replicas(seed, server_rules) as (trunk, every):
        for toxics in every:
            for fault in FAULTS:
                # Of several that strike one exchange the first counts, so each has its share of what is left.
                toxics.add(fault, share=1 - (1 - share) ** (1 / len(FAULTS)))
        before = sum(toxics.exchanges for toxics in every)
        async with asyncio.TaskGroup() as group:
            for _ in range(calls):
                group.create_task(one(trunk))
                await asyncio.sleep(1 / RATE)
        requests = sum(toxics.exchanges for toxics in every) - before
    return Outcome(answered / calls, requests / calls)


@pytest.fixture(autouse=True)
def same_waits_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    chance = random.Random(6)
    monkeypatch.setattr(layering, "draw", chance.random)


GOALS = pytest.mark.parametrize(
    ("share", "success", "most"), [(0.05, 0.9995, 1.15), (0.1, 0.998, 1.15), (0.2, 0.97, 1.25)]
)


@GOALS
async def test_reads_survive_faults_and_few_more_requests_are_made(share: float, success: float, most: float):
    outcome = await read(share, 1_000)
    assert outcome.success >= success
    assert outcome.amplification <= most


@pytest.mark.soak
@GOALS
async def test_so_do_twenty_thousand(share: float, success: float, most: float):
    outcome = await read(share, 20_000)
    assert outcome.success >= success
    assert outcome.amplification <= most


UNGUARDED: dict[str, Any] = {"breaker": {"enabled": False}}
"""The breaker would make hardly any calls where most of them fail, and so hide what retries do."""


@pytest.mark.soak
@pytest.mark.parametrize("share", [0.3, 0.5, 0.8, 1.0])
async def test_for_a_minute_no_share_of_faults_makes_more_than_a_quarter_more_requests(share: float):
    assert (await read(share, 60 * RATE, **UNGUARDED)).amplification <= 1.25
