"""Visits to URLs that are under way, by the server's id, until it says that they are complete."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from trunkline.errors import UnavailableError

_MOST = 256


class Completions:
    """What `notifications/elicitation/complete` of one connection may refer to; all else is unknown.

    Source: specification 2025-11-25, client/elicitation, "Completion Notifications".
    """

    def __init__(self, server: str) -> None:
        self._server = server
        self._known: dict[str, asyncio.Future[None]] = {}

    def expect(self, number: str) -> asyncio.Future[None]:
        """Take a visit for begun; the future is done when the server says so. The oldest of many is lost."""
        if (known := self._known.get(number)) is not None:
            return known
        if len(self._known) >= _MOST:
            self._known.pop(next(iter(self._known))).cancel()
        future = self._known[number] = asyncio.get_running_loop().create_future()
        return future

    def forget(self, numbers: Iterable[str]) -> None:
        """The visits will not be made, or nobody waits for them any more."""
        for number in numbers:
            if (future := self._known.pop(number, None)) is not None:
                future.cancel()

    def complete(self, number: object) -> bool:
        """The server says that a visit is complete; False when it is unknown or was completed before."""
        future = self._known.pop(number, None) if isinstance(number, str) else None
        if future is None:
            return False
        if not future.done():
            future.set_result(None)
        return True

    def end(self) -> None:
        """The connection is lost: whoever waits is told."""
        known, self._known = self._known, {}
        for future in known.values():
            if not future.done():
                future.set_exception(UnavailableError("the connection was lost", server=self._server))
                future.exception()  # asked for, as nobody may wait for it
