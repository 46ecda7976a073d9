"""Calls that failed are sent again where that is safe, worth it, in time and within the server's budget."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import pytest

import trunkline
from trunkline.core.budget import Budget
from trunkline.errors import InvalidArgumentsError, OutcomeUnknownError, RejectedError, UnavailableError
from trunkline.testing import in_turn, mock
from trunkline.testing.virtual_time import VirtualTimeLoop

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return "asyncio", {"loop_factory": VirtualTimeLoop}


def lost() -> OutcomeUnknownError:
    return OutcomeUnknownError("the connection was lost")


def unreachable() -> UnavailableError:
    return UnavailableError("connection refused", code="connect_failed")


def busy(wait: float) -> RejectedError:
    return RejectedError("busy", status=429, retry_after=wait, delivery="refused")


READ_ONLY = {"tools": {"db.read": {"read_only": True}}}


async def test_what_was_never_sent_is_sent_again() -> None:
    async with mock({"db.write": in_turn(unreachable(), "done")}) as trunk:
        reply = await trunk.call("db.write")
    assert (reply.text, reply.attempts, len(trunk.calls)) == ("done", 2, 2)


async def test_a_side_effect_is_never_repeated() -> None:
    async with mock({"db.write": in_turn(lost(), "done")}) as trunk:
        with pytest.raises(OutcomeUnknownError) as caught:
            await trunk.call("db.write")
    assert (caught.value.attempts, len(trunk.calls)) == (1, 1)


async def test_a_read_is_repeated_and_gives_up_after_three_attempts() -> None:
    async with mock({"db.read": lost()}, policy=READ_ONLY) as trunk:
        started = asyncio.get_running_loop().time()
        with pytest.raises(OutcomeUnknownError) as caught:
            await trunk.call("db.read")
        elapsed = asyncio.get_running_loop().time() - started
    assert (caught.value.attempts, len(trunk.calls)) == (3, 3)
    assert elapsed <= 0.1 + 0.2


async def test_one_attempt_is_no_retry_and_no_layer() -> None:
    policy = {"tools": {"db.read": {"read_only": True, "retry": {"attempts": 1}}}}
    async with mock({"db.read": lost(), "db.other": "x"}, policy=policy) as trunk:
        with pytest.raises(OutcomeUnknownError):
            await trunk.call("db.read")
        assert "retry" not in [layer.name for layer in trunk.layers("db", "read")]
        assert "retry" in [layer.name for layer in trunk.layers("db", "other")]
    assert len(trunk.calls) == 1


async def test_a_wait_that_the_server_asks_for_is_kept_and_bounded() -> None:
    loop = asyncio.get_running_loop()
    async with mock({"db.write": in_turn(busy(7), "done"), "db.late": in_turn(busy(3600), "x")}) as trunk:
        started = loop.time()
        assert (await trunk.call("db.write")).text == "done"
        assert 7 <= loop.time() - started <= 7.1
        started = loop.time()
        assert (await trunk.call("db.late")).text == "x"
        assert 30 <= loop.time() - started <= 30.1


@pytest.mark.parametrize("asked", [-5.0, math.nan])
async def test_a_wait_that_is_no_number_of_seconds_is_none(asked: float) -> None:
    loop = asyncio.get_running_loop()
    async with mock({"db.write": in_turn(busy(asked), "done")}) as trunk:
        started = loop.time()
        reply = await trunk.call("db.write")
        assert 0 <= loop.time() - started <= 0.1
    assert reply.timing is not None
    assert 0 <= reply.timing.pauses <= 0.1


async def test_a_wait_that_would_pass_the_deadline_is_not_begun() -> None:
    loop = asyncio.get_running_loop()
    async with mock({"db.write": busy(7)}) as trunk:
        started = loop.time()
        with pytest.raises(RejectedError) as caught:
            await trunk.call("db.write", timeout=5)
        assert (loop.time() - started, caught.value.retry_after) == (0, 7)


async def test_a_side_effect_that_was_refused_gets_one_retry_only() -> None:
    async with mock({"db.write": busy(1)}) as trunk:
        with pytest.raises(RejectedError):
            await trunk.call("db.write")
    assert len(trunk.calls) == 2


async def test_a_long_wait_for_a_retry_is_not_taken_for_silence() -> None:
    policy = {"defaults": {"idle": 2}}
    async with mock({"db.write": in_turn(busy(7), "done")}, policy=policy) as trunk:
        assert (await trunk.call("db.write")).text == "done"


async def test_a_cancelled_call_is_not_sent_again() -> None:
    async with mock({"db.write": in_turn(busy(7), "done")}) as trunk:
        call = asyncio.create_task(trunk.call("db.write"))
        await asyncio.sleep(1)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await asyncio.sleep(60)
    assert len(trunk.calls) == 1


async def test_the_last_error_says_that_an_earlier_try_may_have_run() -> None:
    async with mock({"db.read": in_turn(lost(), unreachable())}, policy=READ_ONLY) as trunk:
        with pytest.raises(OutcomeUnknownError) as caught:
            await trunk.call("db.read")
    assert (caught.value.delivery, caught.value.attempts) == ("unknown", 3)
    assert type(caught.value.__cause__) is UnavailableError


async def test_codes_of_the_policy_are_repeated() -> None:
    policy = {"tools": {"db.read": {"read_only": True, "retry": {"codes": ["server_error"]}}}}
    failure = trunkline.ServerError("hiccup", rpc_code=-32603, rpc_message="hiccup")
    async with mock({"db.read": in_turn(failure, "done")}, policy=policy) as trunk:
        assert (await trunk.call("db.read")).text == "done"


async def test_a_tool_with_a_key_gets_the_same_one_for_all_tries_and_is_repeated() -> None:
    policy = {"tools": {"pay.*": {"idempotency_key": "key"}}}
    async with mock({"pay.send": in_turn(lost(), "paid", "paid")}, policy=policy) as trunk:
        assert (await trunk.call("pay.send", {"to": "x"})).attempts == 2
        await trunk.call("pay.send", {"to": "x"})
        await trunk.call("pay.send", {"to": "x", "key": "mine"})
        await trunk.call("pay.send", {"to": "x", "key": None})
        with pytest.raises(InvalidArgumentsError):
            await trunk.call("pay.send", ["x"])  # type: ignore[call-overload]
    keys = [call.arguments["key"] for call in trunk.calls]
    assert keys[0] == keys[1] != keys[2]
    assert len(keys[0]) == 32
    assert keys[3] == "mine"
    assert len({*keys}) == 4
    assert len(keys[4]) == 32


async def test_when_everything_fails_a_server_gets_a_fifth_more_and_no_more() -> None:
    policy = READ_ONLY | {"defaults": {"breaker": {"enabled": False}}}
    async with mock({"db.read": lost()}, policy=policy) as trunk:

        async def call() -> None:
            with pytest.raises(OutcomeUnknownError):
                await trunk.call("db.read")

        async with asyncio.TaskGroup() as group:
            for _ in range(60 * 100):
                group.create_task(call())
                await asyncio.sleep(0.01)
    assert len(trunk.calls) <= 6000 * (1 + 0.2 + 10 / 100) + 100


def test_a_budget_counts_the_last_ten_seconds() -> None:
    budget = Budget(0.2, 0)
    budget.roll(0.0)
    budget.calls += 50
    assert [budget.take(0.5) for _ in range(11)] == [True] * 10 + [False]
    assert not budget.take(9.0)
    budget.roll(20.0)
    budget.calls += 5
    assert [budget.take(20.0), budget.take(20.0)] == [True, False]
