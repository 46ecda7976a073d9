"""The breaker around calls: what counts against a server and a tool, and who is turned away."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

import pytest
from msgspec.structs import replace

from trunkline.core.breaker import BreakerSettings
from trunkline.core.call import Call, Flight
from trunkline.core.principal import LOCAL
from trunkline.core.reply import Reply
from trunkline.errors import (
    CallError,
    DeadlineExceededError,
    InvalidArgumentsError,
    NotFoundError,
    OutcomeUnknownError,
    ProtocolError,
    RejectedError,
    ServerError,
    UnavailableError,
)
from trunkline.pipeline.breaker import Breaker
from trunkline.pipeline.breaker_state import BreakerState
from trunkline.pipeline.deadline import Deadline
from trunkline.pipeline.service import stack
from trunkline.testing.virtual_time import VirtualTimeLoop

EAGER = BreakerSettings(consecutive=1)


def make_call(**facts: Any) -> Call:
    call = Call(
        id="c1",
        server="s",
        name="t",
        public_name="s.t",
        arguments={},
        principal=LOCAL,
        deadline=1e9,
        idle=1e9,
        flight=Flight(0.0),
    )
    return replace(call, **facts)


def make_reply(*, is_error: bool = False) -> Reply:
    return Reply(raw={"isError": is_error, "content": []}, server="s", tool="s.t")


class Peer:
    """An innermost service that answers or raises what it is told."""

    def __init__(self) -> None:
        self.error: BaseException | None = None
        self.calls = 0
        self.hold: asyncio.Event | None = None

    async def __call__(self, call: Call) -> Reply:
        self.calls += 1
        call.flight.attempts += 1
        if self.hold is not None:
            await self.hold.wait()
        if self.error is not None:
            raise self.error
        return make_reply()


def run(body: Callable[[], Any]) -> Any:
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(body())


AGAINST_SERVER: list[CallError] = [
    UnavailableError("down"),
    UnavailableError("later", status=503, delivery="refused"),
    OutcomeUnknownError("bad gateway", status=502),
    RejectedError("too many", status=429, delivery="refused"),
]
AGAINST_TOOL: list[CallError] = [
    OutcomeUnknownError("cut"),
    ProtocolError("garbage"),
    DeadlineExceededError("slow", delivery="unknown"),
    ServerError("broke", rpc_code=-32603, rpc_message=""),
    ServerError("broke", rpc_code=-32000, rpc_message=""),
]
AGAINST_NOBODY: list[BaseException] = [
    InvalidArgumentsError("no"),
    NotFoundError("none"),
    UnavailableError("removed", code="closed"),
    RejectedError("full", code="queue_full"),
    ServerError("bad", rpc_code=-32602, rpc_message=""),
    ValueError("a fault of ours"),
    asyncio.CancelledError(),
]


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        *((error, ("open", "closed")) for error in AGAINST_SERVER),
        *((error, ("closed", "open")) for error in AGAINST_TOOL),
        *((error, ("closed", "closed")) for error in AGAINST_NOBODY),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_an_error_counts_against_what_it_speaks_of(error: BaseException, expected: tuple[str, str]) -> None:
    async def body() -> None:
        server, tool = BreakerState(EAGER, 0.0), BreakerState(EAGER, 0.0)
        peer = Peer()
        peer.error = error
        service = Breaker(server=server, tool=tool).wrap(peer)
        with pytest.raises(type(error)):
            await service(make_call())
        assert (server.state, tool.state) == expected

    run(body)


def test_codes_of_the_settings_say_what_counts_in_place_of_that() -> None:
    async def body() -> None:
        settings = BreakerSettings(consecutive=1, codes=("protocol_error",))
        server, tool = BreakerState(settings, 0.0), BreakerState(settings, 0.0)
        peer = Peer()
        service = Breaker(server=server, tool=tool).wrap(peer)
        peer.error = OutcomeUnknownError("cut")
        with pytest.raises(OutcomeUnknownError):
            await service(make_call())
        assert (server.state, tool.state) == ("closed", "closed")
        peer.error = ProtocolError("garbage")
        with pytest.raises(ProtocolError):
            await service(make_call())
        assert (server.state, tool.state) == ("open", "open")

    run(body)


def test_a_tool_that_reports_its_own_failures_never_opens_a_breaker() -> None:
    async def body() -> None:
        state = BreakerState(EAGER, 0.0)

        async def unwell(_: Call) -> Reply:
            return make_reply(is_error=True)

        service = Breaker(tool=state).wrap(unwell)
        for _ in range(100):
            await service(make_call())
        assert state.state == "closed"
        assert state.status(0.0).failures == 0

    run(body)


def test_an_open_breaker_turns_calls_away_at_once_and_says_when_to_come_back() -> None:
    async def body() -> None:
        state, peer = BreakerState(EAGER, 0.0), Peer()
        service = Breaker(tool=state).wrap(peer)
        peer.error = ProtocolError("garbage")
        with pytest.raises(ProtocolError):
            await service(make_call())
        await asyncio.sleep(2)
        with pytest.raises(RejectedError) as caught:
            await service(make_call())
        error = caught.value
        assert (error.code, error.delivery, error.retryable) == ("breaker_open", "never_sent", True)
        assert error.retry_after == pytest.approx(3.0)
        assert "1 calls in a row" in error.message
        assert peer.calls == 1
        peer.error = None
        await asyncio.sleep(3)
        await service(make_call())
        assert state.state == "closed"

    run(body)


def test_a_call_whose_time_is_over_counts_and_one_its_caller_cancels_does_not() -> None:
    async def body() -> None:
        state, peer = BreakerState(EAGER, 0.0), Peer()
        peer.hold = asyncio.Event()
        service = stack([Deadline(), Breaker(tool=state)], peer)
        task = asyncio.ensure_future(service(make_call()))
        await asyncio.sleep(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert state.state == "closed"
        with pytest.raises(DeadlineExceededError):
            await service(make_call(deadline=asyncio.get_running_loop().time() + 1))
        assert state.state == "open"

    run(body)


def test_a_call_that_was_never_given_to_the_server_tells_nothing_when_its_time_is_over() -> None:
    async def body() -> None:
        state = BreakerState(EAGER, 0.0)

        async def queue(_: Call) -> Reply:
            await asyncio.Event().wait()
            raise AssertionError

        with pytest.raises(DeadlineExceededError):
            await stack([Deadline(), Breaker(tool=state)], queue)(make_call(deadline=1.0))
        assert state.state == "closed"

    run(body)


def test_a_cancelled_probe_makes_room_for_another() -> None:
    async def body() -> None:
        state, peer = BreakerState(EAGER, 0.0), Peer()
        service = Breaker(tool=state).wrap(peer)
        peer.error = ProtocolError("garbage")
        with pytest.raises(ProtocolError):
            await service(make_call())
        peer.error, peer.hold = None, asyncio.Event()
        await asyncio.sleep(5)
        probe = asyncio.ensure_future(service(make_call()))
        await asyncio.sleep(0)
        with pytest.raises(RejectedError, match="find out"):
            await service(make_call())
        probe.cancel()
        await asyncio.wait({probe})
        peer.hold = None
        await service(make_call())
        assert state.state == "closed"

    run(body)


def test_a_probe_that_one_of_two_breakers_refuses_leaves_the_other_its_slot() -> None:
    async def body() -> None:
        server, tool = BreakerState(EAGER, 0.0), BreakerState(EAGER, 0.0)
        peer = Peer()
        service = Breaker(server=server, tool=tool).wrap(peer)
        server.fail(0.0, server.ticket)
        tool.force("forced_open", 0.0)
        await asyncio.sleep(6)
        with pytest.raises(RejectedError, match="held open"):
            await service(make_call())
        tool.force("closed", 6.0)
        await service(make_call())
        assert (server.state, tool.state, peer.calls) == ("closed", "closed", 1)

    run(body)


async def find_out(arrivals: int) -> tuple[int, int]:
    """Let calls arrive at once at a breaker that waits for one; give how many were made, and turned away."""
    state, peer = BreakerState(EAGER, 0.0), Peer()
    service = Breaker(tool=state).wrap(peer)
    state.fail(0.0, state.ticket)
    await asyncio.sleep(5)
    peer.hold = asyncio.Event()
    calls = [asyncio.ensure_future(service(make_call())) for _ in range(arrivals)]
    await asyncio.sleep(0.1)
    peer.hold.set()
    ends = await asyncio.gather(*calls, return_exceptions=True)
    return peer.calls, sum(isinstance(end, RejectedError) for end in ends)


def run_seeded(body: Coroutine[Any, Any, tuple[int, int]], seed: int) -> tuple[int, int]:
    with asyncio.Runner(loop_factory=partial(VirtualTimeLoop, seed=seed)) as runner:
        return runner.run(body)


def test_of_many_calls_at_once_exactly_one_finds_out_whatever_the_schedule() -> None:
    assert run_seeded(find_out(1000), 0) == (1, 999)
    for seed in range(100):
        assert run_seeded(find_out(20), seed) == (1, 19)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_of_a_thousand_calls_at_once_exactly_one_finds_out_in_a_thousand_schedules() -> None:
    for seed in range(1000):
        assert run_seeded(find_out(1000), seed) == (1, 999)


@pytest.mark.alone
def test_the_check_of_a_breaker_costs_at_most_two_microseconds() -> None:
    async def body() -> float:
        async def answer(call: Call) -> Reply:
            call.flight.answered = moment
            return reply

        reply, call, moment = make_reply(), make_call(), asyncio.get_running_loop().time()
        guarded = Breaker(server=BreakerState(BreakerSettings(), moment), tool=BreakerState(EAGER, moment))
        service, spent = guarded.wrap(answer), []
        for one in (answer, service) * 5:
            begun = time.process_time()
            for _ in range(20_000):
                await one(call)
            spent.append((time.process_time() - begun) / 20_000)
        return min(spent[1::2]) - min(spent[::2])

    assert asyncio.run(body()) <= 2e-6
