"""Every layer of the pipeline keeps the laws of `trunkline.testing.laws`, alone and in any stack.

A new layer gets a row in `ROWS`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from importlib import import_module
from pkgutil import iter_modules
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from trunkline import pipeline
from trunkline.core.breaker import BreakerSettings
from trunkline.core.budget import Budget
from trunkline.core.cache_settings import CacheSettings
from trunkline.core.call import Call
from trunkline.core.limit import LimitSettings
from trunkline.core.reply import Reply
from trunkline.core.retry import RetrySettings
from trunkline.core.routing import HedgeSettings, RouteSettings
from trunkline.core.tool import Tool
from trunkline.errors import CallError, UnavailableError
from trunkline.pipeline.breaker import Breaker
from trunkline.pipeline.breaker_state import BreakerState
from trunkline.pipeline.cache import Cache
from trunkline.pipeline.cache_index import Index
from trunkline.pipeline.cache_key import Keys
from trunkline.pipeline.coalesce import Coalesce
from trunkline.pipeline.deadline import Deadline
from trunkline.pipeline.fallback import Fallback
from trunkline.pipeline.far_cache import FarCache
from trunkline.pipeline.far_shelf import FarShelf
from trunkline.pipeline.flights import Flights
from trunkline.pipeline.limit import Limit, Limiter
from trunkline.pipeline.middleware import Middleware, own_layers
from trunkline.pipeline.observe import Observe
from trunkline.pipeline.retry import Retry
from trunkline.pipeline.route import Route
from trunkline.pipeline.service import POINTS, Layer, Service, in_order, stack
from trunkline.pipeline.shelf import Shelf
from trunkline.pipeline.validate import Validate
from trunkline.pipeline.verdict import Safety
from trunkline.store.replies import Found
from trunkline.telemetry.journal import Journal
from trunkline.testing.law_play import ENDS, Act, Asked, Build, End, play
from trunkline.testing.laws import UNKNOWN, Promise, check_layer, check_middleware, check_play

TOOL = Tool(
    name="t",
    server="s",
    public_name="s.t",
    input_schema={"type": "object", "properties": {"number": {"type": "integer"}}},
)


async def find(_: Call) -> Tool | None:
    return TOOL


async def pass_on(call: Call, inner: Service) -> Reply:
    return await inner(call)


def retry(safety: Safety) -> Retry:
    return Retry(settings=RetrySettings(), budget=Budget(), safety=lambda _: safety, draw=lambda: 0.5)


LIMITS = LimitSettings(concurrency=50, principal_concurrency=50, rate=1000, principal_rate=1000)


def breaker_state() -> BreakerState:
    return BreakerState(BreakerSettings(), 0.0)


async def nobody(*_: object) -> Reply:
    raise AssertionError("there is nobody else to ask")


def own(point: str) -> Layer:
    (layer,) = own_layers([Middleware(function=pass_on, at=point)], "s.t")  # type: ignore[arg-type]
    return layer


SHARED = Promise(changes=True, shares=True)


class Row(NamedTuple):
    """One layer as it stands in a stack, and what it promises."""

    make: Callable[[], Layer]
    promise: Promise = Promise()


class Nowhere:
    """A place for answers that keeps none."""

    async def salt(self) -> bytes:
        return bytes(32)

    async def get(self, _: str) -> Found:
        return Found(None, 0)

    async def put(self, *_: object) -> bool:
        return False

    async def drop(self, *_: object) -> int:
        return 0

    async def close(self) -> None:
        return None


def spawn(work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
    return asyncio.get_running_loop().create_task(work, name=name)


def flights() -> Flights:
    return Flights(spawn)


def shelf() -> Shelf:
    return Shelf("s", "place", Keys(b"salt"), Index(9, 9_999), lambda: asyncio.get_running_loop().time())


def cache(**settings: Any) -> Cache:
    kept = CacheSettings(ttl=60.0, **settings)
    return Cache(settings=kept, shelf=shelf(), flights=flights(), allows=lambda _: True)


def far_cache() -> FarCache:
    counts = shelf()
    return FarCache(
        settings=CacheSettings(ttl=60.0),
        shelf=counts,
        far=FarShelf(counts, Nowhere(), lambda _: "place", lambda: 0.0, spawn),
        flights=flights(),
        allows=lambda _: True,
    )


def write() -> Cache:
    async def forget() -> None:
        return None

    return replace(cache(), settings=CacheSettings(invalidates=("x",)), allows=lambda _: False, forget=forget)


ROWS = {
    "observe": Row(lambda: Observe(journal=Journal(now=lambda: 0.0, clean=str))),
    "deadline": Row(Deadline, Promise(deadline=True)),
    "validate": Row(lambda: Validate(known=lambda _: TOOL, find=find)),
    "retry of what must happen once": Row(lambda: retry("once"), Promise(tries=3)),
    "retry of reads": Row(lambda: retry("read"), Promise(tries=3, repeats=True)),
    "breaker": Row(lambda: Breaker(server=breaker_state(), tool=breaker_state())),
    "limit": Row(lambda: Limit(limiters=(Limiter(LIMITS), Limiter(LIMITS)))),
    "cache": Row(cache, SHARED),
    "cache that stands in": Row(lambda: cache(stale_if_error=60.0), SHARED),
    "cache of what may not be kept": Row(lambda: replace(cache(), allows=lambda _: False)),
    "cache that forgets": Row(write),
    "cache elsewhere": Row(far_cache, SHARED),
    "coalesce": Row(lambda: Coalesce(shelf=shelf(), flights=flights(), allows=lambda _: True), SHARED),
    "fallback": Row(lambda: Fallback(ask=nobody)),
    "route": Row(lambda: Route(settings=RouteSettings(strategy="sticky"))),
    "route that hedges": Row(
        lambda: Route(hedging=HedgeSettings(share=0.5), may_hedge=lambda _: True, budget=Budget()),
        Promise(tries=2, repeats=True),
    ),
    "middleware at first": Row(lambda: own("first")),
    "middleware at call": Row(lambda: own("call")),
    "middleware at attempt": Row(lambda: own("attempt")),
    "middleware at send": Row(lambda: own("send")),
}


def built(rows: list[Row]) -> Build:
    return lambda inner: stack(in_order([row.make() for row in rows]), inner)


def promised(rows: list[Row]) -> Promise:
    """What a stack promises: each try of one layer may be several of the layers within."""
    promise = Promise()
    for row in rows:
        promise = Promise(
            tries=promise.tries * row.promise.tries,
            repeats=promise.repeats or row.promise.repeats,
            changes=promise.changes or row.promise.changes,
            shares=promise.shares or row.promise.shares,
            deadline=promise.deadline or row.promise.deadline,
        )
    return promise


@pytest.mark.parametrize("name", ROWS)
def test_a_layer_keeps_the_laws(name: str) -> None:
    row = ROWS[name]
    check_layer(built([row]), row.promise)


def test_every_layer_there_is_has_a_row() -> None:
    modules = [import_module(f"trunkline.pipeline.{one.name}") for one in iter_modules(pipeline.__path__)]
    layers = {
        value
        for module in modules
        for value in vars(module).values()
        if isinstance(value, type) and hasattr(value, "wrap") and value is not Layer
    }
    rows = [row.make() for row in ROWS.values()]
    assert {type(layer) for layer in rows} == layers
    assert set(POINTS) <= {layer.name for layer in rows}


acts = st.builds(Act, ends=st.sampled_from(ENDS), takes=st.sampled_from([0.0, 0.01, 1.0, 5.0]))
asks = st.builds(
    Asked,
    acts=st.lists(acts, min_size=1, max_size=4).map(tuple),
    at=st.sampled_from([0.0, 0.5, 3.0]),
    principal=st.sampled_from(["alice", "bob"]),
    number=st.integers(0, 1),
    cancel_after=st.none() | st.sampled_from([0.0, 0.005, 0.06, 0.5, 1.0, 6.0]),
    timeout=st.sampled_from([0.5, 4.0, 600.0]),
)


@st.composite
def stacks(draw: st.DrawFn) -> list[Row]:
    """Some layers, one of a name."""
    drawn = draw(st.lists(st.sampled_from(sorted(ROWS)), unique=True))
    return list({ROWS[name].make().name: ROWS[name] for name in drawn}.values())


@given(rows=stacks(), asked=st.lists(asks, min_size=1, max_size=6), seed=st.none() | st.integers(0, 99))
def keep_the_laws(rows: list[Row], asked: list[Asked], seed: int | None) -> None:
    check_play(play(built(rows), asked, seed=seed), promised(rows))


def test_random_stacks_keep_the_laws_in_random_plays() -> None:
    settings(max_examples=100)(keep_the_laws)()


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_very_many_random_stacks_keep_the_laws() -> None:
    settings(max_examples=20_000)(keep_the_laws)()


# Layers that break a law each, so that the laws themselves can fail.


async def change_the_call(inner: Service, call: Call) -> Reply:
    return await inner(replace(call, arguments={"number": 1, "more": True}))


async def change_the_reply(inner: Service, call: Call) -> Reply:
    return replace(await inner(call), warnings=("changed",))


async def translate(inner: Service, call: Call) -> Reply:
    try:
        return await inner(call)
    except CallError as error:
        raise UnavailableError("translated") from error


async def dawdle(inner: Service, call: Call) -> Reply:
    await asyncio.sleep(0.1)
    return await inner(call)


async def insist(inner: Service, call: Call) -> Reply:
    try:
        return await inner(call)
    except CallError:
        return await inner(call)


async def ask_twice(inner: Service, call: Call) -> Reply:
    await inner(call)
    return await inner(call)


async def keep_a_task(inner: Service, call: Call) -> Reply:
    return await asyncio.shield(asyncio.ensure_future(inner(call)))


async def linger(inner: Service, call: Call) -> Reply:
    try:
        return await inner(call)
    except asyncio.CancelledError:
        await asyncio.sleep(3)
        raise


async def forget_a_timer(inner: Service, call: Call) -> Reply:
    asyncio.get_running_loop().call_later(3600, print)
    return await inner(call)


async def swallow(inner: Service, call: Call) -> Reply:
    try:
        return await inner(call)
    except BaseException:
        return Reply(raw={}, server="s", tool="s.t")


async def replace_the_unknown(inner: Service, call: Call) -> Reply:
    try:
        return await inner(call)
    except CallError:
        raise
    except BaseException as error:
        raise KeyError from error


def share_among_all(inner: Service) -> Service:
    kept: dict[str, Reply] = {}

    async def share(call: Call) -> Reply:
        if call.public_name not in kept:
            kept[call.public_name] = await inner(call)
        return kept[call.public_name]

    return share


def share_failures(inner: Service) -> Service:
    kept: dict[str, CallError] = {}

    async def share(call: Call) -> Reply:
        if call.public_name in kept:
            raise kept[call.public_name]
        try:
            return await inner(call)
        except CallError as error:
            kept[call.public_name] = error
            raise

    return share


def around(broken: Callable[[Service, Call], object]) -> Build:
    return lambda inner: partial(broken, inner)  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("build", "law"),
    [
        (around(change_the_call), "law 1: the call was changed"),
        (around(change_the_reply), "law 1: the reply was changed"),
        (around(translate), "law 1: the error was changed"),
        (around(dawdle), "law 1: it took time"),
        (around(insist), "law 2: 2 tries of what needs one"),
        (around(ask_twice), "law 2: 2 tries of what needs one"),
        (around(keep_a_task), "law 4: left behind"),
        (around(linger), "law 4: ended 3 s after it was cancelled"),
        (around(forget_a_timer), "law 4: left behind"),
        (around(swallow), "law 1: the error was changed"),
        (around(replace_the_unknown), "law 1: the error was changed"),
        (share_among_all, "law 6: a reply to somebody else"),
        (share_failures, "law 6: an error of somebody else's"),
    ],
)
def test_a_layer_that_breaks_a_law_is_found(build: Build, law: str) -> None:
    with pytest.raises(AssertionError, match=law):
        check_layer(build)


def test_middleware_that_is_there_to_change_things_may_do_so() -> None:
    async def mark(call: Call, inner: Service) -> Reply:
        return await change_the_reply(inner, call)

    check_middleware(mark, Promise(changes=True))
    with pytest.raises(AssertionError, match="law 1: the reply was changed"):
        check_middleware(mark)


@pytest.mark.parametrize("end", UNKNOWN)
def test_a_repeat_of_what_may_have_happened_is_found_even_where_tries_are_promised(end: End) -> None:
    played = play(around(insist), [Asked(acts=(Act(ends=end),))])
    with pytest.raises(AssertionError, match="law 3: what may have happened was repeated"):
        check_play(played, Promise(tries=3))


def test_a_request_that_is_shared_may_end_otherwise_when_one_of_its_callers_has_left() -> None:
    rows = [ROWS["deadline"], ROWS["cache"]]
    asked = [Asked(acts=(Act(ends="foreign", takes=1.0),), timeout=0.5), Asked(timeout=4.0)]
    check_play(play(built(rows), asked), promised(rows))
