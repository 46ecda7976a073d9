"""Calls that run on their own: a handle for each, and the one owner of their tasks."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable, Coroutine, Generator
from typing import Any

from trunkline.core.call import Flight, Progress
from trunkline.core.reply import Reply
from trunkline.errors import CallError, Delivery, OutcomeUnknownError, UnavailableError
from trunkline.runtime.feed import Feed
from trunkline.supervision.fleet import Fleet

_MOST_FAREWELLS = 64


class Handle:
    """One call under way, made by `Trunk.start`; awaiting it gives its Reply.

    Any number of tasks may await it, and ceasing to wait ends nothing: the call goes on until it is
    answered, fails, is cancelled with `cancel`, or the trunk is closed. A handle may be dropped.
    """

    def __init__(self, call_id: str, tool: str, flight: Flight, progress: Feed[Progress]) -> None:
        self.call_id = call_id
        """Identifier of the call, as in its reply, its errors, and logs."""
        self.tool = tool
        """What was called, as the caller wrote it."""
        self.progress = progress
        """The progress of the call, for `async for`; several readers may follow it."""
        self.flight = flight
        flight.on_progress = self.progress.put
        self._outcome: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._task: asyncio.Task[None] | None = None

    @property
    def done(self) -> bool:
        """Whether the call has ended, however it did."""
        return self._outcome.done()

    @property
    def delivery(self) -> Delivery:
        """What is known of the request by now; also after `cancel`."""
        return self.flight.known

    def cancel(self, reason: str = "the caller cancelled the call") -> bool:
        """End the call, at the server too; False when it has ended already.

        The request is taken back if no byte of it has left. Else the server is told, as the era
        demands: legacy servers and stdio get the reason, a modern HTTP server sees its stream close.
        """
        if self._task is None or self.done:
            return False
        self.flight.cancel_reason = reason
        return self._task.cancel(reason)

    def __await__(self) -> Generator[Any, None, Reply]:
        return self.result().__await__()

    async def result(self) -> Reply:
        """Wait for the end of the call and give its reply.

        Raises:
            CallError: the call failed, or the trunk was closed before it ended.
            CancelledError: it was cancelled with `cancel`.
        """
        await asyncio.wait({self._outcome})
        return self._outcome.result()

    def run_in(self, task: asyncio.Task[None]) -> None:
        """Note the task that carries the call."""
        self._task = task

    def finish(self, reply: Reply) -> None:
        """The call was answered."""
        self._outcome.set_result(reply)
        self.progress.end()

    def fail(self, error: BaseException) -> None:
        """The call failed; an error nobody asks for is no error."""
        self._outcome.set_exception(error)
        self._outcome.exception()
        self.progress.end()

    def lapse(self) -> None:
        """The call was cancelled."""
        self._outcome.cancel(self.flight.cancel_reason)
        self.progress.end()


class Handles:
    """Owns the fleet and every call that runs on its own; `run` is the body of the root task."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._group: asyncio.TaskGroup | None = None
        self._stopping = asyncio.Event()
        self._running: dict[asyncio.Task[None], Handle] = {}
        self._owner: asyncio.TaskGroup | None = None
        self._farewells: set[asyncio.Task[None]] = set()
        self._errands: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Run the fleet until `stop`; then end the calls first, so that their servers are told."""
        async with asyncio.TaskGroup() as group:
            self._group = self._owner = group
            fleet = group.create_task(self._fleet.run())
            fleet.add_done_callback(self._end_errands)
            await self._stopping.wait()
            self._group = None
            for task, handle in self._running.items():
                handle.flight.cancel_reason = "the client is closing"
                task.cancel()
            if self._running:
                await asyncio.wait(set(self._running))
            if self._farewells:
                await asyncio.wait(set(self._farewells))
            self._owner = None
            self._fleet.stop()

    def stop(self) -> None:
        """End every call and every server; `run` returns when all have ended."""
        self._stopping.set()

    def start(self, handle: Handle, call: Callable[[], Awaitable[Reply]]) -> None:
        """Carry a call in a task of its own.

        Raises:
            UnavailableError: the trunk is closed.
        """
        if self._group is None:
            raise UnavailableError("the trunk is closed", tool=handle.tool)
        task = self._group.create_task(_carry(handle, call), name=f"call {handle.call_id}")
        handle.run_in(task)
        self._running[task] = handle
        task.add_done_callback(functools.partial(self._settle, handle))

    def spawn(self, errand: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """Run what several callers wait for, or nobody yet; it ends with the servers at the latest.

        Args:
            errand: raises nothing but CancelledError.

        Raises:
            UnavailableError: the trunk is closed.
        """
        if self._group is None:
            raise UnavailableError("the trunk is closed", code="closed")
        task = self._group.create_task(errand, name=name)
        self._errands.add(task)
        task.add_done_callback(self._errands.discard)
        return task

    def see_off(self, farewell: Coroutine[Any, Any, None]) -> None:
        """Run what a server is told when nobody waits any more; too many of these at a time are dropped.

        Args:
            farewell: short, bounded by itself, and raises nothing.
        """
        if self._owner is None or len(self._farewells) >= _MOST_FAREWELLS:
            farewell.close()
            return
        task = self._owner.create_task(farewell, name="farewell")
        self._farewells.add(task)
        task.add_done_callback(self._farewells.discard)

    def _end_errands(self, _: asyncio.Task[None]) -> None:
        for errand in self._errands:
            errand.cancel()

    def _settle(self, handle: Handle, task: asyncio.Task[None]) -> None:
        del self._running[task]
        if handle.done:
            return
        if self._group is None:
            handle.fail(_closed(handle))
        else:
            handle.lapse()


async def finish(task: asyncio.Task[None]) -> None:
    """Wait for a task that is ending; a cancellation of the waiter is raised when it has ended.

    Raises:
        CancelledError: the waiter was cancelled meanwhile.
    """
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as cause:
            cancelled = cause
    if cancelled is not None:
        raise cancelled
    # Whoever cancels every task there is, as `asyncio.run` does at its end, has ended this one too.
    if not task.cancelled():
        task.result()


async def _carry(handle: Handle, call: Callable[[], Awaitable[Reply]]) -> None:
    try:
        handle.finish(await call())
    except Exception as error:  # boundary: what fails a call is for who awaits it, not for the other calls
        handle.fail(error)


def _closed(handle: Handle) -> CallError:
    error: CallError
    if handle.delivery == "never_sent":
        error = UnavailableError("the trunk was closed before the call was sent", tool=handle.tool)
    else:
        error = OutcomeUnknownError(
            "the trunk was closed before the answer",
            tool=handle.tool,
            hint="The tool may have run; check its effect before calling again.",
        )
    error.call_id = handle.call_id
    error.task = handle.flight.task
    return error
