"""How long to wait before the next attempt: exponential, with full jitter, bounded. Pure."""

from __future__ import annotations

import msgspec


def bound(seconds: float, longest: float) -> float:
    """Give what the other side asks to wait, at most `longest`; what is no number of seconds asks nothing."""
    return min(seconds, longest) if seconds > 0 else 0.0


class Backoff(msgspec.Struct, frozen=True, kw_only=True):
    """Waits between attempts that failed."""

    first: float = 1.0
    """Longest wait after the first failure, in seconds; it doubles with each further one."""
    longest: float = 60.0
    """No wait is longer than this, in seconds."""

    def delay(self, failures: int, draw: float) -> float:
        """Give the seconds to wait.

        Args:
            failures: attempts that failed in a row, at least 1.
            draw: a number from 0 to 1, drawn anew each time; the wait is this part of what it may be, so
                that many clients do not come back together.
        """
        return draw * min(self.longest, self.first * 2.0 ** min(failures - 1, 32))
