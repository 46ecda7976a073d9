"""What one server tells of its own accord, turned into events: log messages, and updates of resources."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any, get_args

import msgspec

from trunkline.core.call import Log, LogLevel
from trunkline.core.events import EventSink, LogMessage
from trunkline.protocol.lists import CHANGES
from trunkline.protocol.subscriptions import MESSAGE, UPDATED
from trunkline.telemetry.escape import escape_text

logger = logging.getLogger("trunkline.server")

LEVELS: tuple[LogLevel, ...] = get_args(LogLevel)
_PYTHON_LEVELS: dict[str, int] = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "notice": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
_LARGEST = 16 * 1024
"""Bytes of JSON of one log message's data that are kept; a server decides how long its texts are."""
_LONGEST_URI = 8 * 1024
"""Characters of a URI beyond which its update is not kept, but counts as missed: many of them may wait."""
_SHOWN = 2_000
"""Characters of a log message that are shown on a line."""
_SECOND = 1.0


class Notices:
    """The notifications of one server, over all its connections.

    Args:
        clean: removes secrets and everything that could act or hide from a text.
        most: notifications of one second that are acted on; list changes and updates are not counted, as
            of those a thousand say no more than one.
    """

    def __init__(
        self, server: str, events: EventSink, *, clean: Callable[[str], str] = escape_text, most: int = 1_000
    ) -> None:
        self.dropped = 0
        """Notifications over the limit of a second, or of a URI's length, which were not acted on."""
        self.log_level: LogLevel | None = None
        """The mildest log messages the application wants, or None where it has not said."""
        self.on_update: Callable[[str], None] = lambda _: None
        """Called with the URI of each resource that was updated."""
        self.on_miss: Callable[[], None] = lambda: None
        """Called when notifications may have been missed."""
        self._server = server
        self._events = events
        self._clean = clean
        self._most = most
        self._loop = asyncio.get_running_loop()
        self._second = self._loop.time()
        self._count = 0

    def take(self, method: str, params: object) -> bool:
        """Act on a notification; False when it is one too many, and nobody is to act on it."""
        if method in CHANGES:
            return True
        members = params if isinstance(params, dict) else {}
        if method == UPDATED:
            return self._update(members.get("uri"))
        if not self._admit():
            return False
        if method == MESSAGE:
            self._tell(members)
        return True

    def miss(self) -> None:
        """Notifications may have been lost."""
        self.on_miss()

    def _update(self, uri: object) -> bool:
        if not isinstance(uri, str):
            return True
        if len(uri) > _LONGEST_URI:
            self.dropped += 1
            self.on_miss()
            return False
        self.on_update(uri)
        return True

    def _admit(self) -> bool:
        now = self._loop.time()
        if now - self._second >= _SECOND:
            self._second, self._count = now, 0
        self._count += 1
        if self._count <= self._most:
            return True
        self.dropped += 1
        if self._count == self._most + 1:
            line = f"{self._server}: more than {self._most:,} notifications in a second; the rest is dropped"
            logger.warning("%s", escape_text(line), extra={"server": self._server})
        return False

    def _tell(self, params: dict[str, Any]) -> None:
        wanted = self.log_level
        try:
            log = msgspec.convert(params, Log)
        except msgspec.ValidationError:
            return
        if wanted is not None and LEVELS.index(log.level) < LEVELS.index(wanted):
            return
        # What nobody asked for is nothing that an application's log should show as its own trouble.
        level = logging.DEBUG if wanted is None else _PYTHON_LEVELS.get(log.level, logging.CRITICAL)
        if not self._events.watched and not logger.isEnabledFor(level):
            return
        data, text = self._render(log.data)
        name = None if log.logger is None else log.logger[:_SHOWN]
        self._events.put(LogMessage(server=self._server, level=log.level, logger=name, data=data, text=text))
        line = f"{self._server}: {'' if name is None else name + ': '}{text}"
        logger.log(level, "%s", escape_text(line), extra={"server": self._server})

    def _render(self, data: Any) -> tuple[Any, str]:
        """Give data that is not too large, and its text."""
        encoded = msgspec.json.encode(data)
        text = data if isinstance(data, str) else encoded[:_LARGEST].decode("utf-8", "ignore")
        if len(encoded) > _LARGEST:
            data = encoded[:_LARGEST].decode("utf-8", "ignore") + "…"
        shown = self._clean(text[: 2 * _SHOWN])
        return data, shown if len(shown) <= _SHOWN else shown[:_SHOWN] + "…"
