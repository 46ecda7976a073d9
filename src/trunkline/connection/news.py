"""Notifications on their way to the application: in order, one at a time, the oldest of too many dropped."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Mapping
from typing import Any

from trunkline.connection.workers import Workers
from trunkline.core.handlers import TakeNotification
from trunkline.telemetry.escape import escape_text

logger = logging.getLogger("trunkline.connection")

_MOST_WAITING = 1024


class News:
    """Hands over what one server says. A task runs while something waits; its owner ends it.

    Args:
        takers: the application's functions, by method.
    """

    def __init__(self, server: str, takers: Mapping[str, TakeNotification]) -> None:
        self._server = server
        self._takers = takers
        self._waiting: deque[tuple[TakeNotification, Mapping[str, Any]]] = deque()
        self._workers = Workers(1)
        self._task: asyncio.Task[None] | None = None
        self.dropped = 0
        """How many made place for newer ones."""

    def put(self, method: str, params: Mapping[str, Any]) -> None:
        """Hand over a notification, if the application takes this one."""
        if (taker := self._takers.get(method)) is None:
            return
        if len(self._waiting) >= _MOST_WAITING:
            self._waiting.popleft()
            self.dropped += 1
        self._waiting.append((taker, params))
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._run())

    def tasks(self) -> set[asyncio.Task[None]]:
        """Give what runs, to be ended."""
        return set() if self._task is None else {self._task}

    async def _run(self) -> None:
        while self._waiting:
            taker, params = self._waiting.popleft()
            try:
                await self._workers.run(taker, self._server, params)
            except Exception:  # boundary: the application's handler must not end the connection it listens to
                logger.exception(
                    "a notification handler failed for %s",
                    escape_text(self._server),
                    extra={"server": self._server},
                )
