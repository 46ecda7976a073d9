"""Fallback: what is given in place of an answer that cannot be had; the reply says that it is degraded.

It stands outside of retry, so it is asked when nothing else helps, and never after a call whose outcome is
not known, unless that call may be repeated or this is asked for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar

import msgspec
from msgspec.structs import replace

from trunkline.core.call import Call
from trunkline.core.events import NOBODY, Degraded, EventSink
from trunkline.core.fallback import Alternative, Constant, FunctionCall, OtherTool
from trunkline.core.reply import Reply
from trunkline.errors import (
    AmbiguousNameError,
    AuthorizationRequiredError,
    CallError,
    DeniedError,
    InvalidArgumentsError,
    NotFoundError,
    ServerError,
)
from trunkline.pipeline.deadline import Deadline
from trunkline.pipeline.service import Layer, Service
from trunkline.telemetry.escape import escape_text

Ask = Callable[[OtherTool, Call], Awaitable[Reply]]
"""Makes a call of another tool in place of one that failed, through the whole stack."""

_INVALID_PARAMS = -32602
_SHARE = 0.75
"""Part of its time that a call has before the alternatives get theirs."""


class Fallback(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of the layer."""

    name: ClassVar[str] = "fallback"

    alternatives: tuple[Alternative, ...] = ()
    """Tried in this order, until one of them answers."""
    on: frozenset[str] = frozenset()
    """What they are for beside failures of servers and links; each is a `Cause`."""
    ask: Ask
    is_repeatable: Callable[[Call], bool] = lambda _: False
    """Whether a call can be made twice without harm."""
    events: EventSink = NOBODY
    check: Layer | None = None
    """Checks the arguments of calls of tools that were not listed when they were made."""

    def wrap(self, inner: Service) -> Service:
        """Call `inner` once; then the alternatives, each once, until one answers."""
        checked = inner if self.check is None else self.check.wrap(inner)

        def own(call: Call) -> Awaitable[Reply]:
            return (checked if call.flight.unchecked else inner)(call)

        bounded = Deadline(may_end=self._may_end).wrap(own)

        async def fallback(call: Call) -> Reply:
            alternatives = self.alternatives if call.fallback is None else call.fallback
            if call.substitute or not alternatives:
                return await own(call)
            on = self.on | call.fallback_on
            try:
                reply = await bounded(_hasten(call))
            except CallError as error:
                if not may_replace(error, on, repeatable=self.is_repeatable(call)):
                    raise
                if (found := await self._try(alternatives, call, error)) is None:
                    raise
                return found
            if not (reply.is_error and "tool_error" in on):
                return reply
            return await self._try(alternatives, call, None) or reply

        return fallback

    def _may_end(self, call: Call) -> bool:
        """Whether nothing is lost when it is given up before its own time is over."""
        if call.flight.known == "never_sent" or self.is_repeatable(call):
            return True
        return "outcome_unknown" in self.on | call.fallback_on

    async def _try(
        self, alternatives: tuple[Alternative, ...], call: Call, error: CallError | None
    ) -> Reply | None:
        reason, flight = describe(call, error), call.flight
        # Whoever is asked instead has a deadline of silence of its own.
        flight.connecting = True
        try:
            for one in alternatives:
                flight.phase = f"{reason}; asking {name_of(one)} instead"
                try:
                    reply = await self._give(one, call, error)
                except CallError:
                    # What was asked for first is what the caller is told of.
                    continue
                if not (reply.is_error and isinstance(one, OtherTool)):
                    return self._degrade(reply, call, error, reason, name_of(one))
        finally:
            flight.connecting = False
        return None

    async def _give(self, one: Alternative, call: Call, error: CallError | None) -> Reply:
        match one:
            case OtherTool():
                return await self.ask(one, call)
            case Constant():
                return make_reply(one.value, call)
            case FunctionCall():
                given = one.function(call, error)
                return make_reply(await given if isinstance(given, Awaitable) else given, call)

    def _degrade(self, reply: Reply, call: Call, error: CallError | None, reason: str, by: str) -> Reply:
        code = "tool_error" if error is None else error.code
        if self.events.watched:
            event = Degraded(
                server=call.server, call_id=call.id, tool=call.public_name, code=code, reason=reason, by=by
            )
            self.events.put(event)
        return replace(reply, degraded=True, reason=f"{reason}; answered by {by}")


async def ask_nothing(one: OtherTool, call: Call) -> Reply:
    """Say that no other tool can be asked.

    Raises:
        NotFoundError: always.
    """
    raise NotFoundError(f"there is no way to {one.name}", server=call.server)


def may_replace(error: CallError, on: frozenset[str], *, repeatable: bool) -> bool:
    """Decide whether alternatives are tried after this error. Pure.

    A caller's mistake, a refusal and a missing name are not mended by asking elsewhere, and would be hidden.
    """
    match error:
        case AmbiguousNameError() | NotFoundError():
            return False
        case InvalidArgumentsError():
            return "invalid_arguments" in on
        case ServerError(rpc_code=code) if code == _INVALID_PARAMS:
            return "invalid_arguments" in on
        case DeniedError() | AuthorizationRequiredError():
            return "denied" in on
    return error.delivery != "unknown" or repeatable or "outcome_unknown" in on


def describe(call: Call, error: CallError | None) -> str:
    """Say why there is no answer, without words of the server."""
    name = escape_text(call.public_name)
    return f"{name} reported a failure" if error is None else f"{name} failed ({error.code})"


def name_of(one: Alternative) -> str:
    """Give what an alternative is called."""
    match one:
        case OtherTool():
            return escape_text(one.name)
        case Constant():
            return "a fixed value"
        case FunctionCall():
            return escape_text(getattr(one.function, "__name__", "a function"))


def make_reply(value: Any, call: Call) -> Reply:
    """Make a reply of what an alternative gave; it stands as the called tool's own.

    Raises:
        TypeError: it is no JSON value.
    """
    if isinstance(value, Reply):
        return value
    raw: dict[str, Any]
    if isinstance(value, str):
        raw = {"content": [{"type": "text", "text": value}]}
    else:
        plain = msgspec.to_builtins(value)
        text = msgspec.json.encode(plain).decode()
        raw = {"content": [{"type": "text", "text": text}], "structuredContent": plain}
    return Reply(raw=raw, server="", tool=call.public_name, call_id=call.id)


def _hasten(call: Call) -> Call:
    """Leave a part of the time to the alternatives, of a call that may be given up before its deadline."""
    now = asyncio.get_running_loop().time()
    due = now + _SHARE * max(0.0, call.deadline - now)
    return replace(call, deadline=due, idle=_SHARE * call.idle)
