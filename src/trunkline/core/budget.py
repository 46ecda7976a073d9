"""How many retries a server may get: a share of its calls, and some besides. Pure; takes `now`.

Source: the retry budgets of Finagle, with the figures of a fifth of the calls and 10 a second. When all
calls fail, a server gets a fifth more and not three times as much.
"""

from __future__ import annotations

from collections import deque

WINDOW = 10
"""Seconds over which calls and retries are counted, in slots of one second."""


class Budget:
    """Counts the calls and retries of one server.

    Attributes:
        calls: calls since `until - 1`; whoever makes a call adds 1, after `roll` where `until` has passed.
        until: moment at which the second that is counted now is over.
    """

    __slots__ = ("_past", "_per_second", "_ratio", "_spent", "calls", "until")

    def __init__(self, ratio: float = 0.2, per_second: float = 10.0) -> None:
        self._ratio = ratio
        self._per_second = per_second
        self._past: deque[tuple[float, int, int]] = deque()
        self._spent = 0
        self.calls = 0
        self.until = float("-inf")

    def adjust(self, ratio: float, per_second: float) -> None:
        """Follow other settings from now on."""
        self._ratio, self._per_second = ratio, per_second

    def roll(self, now: float) -> None:
        """Begin another second, and forget those out of the window."""
        if self.calls or self._spent:
            self._past.append((self.until, self.calls, self._spent))
        self.calls = self._spent = 0
        self.until = now + 1.0
        while self._past and self._past[0][0] <= now - WINDOW:
            self._past.popleft()

    def take(self, now: float) -> bool:
        """Take one retry out of the budget; whether there was one."""
        if now >= self.until:
            self.roll(now)
        calls = self.calls + sum(calls for _, calls, _ in self._past)
        spent = self._spent + sum(spent for _, _, spent in self._past)
        if spent + 1 > self._ratio * calls + self._per_second * WINDOW:
            return False
        self._spent += 1
        return True
