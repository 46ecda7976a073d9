"""How long an answer may be given again, and which answers may be kept at all. Pure."""

from __future__ import annotations

from typing import Literal

from trunkline.core.cache_settings import CacheSettings
from trunkline.core.call import Call
from trunkline.core.reply import Reply
from trunkline.errors import (
    DeadlineExceededError,
    OutcomeUnknownError,
    RejectedError,
    UnavailableError,
)

LONGEST_HINT = 86_400.0
"""Longest time a server may ask for, in seconds; a day, as other caches of the protocol allow."""

Verdict = Literal["fresh", "stale", "late", "gone"]
"""`fresh`: give it. `stale`: give it and fetch a new one. `late`: give it if the server is away."""


def lifetime(settings: CacheSettings, ttl_ms: int | None) -> float:
    """Give for how many seconds an answer is fresh.

    Args:
        ttl_ms: what the server allows (specification 2026-07-28, server/utilities/caching).
    """
    if ttl_ms is None or settings.hints == "ignore":
        return settings.ttl
    told = min(ttl_ms / 1000, LONGEST_HINT)
    return told if settings.hints == "follow" else min(settings.ttl, told)


def judge(age: float, fresh_for: float, settings: CacheSettings, max_age: float | None) -> Verdict:
    """Say what an answer of this age is good for.

    Args:
        age: seconds since the server gave it.
        fresh_for: seconds for which it is fresh.
        max_age: oldest age the caller takes, or None.
    """
    if max_age is not None and age > max_age:
        return "gone"
    over = age - fresh_for
    if over < 0:
        return "fresh"
    if over < settings.stale_while_revalidate:
        return "stale"
    return "late" if over < settings.stale_if_error else "gone"


def is_keepable(call: Call, reply: Reply) -> bool:
    """Whether an answer may be given to a later call: whole, no error, and due to what was asked alone.

    Answers of several rounds must not be cached (specification 2026-07-28, "Multi Round-Trip Requests").
    """
    if reply.is_error or reply.task is not None or reply.warnings or reply.degraded:
        return False
    return call.flight.plain and reply.raw.get("resultType", "complete") == "complete"


def is_away(error: BaseException) -> bool:
    """Whether a call failed because its server cannot be had, and not because of what was asked."""
    return isinstance(error, UnavailableError | OutcomeUnknownError | RejectedError | DeadlineExceededError)
