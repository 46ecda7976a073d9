"""How many calls may run at a time, found out from how long they take: pure, told every latency.

While calls take no longer than on an idle server the limit grows; when they take longer they wait for each
other at the server, and it shrinks. What an idle server takes is measured anew from time to time, with half
as many calls. After Envoy's adaptive concurrency and Netflix's gradient, without their clocks.
"""

from __future__ import annotations

import math
from typing import Final

_LEAST_SAMPLES: Final = 10
_WINDOW: Final = 0.1
"""Seconds, at least, of which the mean latency is taken."""
_REMEASURE: Final = 30.0
"""Seconds for which an idle server's latency is believed."""
_TOLERANCE: Final = 1.3
"""Times the idle latency that are not yet a sign of load."""
_LEAST_GRADIENT: Final = 0.5
_SMOOTHING: Final = 0.3
_AFTER_OVERLOAD: Final = 0.8


class AdaptiveLimit:
    """The limit, and what was measured."""

    def __init__(self, start: int, least: int, most: int) -> None:
        self._least = least
        self._most = max(least, most)
        self._limit = float(min(max(start, least), self._most))
        self._idle = math.inf
        """Mean latency of a server that is not busy."""
        self._measured = -math.inf
        self._resume: float | None = None
        """The limit to go on with, while the idle latency is measured."""
        self._valid_from = -math.inf
        self._until = -math.inf
        self._count = self._busiest = 0
        self._sum = 0.0
        self._overloaded = False

    @property
    def limit(self) -> int:
        """Calls that may run now."""
        return max(self._least, int(self._limit))

    def sample(self, now: float, began: float, running: int, *, overloaded: bool = False) -> None:
        """A call has ended.

        Args:
            began: the moment at which it was let through.
            running: how many ran when it ended, with it.
            overloaded: it failed as calls do that an overloaded server cannot serve.
        """
        if began < self._valid_from:
            return
        if self._until == -math.inf:
            self._begin(now)
        self._overloaded = self._overloaded or overloaded
        self._busiest = max(self._busiest, running)
        if not overloaded:
            self._count += 1
            self._sum += now - began
        if now >= self._until and (self._count >= _LEAST_SAMPLES or self._overloaded):
            self._conclude(now)
            self._begin(now)

    def _conclude(self, now: float) -> None:
        latency = self._sum / self._count if self._count else math.inf
        if self._resume is not None:
            self._limit, self._resume = self._resume, None
            self._idle, self._measured = latency, now
            return
        if latency <= self._idle:
            self._idle, self._measured = latency, now
        if now - self._measured > _REMEASURE and not self._overloaded:
            self._resume = self._limit
            self._limit = max(float(self._least), self._limit / 2)
            self._valid_from = now
            return
        self._limit = min(max(self._next(latency), float(self._least)), float(self._most))

    def _next(self, latency: float) -> float:
        if self._overloaded:
            return self._limit * _AFTER_OVERLOAD
        gradient = max(_LEAST_GRADIENT, min(1.0, _TOLERANCE * self._idle / latency)) if latency else 1.0
        if gradient == 1.0 and self._busiest < self._limit / 2:
            # Nobody has asked for as many, so nothing is known of more.
            return self._limit
        wanted = self._limit * gradient + math.sqrt(self._limit)
        return self._limit + _SMOOTHING * (wanted - self._limit)

    def _begin(self, now: float) -> None:
        self._until = now + _WINDOW
        self._count = self._busiest = 0
        self._sum = 0.0
        self._overloaded = False
