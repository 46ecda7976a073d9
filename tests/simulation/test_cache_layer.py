"""What the cache gives, to whom and for how long, on virtual time and around a service that counts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest
from msgspec.structs import replace

from trunkline.core.cache_settings import CacheSettings
from trunkline.core.call import Call, Flight
from trunkline.core.principal import LOCAL, Principal
from trunkline.core.reply import Reply
from trunkline.errors import (
    InvalidArgumentsError,
    OutcomeUnknownError,
    ServerError,
    UnavailableError,
)
from trunkline.pipeline.cache import Cache
from trunkline.pipeline.cache_index import Index
from trunkline.pipeline.cache_key import Keys
from trunkline.pipeline.deadline import Deadline
from trunkline.pipeline.flights import Flights
from trunkline.pipeline.service import Service
from trunkline.pipeline.shelf import Shelf

pytestmark = pytest.mark.anyio

ANNA, BEN = Principal(name="anna"), Principal(name="ben")
Made = tuple[Service, Shelf]


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


@pytest.fixture
def make(flights: Flights) -> Callable[..., Made]:
    def make(server: Service, index: Index | None = None, **settings: Any) -> Made:
        keys, time = Keys(b"salt"), asyncio.get_running_loop().time
        shelf = Shelf("s", "place", keys, index or Index(100, 100_000), time)
        layer = Cache(
            settings=CacheSettings(**settings),
            shelf=shelf,
            flights=flights,
            allows=lambda call: call.name != "write",
        )
        return Deadline().wrap(layer.wrap(server)), shelf

    return make


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


async def test_an_answer_is_given_again_until_its_time_is_over(make: Callable[..., Made]) -> None:
    server = Server()
    cached, shelf = make(server, ttl=10.0)
    first, second = await cached(call(a=1)), await cached(call(a=1))
    assert (number(first), first.cached, number(second), second.cached) == (1, False, 1, True)
    await asyncio.sleep(9.5)
    third = await cached(call(a=1))
    assert (third.cached, third.stale, third.age) == (True, False, pytest.approx(9.5))
    await asyncio.sleep(0.6)
    assert number(await cached(call(a=1))) == 2
    assert (shelf.hits, shelf.misses, shelf.stored) == (2, 2, 2)


async def test_other_arguments_tools_and_principals_are_asked_for_on_their_own(
    make: Callable[..., Made],
) -> None:
    server = Server()
    cached, _ = make(server, ttl=10.0)
    calls = [
        call(a=1),
        call(a=2),
        call("other", a=1),
        call(principal=ANNA, a=1),
        call(principal=BEN, a=1),
        call(a=1.0),
    ]
    assert [number(await cached(one)) for one in calls] == [1, 2, 3, 4, 5, 6]


async def test_what_a_caller_does_to_its_reply_nobody_else_sees(make: Callable[..., Made]) -> None:
    server = Server()
    cached, _ = make(server, ttl=10.0)
    replies = await asyncio.gather(*(cached(call(a=1)) for _ in range(3)))
    for reply in (*replies, await cached(call(a=1))):
        reply.structured["n"] = "spoiled"
    assert number(await cached(call(a=1))) == 1


async def test_tools_that_may_change_something_are_never_answered_from_the_cache(
    make: Callable[..., Made],
) -> None:
    server = Server()
    cached, shelf = make(server, ttl=10.0)
    assert [number(await cached(call("write"))) for _ in range(2)] == [1, 2]
    assert (len(shelf.index), shelf.misses) == (0, 0)


@pytest.mark.parametrize(
    "result", [{"isError": True}, {"resultType": "input_required"}, {"resultType": "task"}]
)
async def test_errors_questions_and_tasks_are_never_kept(
    make: Callable[..., Made], result: dict[str, Any]
) -> None:
    server = Server(**result)
    cached, shelf = make(server, ttl=10.0)
    assert [number(await cached(call())) for _ in range(2)] == [1, 2]
    assert shelf.unfit == 2


async def test_answers_with_warnings_and_of_several_rounds_are_never_kept(make: Callable[..., Made]) -> None:
    async def warns(call: Call) -> Reply:
        return replace(await server(call), warnings=("cut",))

    async def asks(call: Call) -> Reply:
        call.flight.plain = False
        return await server(call)

    server = Server()
    for service in (warns, asks):
        cached, shelf = make(service, ttl=10.0)
        await cached(call())
        await cached(call())
        assert (shelf.stored, shelf.unfit) == (0, 2)


async def test_errors_are_given_to_all_who_wait_and_not_kept(make: Callable[..., Made]) -> None:
    server = Server()
    server.error = lambda: ServerError("no", rpc_code=-32603, rpc_message="no")
    cached, _ = make(server, ttl=10.0)
    first, second = await asyncio.gather(cached(call()), cached(call()), return_exceptions=True)
    assert isinstance(first, ServerError)
    assert isinstance(second, ServerError)
    assert first is not second
    assert len(server.asked) == 1
    server.error = None
    assert number(await cached(call())) == 2


async def test_a_server_may_allow_less_time_and_with_hints_more(make: Callable[..., Made]) -> None:
    for settings, ttl_ms, fresh in (
        ({"ttl": 10.0}, 3_000, 3.0),
        ({"ttl": 10.0}, 30_000, 10.0),
        ({"ttl": 10.0}, 0, 0.0),
        ({"ttl": 10.0, "hints": "follow"}, 30_000, 30.0),
        ({"hints": "follow"}, 5_000, 5.0),
        ({"ttl": 10.0, "hints": "ignore"}, 0, 10.0),
    ):
        server = Server(takes=0.0, ttlMs=ttl_ms)
        cached, _ = make(server, **settings)
        await cached(call())
        await asyncio.sleep(max(fresh - 0.1, 0.0))
        assert (await cached(call())).cached == (fresh > 0)
        await asyncio.sleep(0.2)
        assert not (await cached(call())).cached


async def test_a_stale_answer_is_given_at_once_while_one_new_one_is_fetched(
    make: Callable[..., Made],
) -> None:
    server = Server(takes=1.0)
    cached, shelf = make(server, ttl=5.0, stale_while_revalidate=30.0)
    await cached(call())
    await asyncio.sleep(6)
    before = asyncio.get_running_loop().time()
    replies = [await cached(call()) for _ in range(3)]
    assert asyncio.get_running_loop().time() == before
    assert {(number(one), one.stale, one.degraded) for one in replies} == {(1, True, False)}
    await asyncio.sleep(1.5)
    fresh = await cached(call())
    assert (number(fresh), fresh.stale, len(server.asked), shelf.refreshed) == (2, False, 2, 1)


async def test_a_refresh_that_hangs_ends_with_the_time_its_call_had(make: Callable[..., Made]) -> None:
    server = Server()
    cached, _ = make(server, ttl=5.0, stale_while_revalidate=500.0)
    await cached(call())
    server.takes = 1e6
    await asyncio.sleep(6)
    await cached(call(timeout=20.0))
    await asyncio.sleep(21)
    assert server.cancelled == 1


async def test_a_server_that_is_away_is_stood_in_for_and_the_reply_says_so(make: Callable[..., Made]) -> None:
    server = Server()
    cached, shelf = make(server, ttl=5.0, stale_if_error=60.0)
    await cached(call())
    for error in (UnavailableError("gone", code="lost"), OutcomeUnknownError("cut")):
        server.error = lambda error=error: error
        await asyncio.sleep(10)
        reply = await cached(call())
        assert (number(reply), reply.cached, reply.stale, reply.degraded) == (1, True, True, True)
        assert error.code in reply.reason
        assert "s ago" in reply.reason
        assert reply.warnings == (reply.reason,)
    server.error = lambda: InvalidArgumentsError("no such thing")
    with pytest.raises(InvalidArgumentsError):
        await cached(call())
    server.error = lambda: UnavailableError("gone")
    await asyncio.sleep(60)
    with pytest.raises(UnavailableError):
        await cached(call())
    assert shelf.degraded == 2


async def test_a_caller_says_how_old_its_answer_may_be(make: Callable[..., Made]) -> None:
    server = Server()
    cached, _ = make(server, ttl=100.0, stale_if_error=100.0)
    await cached(call())
    await asyncio.sleep(10)
    assert (await cached(replace(call(), max_age=20.0))).cached
    assert number(await cached(replace(call(), max_age=5.0))) == 2
    assert number(await cached(replace(call(), max_age=0))) == 3
    kept = await cached(call())
    assert (number(kept), kept.cached) == (3, True)
    server.error = lambda: UnavailableError("gone")
    with pytest.raises(UnavailableError):
        await cached(replace(call(), max_age=0))


async def test_a_call_that_asks_anew_waits_for_no_request_made_before_it(make: Callable[..., Made]) -> None:
    server = Server(takes=1.0)
    cached, _ = make(server, ttl=100.0)
    first = asyncio.ensure_future(cached(call()))
    await asyncio.sleep(0.5)
    assert number(await cached(replace(call(), max_age=0))) == 2
    assert number(await first) == 1


async def test_what_was_asked_before_something_changed_is_not_kept(make: Callable[..., Made]) -> None:
    server = Server(takes=1.0)
    cached, shelf = make(server, ttl=100.0)
    early = asyncio.ensure_future(cached(call()))
    await asyncio.sleep(0.5)
    shelf.forget(lambda _: True)
    assert number(await early) == 1
    assert len(shelf.index) == 0
    assert number(await cached(call())) == 2


@pytest.mark.parametrize(
    ("share", "scope", "shared"),
    [
        ("never", "public", False),
        ("public", "private", False),
        ("public", None, False),
        ("public", "public", True),
        ("always", "private", True),
    ],
)
async def test_only_policy_lets_principals_share_an_answer(
    make: Callable[..., Made], share: str, scope: str | None, shared: bool
) -> None:
    server = Server(**({} if scope is None else {"cacheScope": scope}))
    cached, _ = make(server, ttl=10.0, share=share)
    await cached(call(principal=ANNA))
    assert (await cached(call(principal=BEN))).cached == shared
    assert (await cached(call(principal=ANNA))).cached


async def test_principals_never_share_a_request_in_flight(make: Callable[..., Made]) -> None:
    server = Server()
    cached, _ = make(server, ttl=10.0, share="always")
    await asyncio.gather(cached(call(principal=ANNA)), cached(call(principal=BEN)))
    assert [one.principal for one in server.asked] == [ANNA, BEN]


async def test_arguments_that_are_no_json_are_neither_kept_nor_refused(make: Callable[..., Made]) -> None:
    server = Server()
    cached, _ = make(server, ttl=10.0)
    assert [number(await cached(call(a=object()))) for _ in range(2)] == [1, 2]
    assert [number(await cached(call(a="\ud800"))) for _ in range(2)] == [3, 4]


async def test_a_held_connection_and_a_detached_call_are_not_answered_by_others(
    make: Callable[..., Made],
) -> None:
    server = Server()
    cached, _ = make(server, ttl=10.0)
    await cached(call())
    held = call()
    held.flight.session = 1
    assert number(await cached(held)) == 2
    assert number(await cached(replace(call(), detach=True))) == 3


async def test_too_large_an_answer_is_given_and_not_kept(make: Callable[..., Made]) -> None:
    server = Server(filler="x" * 1000)
    cached, shelf = make(server, ttl=10.0, max_reply_bytes=500)
    assert [number(await cached(call())) for _ in range(2)] == [1, 2]
    assert (shelf.unfit, shelf.index.bytes) == (2, 0)
