"""Calls that are made in place of others, cut short at every place where something waits."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import trunkline
from trunkline.pipeline import latencies
from trunkline.testing import FakeServer, Fault, Result
from trunkline.testing.mortal import Mortal
from trunkline.testing.rehearsal import Scenario

POLICY = {
    "defaults": {"trust": True, "retry": {"attempts": 1}},
    "tools": {
        "fake.second": {"fallback": ["fake.slow"], "read_only": True},
        "fake.third": {"fallback": ["slow"], "read_only": True},
        "fake.uneven": {"hedge": {"share": 1.0}, "read_only": True},
        "fake.slow": {"hedge": {"share": 1.0}},
    },
    "groups": {"either": {"tools": ["fake.second", "fake.slow"], "strategy": "failover"}},
}


async def take_another(trunk: trunkline.Trunk, _: Mortal) -> None:
    async def function(*_: object) -> str:
        await asyncio.sleep(0.5)
        return "mine"

    await trunk.call("fake.second", timeout=60)
    await trunk.call("fake.second", fallback=[function], timeout=60)
    await trunk.call("fake.third", timeout=60)
    await trunk.call("fake.admits", fallback=["slow"], fallback_on=["tool_error"], timeout=60)


async def take_either(trunk: trunkline.Trunk, _: Mortal) -> None:
    await trunk.call("either", timeout=60)


async def ask_twice(trunk: trunkline.Trunk, _: Mortal) -> None:
    for _number in range(2):
        await trunk.call("fake.uneven", timeout=60)


def refuse(server: FakeServer) -> None:
    server.fault("second", Fault.rpc_error(-32603, "out of order"), times=9)
    server.fault("third", Fault.crash_before_reply)
    server.tool("admits", returns=Result({"content": [], "isError": True}))


def hang_at_times(server: FakeServer) -> None:
    calls = iter(range(1000))

    @server.tool("uneven")
    async def uneven(_: dict[str, Any]) -> str:
        await asyncio.sleep(3 if next(calls) == 1 else 0.1)
        return "done"


SCENARIOS = {
    "takes another": Scenario(take_another, ("modern",), refuse, policy=POLICY),
    "takes either": Scenario(take_either, ("modern",), refuse, policy=POLICY),
    "asks twice": Scenario(ask_twice, ("modern",), hang_at_times, policy=POLICY),
}


def test_whatever_waits_for_what_stands_in_for_an_answer_can_be_cancelled_and_lose_its_server(
    rehearse: Any, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(latencies, "FEWEST", 1)
    rehearse("substitutes", SCENARIOS)
