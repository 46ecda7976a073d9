"""When a server that is down is tried again: full jitter, restart intensity, a slow probe for ever. Pure.

Restart intensity is that of supervisors in Erlang/OTP: so many restarts in so short a time, then no more.
"""

from __future__ import annotations

from collections import deque
from typing import Literal

import msgspec

from trunkline.core.backoff import Backoff
from trunkline.supervision.states import Trigger

Ending = Literal["lost", "refused", "unusable", "invalid"]
"""How a life ended: lost when ready; refused, or unusable as it is, when it began; invalid configuration."""

_PATIENCE = 1.0
"""Seconds after a failed attempt in which calls fail at once with its reason."""
_PROBE_PATIENCE = 5.0
"""The same after too many restarts."""


class RestartPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """How one server is brought back."""

    automatic: bool = True
    """Whether it is brought back although nobody calls it."""
    most: int = 5
    """Restarts within `window` after which it has failed; 0 for any number."""
    window: float = 30.0
    """Seconds in which restarts are counted, and after which a server that stays up counts as well again."""
    backoff: Backoff = Backoff(first=2.0, longest=30.0)
    """Waits before attempts that nobody asks for."""
    probe: float = 60.0
    """Longest wait between attempts at a server that has failed, in seconds; 0 for no attempts."""
    spacing: float = 0.0
    """Seconds that lie between two attempts nobody asks for, at least: others do the work meanwhile."""


class Verdict(msgspec.Struct, frozen=True):
    """What follows the end of a life."""

    trigger: Trigger
    due: float | None
    """Moment of the next attempt if nobody asks for one sooner, or None for no such attempt."""
    open_from: float
    """Moment from which a call makes an attempt; before it calls fail at once."""


class Recovery:
    """Counts the lives of one server and decides when the next one begins."""

    def __init__(self, policy: RestartPolicy) -> None:
        self.policy = policy
        self._restarts: deque[float] = deque()
        self._failures = 0
        self._begun = 0.0

    def begin(self, now: float, *, first: bool) -> None:
        """Note that an attempt begins; the very first one is no restart."""
        self._begun = now
        if not first:
            self._restarts.append(now)

    def end(self, ending: Ending, now: float, life: float, draw: float, *, watched: bool = False) -> Verdict:
        """Decide what follows the end of a life.

        Args:
            life: seconds for which it was ready.
            draw: a number from 0 to 1, drawn anew each time.
            watched: whether somebody is subscribed, who cannot be told of anything while it is down.
        """
        policy = self.policy
        automatic = policy.automatic or watched
        if ending == "lost" and life > policy.window:
            self._failures = 0
            self._restarts.clear()
        self._failures += 1
        # The longest wait is at least half of `probe`, so that many clients neither hurry nor come together.
        probe = now + policy.probe * (1 + draw) / 2 if policy.probe and automatic else None
        if ending in ("unusable", "invalid"):
            return Verdict("unusable", probe if ending == "unusable" else None, now + _PATIENCE)
        if self._is_exhausted(now):
            return Verdict("exhausted", probe, now + _PROBE_PATIENCE)
        if ending == "lost":
            due = self._due(now, draw) if automatic else None
            return Verdict("lost" if automatic else "released", due, now)
        if not automatic:
            return Verdict("unusable", None, now + _PATIENCE)
        return Verdict("refused", self._due(now, draw), now + _PATIENCE)

    def _due(self, now: float, draw: float) -> float:
        policy = self.policy
        return max(now + policy.backoff.delay(self._failures, draw), self._begun + policy.spacing)

    def _is_exhausted(self, now: float) -> bool:
        policy, restarts = self.policy, self._restarts
        while restarts and restarts[0] <= now - policy.window:
            restarts.popleft()
        return 0 < policy.most <= len(restarts)
