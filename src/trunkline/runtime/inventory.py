"""The catalog as of now, built from what each server listed last; rebuilt only when a list changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trunkline.catalog.catalog import Catalog
from trunkline.catalog.headers import HeaderArgument, header_arguments
from trunkline.catalog.listing import Listing, parse_tools
from trunkline.core.tool import Tool
from trunkline.supervision.fleet import Fleet

if TYPE_CHECKING:
    from trunkline.catalog.search import SearchIndex


class Inventory:
    """Lists in, catalog and search index out; each server's list is parsed once."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._generation = -1
        self._parsed: dict[str, tuple[Any, Listing]] = {}
        self._catalog = Catalog.build((), ())
        self._by_name: dict[str, Tool] = {}
        self._index: SearchIndex | None = None
        self._mirrored: dict[str, tuple[HeaderArgument, ...]] = {}

    def catalog(self) -> Catalog:
        """Give the catalog of everything listed so far; the tools of lost servers stay in it."""
        if self._generation != self._fleet.generation:
            self._rebuild()
        return self._catalog

    def tool(self, public_name: str) -> Tool | None:
        """Give one tool, or None when no server has listed it."""
        if self._generation != self._fleet.generation:
            self._rebuild()
        return self._by_name.get(public_name)

    def index(self) -> SearchIndex:
        """Give the search index of the current catalog."""
        catalog = self.catalog()
        if self._index is None:
            from trunkline.catalog.search import SearchIndex

            self._index = SearchIndex.build(catalog.tools)
        return self._index

    def mirrored(self, public_name: str) -> tuple[HeaderArgument, ...]:
        """Give the arguments of a tool that HTTP wants in headers too; nearly always none."""
        self.catalog()
        return self._mirrored.get(public_name, ())

    def warnings(self) -> dict[str, tuple[str, ...]]:
        """Give, for each server, what its list was lacking."""
        self.catalog()
        return {server: listing.warnings for server, (_, listing) in self._parsed.items() if listing.warnings}

    def _rebuild(self) -> None:
        self._generation = self._fleet.generation
        parsed: dict[str, tuple[Any, Listing]] = {}
        for server, supervisor in self._fleet:
            supervisor.lists.renew()
            listed = supervisor.lists.tools
            if listed is None:
                continue
            known = self._parsed.get(server)
            if known is not None and known[0] is listed:
                parsed[server] = known
                continue
            tools, warnings = parse_tools(server, listed.items, transport=supervisor.settings.transport)
            all_warnings = (*listed.warnings, *warnings)
            parsed[server] = (
                listed,
                Listing(server=server, tools=tools, complete=not listed.warnings, warnings=all_warnings),
            )
        self._parsed = parsed
        self._catalog = Catalog.build((listing for _, listing in parsed.values()), self._fleet.servers)
        self._by_name = {tool.public_name: tool for tool in self._catalog}
        self._index = None
        self._mirrored = {
            tool.public_name: arguments
            for server, supervisor in self._fleet
            if supervisor.settings.transport == "http"
            for tool in self._catalog.of_server(server)
            if (arguments := header_arguments(tool))
        }
