"""Tells the application's handlers what happens to servers, one event after another."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from typing import Any

from trunkline.connection.workers import BusyError, Workers
from trunkline.core.events import ServerChanged
from trunkline.core.handlers import Handlers
from trunkline.runtime.events import Bus
from trunkline.telemetry.escape import escape_text

logger = logging.getLogger("trunkline.handlers")

_FAREWELL = 2.0
"""Seconds that handlers may take to hear of the end."""
_UP = ("ready", "degraded")
_ILL = ("degraded", "backoff", "failed")


def is_wanted(handlers: Handlers) -> bool:
    """Whether any handler wants to know."""
    return any((handlers.on_connect, handlers.on_disconnect, handlers.on_error))


async def react(bus: Bus, handlers: Handlers) -> None:
    """Call the handlers until the bus is closed.

    They run one at a time and in order. While one runs, 1,024 events wait; then the oldest are dropped. One
    that takes longer than `HandlerLimits.timeout` is not waited for any more; what one raises is logged.
    """
    workers = Workers(handlers.limits.concurrency)
    async for event in bus.watch((ServerChanged,), 1024):
        if not isinstance(event, ServerChanged):
            continue
        for handler in _concerned(handlers, event):
            try:
                async with asyncio.timeout(handlers.limits.timeout):
                    await workers.run(handler, event)
            except BusyError:
                _warn(event, "was not told: too many handlers still run")
            except Exception as error:  # boundary: an application's handler must not end the others
                _warn(event, f"failed: {type(error).__name__}: {error}", error)


async def end_reacting(task: asyncio.Task[None] | None) -> None:
    """Let the handlers hear of the end, for a moment; the bus is closed by now."""
    if task is None:
        return
    try:
        await asyncio.wait({task}, timeout=_FAREWELL)
    finally:
        task.cancel()


def _concerned(handlers: Handlers, event: ServerChanged) -> Iterator[Callable[[ServerChanged], Any]]:
    if event.state == "ready" and event.before == "connecting" and handlers.on_connect is not None:
        yield handlers.on_connect
    if event.before in _UP and event.state not in _UP and handlers.on_disconnect is not None:
        yield handlers.on_disconnect
    if event.state in _ILL and handlers.on_error is not None:
        yield handlers.on_error


def _warn(event: ServerChanged, what: str, error: Exception | None = None) -> None:
    line = escape_text(f"{event.server}: the handler of {event.before} to {event.state} {what}")
    logger.warning("%s", line, exc_info=error, extra={"server": event.server})
