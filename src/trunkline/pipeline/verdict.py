"""Whether a call that failed may be sent again: one table, nothing else decides it. Pure.

A side effect is never repeated behind the caller's back. What is known of the delivery decides first,
then what is known of the call: whether it only reads, may be repeated, or must happen once. Names are no
evidence, and hints that contradict each other count for nothing.

Source: specification 2026-07-28, server/tools, "Tool Annotations" (untrusted unless the server is), and
RFC 9110, section 9.2.2, on which requests may be repeated.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Literal

from trunkline.errors import (
    CallError,
    OutcomeUnknownError,
    ProtocolError,
    RejectedError,
    UnavailableError,
)

Safety = Literal["read", "repeatable", "once"]
"""`read`: the method or the tool changes nothing. `repeatable`: a second time changes nothing more.
`once`: neither is known."""

Verdict = Literal["again", "elsewhere", "once_more", "never"]
"""`again`: as often as attempts allow. `once_more`: one retry. `elsewhere`: at another endpoint only, since
we ourselves have turned it away from this one. `never`: the caller decides."""

READS = frozenset(
    (
        *("tools/list", "resources/list", "resources/templates/list", "prompts/list"),
        *("resources/read", "prompts/get", "completion/complete", "server/discover", "ping"),
        *("tasks/get", "tasks/list"),
    )
)
"""Methods that only read, whatever the server says."""


def safety_of(
    method: str,
    annotations: Mapping[str, Any],
    *,
    trusted: bool,
    read_only: bool = False,
    idempotent: bool = False,
) -> Safety:
    """Say what is known of repeating a call.

    Args:
        annotations: of the tool, as its server gives them.
        trusted: whether they may be believed; hints that contradict each other never are.
        read_only, idempotent: what the user's policy says of the tool, whatever its server says.
    """
    if method in READS:
        return "read"
    if method != "tools/call":
        return "once"
    if read_only:
        return "read"
    claims = _claims(annotations) if trusted else None
    if claims == "read":
        return "read"
    return "repeatable" if idempotent or claims == "repeatable" else "once"


def may_repeat(error: CallError, safety: Safety, codes: Collection[str] = ()) -> Verdict:
    """Decide whether a failed attempt may be followed by another.

    Args:
        codes: further error codes that are worth it, where repeating is safe.
    """
    safe = safety != "once"
    if error.code in codes:
        return "again" if safe or error.delivery in ("never_sent", "refused") else "never"
    match error.delivery:
        case "never_sent":
            if isinstance(error, RejectedError):
                return "elsewhere"
            return "again" if isinstance(error, UnavailableError) and error.retryable else "never"
        case "refused":
            if isinstance(error, UnavailableError | RejectedError) and error.retryable:
                return "again" if safe else "once_more"
            return "never"
        case "unknown":
            return _of_unknown(error) if safe else "never"
        case _:
            return "never"


def is_throttled(error: CallError) -> bool:
    """Whether the server says that it is asked too much."""
    return error.retry_after is not None or error.status in (429, 503)


def _of_unknown(error: CallError) -> Verdict:
    # A bare HTTP 429 says no more of what was executed than a bare 503.
    if isinstance(error, OutcomeUnknownError | RejectedError):
        return "again"
    # What breaks the protocol once may be an accident; the same again is how the server is.
    return "once_more" if isinstance(error, ProtocolError) else "never"


def _claims(annotations: Mapping[str, Any]) -> Safety:
    reads = annotations.get("readOnlyHint") is True
    if reads and annotations.get("destructiveHint") is True:
        return "once"
    if reads:
        return "read"
    return "repeatable" if annotations.get("idempotentHint") is True else "once"
