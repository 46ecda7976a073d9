"""Identical calls that share one request, with the cache and without it, on virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any

import pytest
from msgspec.structs import replace

from trunkline.core.cache_settings import CacheSettings
from trunkline.core.call import Call, Flight, Progress
from trunkline.core.principal import LOCAL, Principal
from trunkline.core.reply import Reply
from trunkline.errors import (
    DeadlineExceededError,
    OutcomeUnknownError,
    UnavailableError,
)
from trunkline.pipeline.cache import Cache
from trunkline.pipeline.cache_index import Index
from trunkline.pipeline.cache_key import Keys
from trunkline.pipeline.coalesce import Coalesce
from trunkline.pipeline.deadline import Deadline
from trunkline.pipeline.flights import Flights
from trunkline.pipeline.service import Service
from trunkline.pipeline.shelf import Shelf

pytestmark = pytest.mark.anyio


class Server:
    """Answers after a while, with how often it was asked before; or fails."""

    def __init__(self, takes: float = 0.1, **result: Any) -> None:
        self.takes = takes
        self.asked: list[Call] = []
        self.cancelled = 0
        self.result = result
        self.error: Callable[[], Exception] | None = None

    async def __call__(self, call: Call) -> Reply:
        self.asked.append(call)
        count = len(self.asked)
        call.flight.attempts += 1
        call.flight.delivery = "unknown"
        try:
            await asyncio.sleep(self.takes)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.error is not None:
            raise self.error()
        call.flight.delivery = "answered"
        raw = {"structuredContent": {"n": count}, **self.result}
        return Reply(raw=raw, server=call.server, tool=call.public_name, call_id=call.id)


@pytest.fixture
async def flights() -> AsyncIterator[Flights]:
    tasks: set[asyncio.Task[None]] = set()

    def spawn(coroutine: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(coroutine, name=name)
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        return task

    yield Flights(spawn)
    await asyncio.sleep(100)
    assert not tasks


def call(name: str = "read", principal: Principal = LOCAL, timeout: float = 60.0, **arguments: Any) -> Call:
    now = asyncio.get_running_loop().time()
    return Call(
        id=f"c{now}{name}",
        server="s",
        name=name,
        public_name=f"s.{name}",
        arguments=arguments,
        principal=principal,
        deadline=now + timeout,
        idle=60.0,
        flight=Flight(now),
    )


def number(reply: Reply) -> Any:
    return reply.structured["n"]


def coalescing(server: Service, flights: Flights) -> Service:
    return Deadline().wrap(Coalesce(shelf=shelf(), flights=flights, allows=changes_nothing).wrap(server))


def caching(server: Service, flights: Flights) -> Service:
    settings = CacheSettings(ttl=10.0)
    layer = Cache(settings=settings, shelf=shelf(), flights=flights, allows=changes_nothing)
    return Deadline().wrap(layer.wrap(server))


def shelf() -> Shelf:
    return Shelf("s", "place", Keys(b"salt"), Index(10, 10_000), asyncio.get_running_loop().time)


def changes_nothing(call: Call) -> bool:
    return call.name != "write"


@pytest.mark.parametrize("layer", [caching, coalescing])
async def test_a_thousand_identical_calls_at_once_make_one_request(
    flights: Flights, layer: Callable[[Service, Flights], Service]
) -> None:
    server = Server()
    service = layer(server, flights)
    calls = [replace(call(a=1), id=str(count)) for count in range(1000)]
    replies = await asyncio.gather(*map(service, calls))
    assert len(server.asked) == 1
    assert [one.call_id for one in replies] == [one.id for one in calls]
    assert len({id(one.raw) for one in replies}) == 1000
    assert {one.flight.delivery for one in calls} == {"answered"}
    assert {one.flight.attempts for one in calls} == {1}
    assert len(flights) == 0


async def test_calls_one_after_another_are_not_coalesced(flights: Flights) -> None:
    service = coalescing(server := Server(), flights)
    assert [number(await service(call())) for _ in range(2)] == [1, 2]
    await asyncio.gather(service(call("write")), service(call("write")))
    assert len(server.asked) == 4


async def test_the_first_caller_may_leave_and_the_others_are_answered(flights: Flights) -> None:
    service = coalescing(server := Server(takes=1.0), flights)
    tasks = [asyncio.ensure_future(service(call())) for _ in range(3)]
    await asyncio.sleep(0.5)
    tasks[0].cancel()
    with pytest.raises(asyncio.CancelledError):
        await tasks[0]
    assert [number(one) for one in await asyncio.gather(*tasks[1:])] == [1, 1]
    assert (len(server.asked), server.cancelled) == (1, 0)


async def test_the_request_ends_when_the_last_caller_has_left(flights: Flights) -> None:
    service = coalescing(server := Server(takes=1.0), flights)
    calls = [call() for _ in range(3)]
    tasks = [asyncio.ensure_future(service(one)) for one in calls]
    await asyncio.sleep(0.5)
    calls[2].flight.cancel_reason = "enough"
    for task in tasks:
        assert server.cancelled == 0
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert (server.cancelled, len(flights)) == (1, 0)
    assert server.asked[0].flight.cancel_reason == "enough"
    assert {one.flight.delivery for one in calls} == {"unknown"}
    assert number(await service(call())) == 2


async def test_the_deadline_of_one_caller_is_not_that_of_the_others(flights: Flights) -> None:
    service = coalescing(server := Server(takes=5.0), flights)
    short, long = service(call(timeout=1.0)), service(call(timeout=60.0))
    first, second = await asyncio.gather(short, long, return_exceptions=True)
    assert isinstance(first, DeadlineExceededError)
    assert first.delivery == "unknown"
    assert isinstance(second, Reply)
    assert len(server.asked) == 1


async def test_the_next_in_line_goes_on_where_the_first_had_too_little_time(flights: Flights) -> None:
    async def impatient(call: Call) -> Reply:
        left = call.deadline - asyncio.get_running_loop().time()
        await asyncio.sleep(0.5)
        if left < 10:
            raise UnavailableError("no time to try again", retryable=True)
        return await server(call)

    service = coalescing(impatient, flights)
    server = Server()
    calls = [service(call(timeout=seconds)) for seconds in (2.0, 3.0, 60.0, 50.0)]
    replies = await asyncio.gather(*calls, return_exceptions=True)
    assert isinstance(replies[0], UnavailableError)
    assert [number(one) for one in replies[1:] if isinstance(one, Reply)] == [1, 1, 1]


async def test_progress_goes_to_every_caller_and_keeps_every_one_alive(flights: Flights) -> None:
    async def talks(call: Call) -> Reply:
        for step in range(5):
            await asyncio.sleep(40)
            call.flight.activity = asyncio.get_running_loop().time()
            assert call.flight.on_progress is not None
            call.flight.on_progress(Progress(progress=step))
        return await server(call)

    server = Server()
    service = coalescing(talks, flights)
    heard: list[list[float]] = [[], []]
    calls = [call(timeout=600.0), call(timeout=600.0), call(timeout=600.0)]
    for one, list_ in zip(calls, heard, strict=False):
        one.flight.on_progress = lambda progress, list_=list_: list_.append(progress.progress)
    replies = await asyncio.gather(*map(service, calls))
    assert heard == [[0, 1, 2, 3, 4]] * 2
    assert [number(one) for one in replies] == [1, 1, 1]


async def test_a_foreign_exception_reaches_every_caller(flights: Flights) -> None:
    class OddError(Exception):
        def __init__(self, *, must: int) -> None:
            super().__init__(must)

    async def breaks(_: Call) -> Reply:
        await asyncio.sleep(0.1)
        raise OddError(must=1)

    service = coalescing(breaks, flights)
    outcomes = await asyncio.gather(service(call()), service(call()), return_exceptions=True)
    assert [type(one) for one in outcomes] == [OddError, OddError]


async def test_callers_are_told_when_the_owner_of_the_request_ends() -> None:
    tasks: list[asyncio.Task[None]] = []

    def spawn(coroutine: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        tasks.append(asyncio.get_running_loop().create_task(coroutine, name=name))
        return tasks[-1]

    service = coalescing(Server(takes=5.0), Flights(spawn))
    waiting: list[Awaitable[Reply]] = [asyncio.ensure_future(service(call())) for _ in range(2)]
    await asyncio.sleep(1)
    tasks[0].cancel()
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(one) for one in outcomes] == [OutcomeUnknownError] * 2
