"""Hands progress to the application without letting its code harm the connection it comes from."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from trunkline.core.call import Progress

logger = logging.getLogger("trunkline.call")

ProgressHandler = Callable[[Progress], Awaitable[None] | None]
_MOST_WAITING = 256


def guard(handler: Callable[[Progress], Any]) -> Callable[[Progress], None]:
    """Give a callback that never raises: a failing handler is logged and the call goes on."""

    def report(progress: Progress) -> None:
        try:
            handler(progress)
        except Exception:  # boundary: the application's handler must not end the connection that calls it
            logger.exception("the progress handler failed")

    return report


@asynccontextmanager
async def progress_sink(handler: ProgressHandler) -> AsyncIterator[Callable[[Progress], None]]:
    """Give a callback for the reader; an async handler runs in a task of this scope.

    A handler slower than its server misses the oldest of more than 256 waiting reports.
    """
    if not inspect.iscoroutinefunction(handler):
        yield guard(handler)
        return
    waiting: asyncio.Queue[Progress | None] = asyncio.Queue()

    def put(progress: Progress) -> None:
        if waiting.qsize() >= _MOST_WAITING:
            waiting.get_nowait()
        waiting.put_nowait(progress)

    async def pump() -> None:
        while (progress := await waiting.get()) is not None:
            try:
                await handler(progress)
            except Exception:  # boundary: as in `guard`
                logger.exception("the progress handler failed")

    async with asyncio.TaskGroup() as group:
        task = group.create_task(pump())
        try:
            yield put
        except BaseException:
            task.cancel()
            raise
        waiting.put_nowait(None)
