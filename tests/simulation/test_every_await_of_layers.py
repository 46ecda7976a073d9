"""Layers of the pipeline that policy asks for, cut short at every place where something waits."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import pytest

import trunkline
from trunkline.testing import FakeServer, Fault
from trunkline.testing.mortal import Mortal
from trunkline.testing.rehearsal import Rehearsal, Scenario


async def call_twice(trunk: trunkline.Trunk, _: Mortal) -> None:
    """Call what is tried again, or is kept, or may be asked for by few at a time."""
    for n in range(2):
        with suppress(trunkline.CallError):
            await trunk.call("fake.slow", {"n": n}, timeout=60)


async def call_bare(trunk: trunkline.Trunk, _: Mortal) -> None:
    await trunk.call("fake.slow", timeout=60)


async def call_at_once(trunk: trunkline.Trunk, _: Mortal) -> None:
    calls = (trunk.call("fake.slow", timeout=60) for _ in range(3))
    await asyncio.gather(*calls, return_exceptions=True)


async def call_fresh(trunk: trunkline.Trunk, _: Mortal) -> None:
    await trunk.call("fake.slow", timeout=60, max_age=0)
    await trunk.call("fake.form", timeout=60)
    await trunk.read("file:///a", timeout=60)


async def tell(trunk: trunkline.Trunk, _: Mortal) -> None:
    await trunk.ready()
    await asyncio.gather(*(trunk.notify("fake", "vendor/news", timeout=60) for _ in range(20)))


async def give_up(trunk: trunkline.Trunk, _: Mortal) -> None:
    """Leave, as the only one who waits, a request that is shared."""
    await trunk.ready()
    with suppress(trunkline.DeadlineExceededError):
        await trunk.call("fake.slow", timeout=1)


async def decorate(trunk: trunkline.Trunk, _: Mortal) -> None:
    """Call from functions of one's own that are tried again and guarded."""
    failures = iter(range(2))

    @trunkline.retry(on=OSError, delay=4.0)
    @trunkline.breaker()
    async def call() -> None:
        await trunk.call("fake.slow", timeout=60)
        for failure in failures:
            raise OSError(failure)

    await call()


def crash_once(server: FakeServer) -> None:
    server.fault("slow", Fault.crash_before_reply, nth=1)


def rules(server: dict[str, Any] | None = None, **tool: Any) -> dict[str, Any]:
    return {"servers": {"fake": server or {}}, "tools": {"fake.slow": tool}}


KEPT = rules(read_only=True, cache={"ttl": 60.0, "invalidates": ["fake.*"]})
SCENARIOS = {
    "retries": Scenario(call_twice, ("modern",), crash_once, policy=rules(read_only=True)),
    "waits for its turn": Scenario(call_at_once, ("modern",), policy=rules({"limit": {"concurrency": 1}})),
    "keeps": Scenario(call_at_once, ("modern",), policy=KEPT),
    "keeps nothing": Scenario(call_fresh, ("modern",), policy=KEPT),
    "gives up what it keeps": Scenario(give_up, ("modern",), policy=KEPT),
    "shares": Scenario(call_at_once, ("modern",), policy=rules(read_only=True, coalesce=True)),
    "shares nothing": Scenario(call_fresh, ("modern",), policy=rules(read_only=True, coalesce=True)),
    "draws keys": Scenario(call_twice, ("modern",), policy=rules(idempotency_key="n")),
    "draws a key": Scenario(call_bare, ("modern",), policy=rules(idempotency_key="n")),
    "decorates": Scenario(decorate, ("modern",)),
    "tells": Scenario(tell, ("modern",)),
}


def test_whatever_waits_in_a_layer_can_be_cancelled_and_lose_its_server(rehearse: Any):
    rehearse("layers", SCENARIOS)


@pytest.mark.soak
@pytest.mark.parametrize("name", SCENARIOS)
def test_a_layer_can_be_cut_at_every_turn(name: str, rehearsal: Rehearsal):
    rehearsal.cut_everywhere([SCENARIOS[name]], lambda turns: range(len(turns)))
