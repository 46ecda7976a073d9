"""Answers that are kept outside of the runtime, in a place that may fail, hang or lie; on virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest

from trunkline.core.cache_settings import CacheSettings
from trunkline.core.call import Call, Flight
from trunkline.core.principal import LOCAL, Principal
from trunkline.core.reply import Reply
from trunkline.errors import UnavailableError
from trunkline.pipeline.cache_index import Index
from trunkline.pipeline.cache_key import Keys
from trunkline.pipeline.deadline import Deadline
from trunkline.pipeline.far_cache import FarCache
from trunkline.pipeline.far_shelf import FarShelf
from trunkline.pipeline.flights import Flights
from trunkline.pipeline.service import Service
from trunkline.pipeline.shelf import Shelf
from trunkline.store.replies import Found

pytestmark = pytest.mark.anyio


class Table:
    """A place in this process, which may be told to fail or to hang."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}
        self.marks: dict[str, int] = {}
        self.asked = 0
        self.trouble: Callable[[], Any] | None = None

    async def _suffer(self) -> None:
        self.asked += 1
        await asyncio.sleep(0.001)
        if self.trouble is not None:
            await self.trouble()

    async def salt(self) -> bytes:
        await self._suffer()
        return b"s" * 32

    async def get(self, key: str) -> Found:
        await self._suffer()
        return Found(self.kept.get(key), self.marks.get(key.partition(":")[0], 0))

    async def put(self, key: str, value: bytes, keep_for: float, mark: int) -> bool:
        await self._suffer()
        assert keep_for > 0
        if self.marks.get(key.partition(":")[0], 0) != mark:
            return False
        self.kept[key] = value
        return True

    async def drop(self, server: str, concerned: Callable[[str], bool]) -> int:
        await self._suffer()
        self.marks[server] = self.marks.get(server, 0) + 1
        gone = [key for key in self.kept if concerned(key)]
        for key in gone:
            del self.kept[key]
        return len(gone)

    async def close(self) -> None:
        return None


class Runtime:
    """One of several that use the same place."""

    def __init__(self, place: Table, spawn: Any, **settings: Any) -> None:
        self.asked = 0
        self.error: Exception | None = None
        time = asyncio.get_running_loop().time
        self.shelf = Shelf("s", "near", Keys(b"near"), Index(9, 9), time)
        self.far = FarShelf(self.shelf, place, lambda salt: Keys(salt).digest(b"server"), time, spawn)
        layer = FarCache(
            settings=CacheSettings(**settings),
            shelf=self.shelf,
            far=self.far,
            flights=Flights(spawn),
            allows=lambda call: call.name != "write",
        )
        self.service: Service = Deadline().wrap(layer.wrap(self._answer))

    async def _answer(self, call: Call) -> Reply:
        self.asked += 1
        count = self.asked
        await asyncio.sleep(0.1)
        if self.error is not None:
            raise self.error
        raw = {"structuredContent": {"n": count}, "cacheScope": "public"}
        return Reply(raw=raw, server="s", tool=call.public_name, call_id=call.id)

    async def ask(
        self,
        principal: Principal = LOCAL,
        max_age: float | None = None,
        timeout: float = 60.0,  # noqa: ASYNC109 - as that of a call
        **arguments: Any,
    ) -> Reply:
        now = asyncio.get_running_loop().time()
        call = Call(
            id="c",
            server="s",
            name="read",
            public_name="s.read",
            arguments=arguments,
            principal=principal,
            deadline=now + timeout,
            idle=60.0,
            flight=Flight(now),
            max_age=max_age,
        )
        return await self.service(call)


@pytest.fixture
async def spawn() -> AsyncIterator[Any]:
    tasks: set[asyncio.Task[None]] = set()

    def spawn(coroutine: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(coroutine, name=name)
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        return task

    yield spawn
    await asyncio.sleep(100)
    assert not tasks


async def test_an_answer_of_one_runtime_is_given_by_another(spawn: Any) -> None:
    place = Table()
    one, other = Runtime(place, spawn, ttl=10.0), Runtime(place, spawn, ttl=10.0)
    first = await one.ask(a=1)
    await asyncio.sleep(5)
    second = await other.ask(a=1)
    assert (first.cached, second.cached, second.structured) == (False, True, first.structured)
    assert second.age == pytest.approx(5, abs=0.1)
    assert not (await other.ask(a=2)).cached
    assert not (await other.ask(Principal(name="ben"), a=1)).cached
    await asyncio.sleep(6)
    assert not (await other.ask(a=1)).cached
    assert (other.shelf.hits, other.shelf.misses) == (1, 3)


async def test_no_argument_can_be_read_from_what_keys_say(spawn: Any) -> None:
    place = Table()
    await Runtime(place, spawn, ttl=10.0).ask(Principal(name="anna"), password="hunter2")
    (key,) = place.kept
    assert "hunter2" not in key
    assert "anna" not in key
    assert key.split(":")[1:3] == ["t", "read"]


async def test_a_thousand_identical_calls_look_once_and_ask_once(spawn: Any) -> None:
    runtime = Runtime(place := Table(), spawn, ttl=10.0)
    await runtime.ask(a=0)
    before = place.asked
    await asyncio.gather(*(runtime.ask(a=1) for _ in range(1000)))
    assert runtime.asked == 2
    assert place.asked - before == 2


async def test_a_stale_answer_is_given_while_a_new_one_is_fetched(spawn: Any) -> None:
    runtime = Runtime(Table(), spawn, ttl=5.0, stale_while_revalidate=50.0)
    await runtime.ask()
    await asyncio.sleep(10)
    assert (await runtime.ask()).stale
    await asyncio.sleep(1)
    reply = await runtime.ask()
    assert (reply.structured["n"], reply.cached, reply.stale, runtime.shelf.refreshed) == (2, True, False, 1)


async def test_a_server_that_is_away_is_stood_in_for(spawn: Any) -> None:
    runtime = Runtime(Table(), spawn, ttl=5.0, stale_if_error=50.0)
    await runtime.ask()
    await asyncio.sleep(10)
    runtime.error = UnavailableError("gone")
    reply = await runtime.ask()
    assert (reply.degraded, reply.stale, runtime.shelf.degraded) == (True, True, 1)
    with pytest.raises(UnavailableError):
        await runtime.ask(max_age=5.0)


async def test_a_call_that_asks_anew_is_answered_by_the_server_and_kept(spawn: Any) -> None:
    runtime = Runtime(Table(), spawn, ttl=50.0)
    await runtime.ask()
    assert (await runtime.ask(max_age=0)).structured["n"] == 2
    assert (await runtime.ask()).structured["n"] == 2


async def test_what_is_forgotten_by_one_runtime_is_not_kept_late_by_another(spawn: Any) -> None:
    place = Table()
    one, other = Runtime(place, spawn, ttl=50.0), Runtime(place, spawn, ttl=50.0)
    await one.ask()
    late = asyncio.ensure_future(other.ask(a=1))
    await asyncio.sleep(0.05)
    one.far.owe(lambda *_: True)
    await one.far.settle()
    assert one.shelf.invalidated == 1
    assert (await late).structured["n"] == 1
    assert place.kept == {}
    assert not (await one.ask()).cached


async def test_what_was_kept_under_another_policy_is_fresh_no_longer_than_this_one_says(spawn: Any) -> None:
    place = Table()
    await Runtime(place, spawn, ttl=500.0).ask()
    await asyncio.sleep(10)
    assert (await Runtime(place, spawn, ttl=50.0).ask()).cached
    assert not (await Runtime(place, spawn, ttl=5.0).ask()).cached


async def test_what_the_server_calls_public_is_shared_only_where_policy_says_so(spawn: Any) -> None:
    for share, cached in (("never", False), ("public", True), ("always", True)):
        place = Table()
        await Runtime(place, spawn, ttl=50.0, share=share).ask(Principal(name="anna"))
        reply = await Runtime(place, spawn, ttl=50.0, share=share).ask(Principal(name="ben"))
        assert reply.cached == cached, share


@pytest.mark.parametrize("trouble", ["fails", "hangs"])
async def test_a_place_in_trouble_costs_no_call_and_is_left_alone(
    spawn: Any, trouble: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail() -> None:
        raise ConnectionError("secret://host")

    place = Table()
    runtime = Runtime(place, spawn, ttl=50.0)
    await runtime.ask()
    place.trouble = fail if trouble == "fails" else lambda: asyncio.sleep(1e6)
    started = asyncio.get_running_loop().time()
    for _ in range(10):
        assert not (await runtime.ask()).cached
    assert asyncio.get_running_loop().time() - started < 0.5 + 10 * 0.11
    assert (place.asked, runtime.shelf.failures) == (4, 1)
    (record,) = caplog.records
    assert "calls go on without" in record.getMessage()
    assert "secret" not in record.getMessage()
    place.trouble = None
    await asyncio.sleep(6)
    assert (await runtime.ask()).cached


async def test_a_place_that_cannot_even_be_opened_is_done_without(spawn: Any) -> None:
    place = Table()
    place.trouble = lambda: asyncio.sleep(1e6)
    runtime = Runtime(place, spawn, ttl=50.0)
    assert [(await runtime.ask()).cached for _ in range(2)] == [False, False]
    runtime.far.owe(lambda *_: True)
    await runtime.far.settle()
    assert runtime.shelf.invalidated == 0


async def test_what_was_to_be_forgotten_while_the_place_was_away_is_never_given_again(spawn: Any) -> None:
    async def fail() -> None:
        raise ConnectionError("gone")

    place = Table()
    one, other = Runtime(place, spawn, ttl=500.0), Runtime(place, spawn, ttl=500.0)
    await one.ask()
    place.trouble = fail
    for runtime in (one, other):  # one that has used the place before, and one that has not
        runtime.far.owe(lambda *_: True)
        await runtime.far.settle()
        assert not (await runtime.ask()).cached
    place.trouble = None
    await asyncio.sleep(6)
    for runtime in (one, other):
        assert (await runtime.ask()).structured["n"] > 1
    assert (await other.ask()).cached


async def test_what_is_forgotten_while_it_is_looked_up_is_not_given(spawn: Any) -> None:
    place = Table()
    runtime = Runtime(place, spawn, ttl=500.0)
    await runtime.ask()
    place.trouble = lambda: asyncio.sleep(0.1)
    late = asyncio.ensure_future(runtime.ask())
    await asyncio.sleep(0.05)
    runtime.far.owe(lambda *_: True)
    assert not (await late).cached


async def test_a_place_that_forgets_slowly_is_not_asked_meanwhile_and_keeps_nobody_waiting(
    spawn: Any,
) -> None:
    place = Table()
    runtime = Runtime(place, spawn, ttl=500.0)
    await runtime.ask()
    place.trouble = lambda: asyncio.sleep(10)
    started = asyncio.get_running_loop().time()
    for _ in range(200):
        runtime.far.owe(lambda *_: True)
    await runtime.far.settle()
    assert asyncio.get_running_loop().time() - started == pytest.approx(0.5)
    assert (await runtime.ask()).structured["n"] == 2
    place.trouble = None
    await asyncio.sleep(11)
    assert (place.kept, runtime.shelf.invalidated) == ({}, 1)
    assert (await runtime.ask()).structured["n"] == 3
    assert (await runtime.ask()).cached


async def test_a_call_with_little_time_leaves_most_of_it_to_the_server(spawn: Any) -> None:
    place = Table()
    runtime = Runtime(place, spawn, ttl=500.0)
    await runtime.ask(a=0)
    place.trouble = lambda: asyncio.sleep(1e6)
    assert (await runtime.ask(timeout=0.4, a=1)).structured["n"] == 2
    place.trouble = None
    await asyncio.sleep(6)

    async def hang_once_asked() -> None:
        await asyncio.sleep(1e6 if runtime.asked == 3 else 0)

    place.trouble = hang_once_asked
    assert (await runtime.ask(timeout=0.3, a=2)).structured["n"] == 3


async def test_identical_calls_make_one_request_while_the_place_cannot_be_opened(spawn: Any) -> None:
    place = Table()
    place.trouble = lambda: asyncio.sleep(1e6)
    runtime = Runtime(place, spawn, ttl=50.0)
    replies = await asyncio.gather(*(runtime.ask() for _ in range(1000)))
    assert (runtime.asked, place.asked, len(replies)) == (1, 1, 1000)


async def test_one_call_at_a_time_finds_out_whether_a_place_is_well_again(spawn: Any) -> None:
    place = Table()
    runtime = Runtime(place, spawn, ttl=50.0)
    await runtime.ask(a=0)
    place.trouble = lambda: asyncio.sleep(1e6)
    await asyncio.gather(*(runtime.ask(a=number) for number in range(50)))
    before = place.asked
    await asyncio.sleep(6)
    await asyncio.gather(*(runtime.ask(a=number) for number in range(50)))
    assert place.asked - before == 1


async def test_an_answer_under_the_key_of_another_one_is_not_given(spawn: Any) -> None:
    place = Table()
    runtime = Runtime(place, spawn, ttl=50.0)
    await runtime.ask(a=1)
    await runtime.ask(a=2)
    one, other = place.kept
    place.kept[one], place.kept[other] = place.kept[other], place.kept[one]
    assert not (await runtime.ask(a=1)).cached


@pytest.mark.parametrize(
    "body",
    [
        b'{"content":[],"isError":true}',
        b'{"content":[],"resultType":"input_required"}',
        b'{"task":{"taskId":"1"}}',
        b'{"content":[],"structuredContent":' + 80 * b'{"a":' + b"1" + 81 * b"}",
        b'{"content":[{"type":"text","text":"' + 10_000 * b"x" + b'"}]}',
    ],
)
async def test_what_would_not_have_been_kept_is_not_given(spawn: Any, body: bytes) -> None:
    place = Table()
    runtime = Runtime(place, spawn, ttl=50.0, max_reply_bytes=5_000)
    await runtime.ask()
    ((key, value),) = place.kept.items()
    place.kept[key] = value.partition(b"\n")[0] + b"\n" + body
    assert not (await runtime.ask()).cached


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff\xfe", b'{"version":1}\n{}', b"null\n[]"])
async def test_what_is_no_answer_is_asked_for_anew(spawn: Any, content: bytes) -> None:
    place = Table()
    runtime = Runtime(place, spawn, ttl=50.0)
    await runtime.ask()
    for key in place.kept:
        place.kept[key] = content
    assert not (await runtime.ask()).cached
    assert (await runtime.ask()).cached
