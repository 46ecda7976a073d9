"""The event bus: every watcher has a bounded queue of its own, and nobody waits for it."""

from __future__ import annotations

import asyncio
import gc

import pytest

from trunkline.core.events import Event, ListChanged, LogMessage, ResourceUpdated
from trunkline.runtime.events import Bus

pytestmark = pytest.mark.anyio


def updated(number: int) -> ResourceUpdated:
    return ResourceUpdated(server="s", uri=f"r:{number}")


async def read(watch) -> list[Event]:
    async with asyncio.timeout(5):
        return [event async for event in watch]


async def test_a_watcher_sees_what_happens_from_its_making_on_and_ends_with_the_bus():
    bus = Bus()
    bus.put(updated(0))
    watch = bus.watch((), 10)
    bus.put(updated(1))
    bus.close()
    bus.put(updated(2))
    assert await read(watch) == [updated(1)]
    assert await read(bus.watch((), 10)) == []


async def test_a_slow_watcher_loses_the_oldest_and_can_tell_how_many_while_a_quick_one_loses_none():
    bus = Bus()
    slow, quick = bus.watch((), 3), bus.watch((), 100)
    for number in range(10):
        bus.put(updated(number))
    bus.close()
    assert await read(slow) == [updated(7), updated(8), updated(9)]
    assert (slow.dropped, quick.dropped) == (7, 0)
    assert len(await read(quick)) == 10


async def test_a_watcher_of_one_kind_loses_nothing_to_a_flood_of_another():
    bus = Bus()
    lists = bus.watch((ListChanged,), 2)
    change = ListChanged(server="s", kind="tools", added=("t",))
    bus.put(change)
    for _ in range(100):
        bus.put(LogMessage(server="s", level="info"))
    bus.close()
    assert await read(lists) == [change]
    assert lists.dropped == 0


async def test_a_waiting_watcher_is_woken_by_an_event_and_by_the_end():
    bus = Bus()
    watch = bus.watch((), 3)
    waiting = asyncio.ensure_future(anext(watch))
    await asyncio.sleep(0)
    bus.put(updated(1))
    assert await asyncio.wait_for(waiting, 5) == updated(1)
    waiting = asyncio.ensure_future(anext(watch, None))
    await asyncio.sleep(0)
    bus.close()
    assert await asyncio.wait_for(waiting, 5) is None


async def test_a_cancelled_wait_loses_no_event():
    bus = Bus()
    watch = bus.watch((), 3)
    waiting = asyncio.ensure_future(anext(watch))
    await asyncio.sleep(0)
    bus.put(updated(1))
    waiting.cancel()
    await asyncio.wait({waiting})
    assert await asyncio.wait_for(anext(watch), 5) == updated(1)


async def test_a_watcher_that_is_closed_or_no_longer_held_is_not_served():
    bus = Bus()
    closed, dropped = bus.watch((), 3), bus.watch((), 3)
    assert bus.watched
    async with closed:
        bus.put(updated(1))
    assert await read(closed) == []
    del dropped
    gc.collect()
    bus.put(updated(2))
    assert not bus.watched


async def test_a_queue_needs_room():
    with pytest.raises(ValueError, match="max_waiting"):
        Bus().watch((), 0)
