"""The fault values and the plan that says which requests they strike."""

from __future__ import annotations

import json
from typing import get_args

import pytest

from trunkline.testing import FakeServer, Fault
from trunkline.testing.faults import FaultPlan, FaultRule, Kind

ALL = [
    Fault.crash_before_reply,
    Fault.crash_after_commit,
    Fault.kill,
    Fault.hang,
    Fault.close_connection,
    Fault.reset,
    Fault.garbage,
    Fault.truncated,
    Fault.invalid_utf8,
    Fault.wrong_id,
    Fault.duplicate_reply,
    Fault.endless,
    Fault.cut_after_headers,
    Fault.delay(0.5),
    Fault.rpc_error(-32000, "no", {"a": [1]}),
    Fault.raw("[$ID]"),
    Fault.oversized(1000),
    Fault.deep(200),
    Fault.drip(0.1, 3),
    Fault.http_status(503, {"Retry-After": "2"}, "<html>"),
    Fault.redirect("http://127.0.0.1:9/"),
    Fault.comments(0.5),
    Fault.gzip_bomb(10_000),
]


def struck(rule: FaultRule, count: int) -> list[int]:
    plan = FaultPlan([rule])
    return [number for number in range(1, count + 1) if plan.pick("tools/call", "add")]


def test_every_kind_has_a_public_name() -> None:
    assert {fault.kind for fault in ALL} == set(get_args(Kind))


@pytest.mark.parametrize("fault", ALL, ids=lambda fault: f"{fault.kind}-{fault.committed}")
def test_a_fault_survives_its_way_through_json(fault: Fault) -> None:
    assert Fault.from_json(json.loads(json.dumps(fault.to_json()))) == fault


def test_a_fault_without_parameters_is_read_by_name() -> None:
    assert Fault.from_json("crash_after_commit") is Fault.crash_after_commit


@pytest.mark.parametrize("value", ["nonsense", "delay", {"kind": "nonsense"}, {}])
def test_an_unknown_fault_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="unknown fault"):
        Fault.from_json(value)  # type: ignore[arg-type]


def test_after_commit_moves_an_early_fault_behind_the_execution() -> None:
    assert Fault.hang.early
    assert not Fault.hang.after_commit().early
    assert Fault.crash_before_reply.after_commit() == Fault.crash_after_commit
    assert not Fault.garbage.early


def test_a_fault_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        Fault.hang.seconds = 3.0  # type: ignore[misc]


@pytest.mark.parametrize(
    ("nth", "times", "expected"),
    [(None, None, [1, 2, 3, 4]), (None, 2, [1, 2]), (3, None, [3]), (2, 2, [2, 3]), (9, None, [])],
)
def test_nth_and_times_choose_the_requests(nth: int | None, times: int | None, expected: list[int]) -> None:
    assert struck(FaultRule("add", Fault.hang, nth, times), 4) == expected


def test_a_rule_counts_only_the_requests_of_its_target() -> None:
    plan = FaultPlan([FaultRule("add", Fault.hang, nth=2)])
    assert [plan.pick("tools/call", name) for name in ("add", "other", "add")] == [None, None, Fault.hang]


def test_the_earliest_rule_wins_and_the_later_one_still_counts() -> None:
    plan = FaultPlan([FaultRule("add", Fault.hang, times=1), FaultRule("tools/call", Fault.garbage, nth=2)])
    assert [plan.pick("tools/call", "add") for _ in range(3)] == [Fault.hang, Fault.garbage, None]


def test_a_star_strikes_every_request() -> None:
    plan = FaultPlan([FaultRule("*", Fault.hang)])
    assert plan.pick("initialize", None) == plan.pick("tools/call", "add") == Fault.hang


def test_a_target_that_does_not_exist_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="alpha has no method, tool, prompt or resource 'ad'"):
        FakeServer("alpha").fault("ad", Fault.hang)


def test_heal_stops_faults_and_forgets_their_counts() -> None:
    fake = FakeServer()
    fake.fault("ping", Fault.hang, nth=1)
    assert fake.strike("ping", None) is Fault.hang
    fake.heal()
    assert fake.strike("ping", None) is None
    fake.fault("ping", Fault.hang, nth=1)
    assert fake.strike("ping", None) is Fault.hang


def test_a_silent_discover_survives_heal() -> None:
    fake = FakeServer(discover="silent")
    fake.heal()
    assert fake.strike("server/discover", None) is Fault.hang
