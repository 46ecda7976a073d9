"""Calls end when their time is over, whatever else runs, and what has ended leaves nothing behind."""

from __future__ import annotations

import asyncio
import gc
import weakref
from typing import Any

import pytest

from trunkline.core.call import Call, Flight
from trunkline.core.principal import LOCAL
from trunkline.core.reply import Reply
from trunkline.errors import DeadlineExceededError
from trunkline.pipeline.deadline import Deadline
from trunkline.testing.virtual_time import VirtualTimeLoop

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return "asyncio", {"loop_factory": VirtualTimeLoop}


class Arguments(dict[str, Any]):
    """Arguments that can be watched."""


def make_call(timeout: float, arguments: dict[str, Any] | None = None) -> Call:
    now = asyncio.get_running_loop().time()
    return Call(
        id="c1",
        server="db",
        name="read",
        public_name="db.read",
        arguments={} if arguments is None else arguments,
        principal=LOCAL,
        deadline=now + timeout,
        idle=1_000.0,
        flight=Flight(now),
    )


async def take(call: Call) -> Reply:
    await asyncio.sleep(call.arguments.get("takes", 0.0))
    return Reply(raw={}, server="db", tool="db.read")


def count_timers(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    loop, due = asyncio.get_running_loop(), []
    original = loop.call_at

    def call_at(when: float, *rest: Any, **options: Any) -> asyncio.TimerHandle:
        due.append(when)
        return original(when, *rest, **options)

    monkeypatch.setattr(loop, "call_at", call_at)
    return due


async def end_of(service: Any, call: Call) -> float:
    with pytest.raises(DeadlineExceededError):
        await service(call)
    return asyncio.get_running_loop().time()


async def test_each_call_ends_at_its_own_time_in_whichever_order_they_began() -> None:
    service = Deadline().wrap(take)
    begun = asyncio.get_running_loop().time()
    spans = [30.0, 10.0, 20.0, 10.0]
    ends = await asyncio.gather(*(end_of(service, make_call(span, {"takes": 900})) for span in spans))
    assert [end - begun for end in ends] == pytest.approx(spans, abs=0.01)


async def test_one_timer_serves_a_thousand_calls_in_flight_and_a_thousand_one_after_the_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    service = Deadline().wrap(take)
    due = count_timers(monkeypatch)
    await asyncio.gather(*(service(make_call(60.0)) for _ in range(1_000)))
    for _ in range(1_000):
        await service(make_call(60.0))
    assert len(due) == 1


async def test_a_call_that_has_ended_is_not_kept_until_its_time_is_over() -> None:
    service = Deadline().wrap(take)
    arguments = Arguments()
    watched = weakref.ref(arguments)
    await service(make_call(60.0, arguments))
    del arguments
    gc.collect()
    assert watched() is None


async def test_what_is_kept_of_calls_that_have_ended_does_not_grow() -> None:
    layer = Deadline()
    service = layer.wrap(take)
    for _ in range(1_000):
        await service(make_call(60.0))
    assert len(layer.alarms) <= 100


async def test_a_call_is_ended_though_thousands_have_ended_while_it_ran() -> None:
    service = Deadline().wrap(take)
    begun = asyncio.get_running_loop().time()
    slow = asyncio.ensure_future(end_of(service, make_call(5.0, {"takes": 900})))
    for _ in range(1_000):
        await service(make_call(60.0))
    assert await slow - begun == pytest.approx(5.0, abs=0.01)


def test_a_service_goes_from_loop_to_loop() -> None:
    service = Deadline().wrap(take)
    for _ in range(2):
        with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:

            async def play() -> float:
                return await end_of(service, make_call(5.0, {"takes": 900}))

            assert runner.run(play()) == pytest.approx(5.0, abs=0.01)
