"""Alarms: end calls that have had their time. One timer of the loop serves all of them.

Hardly a call meets its alarm, so that setting one must cost next to nothing: the timer is set for the moment
at which the first may be due, and looks then. What ends while others run is left where it is, without its
call; with the last one all is gone.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import math
from collections.abc import Callable
from contextvars import Context
from typing import Any, Literal

import msgspec

from trunkline.core.call import Call

Expiry = Literal["total", "idle"]
MayEnd = Callable[[Call], bool]

_EARLY = 0.001
"""Seconds by which timers may ring early: the resolution of the clock."""
_SPARE = 64
"""Alarms that have ended and may be kept, beside as many as there are others."""


class Alarm(msgspec.Struct, eq=False):
    """The alarm of one call, which runs in the task that set it."""

    call: Call | None
    """None once it has ended."""
    task: asyncio.Task[Any] | None
    cancelling: int
    """How often the task was being cancelled when the call began."""
    may_end: MayEnd | None
    reason: Expiry | None = None
    """Which time is over, when that has ended the call."""

    def cause(self) -> Expiry | None:
        """Give which time is over, if the cancellation now met is this alarm's and not also the caller's."""
        ours = self.task is not None and self.task.cancelling() - 1 <= self.cancelling
        return self.reason if ours else None

    def ring(self, call: Call, now: float) -> None:
        """The call's time is over."""
        if self.task is None or (self.may_end is not None and not self.may_end(call)):
            return
        self.reason = call.flight.expired = "total" if call.deadline <= now + _EARLY else "idle"
        call.flight.cancel_reason = "the call's time is over"
        self.task.cancel()


class Alarms:
    """Those of all calls that a layer has in flight on one loop."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._queue: list[tuple[float, int, Alarm]] = []
        """A heap, by the moment at which each may be due."""
        self._numbers = itertools.count()
        self._most = _SPARE
        self._timer: asyncio.TimerHandle | None = None
        self._set_for = math.inf
        self._running = 0

    def __len__(self) -> int:
        """How many are kept, those of calls that have ended included."""
        return len(self._queue)

    def set(self, call: Call, may_end: MayEnd | None) -> Alarm:
        """Set the alarm of a call that this task is about to make."""
        loop = asyncio.get_running_loop()
        task = asyncio.current_task(loop)
        assert task is not None  # noqa: S101 - a service always runs in a task
        if loop is not self._loop:
            self._begin(loop)
        if len(self._queue) >= self._most:
            self._sweep()
        alarm, due = Alarm(call, task, task.cancelling(), may_end), _due(call, loop)
        self._running += 1
        heapq.heappush(self._queue, (due, next(self._numbers), alarm))
        if due < self._set_for:
            self._arm(loop, due)
        return alarm

    def end(self, alarm: Alarm) -> None:
        """Its call has ended; a cancellation it caused that nobody met is taken back."""
        if alarm.task is None:
            return
        if alarm.reason is not None:
            alarm.task.uncancel()
        # Keep nothing of the call, as the alarm itself may be kept for a while.
        alarm.call = alarm.task = alarm.reason = None
        self._running -= 1
        if not self._running:
            self._rest()

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        """Work on another loop; what was left on the one before has ended with it."""
        for _, _, alarm in self._queue:
            alarm.task = None
        self._loop, self._timer, self._running = loop, None, 0
        self._rest()

    def _rest(self) -> None:
        """Keep nothing while no call is in flight."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._set_for = None, math.inf
        self._queue.clear()

    def _sweep(self) -> None:
        """Forget what has ended, so that each is looked at a few times only however long calls may take."""
        self._queue = [waiting for waiting in self._queue if waiting[2].call is not None]
        heapq.heapify(self._queue)
        self._most = 2 * len(self._queue) + _SPARE

    def _arm(self, loop: asyncio.AbstractEventLoop, due: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._set_for = due
        # In a context of its own: that of whoever calls now may hold much.
        self._timer = loop.call_at(due, self._ring, loop, context=Context())

    def _ring(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer, self._set_for = None, math.inf
        now, queue = loop.time(), self._queue
        while queue and (queue[0][0] <= now + _EARLY or queue[0][2].call is None):
            alarm = heapq.heappop(queue)[2]
            if (call := alarm.call) is None:
                continue
            # A call that has shown a sign of life has more time.
            if (due := _due(call, loop)) > now + _EARLY:
                heapq.heappush(queue, (due, next(self._numbers), alarm))
            else:
                alarm.ring(call, now)
        if queue:
            self._arm(loop, queue[0][0])


def _due(call: Call, loop: asyncio.AbstractEventLoop) -> float:
    flight = call.flight
    asked = flight.shared or flight
    alive = loop.time() if asked.connecting or asked.answering else asked.activity
    if alive < flight.activity:
        alive = flight.activity
    # In this order: a deadline that is no number would put all alarms out of order.
    return min(alive + call.idle, call.deadline)
