"""Whether the end of a call speaks against the connection it went over. Pure."""

from __future__ import annotations

import asyncio

from trunkline.core.call import Call
from trunkline.errors import (
    LeaseLostError,
    OutcomeUnknownError,
    ProtocolError,
    ServerError,
    UnavailableError,
)

_INTERNAL_ERROR = -32603
_SERVER_FAULT = 500
_CLOCK = 0.001
"""Seconds by which a timer may ring early."""


def speaks_against(error: BaseException, call: Call, now: float, *, spread: bool = True) -> bool:
    """Whether another replica might have done better.

    Args:
        spread: calls may go anywhere; where they stay for what the server keeps for them, an error that it
            answered with is no reason to lose that.

    A refusal that is about the call, as unknown tools and wrong arguments are, is none of the replica's
    doing; neither is a caller who gave up, unless the call's time was over.
    """
    match error:
        case LeaseLostError():
            return False
        case UnavailableError() | OutcomeUnknownError() | ProtocolError():
            return True
        case ServerError():
            return spread and (error.rpc_code == _INTERNAL_ERROR or (error.status or 0) >= _SERVER_FAULT)
        case asyncio.CancelledError():
            return is_overdue(call, now)
        case _:
            return False


def is_overdue(call: Call, now: float) -> bool:
    """Whether a call that was sent has had all its time, or the longest silence it allows."""
    flight = call.flight
    if not flight.sent or flight.answering:
        return False
    return now >= call.deadline - _CLOCK or now - flight.activity >= call.idle - _CLOCK
