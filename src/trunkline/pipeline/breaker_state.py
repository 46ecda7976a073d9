"""The state machine of a breaker: pure, told the time. It lets calls through, and counts how they end."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

from trunkline.core.breaker import BreakerPhase, BreakerSettings, BreakerStatus

STEPS: Final = 10
"""Parts of the window; the oldest is forgotten as a whole."""

REFUSED: Final = 0
"""The ticket of a call that is not let through."""

OnChange = Callable[[BreakerPhase, BreakerPhase, "str | None"], None]
"""Told the state before, the state now, and why."""


class BreakerState:
    """Counts how calls end, and decides about the next one.

    Each call that is let through has a ticket, which is given back with its outcome. What a call says that
    was let through before the last change of state is not counted: it speaks of another time.

    Args:
        now: the moment, on the clock of every other moment it is told.
        draw: gives a random number from 0 to 1; asked when it opens, where there is jitter.
    """

    __slots__ = (
        "_answered",
        "_draw",
        "_failed",
        "_fails",
        "_first_probe",
        "_listener",
        "_number",
        "_passes",
        "_reason",
        "_scale",
        "_serial",
        "_since",
        "_slot",
        "_streak",
        "_until",
        "passed",
        "quiet_until",
        "settings",
        "state",
        "ticket",
    )

    def __init__(
        self,
        settings: BreakerSettings,
        now: float,
        draw: Callable[[], float] = lambda: 1.0,
        on_change: OnChange | None = None,
    ) -> None:
        self.settings = settings
        self.state: BreakerPhase = "closed"
        self.ticket = 1
        """The ticket of every call while all may pass, else `REFUSED`: whoever sees one need not ask."""
        self.quiet_until = -math.inf
        """Before this moment, a success of a call with the present ticket may simply be added to `passed`."""
        self.passed = 0
        self._draw = draw
        self._listener = on_change
        self._serial = self.ticket
        self._slot = REFUSED
        self._first_probe = 0
        self._since = now
        self._until = now
        self._reason: str | None = None
        self._scale = STEPS / settings.window
        self._forget(now)

    def admit(self, now: float) -> int:
        """Let a call through, and give its ticket; or give `REFUSED`."""
        if self.ticket:
            return self.ticket
        waiting = now < self._until and (self.state == "open" or self._slot != REFUSED)
        if waiting or self.state == "forced_open":
            return REFUSED
        self._serial += 1
        self._slot = ticket = self._serial
        self._until = now + self.settings.probe_timeout
        if self.state == "open":
            self._first_probe = ticket
            self._become("half_open", now, self._reason)
        return ticket

    def succeed(self, now: float, ticket: int) -> None:
        """The call with this ticket was answered."""
        if ticket == self.ticket:
            self._turn(now)
            self.passed += 1
            self._streak = 0
            self._judge(now)
        elif self._is_probe(ticket):
            self._close(now, "a call was answered")

    def fail(self, now: float, ticket: int) -> None:
        """The call with this ticket failed."""
        if ticket == self.ticket:
            self._turn(now)
            self._fails[self._number % STEPS] += 1
            self._failed += 1
            self._streak += 1
            self.quiet_until = -math.inf
            self._judge(now)
        elif self._is_probe(ticket):
            self._open(now, "the call that was let through to find out failed")

    def release(self, ticket: int) -> None:
        """The call with this ticket ended and told nothing: perhaps its caller cancelled it."""
        if ticket == self._slot:
            self._slot = REFUSED

    def renew(self, now: float, reason: str | None = None) -> None:
        """What was counted holds no longer; only what somebody has forced stays."""
        if self.state in ("open", "half_open"):
            self._close(now, reason)
        elif self.ticket:
            self._admit_all(now)

    def force(self, state: BreakerPhase, now: float) -> None:
        """Stay open or closed whatever happens, or with `closed` begin to count anew.

        Raises:
            ValueError: it is none of `forced_open`, `forced_closed` and `closed`.
        """
        if state not in ("forced_open", "forced_closed", "closed"):
            raise ValueError(f"a breaker cannot be put into the state {state!r}")
        if state == "forced_open":
            self.ticket = self._slot = REFUSED
            self.quiet_until = -math.inf
        else:
            self._admit_all(now)
        self._become(state, now, None if state == "closed" else "it was forced")

    def adjust(self, settings: BreakerSettings, now: float) -> None:
        """Go by other settings from now on, and count anew; without a breaker all may pass at once."""
        self.settings = settings
        self._scale = STEPS / settings.window
        if self.ticket:
            self._admit_all(now)
        elif self.state == "open":
            self._until = min(self._until, now + settings.open_for)
        if not settings.enabled and self.state in ("open", "half_open"):
            self._close(now, "it was switched off")

    def retry_after(self, now: float) -> float | None:
        """Give the seconds until a call may be let through; None where nobody knows."""
        return max(0.0, self._until - now) if self.state == "open" else None

    def status(self, now: float) -> BreakerStatus:
        """Say how it is doing."""
        if self.ticket:
            self._turn(now)
        return BreakerStatus(
            state=self.state,
            since=now - self._since,
            calls=self._answered + self.passed + self._failed,
            failures=self._failed,
            retry_in=self.retry_after(now),
            reason=self._reason if self.state != "closed" else None,
        )

    def _is_probe(self, ticket: int) -> bool:
        return self.state == "half_open" and ticket >= self._first_probe

    def _judge(self, now: float) -> None:
        settings, failed = self.settings, self._failed
        if not failed or self.state != "closed" or not settings.enabled:
            return
        if 0 < settings.consecutive <= self._streak:
            self._open(now, f"{self._streak} calls in a row failed")
            return
        calls = self._answered + self.passed + failed
        if calls >= settings.least_calls and failed >= settings.failure_rate * calls:
            self._open(now, f"{failed} of {calls} calls within {settings.window:g} s failed")

    def _open(self, now: float, reason: str) -> None:
        part = self._draw() if self.settings.jitter else 1.0
        self._until = now + part * self.settings.open_for
        self.ticket = self._slot = REFUSED
        self.quiet_until = -math.inf
        self._become("open", now, reason)

    def _close(self, now: float, reason: str | None) -> None:
        self._admit_all(now)
        self._become("closed", now, reason)

    def _admit_all(self, now: float) -> None:
        self._serial += 1
        self.ticket = self._serial
        self._slot = REFUSED
        self._forget(now)

    def _become(self, state: BreakerPhase, now: float, reason: str | None) -> None:
        """Tell of another state, last of all: whoever is told may change it at once."""
        before, self.state = self.state, state
        self._reason = reason
        if state == before:
            return
        self._since = now
        if self._listener is not None:
            self._listener(before, state, reason)

    def _forget(self, now: float) -> None:
        """Begin with an empty window."""
        self._number = math.floor(now * self._scale)
        self._passes = [0] * STEPS
        self._fails = [0] * STEPS
        self._answered = self._failed = self._streak = self.passed = 0
        self.quiet_until = (self._number + 1) / self._scale if self.ticket else -math.inf

    def _turn(self, now: float) -> None:
        """Go to the step of this moment; what is older than the window is forgotten."""
        number = math.floor(now * self._scale)
        ahead = number - self._number
        if ahead <= 0:
            return
        self._passes[self._number % STEPS] += self.passed
        self._answered += self.passed
        self.passed = 0
        for step in range(self._number + 1, self._number + 1 + min(ahead, STEPS)):
            at = step % STEPS
            self._answered -= self._passes[at]
            self._failed -= self._fails[at]
            self._passes[at] = self._fails[at] = 0
        self._number = number
        if not self._failed and not self._streak:
            self.quiet_until = (number + 1) / self._scale
