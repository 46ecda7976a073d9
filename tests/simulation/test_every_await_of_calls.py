"""Calls and other requests of an application, cut short at every place where something waits."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import pytest

import trunkline
from trunkline.testing import FakeServer, Fault
from trunkline.testing.mortal import Mortal
from trunkline.testing.rehearsal import Rehearsal, Scenario
from trunkline.transport import memory, stream

A = "file:///a"


async def call(trunk: trunkline.Trunk, _: Mortal) -> None:
    async def note(_: trunkline.Progress) -> None:
        await asyncio.sleep(0.5)

    await trunk.call("fake.busy", on_progress=note, timeout=60)
    await trunk.call("fake.slow", timeout=60, as_=str)


async def call_with_a_stuck_handler(trunk: trunkline.Trunk, _: Mortal) -> None:
    async def stick(_: trunkline.Progress) -> None:
        await asyncio.sleep(1_000)

    with suppress(trunkline.DeadlineExceededError):
        await trunk.call("fake.busy", on_progress=stick, timeout=5)


async def call_bare_names(trunk: trunkline.Trunk, _: Mortal) -> None:
    handle = trunk.start("third", timeout=60)
    await trunk.call_many([("echo", {"n": 1}), ("second", {"n": 2})], timeout=60)
    await handle
    await trunk.call_many([("fake.ghost", {}), ("fake.phantom", {}), ("fake.spirit", {})], timeout=60)


async def call_what_is_not_listed(trunk: trunkline.Trunk, peer: Mortal) -> None:
    """Call a tool that came after its server had listed all for the last time."""
    await trunk.ready()
    peer.server.tool("late", delay=3, returns="done")
    await trunk.call("fake.late", timeout=60)


async def call_as_a_function(trunk: trunkline.Trunk, _: Mortal) -> None:
    await trunk.tool("slo", timeout=60)()
    await trunk.tool("fake.sure", timeout=60)()


async def follow(trunk: trunkline.Trunk, _: Mortal) -> None:
    async for _event in trunk.stream("fake.busy", timeout=60):
        pass
    handle = trunk.start("fake.busy", timeout=60)
    async for _report in handle.progress:
        pass
    await handle
    await trunk.start("fake.slow", timeout=60)


async def read(trunk: trunkline.Trunk, _: Mortal) -> None:
    await trunk.read(A, timeout=60)
    async for _chunk in trunk.read_chunks(A, "fake", 60, chunk_bytes=32):
        pass


async def prompt(trunk: trunkline.Trunk, _: Mortal) -> None:
    await trunk.get_prompt("greet", timeout=60)
    with suppress(trunkline.NotFoundError):
        await trunk.get_prompt("ghost", timeout=60)


async def prompt_by_public_name(trunk: trunkline.Trunk, _: Mortal) -> None:
    await trunk.get_prompt("fake.greet", timeout=60)
    with suppress(trunkline.NotFoundError):
        await trunk.get_prompt("fake.ghost", timeout=60)


async def complete(trunk: trunkline.Trunk, _: Mortal) -> None:
    await trunk.complete("greet", "name", "A", timeout=60)


async def complete_uri(trunk: trunkline.Trunk, _: Mortal) -> None:
    await trunk.complete("file:///{name}", "name", "A", timeout=60)


async def ask_anything(trunk: trunkline.Trunk, _: Mortal) -> None:
    await trunk.request("fake", "tools/list", timeout=60, on_progress=lambda _: None)
    await trunk.request("fake", "tools/call", {"name": "slow"}, timeout=60)


async def tell(trunk: trunkline.Trunk, _: Mortal) -> None:
    await trunk.notify("fake", "vendor/news", timeout=60)


async def tell_much(trunk: trunkline.Trunk, _: Mortal) -> None:
    await trunk.ready()
    await asyncio.gather(*(trunk.notify("fake", "vendor/news", timeout=60) for _ in range(20)))


async def call_together(trunk: trunkline.Trunk, _: Mortal) -> None:
    async with trunk.batch() as batch:
        calls = [batch.call("fake.slow", timeout=60), batch.call("third", timeout=60)]
        await batch.call("fake.echo", timeout=60)
    await calls[0]
    await asyncio.gather(*(trunk.call("fake.slow", timeout=60) for _ in range(2)))


async def end_while_it_is_asked(trunk: trunkline.Trunk, _: Mortal) -> None:
    """Leave while it is being found out whether the server reads batches."""
    await trunk.ready()
    batch = trunk.batch()
    batch.call("fake.echo", timeout=60)
    batch.send()
    await asyncio.sleep(0.1)
    await trunk.aclose()


async def search(trunk: trunkline.Trunk, _: Mortal) -> None:
    await trunk.search("echo")


def complete_slowly(server: FakeServer) -> None:
    server.resource("file:///{name}")
    server.completion("file:///{name}", "name", ["Ada"])
    server.fault("resources/templates/list", Fault.delay(1))


def list_tools_once(server: FakeServer) -> None:
    server.fault("tools/list", Fault.rpc_error(-32603, "broken"), nth=2)


def promise_a_result(server: FakeServer) -> None:
    server.tool("sure", delay=3, returns={"n": 1}, output_schema={"type": "object"})


def slowly(method: str) -> Any:
    return lambda server: server.fault(method, Fault.delay(1))


SCENARIOS = {
    "calls": Scenario(call),
    "calls bare names": Scenario(call_bare_names),
    "calls with a stuck handler": Scenario(call_with_a_stuck_handler, ("modern",)),
    "calls what is not listed": Scenario(
        call_what_is_not_listed, ("modern",), list_tools_once, {"page_size": None}
    ),
    "calls as a function": Scenario(call_as_a_function, ("modern",), promise_a_result),
    "follows calls": Scenario(follow),
    "reads": Scenario(read, arrange=slowly("resources/list")),
    "prompts": Scenario(prompt, arrange=slowly("prompts/list")),
    "prompts by public name": Scenario(prompt_by_public_name, ("modern",), slowly("prompts/list")),
    "completes": Scenario(complete, arrange=slowly("prompts/list")),
    "completes a URI": Scenario(complete_uri, arrange=complete_slowly),
    "asks anything": Scenario(ask_anything),
    "tells much": Scenario(tell_much, ("modern",)),
    "tells": Scenario(tell),
    "calls together": Scenario(
        call_together,
        ("legacy",),
        slowly("ping"),
        options={"versions": ["2025-03-26"]},
        policy={"servers": {"fake": {"batch": {"size": 20, "milliseconds": 100}}}},
    ),
    "ends while it is asked": Scenario(
        end_while_it_is_asked,
        ("legacy",),
        slowly("ping"),
        options={"versions": ["2025-03-26"]},
        final=True,
    ),
    "searches": Scenario(search, ("modern",)),
}


def test_whatever_waits_for_a_call_can_be_cancelled_and_lose_its_server(
    rehearse: Any, monkeypatch: pytest.MonkeyPatch
):
    for module in (memory, stream):
        monkeypatch.setattr(module, "_MOST_WAITING", 4)
    rehearse("calls", SCENARIOS)


@pytest.mark.soak
@pytest.mark.parametrize("name", SCENARIOS)
def test_a_call_can_be_cut_at_every_turn(name: str, rehearsal: Rehearsal):
    rehearsal.cut_everywhere([SCENARIOS[name]], lambda turns: range(len(turns)))
