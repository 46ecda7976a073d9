"""The breaker does what a model of it does that keeps every outcome and counts anew each time."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from trunkline.core.breaker import BreakerSettings
from trunkline.pipeline.breaker_state import REFUSED, BreakerState

STEP = 1.0
"""A tenth of the window of every case here."""
CASES = [
    BreakerSettings(failure_rate=0.5, least_calls=4, probe_timeout=2.0),
    BreakerSettings(failure_rate=1.0, least_calls=3, consecutive=2, open_for=1.0, probe_timeout=50.0),
    BreakerSettings(failure_rate=0.8, least_calls=10, consecutive=4, open_for=12.0),
    BreakerSettings(failure_rate=0.1, least_calls=2, jitter=True, probe_timeout=0.5),
]
DRAW = 0.5


class Model:
    """The same promises with no thought for speed."""

    def __init__(self, wanted: BreakerSettings) -> None:
        self.wanted = wanted
        self.state = "closed"
        self.life = 0
        self.outcomes: list[tuple[int, bool]] = []
        self.streak = 0
        self.opened = 0.0
        self.probe: Any = None
        self.probe_began = 0.0

    def admit(self, now: float) -> Any:
        if self.state in ("closed", "forced_closed"):
            return "call", self.life
        wait = self.wanted.open_for * (DRAW if self.wanted.jitter else 1.0)
        if self.state == "forced_open" or (self.state == "open" and now < self.opened + wait):
            return None
        if self.state == "half_open" and self.probe and now < self.probe_began + self.wanted.probe_timeout:
            return None
        if self.state == "open":
            self.state = "half_open"
        self.probe, self.probe_began = ("probe", self.life, object()), now
        return self.probe

    def end(self, now: float, ticket: Any, failed: bool | None) -> None:
        kind, life = ticket[:2]
        if failed is None:
            if self.probe is ticket:
                self.probe = None
        elif life != self.life:
            return
        elif kind == "call":
            self.outcomes.append((int(now / STEP), failed))
            self.streak = self.streak + 1 if failed else 0
            self.judge(now)
        elif failed:
            self.open(now)
        else:
            self.begin("closed")

    def counted(self, now: float) -> tuple[int, int]:
        recent = [failed for step, failed in self.outcomes if step > int(now / STEP) - 10]
        return len(recent), sum(recent)

    def judge(self, now: float) -> None:
        calls, failures = self.counted(now)
        enough = calls >= self.wanted.least_calls and failures >= self.wanted.failure_rate * calls
        row = 0 < self.wanted.consecutive <= self.streak
        if self.state == "closed" and failures and (enough or row):
            self.open(now)

    def open(self, now: float) -> None:
        self.begin("open")
        self.opened = now

    def begin(self, state: str) -> None:
        self.state, self.life, self.outcomes, self.streak, self.probe = state, self.life + 1, [], 0, None


class Pair:
    """A breaker and its model, told the same."""

    def __init__(self, wanted: BreakerSettings) -> None:
        self.now = 100.0
        self.real = BreakerState(wanted, self.now, lambda: DRAW)
        self.model = Model(wanted)
        self.running: list[tuple[int, Any]] = []

    def arrive(self) -> None:
        ticket, twin = self.real.admit(self.now), self.model.admit(self.now)
        assert (ticket != REFUSED) == (twin is not None)
        if twin is not None:
            self.running.append((ticket, twin))

    def end(self, which: int, failed: bool | None) -> None:
        ticket, twin = self.running.pop(which % len(self.running))
        real = self.real
        self.model.end(self.now, twin, failed)
        if failed:
            real.fail(self.now, ticket)
        elif failed is None:
            real.release(ticket)
        elif ticket == real.ticket and self.now < real.quiet_until:
            real.passed += 1
        else:
            real.succeed(self.now, ticket)

    def force(self, state: Any) -> None:
        self.real.force(state, self.now)
        self.model.begin(state)

    def renew(self) -> None:
        self.real.renew(self.now)
        if self.model.state != "forced_open":
            self.model.begin("forced_closed" if self.model.state == "forced_closed" else "closed")

    def compare(self, *, counts: bool = True) -> None:
        assert self.real.state == self.model.state
        if counts and self.real.ticket:
            # Not each time: to ask brings the window up to date.
            status = self.real.status(self.now)
            assert (status.calls, status.failures) == self.model.counted(self.now)


def drive(seed: int, steps: int) -> None:
    """Go through one life drawn from the seed."""
    dice = random.Random(seed)
    pair, hurt = Pair(CASES[seed % len(CASES)]), dice.random()
    for _ in range(steps):
        what = dice.random()
        if what < 0.45:
            pair.arrive()
        elif what < 0.85 and pair.running:
            pair.end(dice.randrange(100), (True if dice.random() < hurt else None if what < 0.5 else False))
        elif what < 0.97:
            pair.now += dice.choice((0.0, 0.125, 0.5, 1.0, 3.0, 11.0))
        elif what < 0.985:
            pair.renew()
        else:
            pair.force(dice.choice(("closed", "forced_open", "forced_closed")))
        pair.compare(counts=what < 0.1)


def test_ten_thousand_lives_drawn_at_random_are_those_of_the_model() -> None:
    for seed in range(10_000):
        drive(seed, 30)


@pytest.mark.soak
def test_a_million_lives_drawn_at_random_are_those_of_the_model() -> None:
    for seed in range(10_000, 1_010_000):
        drive(seed, 60)


class Lives(RuleBasedStateMachine):
    """Searches for a short life in which the two differ."""

    @initialize(wanted=st.sampled_from(CASES))
    def begin(self, wanted: BreakerSettings) -> None:
        self.pair = Pair(wanted)

    @rule(count=st.integers(1, 4))
    def arrive(self, count: int) -> None:
        for _ in range(count):
            self.pair.arrive()

    @precondition(lambda self: self.pair.running)
    @rule(which=st.integers(0, 50), failed=st.sampled_from([True, True, False, None]))
    def end(self, which: int, failed: bool | None) -> None:
        self.pair.end(which, failed)

    @rule(seconds=st.sampled_from([0.125, 0.5, 1.0, 3.0, 5.0, 11.0]))
    def wait(self, seconds: float) -> None:
        self.pair.now += seconds

    @rule(state=st.sampled_from(["closed", "forced_open", "forced_closed"]))
    def force(self, state: str) -> None:
        self.pair.force(state)

    @rule()
    def renew(self) -> None:
        self.pair.renew()

    @invariant()
    def same(self) -> None:
        if hasattr(self, "pair"):
            self.pair.compare(counts=False)

    @rule()
    def look(self) -> None:
        self.pair.compare()


TestLives = pytest.mark.filterwarnings("ignore::hypothesis.errors.NonInteractiveExampleWarning")(
    Lives.TestCase
)
TestLives.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


@pytest.mark.soak
class TestLongLives(Lives.TestCase):
    """The same for as long as the promise says."""

    settings = settings(max_examples=10_000, stateful_step_count=50, deadline=None)


def test_there_is_exactly_one_probe_for_a_thousand_arrivals_in_a_thousand_schedules() -> None:
    for seed in range(1000):
        dice = random.Random(seed)
        state = BreakerState(BreakerSettings(consecutive=1, probe_timeout=1e6), 0.0)
        state.fail(0.0, state.ticket)
        probes, cancelled = [], 0
        # Some of the probes are cancelled while others still arrive; each makes room for one more.
        fatal = {dice.randrange(900) for _ in range(3)}
        for at in range(1000):
            if (ticket := state.admit(5.0 + at * 1e-6)) != REFUSED:
                probes.append(ticket)
            if at in fatal:
                state.release(probes[-1])
                cancelled += 1
        assert len(probes) == 1 + cancelled


def test_a_hung_probe_makes_room_and_its_late_answer_still_closes() -> None:
    state = BreakerState(BreakerSettings(consecutive=1, open_for=5.0, probe_timeout=10.0), 0.0)
    state.fail(0.0, state.ticket)
    hung = state.admit(5.0)
    assert hung != REFUSED
    assert state.admit(14.9) == REFUSED
    assert state.admit(15.0) not in (REFUSED, hung)
    state.succeed(16.0, hung)
    assert state.state == "closed"


@pytest.mark.parametrize("failed", [True, False])
def test_an_outcome_of_before_the_last_change_is_not_counted(failed: bool) -> None:
    state = BreakerState(BreakerSettings(consecutive=2), 0.0)
    old = state.ticket
    state.fail(0.0, old)
    state.fail(0.0, old)
    probe = state.admit(5.0)
    state.succeed(5.0, probe)
    (state.fail if failed else state.succeed)(5.5, old)
    assert state.status(5.5).calls == 0


def test_a_change_is_told_with_its_reason() -> None:
    told: list[Any] = []
    state = BreakerState(BreakerSettings(least_calls=2), 0.0, on_change=lambda *change: told.append(change))
    for _ in range(2):
        state.fail(1.0, state.ticket)
    state.succeed(6.0, state.admit(6.0))
    assert told == [
        ("closed", "open", "2 of 2 calls within 10 s failed"),
        ("open", "half_open", "2 of 2 calls within 10 s failed"),
        ("half_open", "closed", "a call was answered"),
    ]
