"""The journal of calls: what it keeps of one, what it never keeps, and that it stays small."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from trunkline.core.call import Call, Flight
from trunkline.core.principal import LOCAL
from trunkline.core.reply import Reply
from trunkline.core.timing import Timing, measure
from trunkline.errors import OutcomeUnknownError, ServerError, UnavailableError
from trunkline.telemetry.journal import MOST_BYTES, MOST_CALLS, Journal

CLEAN = str.upper
SECOND = Timing(total=1.0)


def make_call(number: int = 1, tool: str = "s.t", **facts: Any) -> Call:
    return Call(
        id=f"abcdef-{number:x}",
        server=tool.partition(".")[0],
        name="t",
        public_name=tool,
        arguments=facts.pop("arguments", {}),
        principal=LOCAL,
        deadline=1e9,
        idle=1.0,
        flight=Flight(100.0),
        **facts,
    )


def make_journal(now: float = 200.0, **options: Any) -> Journal:
    return Journal(lambda: now, options.pop("clean", lambda text: text), **options)


def reply(**raw: Any) -> Reply:
    return Reply(raw=raw, server="s", tool="s.t")


def refuse(text: str) -> ServerError:
    return ServerError(text, rpc_code=-32000, rpc_message=text)


def test_a_call_is_known_while_it_runs_and_afterwards():
    journal, call = make_journal(130.0), make_call()
    journal.running[call.id] = call
    call.flight.phase = "waiting for the answer"
    running = journal.find(call.id)
    assert running is not None
    assert (running.running, running.elapsed, running.message) == (True, 30.0, "waiting for the answer")
    assert not running.ok
    journal.end(call, measure(call.flight, 2.0), reply())
    ended = journal.find(call.id)
    assert ended is not None
    assert (ended.running, ended.ok, ended.elapsed, ended.age, ended.code) == (False, True, 2.0, 30.0, None)
    assert journal.calls() == (ended,)
    assert journal.find("abcdef-2") is None


@pytest.mark.parametrize(
    ("outcome", "code", "delivery"),
    [
        (reply(isError=True, content=[{"type": "text", "text": "secret"}]), "tool_error", "answered"),
        (refuse("no"), "server_error", "answered"),
        (OutcomeUnknownError("the link was lost"), "outcome_unknown", "unknown"),
        (UnavailableError("it is down", code="lost"), "lost", "never_sent"),
        (asyncio.CancelledError(), "cancelled", "never_sent"),
    ],
)
def test_each_ending_has_its_code_and_delivery(outcome: Any, code: str, delivery: str):
    journal, call = make_journal(), make_call()
    journal.end(call, measure(call.flight, 1.0), outcome)
    (record,) = journal.calls()
    assert (record.code, record.delivery, record.ok) == (code, delivery, False)
    assert "secret" not in repr(record)


def test_arguments_are_never_kept_and_are_taken_out_of_what_the_server_says():
    journal = make_journal()
    arguments = {"path": "/home/me/diary", "pin": 123456, "deep": [{"name": "Ada Lovelace"}], "n": 1}
    said = refuse("no /home/me/diary of Ada Lovelace with 123456 or 1")
    journal.end(make_call(arguments=arguments), SECOND, said)
    (record,) = journal.calls()
    assert record.message == "no [argument] of [argument] with [argument] or 1"
    journal.end(make_call(arguments={"word": "server"}), SECOND, OutcomeUnknownError("the server was lost"))
    assert journal.calls()[-1].message == "the server was lost", "our own words hold no arguments"


def test_messages_are_cleaned_and_cut():
    journal = make_journal(clean=CLEAN)
    journal.end(make_call(), SECOND, refuse("x" * 10_000))
    assert journal.calls()[0].message == "X" * 400


def test_the_way_of_a_call_adds_up_to_its_time():
    journal, call = make_journal(), make_call()
    call.flight.connected, call.flight.sent, call.flight.answered = 2.0, 103.0, 107.0
    journal.end(call, measure(call.flight, 8.0), reply())
    (record,) = journal.calls()
    assert [(hop.name, hop.seconds) for hop in record.hops] == [
        ("prepared", 1.0),
        ("waited for a connection", 2.0),
        ("with the server", 4.0),
        ("handed to the caller", 1.0),
    ]


@pytest.mark.parametrize(
    ("sent", "outcome", "names"),
    [
        (0.0, UnavailableError("down"), ["prepared"]),
        (101.0, OutcomeUnknownError("lost"), ["prepared", "with the server, unanswered"]),
        (101.0, refuse("no"), ["prepared", "with the server"]),
    ],
)
def test_a_way_ends_where_the_call_did(sent: float, outcome: Any, names: list[str]):
    journal, call = make_journal(), make_call()
    call.flight.sent = sent
    journal.end(call, measure(call.flight, 8.0), outcome)
    hops = journal.calls()[0].hops
    assert [hop.name for hop in hops] == names
    assert sum(hop.seconds for hop in hops) == pytest.approx(8.0)


def test_the_oldest_call_makes_place_and_all_stays_within_its_bytes():
    journal = make_journal()
    for number in range(MOST_CALLS + 5):
        journal.end(
            make_call(number, tool="s." + "\U0001f600" * 10_000), SECOND, refuse("\U0001f600" * 10_000)
        )
    kept = journal.calls()
    assert (len(kept), journal.total) == (MOST_CALLS, MOST_CALLS + 5)
    assert kept[0].call_id == "abcdef-5"
    size = sum(4 * (len(one.tool) + len(one.message or "")) + 400 for one in kept)
    assert size < MOST_BYTES


def test_calls_are_given_by_server_by_tool_and_the_newest_of_them():
    journal = make_journal()
    for number, tool in enumerate(["a.x", "a.y", "b.x", "a.x"]):
        journal.end(make_call(number, tool), SECOND, reply())
    assert [one.call_id for one in journal.calls(server="a")] == ["abcdef-0", "abcdef-1", "abcdef-3"]
    assert [one.call_id for one in journal.calls(tool="a.x", most=1)] == ["abcdef-3"]
    assert journal.calls(most=0) == ()
