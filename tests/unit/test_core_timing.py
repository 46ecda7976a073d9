"""Where a call's time went: parts that make the whole, told by name, and what servers say of theirs."""

from __future__ import annotations

import pytest

from trunkline.core.call import Flight
from trunkline.core.timing import Timing, measure, note_failure, read_server_timing, take_over


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("total;dur=53.2", 0.0532),
        ("db;dur=53, app;dur=47.2, cache;desc=hit", 0.053),
        ('db;dur=900, total;desc="all of it";dur="12"', 0.012),
        ("Total;DUR=1", 0.001),
        ("miss, db;dur=abc, x;dur=-4, y;dur=nan, z;dur=inf", None),
        ("", None),
        ("," * 100_000 + "total;dur=1", None),
    ],
)
def test_a_server_is_believed_about_its_total_else_about_its_longest_part(
    header: str, seconds: float | None
) -> None:
    assert read_server_timing(header) == (None if seconds is None else pytest.approx(seconds))


def test_the_parts_of_two_attempts_make_the_whole() -> None:
    flight = Flight(100.0)
    flight.connected, flight.sent = 1.0, 101.5
    note_failure(flight, 103.5)
    flight.paused, flight.queued = 0.5, 0.25
    flight.sent, flight.wrote, flight.answered, flight.server = 104.25, 104.5, 107.5, 2.0
    timing = measure(flight, 8.0)
    assert (timing.earlier, timing.exchange, timing.wire, timing.server) == (2.0, 3.0, 1.0, 2.0)
    assert timing.own == 8.0 - 1.0 - 2.0 - 0.5 - 0.25 - 3.0
    hops = timing.to_hops()
    assert [hop.name for hop in hops] == [
        "prepared",
        "waited for its turn",
        "waited for a connection",
        "attempts before the last",
        "paused between attempts",
        "on the wire",
        "at the server, as it says",
        "handed to the caller",
    ]
    assert sum(hop.seconds for hop in hops) == pytest.approx(8.0)


def test_a_server_that_claims_more_than_passed_is_not_believed() -> None:
    timing = Timing(total=2.0, sent_after=0.5, exchange=1.0, server=50.0)
    assert timing.wire == 0.0
    assert sum(hop.seconds for hop in timing.to_hops()) == 2.0


def test_what_is_not_known_is_not_made_up() -> None:
    nothing_left = Timing(total=2.0, queue=1.5)
    assert nothing_left.wire is None
    assert nothing_left.own == 0.5
    assert [hop.name for hop in nothing_left.to_hops()] == ["prepared", "waited for its turn"]
    unanswered = Timing(total=2.0, sent_after=0.5).to_hops(answered=False)
    assert [(hop.name, hop.seconds) for hop in unanswered] == [
        ("prepared", 0.5),
        ("with the server, unanswered", 1.5),
    ]


def test_what_the_server_had_unanswered_is_not_spent_here() -> None:
    assert Timing(total=9.0, queue=1.0, sent_after=1.5).own == 0.5


@pytest.mark.parametrize(
    ("asked", "before", "waits"),
    [
        (0.0, (0.0, 0.0, 0.0, 0.0), (1.0, 0.0, 4.0, 2.0)),
        (2.0, (1.0, 0.0, 0.0, 1.0), (0.0, 0.0, 4.0, 1.0)),
        (5.0, (1.0, 0.0, 0.0, 2.0), (0.0, 0.0, 2.5, 0.0)),
        (8.0, (1.0, 0.0, 4.0, 2.5), (0.0, 0.0, 0.0, 0.0)),
    ],
    ids=["began it", "joined in an attempt", "joined in a pause", "joined what was sent"],
)
def test_who_shares_a_request_is_told_of_its_time_from_the_own_call_on(
    asked: float, before: tuple[float, ...], waits: tuple[float, ...]
) -> None:
    shared, own = Flight(0.0), Flight(asked)
    shared.queued, shared.earlier, shared.paused = 1.0, 2.0, 4.0
    shared.sent, shared.answered = 7.5, 9.0
    take_over(own, shared, before, 9.0)
    timing = measure(own, 9.0 - asked)
    assert (timing.queue, timing.connect, timing.pauses, timing.earlier) == waits
    assert timing.exchange == min(1.5, 9.0 - asked)
    assert sum(hop.seconds for hop in timing.to_hops()) == pytest.approx(9.0 - asked)
