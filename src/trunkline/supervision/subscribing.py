"""Keeps a legacy server subscribed to every resource that is wanted, and at the wanted log level.

Source: specification 2025-11-25, server/resources ("Subscriptions") and server/utilities/logging. A new
session knows nothing of the one before, so everything is set up again in it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from trunkline.connection.connection import Connection
from trunkline.core.backoff import Backoff
from trunkline.errors import CallError, ServerError
from trunkline.protocol.lists import CHANGES
from trunkline.protocol.subscriptions import declared_lists, declares_updates
from trunkline.security.uris import without_secrets
from trunkline.supervision.failure import refused_subscription, unsupported_subscription
from trunkline.supervision.subscriptions import Subscriptions
from trunkline.telemetry.escape import escape_text

logger = logging.getLogger("trunkline.supervision")

_BACKOFF = Backoff(first=1.0, longest=30.0)
_SELDOM = 60.0
"""Seconds between two readings of the lists because of new sessions."""
_AT_ONCE = 32
"""Requests for subscriptions that one server is sent at a time."""


class Subscribing:
    """Follows what is wanted on one connection, until cancelled.

    Args:
        prepare: run in each session, beside the requests for subscriptions.
        timeout: seconds each request may take.
        draw: gives a random number from 0 to 1.
    """

    def __init__(
        self,
        connection: Connection,
        wanted: Subscriptions,
        *,
        prepare: Callable[[], Coroutine[Any, Any, None]],
        timeout: float,
        draw: Callable[[], float],
    ) -> None:
        self._connection = connection
        self._wanted = wanted
        self._prepare = prepare
        self._timeout = timeout
        self._draw = draw
        self._possible = declares_updates(connection.agreed.capabilities)
        self._have: set[str] = set()
        self._working: set[str] = set()
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._session = connection.sessions
        self._unlisted = asyncio.Event()

    async def run(self) -> None:
        """Subscribe to what is wanted and to nothing else, in each new session anew."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._prepare())
            group.create_task(self._list_anew())
            while True:
                self._wanted.wake.clear()
                anew = self._session != self._connection.sessions
                if anew:
                    self._begin_anew()
                    group.create_task(self._prepare())
                if self._wanted.take_missed():
                    self._read_again()
                    self._wanted.tell_missed()
                for uri in sorted((self._wanted.uris ^ self._have) - self._working):
                    self._working.add(uri)
                    group.create_task(self._agree(uri), name=f"subscription at {self._connection.server}")
                await self._wanted.wake.wait()

    def _read_again(self) -> None:
        """Have the lists read whose changes could not be heard."""
        told = declared_lists(self._connection.agreed.capabilities)
        for kinds in CHANGES.values():
            if not told.isdisjoint(kinds):
                for kind in kinds:
                    self._connection.changes[kind].set()

    async def _list_anew(self) -> None:
        """Have all lists read in a new session: the server may be another one now and tell of nothing."""
        while True:
            await self._unlisted.wait()
            self._unlisted.clear()
            for change in self._connection.changes.values():
                change.set()
            # Some servers forget sessions all the time; those are not asked for their lists all the time.
            await asyncio.sleep(_SELDOM)

    def _begin_anew(self) -> None:
        self._session = self._connection.sessions
        self._unlisted.set()
        self._have.clear()
        self._wanted.lapse()

    async def _agree(self, uri: str) -> None:
        """Make the server agree with what is wanted of one resource; no other one waits for it."""
        failures = 0
        try:
            while (wanted := uri in self._wanted.uris) != (uri in self._have):
                async with self._turns:
                    done = await (self._subscribe(uri) if wanted else self._unsubscribe(uri))
                if not done:
                    failures += 1
                    await asyncio.sleep(_BACKOFF.delay(failures, self._draw()))
        finally:
            self._working.discard(uri)

    async def _subscribe(self, uri: str) -> bool:
        server = self._connection.server
        if not self._possible:
            self._wanted.refuse(
                uri, lambda: unsupported_subscription(server, "it offers no updates of resources")
            )
            return True
        try:
            async with asyncio.timeout(self._timeout):
                await self._connection.request("resources/subscribe", {"uri": uri})
        except ServerError as refusal:
            failure = refusal
            if not self._wanted.is_blamed(uri, failure):
                self._log(f"could not subscribe to {without_secrets(uri)}: {failure.message}")
                return False
            self._wanted.refuse(uri, lambda: refused_subscription(server, failure))
        except (CallError, TimeoutError) as error:
            self._log(f"could not subscribe to {without_secrets(uri)}: {_reason(error)}")
            return False
        else:
            self._have.add(uri)
            self._wanted.agree(uri)
        return True

    async def _unsubscribe(self, uri: str) -> bool:
        """Tell the server; what it sends of this resource all the same concerns nobody."""
        self._have.discard(uri)
        try:
            async with asyncio.timeout(self._timeout):
                await self._connection.request("resources/unsubscribe", {"uri": uri})
        except (CallError, TimeoutError) as error:
            self._log(f"could not unsubscribe from {without_secrets(uri)}: {_reason(error)}")
        return True

    def _log(self, what: str) -> None:
        line = escape_text(f"{self._connection.server}: {what}")
        logger.info("%s", line, extra={"server": self._connection.server})


def _reason(error: CallError | TimeoutError) -> str:
    return error.message if isinstance(error, CallError) else "it did not answer in time"
