"""A feed keeps the latest reports for any number of readers, counts what nobody saw, and ends."""

from __future__ import annotations

import asyncio

import pytest

from trunkline.runtime.feed import Feed

pytestmark = pytest.mark.anyio


async def test_every_reader_sees_everything_that_is_kept() -> None:
    feed: Feed[int] = Feed()
    for number in range(3):
        feed.put(number)
    feed.end()
    assert [item async for item in feed] == [0, 1, 2]
    assert [item async for item in feed] == [0, 1, 2]


async def test_a_reader_waits_for_the_next_report_and_for_the_end() -> None:
    feed: Feed[int] = Feed()
    reader = aiter(feed)
    waiting = asyncio.ensure_future(anext(reader))
    await asyncio.sleep(0)
    assert not waiting.done()
    feed.put(7)
    assert await waiting == 7
    ended = asyncio.ensure_future(anext(reader, None))
    await asyncio.sleep(0)
    feed.end()
    assert await ended is None


async def test_the_oldest_makes_place_and_only_what_nobody_saw_is_counted() -> None:
    feed: Feed[int] = Feed(max_items=2)
    reader = aiter(feed)
    feed.put(0)
    assert await anext(reader) == 0
    for number in (1, 2, 3, 4):
        feed.put(number)
    assert feed.dropped == 2
    feed.end()
    assert [item async for item in reader] == [3, 4]


async def test_a_slow_reader_goes_on_with_the_oldest_that_is_kept() -> None:
    feed: Feed[int] = Feed(max_items=2)
    slow, quick = aiter(feed), aiter(feed)
    for number in range(4):
        feed.put(number)
        assert await anext(quick) == number
    assert feed.dropped == 0
    assert await anext(slow) == 2


async def test_what_comes_after_the_end_is_ignored() -> None:
    feed: Feed[int] = Feed()
    feed.end()
    feed.put(1)
    assert [item async for item in feed] == []
