"""Breakers and limits, cut short at every place where something waits."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import trunkline
from trunkline.testing.mortal import Mortal
from trunkline.testing.rehearsal import Rehearsal, Scenario


async def crowd(trunk: trunkline.Trunk, _: Mortal) -> None:
    """Call more often at once than may run."""
    await asyncio.gather(*(trunk.call("fake.slow", timeout=60) for _ in range(4)))


async def tell(trunk: trunkline.Trunk, _: Mortal) -> None:
    """Notify a server that has to be connected first."""
    await trunk.notify("fake", "notifications/vendor/thing", timeout=60)


LIMITS = {"servers": {"fake": {"limit": {"concurrency": 2}}}}
SCENARIOS = {
    "crowds": Scenario(crowd, policy=LIMITS),
    "tells": Scenario(tell, policy=LIMITS),
}


def test_whatever_waits_for_its_turn_can_be_cancelled_and_lose_its_server(rehearse: Any):
    rehearse("guards", SCENARIOS)


@pytest.mark.soak
@pytest.mark.parametrize("name", SCENARIOS)
def test_guards_can_be_cut_at_every_turn(name: str, rehearsal: Rehearsal):
    rehearsal.cut_everywhere([SCENARIOS[name]], lambda turns: range(len(turns)))
