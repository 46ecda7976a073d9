"""What one server is asked to tell of its own accord, over all its connections: subscriptions and logs."""

from __future__ import annotations

import asyncio
import logging

from trunkline.connection.connection import Connection
from trunkline.connection.notices import Notices
from trunkline.core.call import LogLevel
from trunkline.core.events import EventSink
from trunkline.errors import CallError, DeadlineExceededError, NotFoundError
from trunkline.supervision.listening import Listening
from trunkline.supervision.settings import ServerSettings
from trunkline.supervision.subscribing import Subscribing
from trunkline.supervision.subscriptions import Subscriptions
from trunkline.telemetry.escape import escape_text

logger = logging.getLogger("trunkline.supervision")


class Following:
    """Makes each connection of a server tell what is wanted."""

    def __init__(self, settings: ServerSettings, events: EventSink) -> None:
        self.subscriptions = Subscriptions(settings.name, events)
        self.notices = Notices(
            settings.name, events, clean=settings.clean, most=settings.limits.notifications
        )
        self.notices.on_update = self.subscriptions.update
        self.notices.on_miss = self.subscriptions.miss
        self._settings = settings
        self._dropped_before = 0

    @property
    def watched(self) -> bool:
        """Whether somebody is subscribed, who cannot be told of anything while the server is down."""
        return bool(self.subscriptions)

    def dropped(self, connection: Connection | None) -> int:
        """Say how many notifications were dropped since the application began."""
        return self._dropped_before + self.notices.dropped + dropped_by(connection)

    def attach(self, connection: Connection) -> None:
        """Let the calls of a new connection ask for the log messages that are wanted."""
        connection.log_level = self.notices.log_level

    async def keep(self, connection: Connection) -> None:
        """Ask a ready connection for what is wanted, and follow its changes, until cancelled."""
        try:
            await self._keep(connection)
        except Exception as fault:  # boundary: a fault here must not end the connection, nor pass unseen
            line = escape_text(f"{self._settings.name}: an internal error: {type(fault).__name__}")
            logger.error("%s", line, exc_info=fault, extra={"server": self._settings.name})
        finally:
            self._dropped_before += dropped_by(connection)
            self.subscriptions.lapse()

    async def set_log_level(self, level: LogLevel, connection: Connection | None) -> None:
        """Ask for log messages of this level and above, now and on every later connection.

        Raises:
            CallError: the server has no log messages, or does not take the level.
        """
        self.notices.log_level = level
        if connection is None:
            return
        if connection.agreed.capabilities and "logging" not in connection.agreed.capabilities:
            raise NotFoundError(
                "it sends no log messages",
                code="not_offered",
                server=self._settings.name,
                hint="Look at its standard error instead: `logging.getLogger('trunkline.stderr')`.",
            )
        self.attach(connection)
        if connection.agreed.era.family == "modern":
            return
        try:
            async with asyncio.timeout(self._settings.connect_timeout):
                await connection.request("logging/setLevel", {"level": level})
        except TimeoutError:
            raise DeadlineExceededError(
                "it did not answer the request to set its log level",
                server=self._settings.name,
                delivery="unknown",
                retryable=True,
            ) from None

    async def _keep(self, connection: Connection) -> None:
        settings = self._settings
        if connection.agreed.era.family == "modern":
            listening = Listening(
                connection,
                self.subscriptions,
                timeout=settings.connect_timeout,
                draw=settings.draw,
            )
            await listening.run()
            return
        subscribing = Subscribing(
            connection,
            self.subscriptions,
            prepare=lambda: self._restore_log_level(connection),
            timeout=settings.connect_timeout,
            draw=settings.draw,
        )
        await subscribing.run()

    async def _restore_log_level(self, connection: Connection) -> None:
        level = self.notices.log_level
        if level is None or "logging" not in connection.agreed.capabilities:
            return
        try:
            await self.set_log_level(level, connection)
        except CallError as error:
            line = escape_text(f"{self._settings.name}: the log level could not be set: {error.message}")
            logger.info("%s", line, extra={"server": self._settings.name})


def dropped_by(connection: Connection | None) -> int:
    """Say how many notifications a connection had to drop."""
    return 0 if connection is None else connection.link.unsolicited.dropped
