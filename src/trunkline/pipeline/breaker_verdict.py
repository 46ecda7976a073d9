"""What the end of a call tells a breaker: pure. A tool's own `isError` is an answer, and so a success.

An error that speaks of the server as a whole counts against the server, one that speaks of this tool against
the tool: one bad tool must not cost its neighbors.
"""

from __future__ import annotations

from typing import Literal

from trunkline.errors import (
    CallError,
    DeadlineExceededError,
    OutcomeUnknownError,
    ProtocolError,
    RejectedError,
    ServerError,
    UnavailableError,
)

Scope = Literal["server", "tool"]
Expiry = Literal["total", "idle"]

DEADLINE_CODES = {"total": "deadline_exceeded", "idle": "idle_exceeded"}
_GATEWAY = (502, 503, 504)
_OURS = ("closed", "lease_lost")
_INTERNAL = (-32603, -32000)
"""JSON-RPC codes of a server that broke while it worked on a call; the others are answers to bad requests."""


def fails(error: BaseException, scope: Scope, codes: tuple[str, ...], *, sent: bool) -> bool | None:
    """Say whether a call that ended so has failed; None where that tells nothing of the server or tool.

    Args:
        codes: of the errors that count; without any, those that speak of the server, or of the tool.
        sent: whether it was given to the server at all: what waited for us tells nothing.
    """
    if not isinstance(error, CallError):
        return None
    if codes:
        counts = error.code in codes
    else:
        counts = _is_of_server(error) if scope == "server" else _is_of_tool(error, sent=sent)
    if counts:
        return True
    return False if error.delivery in ("answered", "refused") else None


def expired(reason: Expiry, scope: Scope, codes: tuple[str, ...], *, sent: bool) -> bool | None:
    """Say the same of a call that was ended by its deadline."""
    if not sent:
        return None
    counts = DEADLINE_CODES[reason] in codes if codes else scope == "tool"
    return True if counts else None


def _is_of_server(error: CallError) -> bool:
    if isinstance(error, UnavailableError):
        return error.code not in _OURS
    if isinstance(error, OutcomeUnknownError):
        return error.status in _GATEWAY
    return isinstance(error, RejectedError) and error.delivery != "never_sent"


def _is_of_tool(error: CallError, *, sent: bool) -> bool:
    if isinstance(error, ServerError):
        return error.rpc_code in _INTERNAL
    if isinstance(error, OutcomeUnknownError):
        return error.status not in _GATEWAY
    return isinstance(error, ProtocolError | DeadlineExceededError) and sent
