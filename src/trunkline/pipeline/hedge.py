"""Hedging: a call that is slow is asked a second time, elsewhere; the first answer wins.

For calls only that can be made twice without harm. The one that is not needed any more is cancelled, and
has ended before the answer is given.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from msgspec.structs import replace

from trunkline.core.budget import Budget
from trunkline.core.call import Call, Flight, Progress
from trunkline.core.reply import Reply
from trunkline.core.routing import HedgeSettings
from trunkline.pipeline.latencies import Latencies
from trunkline.pipeline.service import Service

_LATE = "another replica answered first"
_Try = asyncio.Future[Reply]


def hedge(
    inner: Service, settings: HedgeSettings, may: Callable[[Call], bool], budget: Budget | None = None
) -> Service:
    """Wrap a service of one tool, whose calls are alike.

    Args:
        may: whether a call can be made twice without harm.
        budget: what second requests are charged to.
    """
    known = Latencies(settings)

    def spend() -> bool:
        return known.spend() and (budget is None or budget.take(asyncio.get_running_loop().time()))

    async def hedged(call: Call) -> Reply:
        if not may(call):
            return await inner(call)
        loop = asyncio.get_running_loop()
        begun, delay, done = loop.time(), known.delay, False
        try:
            if delay is None:
                reply = await inner(call)
            else:
                reply = await _ask(inner, call, delay, spend)
            done = True
        finally:
            taken = loop.time() - begun
            # What failed, or was given up, early tells nothing of how long answers take.
            if done or (delay is not None and taken > delay):
                known.add(taken)
        return reply

    return hedged


async def _ask(inner: Service, call: Call, delay: float, spend: Callable[[], bool]) -> Reply:
    first: _Try = asyncio.ensure_future(inner(call))
    tries, twin = [first], call
    try:
        await asyncio.wait(tries, timeout=delay)
        if not first.done() and spend():
            twin = _twin(call)
            tries.append(asyncio.ensure_future(inner(twin)))
        winner = await _first_answer(tries)
        late = twin if winner is first else call
        late.flight.cancel_reason = _LATE
    except asyncio.CancelledError:
        twin.flight.cancel_reason = call.flight.cancel_reason
        raise
    finally:
        await _end(tries)
        if twin is not call:
            _adopt(call.flight, twin.flight)
    return winner.result()


async def _first_answer(tries: Sequence[_Try]) -> _Try:
    """Wait for an answer; give the first try where none has one."""
    pending = set(tries)
    while pending:
        done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        for one in tries:
            if one in done and not one.cancelled() and one.exception() is None:
                return one
    return tries[0]


async def _end(tries: Sequence[_Try]) -> None:
    for one in tries:
        one.cancel()
    await asyncio.wait(tries)
    for one in tries:
        if not one.cancelled():
            one.exception()


def _twin(call: Call) -> Call:
    """Give the same call once more; what is learned of it shows in the first one."""
    flight = call.flight
    other = Flight(flight.started)
    other.activity = flight.activity
    other.context = flight.context
    other.tried = (*flight.tried, flight.replica) if flight.replica else flight.tried
    if flight.on_progress is not None:
        other.on_progress = _touch(flight)
    return replace(call, flight=other)


def _touch(flight: Flight) -> Callable[[Progress], None]:
    def touch(_: Progress) -> None:
        flight.activity = asyncio.get_running_loop().time()

    return touch


def _adopt(flight: Flight, other: Flight) -> None:
    """Tell of both as of one: the moments are those of the one that was answered."""
    flight.attempts += other.attempts
    flight.queued, flight.connected = max(flight.queued, other.queued), max(flight.connected, other.connected)
    flight.tried = tuple(dict.fromkeys((*flight.tried, *other.tried)))
    if other.answered > flight.answered or (other.delivery == "unknown" and flight.delivery != "answered"):
        flight.delivery = other.delivery
    if other.answered > flight.answered:
        flight.sent, flight.wrote, flight.answered = other.sent, other.wrote, other.answered
        flight.server, flight.earlier = other.server, max(flight.earlier, other.earlier)
        flight.replica, flight.request_id = other.replica, other.request_id
