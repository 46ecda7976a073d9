"""What the plays of awaits count as cut: only where somebody was cancelled, and only who waited."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from trunkline.testing.cutting import Lookout
from trunkline.testing.stage import Cuts, cancel, close, end_the_loop

pytestmark = pytest.mark.anyio

HERE = Path(__file__).resolve()


async def wait_for(event: asyncio.Event) -> None:
    await event.wait()


async def wait_until_told(event: asyncio.Event) -> None:
    await event.wait()


async def test_who_ends_by_itself_is_not_counted_as_cancelled():
    told = asyncio.Event()
    with Lookout(HERE.parent).watching(asyncio.get_running_loop()) as lookout:
        tasks = [asyncio.ensure_future(one(told)) for one in (wait_for, wait_until_told)]
        await asyncio.sleep(0)
        assert len(lookout.find_all()) == 2
        tasks[0].cancel()
        told.set()
        await asyncio.gather(*tasks, return_exceptions=True)
    assert lookout.cancelled == {(HERE.name, wait_for.__code__.co_firstlineno + 1)}


def test_a_place_that_was_only_closed_is_left_for_the_end_of_the_loop():
    cuts, place = Cuts(), ("supervision/fleet.py", 1)
    cuts.places[close].add(place)
    assert place in cuts.known_to(close)
    assert place not in cuts.known_to(cancel) | cuts.known_to(end_the_loop)
    cuts.cancelled.add(place)
    assert place in cuts.known_to(end_the_loop)
