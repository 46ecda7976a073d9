"""Peak EWMA: a mean of what was measured lately that believes a rise at once and a fall slowly. Pure.

Source: the load metric of Finagle's balancer (Twitter), by which a replica that has become slow is left
aside after one slow answer, and gets calls again as the memory of it fades.
"""

from __future__ import annotations

import math

DECAY = 10.0
"""Seconds in which what was measured loses all but a third (1/e) of its weight."""


class PeakEwma:
    """The latency of one replica, in seconds."""

    __slots__ = ("_at", "_value", "silent_since")

    def __init__(self) -> None:
        self._value: float | None = None
        self._at = 0.0
        self.silent_since = 0.0
        """Moment since which calls are under way and none was answered; set when the first one begins."""

    def add(self, seconds: float, now: float) -> None:
        """Take in what one answer took.

        Args:
            now: on a clock that never goes back.
        """
        value = self._value
        if value is None or seconds >= value:
            self._value = seconds
        else:
            kept = math.exp(-(now - self._at) / DECAY)
            self._value = seconds + (value - seconds) * kept
        self._at = self.silent_since = now

    def fail(self, seconds: float, now: float) -> None:
        """Take in what a call had taken when it failed: an answer would have taken at least as long.

        A failure that comes quickly makes nothing quick.
        """
        if seconds > (self.read(now) or 0.0):
            self._value, self._at = seconds, now

    def read(self, now: float, *, load: int = 0) -> float | None:
        """Give what an answer takes; a peak fades while nothing is measured, so that it is tried again.

        Args:
            load: calls under way; one that hangs takes at least as long as all of them have waited.
        """
        if self._value is None:
            return None
        faded = self._value * math.exp(-(now - self._at) / DECAY)
        return max(faded, now - self.silent_since) if load else faded
