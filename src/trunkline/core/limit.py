"""How many calls may run, how often they may begin, and who waits: for a server, or for a tool."""

from __future__ import annotations

import msgspec


class LimitSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The limits of a server, or of a tool; nothing is limited by default."""

    concurrency: int = 0
    """Calls that may run at a time; 0 for any number. With `adaptive` what it begins with."""
    principal_concurrency: int = 0
    """Calls that may run at a time on behalf of one principal; 0 for any number."""
    rate: float = 0.0
    """Calls that may begin per second, in the long run; 0 for any number."""
    burst: int = 0
    """Calls that may begin at once before the rate holds them back; 0 for those of one second."""
    principal_rate: float = 0.0
    """Calls that may begin per second on behalf of one principal; 0 for any number."""
    principal_burst: int = 0
    """The same as `burst`, for `principal_rate`."""
    queue: int = 100
    """Most calls that wait; one more is turned away. Principals take turns. 0 for no waiting at all."""
    queue_timeout: float = 0.0
    """Seconds after which a call that still waits is turned away; 0 for as long as its deadline allows."""
    priority: int = 0
    """Of calls that name none: of those who wait, the greatest go first."""
    adaptive: bool = False
    """Whether the concurrency follows the latency that is measured."""
    adaptive_min: int = 1
    """It never becomes less than this."""
    adaptive_max: int = 200
    """It never becomes more than this."""

    @property
    def is_off(self) -> bool:
        """Whether it limits nothing."""
        return not (
            self.concurrency
            or self.principal_concurrency
            or self.rate
            or self.principal_rate
            or self.adaptive
        )


class LimitStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How one limiter is doing at one moment."""

    running: int
    waiting: int
    concurrency: int | None
    """Calls that may run now; None for any number."""
    rejected: int
    """Calls turned away so far."""
