"""What servers listed in an earlier run, for as long as they have not listed in this one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from msgspec.structs import replace

from trunkline.catalog.listing import Listing
from trunkline.protocol.lists import KINDS, Kind
from trunkline.runtime.reading import read_stale
from trunkline.supervision.fleet import Fleet, Server
from trunkline.supervision.remembered import Items


class Stale:
    """Adds what is remembered to what is listed; each list is parsed once, and only if it is wanted."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._parsed: dict[tuple[str, Kind], tuple[Items, tuple[Any, ...]]] = {}

    def complete(self, listings: Mapping[str, Listing]) -> Iterable[Listing] | None:
        """Give the listings with the lists that are missing in them; None when nothing is to be added."""
        found = {server: self._of(server, supervisor) for server, supervisor in self._fleet}
        wanted = {(server, kind) for server, lists in found.items() for kind in lists}
        self._parsed = {key: known for key, known in self._parsed.items() if key in wanted}
        if not wanted:
            return None
        return [replace(listing, **found.get(server, {})) for server, listing in listings.items()]

    def _of(self, server: str, supervisor: Server) -> dict[str, tuple[Any, ...]]:
        lists = supervisor.lists
        return {
            kind: self._parse(server, kind, items, supervisor.settings.transport)
            for kind in KINDS
            if lists.get(kind) is None and (items := supervisor.stale(kind))
        }

    def _parse(self, server: str, kind: Kind, items: Items, transport: str) -> tuple[Any, ...]:
        known = self._parsed.get((server, kind))
        if known is None or known[0] is not items:
            parsed = read_stale(server, transport, kind, items)
            known = self._parsed[server, kind] = (items, parsed)
        return known[1]
