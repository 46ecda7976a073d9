"""A slow call is asked a second time, on virtual time: when, how often, and what becomes of the other one."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any

import pytest

from trunkline.core.budget import Budget
from trunkline.core.call import Call, Flight
from trunkline.core.principal import LOCAL
from trunkline.core.reply import Reply
from trunkline.core.routing import HedgeSettings
from trunkline.errors import DeadlineExceededError, UnavailableError
from trunkline.pipeline.deadline import Deadline
from trunkline.pipeline.latencies import FEWEST
from trunkline.pipeline.route import Route
from trunkline.pipeline.service import Service

pytestmark = pytest.mark.anyio


class Fleet:
    """Answers after what `take` says, and counts."""

    def __init__(self, take: Callable[[], float]) -> None:
        self.take = take
        self.requests = self.running = self.cancelled = 0
        self.reasons: list[str] = []
        self.fails = 0

    async def __call__(self, call: Call) -> Reply:
        self.requests += 1
        self.running += 1
        flight = call.flight
        flight.attempts += 1
        flight.replica = str(self.requests)
        flight.delivery = "unknown"
        try:
            await asyncio.sleep(self.take())
            if self.fails:
                self.fails -= 1
                raise UnavailableError("gone")
        except asyncio.CancelledError:
            self.cancelled += 1
            self.reasons.append(flight.cancel_reason)
            raise
        finally:
            self.running -= 1
        flight.delivery, flight.answered = "answered", asyncio.get_running_loop().time()
        return Reply(raw={"structuredContent": flight.replica}, server="s", tool="s.t")


def make_call(seconds: float = 1e6) -> Call:
    now = asyncio.get_running_loop().time()
    return Call(
        id="c",
        server="s",
        name="t",
        public_name="s.t",
        arguments={},
        principal=LOCAL,
        deadline=now + seconds,
        idle=1e6,
        flight=Flight(now),
    )


def hedging(fleet: Service, **settings: Any) -> Service:
    route = Route(hedging=HedgeSettings(share=0.02), may_hedge=lambda _: True, **settings)
    return route.wrap(fleet)


async def warm(service: Service, fleet: Fleet, calls: int = 4 * FEWEST) -> None:
    before, fleet.take = fleet.take, lambda: 0.01
    for _ in range(calls):
        await service(make_call())
    fleet.take = before
    assert fleet.requests == calls
    fleet.requests = 0


def series(*seconds: float) -> Callable[[], float]:
    left = list(seconds)
    return lambda: left.pop(0)


async def test_the_first_answer_wins_and_the_other_request_is_cancelled_and_has_ended():
    fleet = Fleet(series(9.0, 0.01))
    service = hedging(fleet)
    await warm(service, fleet)
    call = make_call()
    begun = asyncio.get_running_loop().time()
    reply = await service(call)
    assert reply.structured == "2"
    assert asyncio.get_running_loop().time() - begun == pytest.approx(0.0201)
    assert (fleet.requests, fleet.running, fleet.cancelled) == (2, 0, 1)
    assert fleet.reasons == ["another replica answered first"]
    flight = call.flight
    assert (flight.attempts, flight.replica, flight.delivery) == (2, "2", "answered")


async def test_the_first_request_may_still_be_the_quicker_one():
    fleet = Fleet(series(0.015, 3.0))
    service = hedging(fleet)
    await warm(service, fleet)
    call = make_call()
    assert (await service(call)).structured == "1"
    assert (fleet.requests, fleet.running, call.flight.attempts) == (2, 0, 2)


async def test_a_call_that_is_quick_or_fails_quickly_is_asked_once():
    fleet = Fleet(series(0.009, 0.001))
    service = hedging(fleet)
    await warm(service, fleet)
    await service(make_call())
    fleet.fails = 1
    with pytest.raises(UnavailableError):
        await service(make_call())
    assert fleet.requests == 2


@pytest.mark.parametrize("fails", [1, 2])
async def test_a_request_that_fails_leaves_the_other_one_its_chance(fails: int):
    fleet = Fleet(series(0.5, 0.6))
    service = hedging(fleet)
    await warm(service, fleet)
    fleet.fails = fails
    if fails == 1:
        assert (await service(make_call())).structured == "2"
    else:
        with pytest.raises(UnavailableError):
            await service(make_call())
    assert fleet.running == 0


async def test_nothing_is_asked_twice_that_may_not_be_or_that_the_budget_does_not_allow():
    for settings in ({"may_hedge": lambda _: False}, {"budget": Budget(0.0, 0.0)}):
        fleet = Fleet(lambda: 0.5)
        route = {"may_hedge": lambda _: True, **settings}
        service = Route(hedging=HedgeSettings(share=0.02), **route).wrap(fleet)
        await warm(service, fleet)
        await service(make_call())
        assert fleet.requests == 1


async def test_cancelling_the_call_ends_both_requests():
    fleet = Fleet(lambda: 9.0)
    service = hedging(fleet)
    await warm(service, fleet)
    for after in (0.005, 0.02, 0.5):
        task = asyncio.ensure_future(service(make_call()))
        await asyncio.sleep(after)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert fleet.running == 0
    assert set(fleet.reasons) == {"the caller stopped waiting"}


async def test_the_deadline_ends_both_requests():
    fleet = Fleet(lambda: 9.0)
    service = hedging(fleet)
    await warm(service, fleet)
    with pytest.raises(DeadlineExceededError) as caught:
        await Deadline().wrap(service)(make_call(1.0))
    assert (caught.value.delivery, fleet.running, fleet.requests) == ("unknown", 0, 2)
    assert set(fleet.reasons) == {"the call's time is over"}


async def run(service: Service, calls: int) -> list[float]:
    """Make calls, a hundred each second, and give what each took, quickest first."""
    loop = asyncio.get_running_loop()
    taken: list[float] = []

    async def one() -> None:
        begun = loop.time()
        await service(make_call())
        taken.append(loop.time() - begun)

    async with asyncio.TaskGroup() as group:
        for _ in range(calls):
            group.create_task(one())
            await asyncio.sleep(0.01)
    return sorted(taken)


@pytest.mark.parametrize("seed", range(2))
async def test_a_fleet_slow_in_one_of_a_hundred_calls_is_as_quick_as_one_that_is_not(seed: int):
    draw = random.Random(seed)
    count = 3000

    def take() -> float:
        # Most answers come from memory, some from a disk, and a few hang.
        if draw.random() < 0.0125:
            return 2.0
        return draw.uniform(0.001, 0.002) if draw.random() < 0.85 else draw.uniform(0.008, 0.01)

    def figures(taken: list[float]) -> float:
        return taken[int(0.99 * count)] / taken[int(0.95 * count)]

    assert figures(sorted(take() for _ in range(count))) > 100
    fleet = Fleet(take)
    assert figures(await run(hedging(fleet), count)) <= 1.3
    assert fleet.requests <= 1.02 * count + 2
