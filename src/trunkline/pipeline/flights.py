"""Requests that several identical calls share: one goes out, and each caller waits for it on its own.

A caller that leaves, for whatever reason, takes nothing from the others; the last one that leaves ends the
request. Each request is a task of the owner, never of a caller.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable, Coroutine, Hashable, Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from trunkline.core.call import Call, Flight, Log, Progress
from trunkline.core.reply import Reply
from trunkline.core.timing import take_over, waits_of
from trunkline.errors import CallError, OutcomeUnknownError, UnavailableError
from trunkline.pipeline.service import Service

Spawn = Callable[[Coroutine[Any, Any, None], str], "asyncio.Task[None]"]
"""Runs a coroutine in a task of its owner, under a name; raises UnavailableError when that has ended."""

_OF_THE_TASK = (asyncio.CancelledError, KeyboardInterrupt, SystemExit)
"""What is not for those who wait, but for whoever runs the task."""
_FAREWELL = 1.0
"""Seconds that the last caller waits for a request to be taken back."""
_FACTS = (
    *("attempts", "delivery", "doubtful", "phase", "plain"),
    *("replica", "request_id", "stderr", "task", "tried"),
)
"""What a caller's flight takes over from the one it shared, beside where its time went."""


class Flights:
    """The requests under way, by what makes calls identical.

    Args:
        spawn: runs the tasks.
    """

    def __init__(self, spawn: Spawn) -> None:
        self._spawn = spawn
        self._open: dict[Hashable, _Shared] = {}
        self.joined = 0
        """How many calls were answered by the request of another one."""

    def __len__(self) -> int:
        return len(self._open)

    def __contains__(self, key: Hashable) -> bool:
        return key in self._open

    async def share(self, key: Hashable, call: Call, run: Service) -> Reply:
        """Give the answer of the request that is under way under this key, or of a new one.

        Args:
            run: makes the request, if there is none; is given the call with a flight of its own.

        Raises:
            Exception: whatever `run` raised; each caller gets an error of its own.
        """
        shared = self._open.get(key)
        if shared is None:
            shared = _Shared(self, key, call, run)
            seat = shared.take(call)
            self._begin(shared)
        else:
            self.joined += 1
            seat = shared.take(call)
        try:
            return await seat.outcome
        finally:
            if shared.leave(seat):
                await shared.give_up(call.flight)

    def start(self, key: Hashable, call: Call, run: Service) -> bool:
        """Make a request that nobody waits for yet; what it raises is lost.

        False when one is under way, or the owner of requests has ended.
        """
        if key in self._open:
            return False
        try:
            self._begin(_Shared(self, key, call, run, alone=True))
        except UnavailableError:
            return False
        return True

    def part(self, concerned: Callable[[Any], bool]) -> int:
        """Let no later call share the requests whose keys are meant; those who wait still get an answer."""
        keys = [key for key in self._open if concerned(key)]
        for key in keys:
            del self._open[key]
        return len(keys)

    def close(self, shared: _Shared) -> None:
        """A request has ended, or nobody waits for it."""
        if self._open.get(shared.key) is shared:
            del self._open[shared.key]

    def _begin(self, shared: _Shared) -> None:
        self._open[shared.key] = shared
        running = shared.carry()
        try:
            shared.task = self._spawn(running, f"shared {shared.call.id}")
        except BaseException:
            running.close()
            self.close(shared)
            raise


class _Seat:
    """One caller's place."""

    __slots__ = ("before", "call", "outcome")

    def __init__(self, call: Call, before: Sequence[float]) -> None:
        self.call = call
        self.before = before
        """What the request had waited when it joined."""
        self.outcome: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()


class _Shared:
    """One request and those who wait for it."""

    def __init__(
        self, flights: Flights, key: Hashable, call: Call, run: Service, *, alone: bool = False
    ) -> None:
        self.key = key
        self.call = call
        self.task: asyncio.Task[None] | None = None
        self._flights = flights
        self._run = run
        self._alone = alone
        """Whether it goes on though nobody waits."""
        self._abandoned = False
        self._seats: dict[_Seat, None] = {}
        self._flight = self._new_flight(call)

    def take(self, call: Call) -> _Seat:
        """Give a place to one more caller."""
        seat = _Seat(call, waits_of(self._flight, asyncio.get_running_loop().time()))
        self._seats[seat] = None
        call.flight.shared = self._flight
        if call.flight.on_log is not None:
            self._flight.on_log = self._log
        return seat

    def leave(self, seat: _Seat) -> bool:
        """A caller has its answer, or leaves without; whether nobody is left to wait for the request."""
        self._seats.pop(seat, None)
        _tell(self._flight, seat)
        if not seat.outcome.cancel() and not seat.outcome.cancelled():
            seat.outcome.exception()  # seen, even by a caller that was cancelled at the same moment
        return not (self._seats or self._alone or self.task is None or self.task.done())

    async def give_up(self, last: Flight) -> None:
        """Take the request back for the reason the last caller has, and wait a moment until that is done."""
        self._abandoned = True
        self._flights.close(self)
        self._flight.cancel_reason, self._flight.expired = last.cancel_reason, last.expired
        if self.task is not None:
            self.task.cancel()
            await asyncio.wait({self.task}, timeout=_FAREWELL)

    async def carry(self) -> None:
        """Make the request; where the first caller had too little time, again for the next in line."""
        try:
            while True:
                try:
                    reply = await self._run(replace(self.call, flight=self._flight))
                except _OF_THE_TASK:
                    raise
                except BaseException as error:  # boundary: it is for those who wait, not for the owner
                    if not self._inherit(error):
                        self._fail(error)
                        return
                else:
                    self._finish(reply)
                    return
        except BaseException as end:  # boundary: nobody may wait for a request that is no more
            self._lapse(end)
            raise
        finally:
            self._flights.close(self)

    def _finish(self, reply: Reply) -> None:
        self._flights.close(self)
        body: bytes | None = None
        first = True
        for seat in self._seats:
            if seat.outcome.done():
                continue
            own = reply
            if not first:
                # Nobody sees what another caller does to its reply.
                body, raw = _copy(reply, body)
                own = replace(reply, raw=raw)
            first = False
            if own.call_id not in ("", seat.call.id):
                own = replace(own, call_id=seat.call.id)
            seat.outcome.set_result(own)

    def _fail(self, error: BaseException) -> None:
        self._flights.close(self)
        waiting = [seat for seat in self._seats if not seat.outcome.done()]
        # The error itself is for whoever led, of whose call it tells.
        waiting.sort(key=lambda seat: seat.call is not self.call)
        copies = [_copy_error(error) for _ in waiting[1:]]
        for seat, own in zip(waiting, (error, *copies), strict=False):
            seat.outcome.set_exception(own)

    def _lapse(self, end: BaseException) -> None:
        """The task itself ended: its owner closes, or what it ran ceased without a word."""
        if self._abandoned:
            return
        if isinstance(end, asyncio.CancelledError) and not (self.task and self.task.cancelling()):
            for seat in self._seats:
                seat.outcome.cancel()
            return
        self._fail(_ended(self._flight))

    def _inherit(self, error: BaseException) -> bool:
        """Go on for the caller with most time, if the request had less; the others get the error."""
        if not isinstance(error, CallError) or not error.retryable:
            return False
        waiting = [seat for seat in self._seats if not seat.outcome.done()]
        heir = max(waiting, key=lambda seat: seat.call.deadline, default=None)
        if heir is None or heir.call.deadline <= self.call.deadline:
            return False
        for seat in waiting:
            if seat.call.deadline <= self.call.deadline:
                seat.outcome.set_exception(_copy_error(error))
        self.call = heir.call
        self._flight = self._new_flight(heir.call)
        for seat in waiting:
            seat.call.flight.shared, seat.before = self._flight, waits_of(self._flight)
        return True

    def _new_flight(self, call: Call) -> Flight:
        flight = Flight(asyncio.get_running_loop().time(), self._report)
        flight.context, flight.bundle = call.flight.context, call.flight.bundle
        flight.on_log = call.flight.on_log and self._log
        return flight

    def _report(self, progress: Progress) -> None:
        for seat in tuple(self._seats):
            if (tell := seat.call.flight.on_progress) is not None:
                tell(progress)

    def _log(self, log: Log) -> None:
        for seat in tuple(self._seats):
            if (tell := seat.call.flight.on_log) is not None:
                tell(log)


def _tell(shared: Flight, seat: _Seat) -> None:
    """Let a caller's flight say what is known of the request."""
    own = seat.call.flight
    own.shared = None
    for fact in _FACTS:
        setattr(own, fact, getattr(shared, fact))
    own.activity = max(own.activity, shared.activity)
    take_over(own, shared, seat.before, asyncio.get_running_loop().time())


def _copy(reply: Reply, body: bytes | None) -> tuple[bytes | None, Any]:
    """Give the result once more, and its JSON where it has one."""
    try:
        body = body or msgspec.json.encode(reply.raw)
        return body, msgspec.json.decode(body)
    except (msgspec.MsgspecError, TypeError, ValueError, RecursionError):
        return None, copy.deepcopy(reply.raw)


def _copy_error(error: BaseException) -> BaseException:
    """Give an error of its own to each: facts are written into errors, and tracebacks."""
    kind = type(error)
    own = kind.__new__(kind, *error.args)
    own.__dict__.update(error.__dict__)
    own.__cause__, own.__suppress_context__ = error.__cause__, error.__suppress_context__
    return own


def _ended(flight: Flight) -> CallError:
    if flight.known == "never_sent":
        return UnavailableError("the runtime was closed before the call was sent", code="closed")
    return OutcomeUnknownError("the runtime was closed before the answer")
