"""Floods of notifications: memory is bounded, nobody is held up, and what matters is not lost in them."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

import trunkline
from trunkline.core.events import ListChanged, LogMessage, ResourceUpdated
from trunkline.testing import FakeServer

pytestmark = pytest.mark.anyio

A = "file:///a"
MANY = 100_000
BATCH = 1_000
MEGABYTE = 1024 * 1024


def watchable(family: str = "modern", **options: Any) -> FakeServer:
    server = FakeServer(eras=[family], watchable=True, ttl_ms=3_600_000, **options)
    server.tool("t", returns="x")
    server.resource(A)
    return server


def peak_memory(*, anew: bool = False) -> int:
    """Give the highest resident size of this process, in bytes; `anew` begins to measure."""
    if anew:
        with open("/proc/self/clear_refs", "w", encoding="ascii") as file:
            file.write("5")
    with open("/proc/self/status", encoding="ascii") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM"))


@contextmanager
def growth(most: int) -> Iterator[None]:
    """Fail when the process grows by more than this at its peak."""
    gc.collect()
    before = peak_memory(anew=True)
    yield
    assert peak_memory() - before <= most


@contextmanager
def traced_growth(most: int) -> Iterator[None]:
    """Fail when Python's memory grows by more than this at its peak; slow."""
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        yield
        assert tracemalloc.get_traced_memory()[1] - before <= most
    finally:
        tracemalloc.stop()


async def flood(send: Callable[[int], None], count: int = MANY) -> None:
    """Send so many notifications, as they come from a pipe: some thousand before each is looked at."""
    for number in range(count):
        send(number)
        if number % BATCH == 0:
            await asyncio.sleep(0)


async def test_a_hundred_thousand_notifications_and_a_watcher_that_never_reads_stay_in_bounds():
    server = watchable("legacy")
    noise = {"level": "error", "data": "x" * 200}
    async with trunkline.connect({"fake": server}) as trunk, await trunk.subscribe(A) as updates:
        watch = trunk.events()
        with growth(32 * MEGABYTE):
            await flood(lambda _: server.notify("notifications/message", noise))
        assert (await trunk.call("fake.t", timeout=30)).text == "x"
        server.notify_resource(A)
        assert (await asyncio.wait_for(anext(updates), 10)).uri == A
        assert len(watch._waiting) <= 1024
        assert trunk.status()["fake"].dropped_notifications > MANY // 2


async def test_a_flood_leaves_nothing_behind_in_memory():
    server = watchable("legacy", keep=10)
    noise = {"level": "error", "data": "x" * 200}
    async with trunkline.connect({"fake": server}) as trunk:
        await trunk.ready()
        watch = trunk.events()
        with traced_growth(8 * MEGABYTE):
            await flood(lambda _: server.notify("notifications/message", noise), 5_000)
        assert len(watch._waiting) <= 1024


async def test_updates_of_one_resource_wait_once_however_many_come():
    server = watchable()
    async with trunkline.connect({"fake": server}) as trunk, await trunk.subscribe(A) as updates:
        for _ in range(10_000):
            server.notify_resource(A)
        async with asyncio.timeout(30):
            while any(one.waiting for one in server.watchers.listeners):  # noqa: ASYNC110 - no waiters
                await asyncio.sleep(0)
        assert await asyncio.wait_for(anext(updates), 10) == ResourceUpdated(server="fake", uri=A)
        assert len(updates._waiting) <= 1


async def test_updates_of_countless_parts_become_one_that_stands_for_all():
    server = watchable()
    async with trunkline.connect({"fake": server}) as trunk, await trunk.subscribe(A) as updates:
        for number in range(2_000):
            server.notify_resource(A, part=f"{A}/{number}")
        async with asyncio.timeout(10):
            while any(one.waiting for one in server.watchers.listeners):  # noqa: ASYNC110 - a fake has no waiters
                await asyncio.sleep(0)
            seen = []
            async for event in updates:
                seen.append(event)
                if event.missed:
                    break
        assert seen[-1] == ResourceUpdated(server="fake", uri=A, missed=True) or len(seen) == 2_000


async def test_updates_of_endless_uris_are_not_kept_and_count_as_missed():
    server = watchable("legacy")
    async with trunkline.connect({"fake": server}) as trunk, await trunk.subscribe(A) as updates:
        watch = trunk.events(ResourceUpdated)
        with growth(32 * MEGABYTE):
            for number in range(60):
                server.notify("notifications/resources/updated", {"uri": f"{A}/{number}{'x' * MEGABYTE}"})
                await asyncio.sleep(0)
            assert await asyncio.wait_for(anext(updates), 10) == ResourceUpdated(
                server="fake", uri=A, missed=True
            )
            assert len((await asyncio.wait_for(anext(watch), 10)).uri) < 100
        assert trunk.status()["fake"].dropped_notifications > 0


async def test_large_log_messages_are_cut_and_few_of_them_wait():
    server = watchable("legacy")
    async with trunkline.connect({"fake": server}) as trunk:
        await trunk.ready()
        watch = trunk.events(LogMessage)
        large = "x" * MEGABYTE
        with growth(32 * MEGABYTE):
            for _ in range(100):
                server.notify_log("error", {"text": large})
                await asyncio.sleep(0)
        event = await asyncio.wait_for(anext(watch), 10)
        assert isinstance(event.data, str)
        assert len(event.data) <= 17_000
        assert len(event.text) <= 2_001


async def test_notifications_over_the_limit_of_a_second_are_dropped_counted_and_hold_nobody_up(
    caplog: pytest.LogCaptureFixture,
):
    server = watchable("legacy")
    policy = {"servers": {"fake": {"limits": {"notifications": 10}}}}
    async with trunkline.connect({"fake": server}, policy=policy) as trunk:
        await trunk.ready()
        watch = trunk.events()
        for number in range(100):
            server.notify_log("info", number)
        server.tool("new")
        server.notify_list("tools")
        async with asyncio.timeout(10):
            while not isinstance(event := await anext(watch), ListChanged):
                assert isinstance(event, LogMessage)
        assert trunk.status()["fake"].dropped_notifications == 90
        assert caplog.text.count("more than 10 notifications in a second") == 1
        assert (await trunk.call("fake.t")).text == "x"


async def test_a_watcher_a_hundred_times_slower_loses_the_oldest_and_learns_how_many():
    server = watchable("legacy")
    policy = {"servers": {"fake": {"limits": {"notifications": 1_000_000}}}}
    async with trunkline.connect({"fake": server}, policy=policy) as trunk:
        await trunk.ready()
        watch = trunk.events(LogMessage, max_waiting=50)
        read = []
        for number in range(5_000):
            server.notify_log("info", number)
            if number % 100 == 0:
                await asyncio.sleep(0)
                await asyncio.sleep(0)
                if watch._waiting:
                    read.append((await anext(watch)).data)
        for _ in range(1_000):
            await asyncio.sleep(0)
        left = len(watch._waiting)
        assert read == sorted(read)
        assert left <= 50
        assert len(read) + left + lost(watch, trunk) == 5_000


def lost(watch: trunkline.Watch, trunk: trunkline.Trunk) -> int:
    return watch.dropped + trunk.status()["fake"].dropped_notifications
