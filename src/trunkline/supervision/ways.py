"""How one server is reached: its transports tried in order, what was found remembered until proved wrong.

Source: specification 2025-11-25, basic/transports, "Backwards Compatibility"; 2026-07-28,
basic/transports/streamable-http, "Backward Compatibility".
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from trunkline.connection.connection import Connection
from trunkline.errors import CallError, ProtocolError
from trunkline.protocol.eras import Family
from trunkline.supervision.settings import ServerSettings
from trunkline.transport.link import Link

Opener = Callable[[], Awaitable[Link]]
Connect = Callable[[Family | None, Opener], Awaitable[Connection]]

_OLDER_STATUS = (400, 404, 405)
"""HTTP statuses with which a server of the older transport answers a request of the newer one."""
_PATIENCE = 10.0
"""Seconds in which a server that has just answered has to name its endpoint, to be of the older transport."""


class Ways:
    """The transports and families of one server, and which of them it was found to have."""

    def __init__(self, settings: ServerSettings) -> None:
        earlier = settings.remembered
        self._pinned = settings.family
        self._newer = settings.open_link
        self._older = settings.open_older
        self._is_older = earlier is not None and earlier.older and self._may_be_older()
        self.family = settings.family
        """The family to try alone, because it is pinned or was found; or None."""
        self.expected = None if earlier is None or settings.family is not None else earlier.family
        """The family it had in an earlier run, to be tried first; or None."""

    def remember(self, connection: Connection) -> bool:
        """Try at the next connect what this connection was found to be.

        Tells whether it was what an earlier run had found, and so was not found out anew.
        """
        family = connection.agreed.era.family
        believed = self.expected == family
        self.family, self.expected = self._pinned or family, None
        self._is_older = self._older is not None and connection.link.kind == "sse"
        return believed

    def forget(self) -> bool:
        """Find out anew at the next connect; tell whether there was anything to forget."""
        known = self._is_older or self.expected is not None or self.family != self._pinned
        self._is_older, self.family, self.expected = False, self._pinned, None
        return known

    def doubt(self) -> bool:
        """Forget what an earlier run has found, if the server may have ended over it; tell whether it may."""
        # A request over HTTP has a fate of its own, so its loss says nothing of the next one's.
        ended = self._older is None or self._is_older
        return ended and self.expected == "legacy" and self.forget()

    async def connect(self, connect: Connect) -> Connection:
        """Connect by what is remembered; where a server has become something else, find out what at once.

        Raises:
            CallError: it cannot be reached, or is nothing we know.
        """
        try:
            return await self._try(connect)
        except ProtocolError:
            # A process is not started twice at once; it is asked anew the next time.
            if self._older is None or not self.forget():
                raise
        return await self._try(connect)

    async def _try(self, connect: Connect) -> Connection:
        if self._older is not None and self._is_older:
            return await connect("legacy", _soon(self._older, _outdated()))
        try:
            return await connect(self.family, self._newer)
        except ProtocolError as newer:
            if self._older is None or newer.status not in _OLDER_STATUS or not self._may_be_older():
                raise
            return await self._try_older(connect, self._older, newer)

    def _may_be_older(self) -> bool:
        return self._older is not None and self._pinned != "modern"

    async def _try_older(self, connect: Connect, older: Opener, newer: ProtocolError) -> Connection:
        """Connect by the older transport; what is none of it is explained by what the newer one met."""
        try:
            return await connect("legacy", _soon(older, newer))
        except CallError as cause:
            if isinstance(cause, ProtocolError) and cause.status is not None:
                raise newer from None
            raise


def _soon(open_link: Opener, otherwise: ProtocolError) -> Opener:
    """Give an opener that raises this when no link is open in time."""

    async def open_soon() -> Link:
        try:
            async with asyncio.timeout(_PATIENCE):
                return await open_link()
        except TimeoutError:
            raise otherwise from None

    return open_soon


def _outdated() -> ProtocolError:
    return ProtocolError("it no longer answers over the transport it had", delivery="never_sent")
