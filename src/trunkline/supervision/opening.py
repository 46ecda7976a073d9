"""Opens one connection of a server: by the way it is known or found to have, up to its listed tools."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable

from trunkline.connection.answers import Answers
from trunkline.connection.connection import Connection
from trunkline.errors import OutcomeUnknownError, UnavailableError
from trunkline.protocol.eras import Family
from trunkline.supervision.failure import over_limit
from trunkline.supervision.following import Following
from trunkline.supervision.lists import Lists
from trunkline.supervision.settings import ServerSettings
from trunkline.supervision.ways import Ways
from trunkline.transport.link import Link


class Opening:
    """Opens connections of one server, and says how far it came."""

    def __init__(self, settings: ServerSettings, lists: Lists, following: Following) -> None:
        self.phase = "not started"
        self.kind = settings.transport
        earlier = settings.remembered
        self.revision = None if earlier is None else earlier.revision
        """The revision in use, or last used."""
        self._settings = settings
        self._lists = lists
        self._following = following
        self.answers = Answers(settings.name, settings.handlers)
        """Puts the server's questions to the application, over all its connections."""
        self._ways = Ways(settings)
        self._link: Link | None = None

    def adjust(self, settings: ServerSettings) -> None:
        """Open the next connection with other settings of patience."""
        self._settings = settings

    def forget(self) -> None:
        """Find out anew how the server is reached: what is remembered may be why it failed."""
        self._ways.forget()

    def over_limit(self) -> UnavailableError | None:
        """Tell the limit for which its process was ended, if it was."""
        exceeded = None if self._link is None else self._link.exceeded
        return None if exceeded is None else over_limit(self._settings.name, exceeded)

    def stderr(self) -> str:
        """Give the last lines of the server's standard error."""
        return "" if self._link is None else self._link.stderr_tail()

    async def connect(self, links: list[Link], deadline: float) -> Connection:
        """Give a negotiated connection whose tools are listed.

        Args:
            links: takes every link that was opened; closing them is the caller's, whatever happens.
            deadline: moment until which pages of tools are waited for.

        Raises:
            CallError: it cannot be reached, or is nothing we know.
        """
        connection = await self._reach(links)
        believed = self._ways.remember(connection)
        if self._settings.remembered is not None:
            self._settings.remembered.meet(connection, believed=believed)
        try:
            await self._list(connection, deadline)
        except (UnavailableError, OutcomeUnknownError):
            await self._lists.end()
            if not self._lists.suspects:
                raise
            # It may have ended over a list that is none of the tools: those are asked for alone now.
            await links[-1].close()
            connection = await self._ways.connect(functools.partial(self._open, links))
            await self._list(connection, deadline)
        return connection

    async def _reach(self, links: list[Link]) -> Connection:
        """Negotiate, as in an earlier run first; whatever comes of that, the server is known afterwards."""
        try:
            return await self._ways.connect(functools.partial(self._open, links))
        except (UnavailableError, OutcomeUnknownError):
            if links and self._ways.doubt():
                self.phase = "starting again without what was remembered"
                await links[-1].close()
                return await self._reach(links)
            if self._settings.transport != "stdio" or self._ways.family is not None or not links:
                raise
            # Some legacy servers exit when they meet a request they do not know.
            self.phase = "starting again with initialize"
            await links[-1].close()
            return await self._open(links, "legacy", self._settings.open_link)

    async def _list(self, connection: Connection, deadline: float) -> None:
        self.revision = connection.revision
        self.kind = connection.link.kind
        self.phase = "listing tools"
        self._following.attach(connection)
        self._lists.begin(connection)
        # A list whose pages do not end in time is used as far as it came.
        await self._lists.read_tools(connection, deadline)

    async def _open(
        self, links: list[Link], family: Family | None, opener: Callable[[], Awaitable[Link]]
    ) -> Connection:
        settings = self._settings
        self.phase = "starting the process" if settings.transport == "stdio" else "connecting"
        link = await opener()
        links.append(link)
        self._link = link
        self.phase = "negotiating the protocol"
        return await Connection.open(
            settings.name,
            link,
            settings.identity,
            family=family,
            expected=self._ways.expected,
            limits=settings.limits,
            answers=self.answers,
            notices=self._following.notices,
            connect_timeout=settings.connect_timeout,
        )
