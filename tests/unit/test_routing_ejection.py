"""When a replica is left out and tried again, and when a call is slow: decided from facts alone."""

from __future__ import annotations

import asyncio
import itertools
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.core.call import Call, Flight
from trunkline.core.principal import LOCAL
from trunkline.core.routing import EjectionSettings, HedgeSettings
from trunkline.errors import (
    DeadlineExceededError,
    InvalidArgumentsError,
    LeaseLostError,
    OutcomeUnknownError,
    ProtocolError,
    RejectedError,
    ServerError,
    UnavailableError,
)
from trunkline.pipeline.latencies import FEWEST, Latencies
from trunkline.supervision.ejection import PROBE_EVERY, Ejection
from trunkline.supervision.outcome import speaks_against


def replicas(count: int, **settings: Any) -> list[Ejection]:
    found: list[Ejection] = []
    for _ in range(count):
        found.append(Ejection(EjectionSettings(**settings), found))
    return found


def fail(one: Ejection, times: int, now: float = 0.0) -> None:
    for _ in range(times):
        one.fail(now)


def test_it_is_left_out_at_the_fifth_failure_in_a_row_and_not_before():
    one, *_ = replicas(3)
    fail(one, 4)
    one.succeed(0.0)
    fail(one, 4)
    assert not one.is_out(0.0)
    fail(one, 1)
    assert one.is_out(0.0)
    assert one.is_out(4.9)
    assert not one.is_out(5.0)


def test_each_time_is_twice_as_long_as_the_one_before_up_to_the_longest():
    one, *_ = replicas(3, seconds=5.0, seconds_max=30.0)
    fail(one, 5)
    now, spans = 0.0, []
    for _ in range(5):
        spans.append(one.until - now)
        now = one.until
        one.take(now)
        assert one.fail(now)
    assert spans == [5, 10, 20, 30, 30]


def test_one_that_stayed_well_for_as_long_as_it_was_out_begins_anew():
    one, *_ = replicas(3)
    fail(one, 5)
    one.take(5.0)
    one.succeed(5.0)
    fail(one, 5, now=6.0)
    assert one.until == 6.0 + 10
    one.take(16.0)
    one.succeed(16.0)
    fail(one, 5, now=40.0)
    assert one.until == 40.0 + 5


def test_one_that_is_out_is_tried_with_one_call_a_second_even_if_that_call_never_ends():
    one, *_ = replicas(3)
    fail(one, 5)
    tries = []
    now = 0.0
    while now < 30:
        if not one.is_out(now):
            one.take(now)
            tries.append(now)
        now += 0.01
    assert tries[0] >= 5
    assert all(later - before >= PROBE_EVERY - 1e-6 for before, later in itertools.pairwise(tries))


def test_the_end_of_a_call_that_began_before_does_not_make_it_longer():
    one, *_ = replicas(3)
    fail(one, 5)
    fail(one, 20, now=1.0)
    assert one.until == 5.0


def test_an_answer_brings_it_back_at_once():
    one, *_ = replicas(3)
    fail(one, 5)
    one.succeed(1.0)
    assert not one.is_out(1.0)
    assert one.failures == 0


steps = st.tuples(st.integers(0, 6), st.sampled_from([0.0, 1.0, 6.0]), st.booleans())


@given(st.integers(1, 7), st.sampled_from([0.0, 0.3, 0.5, 1.0]), st.lists(steps, max_size=40))
def test_no_more_are_left_out_than_the_share_allows(
    count: int, share: float, history: list[tuple[int, float, bool]]
):
    all_of_them = replicas(count, share=share, failures=1)
    now = 0.0
    for which, pause, fails in history:
        one = all_of_them[which % count]
        now += pause
        if not one.is_out(now):
            one.take(now)
        one.fail(now) if fails else one.succeed(now)
        assert sum(each.is_out(now) for each in all_of_them) <= share * count


def test_of_two_replicas_one_may_be_left_out_and_a_single_one_never_is():
    one, other = replicas(2)
    fail(one, 9)
    fail(other, 9)
    assert (one.is_out(0.0), other.is_out(0.0)) == (True, False)
    (alone,) = replicas(1)
    fail(alone, 9)
    assert not alone.is_out(0.0)


def test_no_failures_switches_it_off():
    one, *_ = replicas(3, failures=0)
    fail(one, 99)
    assert not one.is_out(0.0)


def made(*, sent: float = 1.0, deadline: float = 10.0) -> Call:
    flight = Flight(0.0)
    flight.sent = flight.activity = sent
    return Call(
        id="1",
        server="s",
        name="t",
        public_name="s.t",
        arguments={},
        principal=LOCAL,
        deadline=deadline,
        idle=60.0,
        flight=flight,
    )


@pytest.mark.parametrize(
    ("error", "speaks"),
    [
        (UnavailableError("x"), True),
        (OutcomeUnknownError("x"), True),
        (ProtocolError("x"), True),
        (ServerError("x", rpc_code=-32603, rpc_message="x"), True),
        (ServerError("x", rpc_code=-32000, rpc_message="x", status=502), True),
        (ServerError("x", rpc_code=-32602, rpc_message="x"), False),
        (InvalidArgumentsError("x"), False),
        (RejectedError("x"), False),
        (LeaseLostError("x"), False),
        (asyncio.CancelledError(), False),
        (ValueError(), False),
    ],
)
def test_what_speaks_against_a_replica(error: BaseException, speaks: bool):
    assert speaks_against(error, made(), 2.0) is speaks


def test_an_answered_error_speaks_against_no_replica_that_keeps_something_for_its_calls():
    error = ServerError("x", rpc_code=-32603, rpc_message="x")
    assert not speaks_against(error, made(), 2.0, spread=False)
    assert speaks_against(OutcomeUnknownError("x"), made(), 2.0, spread=False)


def test_a_call_whose_time_is_over_speaks_against_it_and_a_caller_who_gave_up_does_not():
    error = asyncio.CancelledError()
    assert not speaks_against(error, made(), 9.9)
    assert speaks_against(error, made(), 10.0)
    assert speaks_against(error, made(deadline=600.0), 61.0)
    assert not speaks_against(error, made(sent=0.0), 10.0)
    assert not speaks_against(DeadlineExceededError("x"), made(), 10.0)


def measured(samples: list[float], **settings: Any) -> Latencies:
    known = Latencies(HedgeSettings(**{"share": 0.02, **settings}))
    for one in samples:
        known.add(one)
    return known


def test_nothing_is_slow_before_enough_is_known():
    assert measured([0.1] * (FEWEST - 1)).delay is None
    assert measured([0.1] * FEWEST).delay == pytest.approx(0.101)


def test_a_call_is_slow_when_only_as_many_take_longer_as_may_be_asked_twice():
    draw = random.Random(3)
    samples = [draw.uniform(0.01, 0.02) for _ in range(1000)]
    delay = measured(samples).delay or 0
    assert sum(one > delay for one in samples) <= 20
    assert sum(1.02 * one > delay for one in samples) >= 18


def test_where_more_are_far_slower_than_may_be_asked_twice_the_usual_time_decides():
    draw = random.Random(3)
    samples = [5.0 if draw.random() < 0.04 else 0.01 for _ in range(1000)]
    assert measured(samples).delay == pytest.approx(0.0101)


def test_second_requests_are_never_more_than_their_share():
    known = measured([])
    spent = 0
    for _ in range(5000):
        known.add(0.01)
        spent += known.spend()
    assert 95 <= spent <= 100
