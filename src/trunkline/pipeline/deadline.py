"""Deadline: ends a call when its total time or its longest silence has passed. One timer per call."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import ClassVar, Literal

import msgspec

from trunkline.core.call import Call
from trunkline.core.reply import Reply
from trunkline.errors import DeadlineExceededError
from trunkline.pipeline.service import Service


class Deadline(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of the layer; the moments travel in each call."""

    name: ClassVar[str] = "deadline"

    may_end: Callable[[Call], bool] | None = None
    """Whether a call that has had its time is ended; asked then. None for always."""

    def wrap(self, inner: Service) -> Service:
        """Cancel `inner` when the call's time is over and say what is known of its delivery."""

        may_end = self.may_end

        async def deadline(call: Call) -> Reply:
            alarm = _Alarm(call, may_end)
            try:
                return await inner(call)
            except asyncio.CancelledError:
                if alarm.caused_cancellation():
                    raise alarm.error() from None
                raise
            finally:
                alarm.stop()

        return deadline


class _Alarm:
    """The timer of one call; re-armed, not replaced, when the call has shown a sign of life."""

    __slots__ = ("_call", "_cancelling", "_handle", "_loop", "_may_end", "_reason", "_task")

    def __init__(self, call: Call, may_end: Callable[[Call], bool] | None) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a service always runs in a task
        self._loop = task.get_loop()
        self._task = task
        self._call = call
        self._may_end = may_end
        self._cancelling = task.cancelling()
        self._reason: Literal["total", "idle"] | None = None
        self._handle = self._loop.call_at(self._due(), self._ring)

    def stop(self) -> None:
        """End the timer; a cancellation it caused that nobody met is taken back."""
        self._handle.cancel()
        if self._reason is not None:
            self._task.uncancel()
            self._reason = None

    def caused_cancellation(self) -> bool:
        """Whether the cancellation now met is this alarm's and not also the caller's."""
        return self._reason is not None and self._task.cancelling() - 1 <= self._cancelling

    def error(self) -> DeadlineExceededError:
        """Give the error that tells what was waited for and what is known of the delivery."""
        call, flight = self._call, self._call.flight
        sent = flight.known in ("unknown", "answered")
        if self._reason == "total":
            message = f"no answer within {round(call.deadline - flight.started, 2):g} s ({flight.phase})"
        else:
            message = f"no sign of life for {call.idle:g} s ({flight.phase})"
        return DeadlineExceededError(
            message,
            code="deadline_exceeded" if self._reason == "total" else "idle_exceeded",
            delivery="unknown" if sent else "never_sent",
            retryable=not sent,
            hint=_advise(call, sent=sent),
        )

    def _due(self) -> float:
        call, flight = self._call, self._call.flight
        asked = flight.shared or flight
        alive = self._loop.time() if asked.connecting or asked.answering else asked.activity
        if alive < flight.activity:
            alive = flight.activity
        # In this order: a deadline that is no number would put all timers of the loop out of order.
        return min(alive + call.idle, call.deadline)

    def _ring(self) -> None:
        due, now = self._due(), self._loop.time()
        # Timers may ring early by the resolution of the clock.
        if due > now + 0.001:
            self._handle = self._loop.call_at(due, self._ring)
            return
        if self._may_end is not None and not self._may_end(self._call):
            return
        self._reason = "total" if self._call.deadline <= now + 0.001 else "idle"
        self._call.flight.expired = self._reason
        self._call.flight.cancel_reason = "the call's time is over"
        self._task.cancel()


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
