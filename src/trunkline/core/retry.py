"""How often, and after which waits, a call that failed is sent again."""

from __future__ import annotations

import msgspec

from trunkline.core.backoff import Backoff


class RetrySettings(msgspec.Struct, frozen=True, kw_only=True):
    """Repeats of calls that may be repeated; which ones may is no setting, see `pipeline/verdict.py`."""

    attempts: int = 3
    """How often a call is tried in all; 1 for no retries."""
    delay: float = 0.1
    """Longest wait before the first retry, in seconds; it doubles with each further one."""
    delay_max: float = 2.0
    """No wait is longer than this, in seconds. The wait is a random part of it."""
    throttled_delay: float = 1.0
    """The same as `delay`, for a server that says it is asked too much and not when to come back."""
    throttled_delay_max: float = 30.0
    """Longest wait for a server that is asked too much, in seconds, whatever its `Retry-After` asks for."""
    codes: tuple[str, ...] = ()
    """Further error codes that are worth a retry, where repeating the call is safe."""
    budget: float = 0.2
    """Retries a server may get as a share of the calls of the last 10 s; together with the next."""
    budget_per_second: float = 10.0
    """Retries a server may get each second besides, however few calls there are."""

    def backoff(self, *, throttled: bool) -> Backoff:
        """Give the waits of one of the two classes."""
        if throttled:
            return Backoff(first=self.throttled_delay, longest=self.throttled_delay_max)
        return Backoff(first=self.delay, longest=self.delay_max)
