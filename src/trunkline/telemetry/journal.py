"""The journal of one runtime: its running calls and the last thousand that ended, in bounded memory.

It never holds arguments or results. An error's message is kept without the call's own arguments.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from trunkline.core.call import Call
from trunkline.core.journal import CallRecord
from trunkline.core.reply import Reply
from trunkline.core.timing import Timing, measure
from trunkline.errors import (
    AuthorizationRequiredError,
    CallError,
    Delivery,
    ProtocolError,
    RejectedError,
    ServerError,
)

MOST_CALLS = 1_000
"""Calls that have ended and are kept; the oldest makes place for a newer one."""
MOST_BYTES = 4 * 1024 * 1024
"""What all of it takes at most: every text is cut, so that this follows from the number of calls."""
_TOLD = ("answered", "refused")
_LONGEST_NAME = 200
_LONGEST_MESSAGE = 400
_READ = 4_000
"""Characters of a message that are read at all."""
_SHORTEST = 4
"""Characters of an argument that is removed from a message; shorter ones would black out ordinary words."""
_MOST_ARGUMENTS = 200

_QUOTING = (ServerError, ProtocolError, RejectedError, AuthorizationRequiredError)
"""Errors whose message is the peer's, which may repeat what it was sent; ours never do."""


class _Ended(msgspec.Struct, gc=False):
    """A call that has ended, as cheap to make as a record can be."""

    call_id: str
    server: str
    tool: str
    method: str
    started: float
    timing: Timing
    attempts: int
    code: str | None
    delivery: Delivery
    message: str | None
    replica: str
    degraded: str
    cached: bool


class Journal:
    """What became of the calls of one runtime.

    Args:
        now: gives the moment, on the clock of the runtime's loop.
        clean: makes a text safe to show and removes the secrets that the runtime knows of.
        most: how many calls that have ended are kept.
    """

    def __init__(self, now: Callable[[], float], clean: Callable[[str], str], most: int = MOST_CALLS) -> None:
        self._now = now
        self._clean = clean
        self._ended: deque[_Ended] = deque(maxlen=most)
        self.running: dict[str, Call] = {}
        """The calls that run, by id; whoever begins one puts it in, which is cheaper than a method."""
        self.total = 0
        """How many calls have ended so far, those that are no longer kept included."""

    def __repr__(self) -> str:
        return f"Journal({len(self.running)} running, {len(self._ended)} of {self.total} ended)"

    def end(self, call: Call, timing: Timing, outcome: Reply | BaseException) -> None:
        """A call leaves the pipeline, however it ended."""
        self.running.pop(call.id, None)
        code: str | None = None
        text: str | None = None
        flight = call.flight
        delivery: Delivery = "answered"
        degraded, cached = "", False
        if isinstance(outcome, Reply):
            degraded, cached = outcome.reason, outcome.cached
            if outcome.raw.get("isError") is True:
                code = "tool_error"
        else:
            code = getattr(outcome, "code", "cancelled")
            delivery = getattr(outcome, "delivery", flight.known)
            text = self._message(call, outcome)
        self.total += 1
        self._ended.append(
            _Ended(
                call.id,
                call.server,
                call.public_name[:_LONGEST_NAME],
                call.method,
                flight.started,
                timing,
                flight.attempts,
                code,
                delivery,
                text,
                flight.replica,
                degraded,
                cached,
            )
        )

    def calls(
        self, *, server: str | None = None, tool: str | None = None, most: int | None = None
    ) -> tuple[CallRecord, ...]:
        """Give the calls that are known, oldest first; those that still run come last.

        Args:
            server: those of this server only.
            tool: those of this public name only.
            most: no more than so many, the newest.
        """
        found = [
            one
            for one in self._all()
            if (server is None or one.server == server) and (tool is None or one.tool == tool)
        ]
        return tuple(found if most is None else found[max(0, len(found) - most) :])

    def find(self, call_id: str) -> CallRecord | None:
        """Give one call by its id, or None when it is not known or not any more."""
        if (call := self.running.get(call_id)) is not None:
            return _record_running(call, self._now())
        ended = next((one for one in reversed(list(self._ended)) if one.call_id == call_id), None)
        return None if ended is None else _record_ended(ended, self._now())

    def _all(self) -> Iterator[CallRecord]:
        now = self._now()
        yield from (_record_ended(ended, now) for ended in list(self._ended))
        yield from (_record_running(call, now) for call in list(self.running.values()))

    def _message(self, call: Call, error: BaseException) -> str | None:
        if not isinstance(error, CallError):
            return None
        text = error.message[:_READ]
        if isinstance(error, _QUOTING):
            said = sorted({*_texts(call.arguments), *_texts(call.params)}, key=len, reverse=True)
            text = re.sub("|".join(map(re.escape, said)), "[argument]", text) if said else text
        return self._clean(text)[:_LONGEST_MESSAGE]


def _texts(value: Any) -> Iterator[str]:
    """Give the texts within a call's arguments that a message might repeat; names of members are none."""
    waiting, room = deque([value]), _MOST_ARGUMENTS
    while waiting and room:
        one = waiting.popleft()
        room -= 1
        if isinstance(one, str):
            if len(one) >= _SHORTEST:
                yield one[:_READ]
        elif isinstance(one, int | float) and not isinstance(one, bool):
            if len(shown := str(one)) >= _SHORTEST:
                yield shown
        elif isinstance(one, dict):
            waiting.extend(one.values())
        elif isinstance(one, list | tuple):
            waiting.extend(one)


def _record_ended(one: _Ended, now: float) -> CallRecord:
    return CallRecord(
        call_id=one.call_id,
        server=one.server,
        tool=one.tool,
        method=one.method,
        age=max(0.0, now - one.started),
        elapsed=one.timing.total,
        code=one.code,
        delivery=one.delivery,
        attempts=one.attempts,
        message=one.message,
        replica=one.replica,
        degraded=one.degraded,
        cached=one.cached,
        hops=one.timing.to_hops(answered=one.delivery in _TOLD),
        timing=one.timing,
    )


def _record_running(call: Call, now: float) -> CallRecord:
    flight = call.flight
    timing = measure(flight, max(0.0, now - flight.started))
    return CallRecord(
        call_id=call.id,
        server=call.server,
        tool=call.public_name[:_LONGEST_NAME],
        method=call.method,
        age=max(0.0, now - flight.started),
        running=True,
        elapsed=timing.total,
        delivery=flight.known,
        attempts=flight.attempts,
        message=flight.phase,
        replica=flight.replica,
        hops=timing.to_hops(answered=False),
        timing=timing,
    )
