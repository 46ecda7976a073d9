"""The lives of servers and of a trunk, cut short at every place where something waits."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import pytest

import trunkline
from trunkline.testing import FakeServer, Fault
from trunkline.testing.mortal import Mortal
from trunkline.testing.rehearsal import Rehearsal, Scenario

SETTINGS: dict[str, Any] = {"defaults": {"limits": {"items": 1_000}}}
"""A policy that the scenarios change, in what connections are made with."""
POOLED: dict[str, Any] = {"defaults": {**SETTINGS["defaults"], "pool": {"min": 2, "max": 2}}}


async def call(trunk: trunkline.Trunk, _: Mortal) -> None:
    await trunk.call("fake.slow", timeout=60)


async def idle(trunk: trunkline.Trunk, _: Mortal) -> None:
    await trunk.ready()
    await asyncio.sleep(40)


async def ask(trunk: trunkline.Trunk, _: Mortal) -> None:
    await trunk.notify("fake", "vendor/news", timeout=60)
    with suppress(trunkline.NotFoundError):
        await trunk.get_prompt("fake.ghost", timeout=60)


async def add_and_remove(trunk: trunkline.Trunk, _: Mortal) -> None:
    server = FakeServer(eras=["modern"])
    server.tool("echo")
    await trunk.add("more", server)
    await trunk.ready("more", timeout=60)
    await trunk.remove("more")


async def connect(_: trunkline.Trunk, peer: Mortal) -> None:
    async with trunkline.connect({"more": peer}) as trunk:
        await trunk.search("echo")
    async with trunkline.connect({"more": peer}, require="more") as trunk:
        await trunk.ready()


async def connect_in_vain(_: trunkline.Trunk, peer: Mortal) -> None:
    try:
        with suppress(trunkline.UnavailableError):
            async with trunkline.connect({"more": peer}, require="more"):
                pass
    finally:
        peer.server.heal()


async def reload(trunk: trunkline.Trunk, _: Mortal) -> None:
    """Replace a server that works on a call."""
    await trunk.ready()
    handle = trunk.start("fake.slow", timeout=60)
    await asyncio.sleep(0.5)
    SETTINGS["defaults"]["limits"]["items"] += 1
    await trunk.reload()
    await trunk.call("fake.echo", timeout=60)
    await handle


async def reload_early(trunk: trunkline.Trunk, _: Mortal) -> None:
    """Replace a server for whose connection a request waits."""
    asking = asyncio.ensure_future(trunk.request("fake", "tools/list", timeout=60))
    await asyncio.sleep(0.01)
    SETTINGS["defaults"]["limits"]["items"] += 1
    await trunk.reload()
    await asking


async def end_early(trunk: trunkline.Trunk, _: Mortal) -> None:
    await asyncio.sleep(0.5)
    await trunk.aclose()


async def die_early(trunk: trunkline.Trunk, peer: Mortal) -> None:
    asyncio.get_running_loop().call_later(0.5, peer.kill)
    await trunk.ready()


async def come_and_go(trunk: trunkline.Trunk, peer: Mortal) -> None:
    await trunk.ready()
    peer.kill()
    await asyncio.sleep(1)
    await trunk.call("fake.echo", timeout=60)
    await asyncio.sleep(5)
    await trunk.aclose()


async def end(trunk: trunkline.Trunk, _: Mortal) -> None:
    await trunk.ready()
    trunk.start("fake.busy", timeout=60)
    await asyncio.sleep(0.5)
    await trunk.aclose()


async def drain(trunk: trunkline.Trunk, _: Mortal) -> None:
    await trunk.ready()
    trunk.start("fake.slow", timeout=60)
    await asyncio.sleep(0.5)
    await trunk.drain(1.0)


def crash_at_prompts(server: FakeServer) -> None:
    server.fault("prompts/list", Fault.crash_before_reply, times=2)


def refuse(server: FakeServer) -> None:
    server.fault("server/discover", Fault.rpc_error(-32603, "broken"))


def list_prompts_slowly(server: FakeServer) -> None:
    server.fault("prompts/list", Fault.delay(1))


def hang_at_pings(server: FakeServer) -> None:
    server.fault("ping", Fault.hang)


async def notice(_: object) -> None:
    await asyncio.sleep(0.5)


NOTICED = dict.fromkeys(("on_connect", "on_disconnect", "on_error"), notice)
SILENT = {"discover": "silent"}
SCENARIOS = {
    "dies of a list": Scenario(idle, ("legacy",), crash_at_prompts),
    "dies early": Scenario(die_early, ("legacy",), list_prompts_slowly),
    "asks": Scenario(ask, ("modern",)),
    "idles": Scenario(idle),
    "goes silent": Scenario(idle, ("legacy",), hang_at_pings),
    "adds and removes": Scenario(add_and_remove, ("modern",)),
    "meets a silent server": Scenario(call, ("legacy",), options=SILENT),
    "knows the legacy era": Scenario(call, ("legacy",), policy={"defaults": {"era": "legacy"}}),
    "knows the modern era": Scenario(call, ("modern",), policy={"defaults": {"era": "modern"}}),
    "connects": Scenario(connect, ("modern",)),
    "connects in vain": Scenario(connect_in_vain, ("modern",), refuse),
    "reloads": Scenario(reload, ("modern",), policy=SETTINGS),
    "reloads early": Scenario(reload_early, ("legacy",), policy=SETTINGS, options=SILENT),
    "reloads a pool early": Scenario(reload_early, ("legacy",), policy=POOLED, options=SILENT),
    "comes and goes": Scenario(come_and_go, ("modern",), handlers=NOTICED, final=True),
    "ends early": Scenario(end_early, ("legacy",), options=SILENT, final=True),
    "ends": Scenario(end, final=True),
    "drains": Scenario(drain, final=True),
}


def test_whatever_waits_for_a_server_to_start_or_end_can_be_cancelled_and_lose_it(
    rehearse: Any,
):
    rehearse("lives", SCENARIOS)


@pytest.mark.soak
@pytest.mark.parametrize("name", SCENARIOS)
def test_a_life_can_be_cut_at_every_turn(name: str, rehearsal: Rehearsal):
    rehearsal.cut_everywhere([SCENARIOS[name]], lambda turns: range(len(turns)))
