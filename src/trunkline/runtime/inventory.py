"""The catalog as of now, built from what each server listed last; rebuilt only when a list changed."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from trunkline.catalog.catalog import Catalog
from trunkline.catalog.definition import finish, shown
from trunkline.catalog.headers import HeaderArgument, header_arguments
from trunkline.catalog.listing import Listing
from trunkline.core.tool import Tool
from trunkline.protocol.lists import KINDS, Kind
from trunkline.runtime.reading import read_list
from trunkline.runtime.stale import Stale
from trunkline.security.sanitize import sanitize_text
from trunkline.supervision.fleet import Fleet, Server
from trunkline.supervision.server_list import Listed
from trunkline.telemetry.escape import escape_text

if TYPE_CHECKING:
    from trunkline.catalog.search import SearchIndex

logger = logging.getLogger("trunkline.catalog")

_MOST_LOGGED = 20
"""Warnings logged of one list; a server may send a hundred thousand malformed items."""
_LONGEST_WARNING = 400


class Inventory:
    """Lists in, catalog and search index out; each list is parsed once.

    There are two catalogs: `catalog` decides what names mean, `shown` also holds what is only remembered.
    """

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._generation = -1
        self._parsed: dict[tuple[str, Kind], tuple[Listed, tuple[Any, ...], tuple[str, ...]]] = {}
        self._listings: dict[str, Listing] = {}
        self._catalog = Catalog.build((), ())
        self._tools: tuple[Tool, ...] | None = None
        self._by_name: dict[str, Tool] = {}
        self._stale = Stale(fleet)
        self._shown: Catalog | None = None
        self._index: SearchIndex | None = None
        self._indexed: tuple[Tool, ...] = ()
        self._mirrored: dict[str, tuple[HeaderArgument, ...]] = {}
        self._executions: dict[str, Any] = {}

    def catalog(self) -> Catalog:
        """Give the catalog of everything listed so far; what lost servers listed stays in it."""
        if self._generation != self._fleet.generation:
            self._rebuild()
        return self._catalog

    def shown(self) -> Catalog:
        """Give that catalog, and in it, marked as stale, the lists that are remembered and not yet read."""
        catalog = self.catalog()
        if self._shown is None:
            listings = self._stale.complete(self._listings)
            self._shown = catalog if listings is None else Catalog.build(listings, self._fleet.servers)
        return self._shown

    def tool(self, public_name: str) -> Tool | None:
        """Give one tool, or None when no server has listed it."""
        if self._generation != self._fleet.generation:
            self._rebuild()
        return self._by_name.get(public_name)

    def index(self) -> SearchIndex:
        """Give the search index of the tools that are shown."""
        tools = self.shown().tools
        if self._index is None or not (tools is self._indexed or _is_same(tools, self._indexed)):
            from trunkline.catalog.search import SearchIndex

            self._index = SearchIndex.build(tools)
        self._indexed = tools
        return self._index

    def mirrored(self, public_name: str) -> tuple[HeaderArgument, ...]:
        """Give the arguments of a tool that HTTP wants in headers too; nearly always none."""
        if self._generation != self._fleet.generation:
            self._rebuild()
        if (known := self._mirrored.get(public_name)) is not None:
            return known
        tool = self._by_name.get(public_name)
        if tool is None:
            return ()
        self._mirrored[public_name] = found = header_arguments(tool)
        return found

    @property
    def executions(self) -> Mapping[str, Any]:
        """The `execution` member of the tools that have one, by public name; nearly always none."""
        if self._generation != self._fleet.generation:
            self._rebuild()
        return self._executions

    def warnings(self) -> dict[str, tuple[str, ...]]:
        """Give, for each server, what its lists were lacking."""
        self.catalog()
        return {server: listing.warnings for server, listing in self._listings.items() if listing.warnings}

    def narrow(self, fleet: Fleet) -> Inventory:
        """Give the inventory of a part of the same fleet; nothing is parsed again."""
        part = Inventory(fleet)
        part._parsed = self._parsed
        return part

    def _rebuild(self) -> None:
        self._generation = self._fleet.generation
        self._listings = {server: self._list(server, supervisor) for server, supervisor in self._fleet}
        self._parsed = {key: known for key, known in self._parsed.items() if key[0] in self._listings}
        self._catalog = Catalog.build(self._listings.values(), self._fleet.servers)
        self._shown = None
        if _is_same(self._catalog.tools, self._tools):
            return
        self._tools = self._catalog.tools
        self._by_name = {tool.public_name: tool for tool in self._tools}
        self._executions = {
            tool.public_name: tool.raw["execution"] for tool in self._tools if "execution" in tool.raw
        }
        self._mirrored = {}

    def _list(self, server: str, supervisor: Server) -> Listing:
        lists = supervisor.lists
        lists.renew()
        warnings = [
            f"server {shown(server)}: {sanitize_text(why[:_LONGEST_WARNING])}" for why in lists.failures()
        ]
        found: dict[Kind, tuple[Any, ...]] = {}
        for kind in KINDS:
            found[kind], problems = self._parse(server, kind, supervisor)
            warnings += problems
        return Listing(
            server=server,
            complete=lists.tools is not None and not lists.tools.warnings,
            warnings=tuple(warnings),
            **found,
        )

    def _parse(self, server: str, kind: Kind, supervisor: Server) -> tuple[tuple[Any, ...], tuple[str, ...]]:
        listed = supervisor.lists.get(kind)
        if listed is None:
            return (), ()
        known = self._parsed.get((server, kind))
        if known is None or known[0] is not listed:
            settings = supervisor.settings
            items, problems = listed.found or finish(
                read_list(server, settings.transport, kind, listed.items)
            )
            _log_news(server, problems, known[2] if known else ())
            known = self._parsed[server, kind] = (listed, items, (*listed.warnings, *problems))
        return known[1], known[2]


def _log_news(server: str, problems: tuple[str, ...], before: tuple[str, ...]) -> None:
    """Log what is wrong with a list, once for as long as it stays so.

    Source: specification 2026-07-28, basic/transports/streamable-http, "Schema Extension".
    """
    for problem in problems[:_MOST_LOGGED]:
        if problem not in before:
            logger.warning("%s", escape_text(problem), extra={"server": server})


def _is_same(tools: tuple[Tool, ...], before: tuple[Tool, ...] | None) -> bool:
    """Whether these are the very same tools: what was made of them is still true."""
    if before is None or len(tools) != len(before):
        return False
    return all(tool is known for tool, known in zip(tools, before, strict=True))
