"""What servers ask of an application and tell it, cut short at every place where something waits."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import trunkline
from trunkline.testing import Ask
from trunkline.testing.mortal import Mortal
from trunkline.testing.rehearsal import Rehearsal, Scenario


async def answer(trunk: trunkline.Trunk, _: Mortal) -> None:
    for tool in ("form", "model", "page", "roots", "guess"):
        await trunk.call(f"fake.{tool}", timeout=60)


async def answer_many(trunk: trunkline.Trunk, _: Mortal) -> None:
    await trunk.call("fake.many", timeout=60)


async def answer_out_of_nowhere(trunk: trunkline.Trunk, peer: Mortal) -> None:
    await trunk.ready()
    for _ in range(70):
        peer.server.ask(Ask.roots())
        peer.server.notify("vendor/news")
    await asyncio.sleep(5)


async def visit(trunk: trunkline.Trunk, peer: Mortal) -> None:
    loop = asyncio.get_running_loop()
    done = {"elicitationId": "v1"}
    loop.call_later(1.0, peer.server.notify, "notifications/elicitation/complete", done)
    await trunk.call("fake.files", timeout=60)


async def die_while_answering(trunk: trunkline.Trunk, peer: Mortal) -> None:
    await trunk.ready()
    for _ in range(70):
        peer.server.ask(Ask.roots())
    await asyncio.sleep(0.1)
    peer.kill()
    await asyncio.sleep(1)


PATIENT = {"limits": trunkline.HandlerLimits(concurrency=100)}
SCENARIOS = {
    "answers": Scenario(answer),
    "answers many": Scenario(answer_many),
    "answers out of nowhere": Scenario(answer_out_of_nowhere, ("legacy",), handlers=PATIENT),
    "dies while answering": Scenario(die_while_answering, ("legacy",), handlers=PATIENT),
    "visits": Scenario(visit, ("legacy",)),
}


def test_whatever_waits_for_an_answer_can_be_cancelled_and_lose_its_server(rehearse: Any):
    rehearse("questions", SCENARIOS)


@pytest.mark.soak
@pytest.mark.parametrize("name", SCENARIOS)
def test_an_answer_can_be_cut_at_every_turn(name: str, rehearsal: Rehearsal):
    rehearsal.cut_everywhere([SCENARIOS[name]], lambda turns: range(len(turns)))
