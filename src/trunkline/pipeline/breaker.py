"""Breaker: makes no call of a server, or of a tool, whose calls keep failing; one in a while finds out."""

from __future__ import annotations

import asyncio
from typing import ClassVar, Literal

import msgspec

from trunkline.core.breaker import BreakerSettings
from trunkline.core.call import Call
from trunkline.core.reply import Reply
from trunkline.errors import RejectedError
from trunkline.pipeline.breaker_state import REFUSED, BreakerState
from trunkline.pipeline.breaker_verdict import Scope, expired, fails
from trunkline.pipeline.service import Service


class Breaker(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of the layer; what it counts is owned by the runtime, and shared by stacks."""

    name: ClassVar[str] = "breaker"

    server: BreakerState | None = None
    """Of the whole server; None for none."""
    tool: BreakerState | None = None
    """Of this tool; None for none."""

    def wrap(self, inner: Service) -> Service:
        """Refuse a call at once while a breaker is open; else count how `inner` ends."""
        server, tool = self.server or _never(), self.tool or _never()

        async def breaker(call: Call) -> Reply:
            if call.one_way:
                return await inner(call)
            first, second = server.ticket, tool.ticket
            if not first or not second:
                first, second = _enter(server, tool, _now())
            before = call.flight.attempts
            try:
                reply = await inner(call)
            except BaseException as error:  # boundary: a breaker counts every end, and raises it again
                sent, now = call.flight.attempts > before, _now()
                _leave(server, first, "server", error, call, now, sent=sent)
                _leave(tool, second, "tool", error, call, now, sent=sent)
                raise
            now = call.flight.answered or _now()
            if first == server.ticket and now < server.quiet_until:
                server.passed += 1
            else:
                server.succeed(now, first)
            if second == tool.ticket and now < tool.quiet_until:
                tool.passed += 1
            else:
                tool.succeed(now, second)
            return reply

        return breaker


def _never() -> BreakerState:
    """Give a breaker that never opens, and costs nothing."""
    state = BreakerState(BreakerSettings(enabled=False), 0.0)
    state.force("forced_closed", 0.0)
    state.quiet_until = float("inf")
    return state


def _enter(server: BreakerState, tool: BreakerState, now: float) -> tuple[int, int]:
    """Give the tickets of both, or of none.

    Raises:
        RejectedError: one of them is open.
    """
    first = server.admit(now)
    if first == REFUSED:
        raise refusal(server, "server", now)
    second = tool.admit(now)
    if second == REFUSED:
        server.release(first)
        raise refusal(tool, "tool", now)
    return first, second


def refusal(state: BreakerState, what: Literal["server", "tool", "function"], now: float) -> RejectedError:
    """Give the error of a call that an open breaker does not let through."""
    status = state.status(now)
    why = f": {status.reason}" if status.reason else ""
    if status.state == "half_open":
        message, hint = f"the breaker of the {what} is waiting for one call to find out{why}", None
    elif status.state == "forced_open":
        message, hint = (
            f"the breaker of the {what} is held open",
            "Somebody opened it by hand; close it again.",
        )
    else:
        message, hint = f"the breaker of the {what} is open{why}", None
    return RejectedError(
        message,
        code="breaker_open",
        delivery="never_sent",
        retryable=status.state != "forced_open",
        retry_after=status.retry_in,
        hint=hint or "Call again when the time has passed; `trunkline why` tells what failed before.",
    )


def _leave(
    state: BreakerState,
    ticket: int,
    scope: Scope,
    error: BaseException,
    call: Call,
    now: float,
    *,
    sent: bool,
) -> None:
    codes = state.settings.codes
    if isinstance(error, asyncio.CancelledError):
        reason = call.flight.expired
        failed = None if reason is None else expired(reason, scope, codes, sent=sent)
    else:
        failed = fails(error, scope, codes, sent=sent)
    if failed:
        state.fail(now, ticket)
    elif failed is None:
        state.release(ticket)
    else:
        state.succeed(now, ticket)


def _now() -> float:
    return asyncio.get_running_loop().time()
