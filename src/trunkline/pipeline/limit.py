"""Limit: has calls of a server, or of a tool, wait for their turn, and turns away who would wait in vain."""

from __future__ import annotations

import asyncio
from typing import ClassVar

import msgspec

from trunkline.core.call import Call
from trunkline.core.limit import LimitSettings, LimitStatus
from trunkline.core.reply import Reply
from trunkline.errors import CallError, OutcomeUnknownError, RejectedError, UnavailableError
from trunkline.pipeline.limit_refusal import Whose
from trunkline.pipeline.limit_state import Entry, LimitState
from trunkline.pipeline.service import Service


class Limiter:
    """The line of one server, or of one tool; shared by every stack that leads there."""

    def __init__(self, settings: LimitSettings, whose: Whose = "server") -> None:
        self._state = LimitState(settings, whose)
        self._timer: asyncio.TimerHandle | None = None

    def __repr__(self) -> str:
        return f"Limiter({self._state.settings!r})"

    @property
    def settings(self) -> LimitSettings:
        """What it goes by."""
        return self._state.settings

    async def enter(self, call: Call, priority: int = 0) -> Entry:
        """Wait for the call's turn; `leave` ends it.

        Raises:
            RejectedError: with the code `rate_limited`, `queue_full` or `queue_timeout`.
        """
        now = _now()
        entry, *victims = self._state.arrive(now, call.principal.name, priority, call.deadline - now)
        for victim in victims:
            self._settle(victim)
        if entry.refusal is not None:
            raise entry.refusal
        if not entry.running:
            await self._wait(entry, call)
        return entry

    def leave(self, entry: Entry, error: BaseException | None, call: Call, waited: float) -> None:
        """A call has ended."""
        overloaded = error is not None and (call.flight.expired is not None or _is_overload(error))
        answered = error is None or (isinstance(error, CallError) and error.delivery == "answered")
        self._state.leave(_now(), entry, answered=answered, overloaded=overloaded, waited=waited)
        self._serve()

    @property
    def busy(self) -> bool:
        """Whether any call runs or waits."""
        status = self._state.status()
        return status.running > 0 or status.waiting > 0

    def adjust(self, settings: LimitSettings) -> None:
        """Go by other settings from now on; who runs or waits stays."""
        self._state.adjust(settings)
        self._serve()

    def status(self) -> LimitStatus:
        """Say how it is doing."""
        return self._state.status()

    async def _wait(self, entry: Entry, call: Call) -> None:
        flight, state, loop = call.flight, self._state, asyncio.get_running_loop()
        entry.waiter = waiter = loop.create_future()
        flight.phase = state.phase()
        flight.connecting = True
        bound = state.settings.queue_timeout
        alarm = loop.call_later(bound, self._give_up, entry) if bound else None
        self._plan()
        try:
            await waiter
        except BaseException:
            if entry.running:
                # Cancelled in the very moment its turn had come.
                self._return(entry)
            else:
                state.give_up(loop.time(), entry, timed_out=False)
                self._plan()
            raise
        finally:
            if alarm is not None:
                alarm.cancel()
            flight.connecting = False
            flight.activity = now = loop.time()
            flight.queued += now - entry.since

    def _return(self, entry: Entry) -> None:
        self._state.leave(_now(), entry, answered=False, overloaded=False, waited=0.0)
        self._serve()

    def _give_up(self, entry: Entry) -> None:
        if not entry.running:
            self._state.give_up(_now(), entry, timed_out=True)
            self._settle(entry)
            self._plan()

    def _serve(self) -> None:
        for entry in self._state.serve(_now()):
            self._settle(entry)
        self._plan()

    def _plan(self) -> None:
        """Come back when the rate lets the next one through."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if (due := self._state.due(_now())) is not None:
            self._timer = asyncio.get_running_loop().call_at(due, self._serve)

    @staticmethod
    def _settle(entry: Entry) -> None:
        waiter = entry.waiter
        if not isinstance(waiter, asyncio.Future) or waiter.done():
            return
        if entry.refusal is not None:
            waiter.set_exception(entry.refusal)
        else:
            waiter.set_result(None)


class Limit(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of the layer."""

    name: ClassVar[str] = "limit"

    limiters: tuple[Limiter, ...]
    """Those that a call passes, one after the other: the tool's, then its server's."""
    priority: int = 0
    """Of calls that name none."""

    def wrap(self, inner: Service) -> Service:
        """Call `inner` when the call's turn has come."""
        limiters = self.limiters

        async def limit(call: Call) -> Reply:
            if call.one_way or call.method.startswith("tasks/"):
                # About a call that was let through already, so it may not wait for others.
                return await inner(call)
            flight = call.flight
            priority = self.priority if call.priority is None else call.priority
            if not isinstance(priority, int):
                # In the line it would be compared with those of others, and cost them their calls.
                raise TypeError(f"the priority of a call is a whole number, not {priority!r}")
            entered: list[tuple[Limiter, Entry, float]] = []
            end: BaseException | None = None
            try:
                for limiter in limiters:
                    entry = await limiter.enter(call, priority)
                    entered.append((limiter, entry, flight.waited))
                return await inner(call)
            except BaseException as error:  # boundary: what was taken is given back, whatever ended the call
                end = error
                raise
            finally:
                for limiter, entry, waited in reversed(entered):
                    limiter.leave(entry, end, call, flight.waited - waited)

        return limit


def _is_overload(error: BaseException) -> bool:
    """Whether a call failed as calls do that an overloaded server cannot serve."""
    if isinstance(error, RejectedError):
        return error.delivery != "never_sent"
    return isinstance(error, UnavailableError | OutcomeUnknownError) and error.status in (502, 503, 504)


def _now() -> float:
    return asyncio.get_running_loop().time()
