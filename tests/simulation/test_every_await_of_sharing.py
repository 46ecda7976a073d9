"""Servers with several connections, leases and restarts, cut short at every place where something waits."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import pytest

import trunkline
from trunkline.runtime.control_view import narrow
from trunkline.testing import FakeServer, Fault, TaskScript
from trunkline.testing.mortal import Mortal
from trunkline.testing.rehearsal import Rehearsal, Scenario

A = "file:///a"


async def share(trunk: trunkline.Trunk, _: Mortal) -> None:
    """Call more often at once than connections may."""
    calls = (trunk.call("fake.slow", timeout=60) for _ in range(5))
    await asyncio.gather(*calls)


async def call_again(trunk: trunkline.Trunk, peer: Mortal) -> None:
    """Call while every connection has to be opened anew."""
    await trunk.ready()
    peer.kill()
    await asyncio.sleep(0.5)
    with suppress(trunkline.OutcomeUnknownError):
        await trunk.call("fake.slow", timeout=60)
    await trunk.read(A, timeout=60)


async def follow_up(trunk: trunkline.Trunk, peer: Mortal) -> None:
    started = await trunk.start_task("fake.build", timeout=60)
    peer.kill()
    await asyncio.sleep(0)
    with suppress(trunkline.CallError):
        await started.refresh(60)
    await started.wait(60)


async def list_all(trunk: trunkline.Trunk, _: Mortal) -> None:
    server = trunk._fleet.get("fake")
    assert server is not None
    await server.listed()


async def ask_what_failed(trunk: trunkline.Trunk, peer: Mortal) -> None:
    """Want a server again that could not be used."""
    try:
        await trunk.ready()
        await asyncio.sleep(10)
    finally:
        peer.server.heal()
    await trunk.subscribe(A, "fake", timeout=60)


async def subscribe(trunk: trunkline.Trunk, peer: Mortal) -> None:
    await trunk.ready()
    await trunk.set_log_level("info")
    async with await trunk.subscribe(A, timeout=60) as updates:
        peer.server.notify_resource(A)
        await anext(updates)
        peer.kill()
        await asyncio.sleep(10)


async def subscribe_with_a_fault(trunk: trunkline.Trunk, _: Mortal) -> None:
    """Meet a fault of our own in what keeps subscriptions."""
    await trunk.ready()
    server = trunk._fleet.get("fake")
    assert server is not None
    server.following.subscriptions.take_missed = fail  # type: ignore[method-assign]
    with suppress(trunkline.CallError):
        await trunk.subscribe(A, "fake", timeout=5)


def fail() -> bool:
    raise RuntimeError("a fault of our own")


async def lease(trunk: trunkline.Trunk, _: Mortal) -> None:
    """Wait for calls in flight, then hold a connection for which others wait."""
    before = trunk.start("fake.slow", timeout=60)
    await asyncio.sleep(0.5)
    async with trunk.lease("fake", timeout=60) as one:
        other = trunk.start("fake.slow", timeout=60)
        await one.call("slow", timeout=60)
    await asyncio.gather(before, other)


async def lease_at_once(trunk: trunkline.Trunk, peer: Mortal) -> None:
    """Hold the only connection before it is open, while others wait for it too."""
    async with trunk.lease("fake", timeout=60):
        peer.kill()
        await asyncio.sleep(0.5)
        await trunk.ready()


async def lease_many(trunk: trunkline.Trunk, _: Mortal) -> None:
    async def hold() -> None:
        async with trunk.lease("fake", timeout=60) as one:
            await asyncio.gather(one.call("slow", timeout=60), one.call("slow", timeout=60))

    await asyncio.gather(hold(), hold(), hold())


async def restart(trunk: trunkline.Trunk, _: Mortal) -> None:
    await trunk.ready()
    handle = trunk.start("fake.slow", timeout=60)
    await asyncio.sleep(0.5)
    await trunk.restart("fake", grace=1)
    with suppress(trunkline.OutcomeUnknownError):
        await handle


async def retire(trunk: trunkline.Trunk, _: Mortal) -> None:
    """Replace a server that is restarted and has calls to end."""
    await trunk.ready()
    handle = trunk.start("fake.slow", timeout=60)
    await asyncio.sleep(0.5)
    restarting = asyncio.ensure_future(trunk.restart("fake", grace=20))
    await asyncio.sleep(0.5)
    trunk._fleet.retire("fake")
    await asyncio.gather(restarting, handle, return_exceptions=True)


async def drain(trunk: trunkline.Trunk, _: Mortal) -> None:
    await trunk.ready()
    trunk.start("fake.slow", timeout=60)
    async with trunk.lease("fake", timeout=60):
        draining = asyncio.ensure_future(trunk.drain(10.0))
        await asyncio.sleep(2)
    await draining


async def drain_early(trunk: trunkline.Trunk, _: Mortal) -> None:
    """Take no more calls while one waits for the connection, and another for its turn after it."""
    asking = [asyncio.ensure_future(trunk.request("fake", "tools/list", timeout=60)) for _ in range(2)]
    await asyncio.sleep(0.01)
    draining = asyncio.ensure_future(trunk.drain(10.0))
    await asyncio.sleep(0.01)
    asking[0].cancel()
    await asyncio.gather(draining, asking[1])


async def wake(trunk: trunkline.Trunk, _: Mortal) -> None:
    await trunk.call("echo", {"n": 1}, timeout=60)
    await trunk.ready()
    await trunk.ready(lazy=True)


async def call_in_part(trunk: trunkline.Trunk, _: Mortal) -> None:
    part = narrow(trunk, ["fake"])
    await part.call("fake.slow", timeout=60)
    async with part.lease("fake", timeout=60) as one:
        await one.call("slow", timeout=60)


async def come_in_part(trunk: trunkline.Trunk, _: Mortal) -> None:
    part = narrow(trunk, ["fake"])
    await part.ready("fake")


async def lease_in_part(trunk: trunkline.Trunk, _: Mortal) -> None:
    async with narrow(trunk, ["fake"]).lease("fake", timeout=60):
        pass


async def lease_in_vain(trunk: trunkline.Trunk, peer: Mortal) -> None:
    """Call a tool that nobody knows on a connection that is gone."""
    async with trunk.lease("fake", timeout=60) as one:
        peer.kill()
        await asyncio.sleep(0.1)
        with suppress(trunkline.LeaseLostError, trunkline.NotFoundError):
            await one.call("fake.ghost", timeout=60)


def build(server: FakeServer) -> None:
    server.tool("build", returns="built", task=TaskScript(polls=1, support="required", poll_ms=500))
    for method in ("tasks/get", "tasks/result"):
        server.fault(method, Fault.delay(0.3))


def refuse(server: FakeServer) -> None:
    server.fault("server/discover", Fault.rpc_error(-32603, "broken"))


def list_slowly(server: FakeServer) -> None:
    server.fault("prompts/list", Fault.delay(1))


def rules(**settings: Any) -> dict[str, Any]:
    return {"servers": {"fake": settings}}


TWO = rules(pool={"min": 2, "max": 2}, max_concurrency=3)
FAILING = rules(pool={"min": 2, "max": 2}, max_restarts=1)
SPARE = rules(pool={"max": 2})
SCENARIOS = {
    "shares": Scenario(share, policy=TWO),
    "calls again": Scenario(call_again, ("legacy",), policy=TWO),
    "follows up": Scenario(follow_up, arrange=build, policy=TWO),
    "subscribes": Scenario(subscribe, policy=TWO),
    "subscribes with a fault": Scenario(subscribe_with_a_fault, ("modern",), policy=TWO),
    "lists all": Scenario(list_all, ("modern",), list_slowly, policy=TWO),
    "asks what failed": Scenario(ask_what_failed, ("modern",), refuse, policy=FAILING),
    "leases at once": Scenario(lease_at_once, ("modern",)),
    "leases": Scenario(lease, ("legacy",), policy=SPARE),
    "leases the only one": Scenario(lease),
    "leases many": Scenario(lease_many, ("legacy",), policy=TWO),
    "restarts": Scenario(restart),
    "restarts a pool": Scenario(restart, ("modern",), policy=TWO),
    "retires": Scenario(retire, ("modern",), final=True),
    "drains": Scenario(drain, ("modern",), policy=TWO, final=True),
    "wakes": Scenario(wake, ("modern",), policy=rules(lazy=True)),
    "calls in part": Scenario(call_in_part, ("modern",)),
    "comes in part": Scenario(come_in_part, ("modern",)),
    "leases in part": Scenario(lease_in_part, ("modern",)),
    "leases in vain": Scenario(lease_in_vain, ("legacy",), options={"discover": "silent"}),
    "drains early": Scenario(
        drain_early,
        ("legacy",),
        options={"discover": "silent"},
        policy=rules(limit={"concurrency": 1}),
        final=True,
    ),
}


def test_whatever_waits_for_a_shared_server_can_be_cancelled_and_lose_it(rehearse: Any):
    rehearse("sharing", SCENARIOS)


@pytest.mark.soak
@pytest.mark.parametrize("name", SCENARIOS)
def test_sharing_can_be_cut_at_every_turn(name: str, rehearsal: Rehearsal):
    rehearsal.cut_everywhere([SCENARIOS[name]], lambda turns: range(len(turns)))
