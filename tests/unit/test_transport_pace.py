"""How a stream is read that brings very much of what nobody asked for."""

from __future__ import annotations

from trunkline.transport.pace import Pace


def flood(
    pace: Pace, *, per_second: int, seconds: float, start: float = 0.0, taken: int = 0
) -> tuple[int, float]:
    """Bring messages in pieces of 100 that take 0.4 ms each; give how many were taken and the time rested."""
    now, rested, before, end = start, 0.0, taken, start + seconds
    while now < end:
        began, now = now, now + 0.0004
        taken += 100
        if taken > pace.allowed:
            rest = pace.rest(taken, began, now)
            rested += rest
            now += rest
        now = max(now, start + (taken - before) / per_second)
    return taken, rested


def test_what_stays_below_the_limit_is_read_as_it_comes():
    pace = Pace(1000)
    taken, rested = flood(pace, per_second=900, seconds=10)
    assert rested == 0.0
    assert not pace.flooding
    assert taken >= 9000


def test_a_flood_gets_a_twentieth_of_the_time_and_its_first_thousand_of_each_second():
    pace = Pace(1000)
    taken, rested = flood(pace, per_second=10**9, seconds=10)
    assert pace.flooding
    busy = taken * 0.0004 / 100
    assert 10 * 0.05 <= busy <= 10 * (0.05 + 1000 * 0.0004 / 100) + 0.1
    assert rested >= 0.94 * 10


def test_a_flood_that_has_ended_is_forgotten():
    pace = Pace(1000)
    taken, _ = flood(pace, per_second=10**9, seconds=3)
    assert pace.flooding
    later = 3 + 2.5
    assert pace.rest(max(taken, pace.allowed) + 1, later, later) == 0.0
    assert not pace.flooding


def test_a_piece_that_took_no_time_is_followed_by_a_rest_all_the_same():
    pace = Pace(10)
    assert pace.rest(11, 5.0, 5.0) == 0.0
    assert pace.rest(22, 5.1, 5.1) > 0.0


def test_one_that_stays_below_the_limit_after_a_flood_floods_no_more():
    pace = Pace(1000)
    taken, _ = flood(pace, per_second=10**9, seconds=3)
    assert not pace.has_ended(3.0)
    flood(pace, per_second=900, seconds=6, start=3.0, taken=taken)
    assert not pace.flooding


def test_the_silence_after_a_flood_ends_it():
    pace = Pace(1000)
    flood(pace, per_second=10**9, seconds=3)
    assert pace.has_ended(5.5)
    assert not pace.flooding
