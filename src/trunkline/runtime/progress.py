"""Hands progress to the application without letting its code harm the call or the connection."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable

from trunkline.core.call import Call, Progress
from trunkline.core.reply import Reply
from trunkline.pipeline.service import Service
from trunkline.telemetry.record import facts_of

logger = logging.getLogger("trunkline.call")

ProgressHandler = Callable[[Progress], Awaitable[None] | None]
_MOST_WAITING = 256
_PATIENCE = 1.0
"""Seconds that an async handler may take to end once it is cancelled."""


async def call_with_progress(service: Service, call: Call, handler: ProgressHandler) -> Reply:
    """Make a call and report its progress; what an async handler still does ends with the call's deadline.

    A handler that fails is logged and the call goes on. One slower than its server misses the oldest
    of more than 256 waiting reports.
    """
    reports = _Reports(handler, facts_of(call))
    call.flight.on_progress = reports.take
    try:
        reply = await service(call)
        await reports.finish(call.deadline)
        return reply
    finally:
        await reports.end()


class _Reports:
    """The progress of one call on its way to the handler; async handlers run in one task, in order."""

    def __init__(self, handler: ProgressHandler, facts: dict[str, str]) -> None:
        self._handler = handler
        self._facts = facts
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[Awaitable[None]] = deque()
        self._task: asyncio.Task[None] | None = None

    def take(self, progress: Progress) -> None:
        """Report once; never raises."""
        try:
            running = self._handler(progress)
        except Exception:  # boundary: the application's handler must not end the connection that calls it
            logger.exception("the progress handler failed", extra=self._facts)
            return
        if running is None:
            return
        if len(self._waiting) >= _MOST_WAITING:
            _drop(self._waiting.popleft())
        self._waiting.append(running)
        if self._task is None or self._task.done():
            self._task = self._loop.create_task(self._run())

    async def finish(self, deadline: float) -> None:
        """Let what was reported be handled, until the deadline at most."""
        if self._task is not None:
            await asyncio.wait({self._task}, timeout=max(0.0, deadline - self._loop.time()))

    async def end(self) -> None:
        """End the task and drop what it did not come to."""
        try:
            if self._task is not None and not self._task.done():
                self._task.cancel()
                await asyncio.wait({self._task}, timeout=_PATIENCE)
        finally:
            while self._waiting:
                _drop(self._waiting.popleft())

    async def _run(self) -> None:
        while self._waiting:
            try:
                await self._waiting.popleft()
            except Exception:  # boundary: as in `take`
                logger.exception("the progress handler failed", extra=self._facts)


def _drop(running: Awaitable[None]) -> None:
    """Close a coroutine that will never be awaited, so that nobody warns of it."""
    close = getattr(running, "close", None)
    if close is not None:
        close()
