"""The states of a server and when it is tried again: tables and machines, without time or servers."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from trunkline.core.backoff import Backoff
from trunkline.core.status import State
from trunkline.supervision.recovery import Ending, Recovery, RestartPolicy
from trunkline.supervision.states import MEANINGS, TABLE, Trigger, after, draw_states

ROOT = Path(__file__).parents[2]
STATES = get_args(State)
TRIGGERS = get_args(Trigger)
DRAWS = st.floats(0, 1)


def test_the_table_knows_every_state_and_trigger_and_each_is_reached():
    assert set(TABLE) == set(STATES)
    assert set(MEANINGS) == set(TRIGGERS) == {trigger for ways in TABLE.values() for trigger in ways}
    reached, frontier = {"stopped"}, ["stopped"]
    while frontier:
        frontier = [target for state in frontier for target in TABLE[state].values() if target not in reached]
        reached.update(frontier)
    assert reached == set(STATES)


def test_the_end_stops_a_server_in_any_state_and_draining_can_only_end():
    assert {after(state, "ended") for state in STATES} == {"stopped"}
    assert set(TABLE["draining"]) == {"ended"}


def test_every_state_that_is_down_can_be_connected_again():
    assert {after(state, "wanted") for state in ("stopped", "backoff", "failed")} == {"connecting"}
    assert {after(state, "due") for state in ("backoff", "failed")} == {"connecting"}


@given(st.sampled_from(STATES), st.sampled_from(TRIGGERS))
def test_what_the_table_does_not_name_cannot_happen(state: Any, trigger: Any):
    if trigger in TABLE[state]:
        assert after(state, trigger) == TABLE[state][trigger]
    else:
        with pytest.raises(ValueError, match=f"'{trigger}' cannot happen to a server that is {state}"):
            after(state, trigger)


def test_the_diagram_draws_every_way_once():
    lines = draw_states().splitlines()
    drawn = {
        (line.split(" --> ")[0].strip(), trigger, line.split(" --> ")[1].split(":")[0])
        for line in lines[2:]
        for trigger in line.split(": ")[1].split(", ")
    }
    assert drawn == {
        (state, trigger, target)
        for state, ways in TABLE.items()
        for trigger, target in ways.items()
        if target != state
    }


def test_the_page_is_what_the_table_gives():
    page = ROOT / "docs/reference/server-states.md"
    spec = importlib.util.spec_from_file_location("write_states", page.with_name("write_states.py"))
    assert spec is not None
    assert spec.loader is not None
    writer = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(writer)
    assert page.read_text("utf-8") == writer.page(), "run `python docs/reference/write_states.py`"


def test_five_restarts_in_thirty_seconds_are_too_many_and_the_next_attempt_is_slow():
    recovery = Recovery(RestartPolicy())
    recovery.begin(0.0, first=True)
    for number in range(5):
        assert recovery.end("lost", number, 0.1, 0.5).trigger == "lost"
        recovery.begin(float(number), first=False)
    verdict = recovery.end("lost", 5.0, 0.1, 0.5)
    assert (verdict.trigger, verdict.due, verdict.open_from) == ("exhausted", 5.0 + 45.0, 10.0)
    recovery.begin(50.0, first=False)
    assert recovery.end("lost", 50.1, 0.1, 0.5).trigger == "lost"


def test_a_server_that_was_steady_starts_from_the_beginning():
    recovery = Recovery(RestartPolicy(backoff=Backoff(first=2.0, longest=30.0)))
    waits = [recovery.end("lost", 100.0, life, 1.0).due for life in (1, 1, 1, 31, 1)]
    assert waits == [102.0, 104.0, 108.0, 102.0, 104.0]


def test_a_call_restarts_a_lost_server_at_once_and_is_told_at_once_of_one_that_just_refused():
    recovery = Recovery(RestartPolicy())
    assert recovery.end("lost", 10.0, 1.0, 1.0).open_from == 10.0
    assert recovery.end("refused", 10.0, 0.0, 1.0).open_from == 11.0


@pytest.mark.parametrize(
    ("ending", "watched", "trigger", "due"),
    [
        ("lost", False, "released", None),
        ("lost", True, "lost", 12.0),
        ("refused", False, "unusable", None),
        ("unusable", False, "unusable", None),
        ("unusable", True, "unusable", 70.0),
        ("invalid", True, "unusable", None),
    ],
)
def test_without_automatic_restarts_only_subscriptions_bring_it_back(
    ending: Ending, watched: bool, trigger: str, due: float | None
):
    recovery = Recovery(RestartPolicy(automatic=False))
    verdict = recovery.end(ending, 10.0, 1.0, 1.0, watched=watched)
    assert (verdict.trigger, verdict.due) == (trigger, due)


def test_zero_turns_limits_and_probes_off():
    recovery = Recovery(RestartPolicy(most=0, probe=0))
    for _ in range(100):
        recovery.begin(0.0, first=False)
        assert recovery.end("lost", 0.0, 0.0, 0.0).trigger == "lost"
    assert recovery.end("unusable", 0.0, 0.0, 0.0).due is None


class Server(RuleBasedStateMachine):
    """One server as its supervisor sees it, with anything happening at any time."""

    @initialize(automatic=st.booleans(), most=st.integers(0, 6))
    def begin(self, automatic: bool, most: int) -> None:
        self.policy = RestartPolicy(automatic=automatic, most=most)
        self.recovery = Recovery(self.policy)
        self.state: State = "stopped"
        self.now = self.ready_since = 0.0
        self.due: float | None = None
        self.open_from = 0.0
        self.begun = False
        self.restarts: list[float] = []

    def go(self, trigger: Trigger) -> None:
        self.state = after(self.state, trigger)

    @rule(seconds=st.floats(0, 100))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @precondition(lambda self: self.state in ("stopped", "backoff", "failed"))
    @rule()
    def connect(self) -> None:
        if self.due is not None and self.now >= self.due:
            self.go("due")
        elif self.now >= self.open_from:
            self.go("wanted")
        else:
            return
        if self.begun:
            self.restarts.append(self.now)
        self.recovery.begin(self.now, first=not self.begun)
        self.begun, self.due = True, None

    @precondition(lambda self: self.state == "connecting")
    @rule()
    def open(self) -> None:
        self.go("opened")
        self.ready_since = self.now

    @precondition(lambda self: self.state == "connecting")
    @rule(ending=st.sampled_from(("refused", "unusable", "invalid")), draw=DRAWS)
    def fail(self, ending: Ending, draw: float) -> None:
        self.end(ending, draw)

    @precondition(lambda self: self.state in ("ready", "degraded"))
    @rule(draw=DRAWS)
    def lose(self, draw: float) -> None:
        self.end("lost", draw)

    @precondition(lambda self: self.state in ("ready", "degraded"))
    @rule()
    def check(self) -> None:
        self.go("silent" if self.state == "ready" else "answered")

    def end(self, ending: Ending, draw: float) -> None:
        life = self.now - self.ready_since if ending == "lost" else 0.0
        if ending == "lost" and life > self.policy.window:
            self.restarts.clear()
        recent = [moment for moment in self.restarts if moment > self.now - self.policy.window]
        verdict = self.recovery.end(ending, self.now, life, draw)
        too_many = 0 < self.policy.most <= len(recent)
        assert (verdict.trigger == "exhausted") == (too_many and ending in ("lost", "refused"))
        self.go(verdict.trigger)
        self.due, self.open_from = verdict.due, verdict.open_from

    @invariant()
    def what_is_down_is_tried_again_unless_that_is_off_or_useless(self) -> None:
        if getattr(self, "state", None) == "backoff":
            assert self.due is not None
            assert self.due - self.now <= self.policy.backoff.longest
        if getattr(self, "state", None) in ("ready", "degraded", "connecting"):
            assert self.due is None


TestServer = Server.TestCase
