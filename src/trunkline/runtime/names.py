"""From what a caller wrote to the server and tool that are meant; remembered, since calls repeat."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from trunkline.catalog.catalog import Catalog
from trunkline.catalog.names import resolve, split_name
from trunkline.supervision.fleet import Fleet

_MOST_REMEMBERED = 4096


class Names:
    """Resolves selectors against the configured servers, and bare tool names against the catalog."""

    def __init__(
        self, fleet: Fleet, catalog: Callable[[], Catalog], settled: Callable[[], Awaitable[None]]
    ) -> None:
        self._fleet = fleet
        self._catalog = catalog
        self._settled = settled
        self._remembered: dict[str, tuple[str, str]] = {}

    def recall(self, selector: str) -> tuple[str, str] | None:
        """Give (server, tool) at once where no list is needed to tell."""
        if (known := self._remembered.get(selector)) is not None:
            return known
        split = split_name(selector, self._fleet.servers, separators=".")
        if split is not None:
            if len(self._remembered) >= _MOST_REMEMBERED:
                self._remembered.clear()
            self._remembered[selector] = split
        return split

    async def find(self, selector: str) -> tuple[str, str]:
        """Resolve a bare tool name, once every server is ready or failed.

        Raises:
            NotFoundError: nothing has this name; `candidates` holds near ones.
            AmbiguousNameError: several servers have a tool of this name.
        """
        await self._settled()
        tool = resolve(selector, self._fleet.servers, self._catalog(), separators=".")
        return tool.server, tool.name

    def forget(self) -> None:
        """The set of servers has changed."""
        self._remembered.clear()
