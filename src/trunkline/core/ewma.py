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

    __slots__ = ("_at", "_value")

    def __init__(self) -> None:
        self._value: float | None = None
        self._at = 0.0

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
        self._at = now

    def read(self, now: float) -> float | None:
        """Give what an answer takes; a peak fades while nothing is measured, so that it is tried again."""
        if self._value is None:
            return None
        return self._value * math.exp(-(now - self._at) / DECAY)
