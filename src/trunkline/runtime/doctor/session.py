"""Talks to one server as a call would: the link, the negotiation, the tools, and a sign of life."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from trunkline.catalog.listing import parse_tools
from trunkline.connection.answers import Answers
from trunkline.connection.connection import Connection
from trunkline.connection.notices import Notices
from trunkline.core.events import NOBODY
from trunkline.core.process_limits import Exceeded
from trunkline.core.tool import Tool
from trunkline.errors import OutcomeUnknownError, ServerError, UnavailableError
from trunkline.pipeline.schema import compile_schema
from trunkline.protocol.eras import Family
from trunkline.supervision.settings import ServerSettings
from trunkline.supervision.ways import Ways
from trunkline.transport.link import Link
from trunkline.transport.stdio import StdioLink


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """What a server lists."""

    offered: bool
    """Whether it says that it has tools at all."""
    tools: tuple[Tool, ...] = ()
    left_out: tuple[str, ...] = ()
    """Why definitions were left out, one sentence each."""
    incomplete: tuple[str, ...] = ()
    """Why the list may lack some."""


class Session:
    """One connection to one server, from its link to its end; closing is the owner's.

    Attributes:
        links: every link that was opened, the latest last.
        connection: what was negotiated, or None.
    """

    def __init__(self, settings: ServerSettings) -> None:
        self.links: list[Link] = []
        self.connection: Connection | None = None
        self._settings = settings
        self._ways = Ways(settings)
        self._serving: asyncio.Task[None] | None = None

    async def negotiate(self) -> Connection:
        """Open a link and agree on a revision, by every way that a call would try.

        Raises:
            CallError: with the reason of the last way.
        """
        settings = self._settings
        try:
            connection = await self._ways.connect(self._open)
        except (UnavailableError, OutcomeUnknownError):
            if settings.transport != "stdio" or self._ways.family is not None or not self.links:
                raise
            # Some legacy servers exit when they meet a request they do not know.
            await self.links[-1].close()
            connection = await self._open("legacy", settings.open_link)
        self.connection = connection
        self._serving = asyncio.ensure_future(connection.serve())
        return connection

    async def list_tools(self, deadline: float) -> Listed:
        """Read the list of tools.

        Raises:
            CallError: not even its first page can be read.
        """
        connection = self._require()
        if not connection.offers("tools"):
            return Listed(offered=False)
        pages = await connection.read_list("tools", deadline)
        tools, left_out = parse_tools(self._settings.name, pages.items, transport=connection.link.kind)
        return Listed(offered=True, tools=tools, left_out=left_out, incomplete=pages.warnings)

    async def ping(self) -> float:
        """Ask for a sign of life and give the seconds it took; a refusal is one too.

        Raises:
            CallError: there was none.
        """
        connection = self._require()
        loop = asyncio.get_running_loop()
        began = loop.time()
        legacy = connection.agreed.era.family == "legacy"
        try:
            await connection.request("ping" if legacy else "server/discover")
        except ServerError:
            return loop.time() - began
        return loop.time() - began

    def stderr(self) -> str:
        """Give the last lines of the server's standard error, safe to show."""
        return self.links[-1].stderr_tail() if self.links else ""

    def exit_code(self) -> int | None:
        """Give how the process ended, negative for a signal; None while it runs or where there is none."""
        link = self.links[-1] if self.links else None
        return link.exit_code if isinstance(link, StdioLink) else None

    def exceeded(self) -> Exceeded | None:
        """Give the limit for which its process was ended, if it was."""
        return self.links[-1].exceeded if self.links else None

    def is_lost(self) -> bool:
        """Whether the latest link has ended."""
        return bool(self.links) and self.links[-1].lost

    async def close(self) -> None:
        """End everything that was opened."""
        try:
            if self._serving is not None:
                self._serving.cancel()
                await asyncio.wait({self._serving})
        finally:
            closed = await asyncio.shield(
                asyncio.gather(*(link.close() for link in self.links), return_exceptions=True)
            )
        for failure in closed:
            if isinstance(failure, BaseException):
                raise failure

    def _require(self) -> Connection:
        if self.connection is None:
            raise RuntimeError("nothing was negotiated")
        return self.connection

    async def _open(self, family: Family | None, opener: Callable[[], Awaitable[Link]]) -> Connection:
        settings = self._settings
        link = await opener()
        self.links.append(link)
        return await Connection.open(
            settings.name,
            link,
            settings.identity,
            family=family,
            limits=settings.limits,
            answers=Answers(settings.name, settings.handlers),
            notices=Notices(settings.name, NOBODY, clean=settings.clean, most=settings.limits.notifications),
            connect_timeout=settings.connect_timeout,
        )


def examine_schemas(tools: tuple[Tool, ...]) -> list[tuple[Tool, str]]:
    """Give each tool whose schema cannot be used, with the reason; takes time, so not on a loop."""
    found: list[tuple[Tool, str]] = []
    for tool in tools:
        checks: list[tuple[Any, Any]] = [(tool.input_schema, "arguments")]
        checks += [(tool.output_schema, "structured result")] if tool.output_schema is not None else []
        for schema, subject in checks:
            if (warning := compile_schema(schema, subject).warning) is not None:
                found.append((tool, warning.partition(": ")[2]))
    return found
