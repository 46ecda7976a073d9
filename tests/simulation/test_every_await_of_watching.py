"""Watching resources, lists and logs, cut short at every place where something waits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

import trunkline
from trunkline.core.events import ListChanged, LogMessage
from trunkline.testing import FakeServer, Fault
from trunkline.testing.mortal import Mortal
from trunkline.testing.rehearsal import Rehearsal, Scenario

A = "file:///a"
LISTEN = "subscriptions/listen"
SUBSCRIBE = "resources/subscribe"


async def subscribe(trunk: trunkline.Trunk, peer: Mortal) -> None:
    async with await trunk.subscribe(A, timeout=60) as updates:
        peer.server.notify_resource(A)
        await anext(updates)
        peer.server.end_streams()
        peer.server.notify_resource(A)
        await anext(updates)
    await asyncio.sleep(1)


async def subscribe_in_vain(trunk: trunkline.Trunk, _: Mortal) -> None:
    with suppress(trunkline.CallError):
        await trunk.subscribe(A, "fake", timeout=60)
    await asyncio.sleep(1)


async def subscribe_to_many(trunk: trunkline.Trunk, _: Mortal) -> None:
    """More at once than a server is asked for at once."""
    uris = [f"file:///{number}" for number in range(40)]
    await asyncio.gather(*(trunk.subscribe(uri, "fake", timeout=60) for uri in uris))


async def watch_logs(trunk: trunkline.Trunk, peer: Mortal) -> None:
    await trunk.ready()
    await trunk.set_log_level("info")
    await trunk.set_log_level("debug", "fake")
    events = trunk.events(LogMessage)
    peer.kill()
    await asyncio.sleep(5)
    await trunk.call("fake.echo", timeout=60)
    peer.server.notify_log("error", "something")
    async with asyncio.timeout(10):
        await anext(events)


async def watch_lists(trunk: trunkline.Trunk, peer: Mortal) -> None:
    await trunk.ready()
    events = trunk.events(ListChanged)
    for name in ("new", "newer"):
        peer.server.tool(name, returns="n")
        peer.server.notify_list("tools")
        async with asyncio.timeout(100):
            await anext(events)


async def list_again(trunk: trunkline.Trunk, peer: Mortal) -> None:
    await trunk.ready()
    before = len(peer.server.ledger.of("tools/list"))
    peer.server.notify_list("tools")
    await peer.server.wait_for(lambda ledger: len(ledger.of("tools/list")) > before, 60)
    await asyncio.sleep(1)


async def list_much(trunk: trunkline.Trunk, _: Mortal) -> None:
    """Have lists read again while they are read."""
    with suppress(trunkline.NotFoundError):
        await trunk.get_prompt("ghost", timeout=60)
    await trunk.ready()


async def die_while_listing(trunk: trunkline.Trunk, peer: Mortal) -> None:
    asyncio.get_running_loop().call_later(0.5, peer.kill)
    await trunk.ready()
    await asyncio.sleep(3)


async def end_subscribed(trunk: trunkline.Trunk, _: Mortal) -> None:
    await trunk.subscribe(A, timeout=60)
    await trunk.aclose()


def fault(target: str, what: Fault, **when: int) -> Callable[[FakeServer], object]:
    return lambda server: server.fault(target, what, **when)


def offer_many(server: FakeServer) -> None:
    for number in range(40):
        server.resource(f"file:///{number}", "text")
    server.fault(SUBSCRIBE, Fault.delay(1))


def list_slowly(server: FakeServer) -> None:
    for method in ("resources/list", "resources/templates/list", "prompts/list"):
        server.fault(method, Fault.delay(1), nth=1, times=2)


def fill(server: FakeServer) -> None:
    for number in range(1_200):
        server.tool(f"t{number}")


IMPATIENT = {"defaults": {"connect": 5}}
STALE = Fault.rpc_error(-32602, "stale")
UNKNOWN = Fault.rpc_error(-32601, "no such method")
SCENARIOS = {
    "subscribes": Scenario(subscribe),
    "subscribes in vain": Scenario(subscribe_in_vain, ("modern",), fault(LISTEN, UNKNOWN)),
    "subscribes again": Scenario(subscribe, ("modern",), fault(LISTEN, Fault.hang, nth=1), policy=IMPATIENT),
    "subscribes again by request": Scenario(
        subscribe, ("legacy",), fault(SUBSCRIBE, Fault.hang, nth=1), policy=IMPATIENT
    ),
    "subscribes to many": Scenario(subscribe_to_many, ("legacy",), offer_many),
    "ends subscribed": Scenario(end_subscribed, ("modern",), final=True),
    "watches logs": Scenario(watch_logs, ("legacy",)),
    "watches lists": Scenario(watch_lists),
    "watches long lists": Scenario(list_again, ("modern",), fill, {"page_size": None}),
    "lists much": Scenario(list_much, arrange=list_slowly),
    "dies while listing": Scenario(die_while_listing, ("legacy",), list_slowly),
    "lists anew": Scenario(list_again, ("modern",), fault("tools/list", STALE, nth=8)),
}


def test_whatever_waits_for_news_can_be_cancelled_and_lose_its_server(rehearse: Any):
    rehearse("watching", SCENARIOS)


@pytest.mark.soak
@pytest.mark.parametrize("name", SCENARIOS)
def test_watching_can_be_cut_at_every_turn(name: str, rehearsal: Rehearsal):
    rehearsal.cut_everywhere([SCENARIOS[name]], lambda turns: range(len(turns)))
