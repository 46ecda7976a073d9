"""A token bucket: how often something may begin. Pure; the generic cell rate algorithm, one number long."""

from __future__ import annotations

import math


class Bucket:
    """Lets `burst` begin at once, and `rate` per second in the long run."""

    __slots__ = ("_full_at", "_interval", "_slack")

    def __init__(self, rate: float, burst: int = 0) -> None:
        self._interval = 1.0 / rate
        self._slack = (max(burst or math.ceil(rate), 1) - 1) * self._interval
        self._full_at = -math.inf
        """Moment at which nothing of the burst is used any more."""

    def wait(self, now: float, behind: int = 0) -> float:
        """Give the seconds until one may begin, after `behind` others."""
        full_at = max(self._full_at, now) + behind * self._interval
        left = full_at - self._slack - now
        # What is left of a sum of intervals may be the rounding of it alone.
        return left if left > 1e-9 else 0.0

    def take(self, now: float) -> None:
        """One begins."""
        self._full_at = max(self._full_at, now) + self._interval

    def is_full(self, now: float) -> bool:
        """Whether it is as if nothing had ever begun."""
        return self._full_at <= now
