"""Tasks and their handles, cut short at every place where something waits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

import trunkline
from trunkline.testing import Ask, FakeServer, Fault, TaskScript
from trunkline.testing.mortal import Mortal
from trunkline.testing.rehearsal import Rehearsal, Scenario

NAME = Ask.form("day", "Which day?", {"day": {"type": "string"}})


async def call(trunk: trunkline.Trunk, _: Mortal) -> None:
    await trunk.call("fake.build", timeout=60)


async def start(trunk: trunkline.Trunk, _: Mortal) -> None:
    await trunk.start("fake.build", timeout=60)


async def call_and_close(trunk: trunkline.Trunk, _: Mortal) -> None:
    """Close the trunk while a server hears that nobody waits for its task any more."""
    given_up, _kept = (trunk.start("fake.build", timeout=60) for _ in range(2))
    await asyncio.sleep(1)
    given_up.cancel()
    await asyncio.sleep(0.1)
    await trunk.aclose()


async def detach(trunk: trunkline.Trunk, _: Mortal) -> None:
    started = await trunk.start_task("fake.build", timeout=60)
    await started.refresh(60)
    found = await trunk.task(str(started), timeout=60)
    assert (await found.wait(60)).text == "built"


async def detach_by_bare_name(trunk: trunkline.Trunk, _: Mortal) -> None:
    started = await trunk.start_task("build", timeout=60)
    await started.cancel(60)


async def call_what_is_none(trunk: trunkline.Trunk, _: Mortal) -> None:
    started = await trunk.start_task("fake.echo", timeout=60)
    await started.wait(60)


def build(**script: Any) -> Callable[[FakeServer], None]:
    def arrange(server: FakeServer) -> None:
        settings = {"ttl_ms": None, "support": "required", "poll_ms": 500, **script}
        server.tool("build", returns="built", delay=0.3, task=TaskScript(**settings))
        for method in ("tasks/get", "tasks/result", "tasks/update", "tasks/cancel"):
            server.fault(method, Fault.delay(0.3))

    return arrange


SCENARIOS = {
    "calls": Scenario(call, arrange=build(polls=1)),
    "calls and answers": Scenario(call, arrange=build(polls=1, asks=[NAME])),
    "starts": Scenario(start, ("modern",), build(polls=1)),
    "calls and closes": Scenario(call_and_close, arrange=build(ends="never"), final=True),
    "detaches": Scenario(detach, arrange=build(polls=2)),
    "detaches by a bare name": Scenario(detach_by_bare_name, arrange=build(ends="never")),
    "calls what is no task": Scenario(call_what_is_none, ("modern",)),
}


def test_whatever_waits_for_a_task_can_be_cancelled_and_lose_its_server(rehearse: Any):
    rehearse("tasks", SCENARIOS)


@pytest.mark.soak
@pytest.mark.parametrize("name", SCENARIOS)
def test_a_task_can_be_cut_at_every_turn(name: str, rehearsal: Rehearsal):
    rehearsal.cut_everywhere([SCENARIOS[name]], lambda turns: range(len(turns)))
