"""Deadline: ends a call when its total time or its longest silence has passed."""

from __future__ import annotations

import asyncio
from typing import ClassVar

import msgspec

from trunkline.core.call import Call
from trunkline.core.reply import Reply
from trunkline.errors import DeadlineExceededError
from trunkline.pipeline.alarms import Alarms, Expiry, MayEnd
from trunkline.pipeline.service import Service


class Deadline(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of the layer; the moments travel in each call."""

    name: ClassVar[str] = "deadline"

    may_end: MayEnd | None = None
    """Whether a call that has had its time is ended; asked then. None for always."""
    alarms: Alarms = msgspec.field(default_factory=Alarms)
    """Those of all services that this layer wraps."""

    def __repr__(self) -> str:
        return f"Deadline(may_end={self.may_end})"

    def wrap(self, inner: Service) -> Service:
        """Cancel `inner` when the call's time is over and say what is known of its delivery."""
        set_alarm, may_end = self.alarms.set, self.may_end

        async def deadline(call: Call) -> Reply:
            alarm = set_alarm(call, may_end)
            try:
                return await inner(call)
            except asyncio.CancelledError:
                if (reason := alarm.cause()) is not None:
                    raise _error(call, reason) from None
                raise
            finally:
                alarm.stop()

        return deadline


def _error(call: Call, reason: Expiry) -> DeadlineExceededError:
    """Give the error that tells what was waited for and what is known of the delivery."""
    flight = call.flight
    sent = flight.known in ("unknown", "answered")
    if reason == "total":
        message = f"no answer within {round(call.deadline - flight.started, 2):g} s ({flight.phase})"
    else:
        message = f"no sign of life for {call.idle:g} s ({flight.phase})"
    return DeadlineExceededError(
        message,
        code="deadline_exceeded" if reason == "total" else "idle_exceeded",
        delivery="unknown" if sent else "never_sent",
        retryable=not sent,
        hint=_advise(call, sent=sent),
    )


def _advise(call: Call, *, sent: bool) -> str:
    if (task := call.flight.task) is not None:
        return (
            "The task may still run, although its server was asked to cancel it; "
            f"`trunkline task get {task}` tells. Allow more time, or detach the call."
        )
    if call.method == "tasks/get":
        return "The task is not touched by this; wait for it again, or allow more time."
    if sent:
        return "The tool may have run; check its effect before calling again, or allow more time."
    return "Nothing was sent; allow more time, or ask `trunkline status` why the server is slow."
