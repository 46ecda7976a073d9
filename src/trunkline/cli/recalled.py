"""`--cached`: servers as they are remembered, seen as a runtime that starts none of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Self

import typer

from trunkline.cli.terminal import Terminal

if TYPE_CHECKING:
    from trunkline.catalog.search import Match
    from trunkline.config.loading import Config
    from trunkline.runtime.recollection import Recollection

CachedOption = Annotated[
    bool, typer.Option("--cached", help="Show at once what is remembered; start no server.")
]


class RecalledTrunk:
    """What `list`, `tools` and `search` use of a `Trunk`, answered from memory."""

    def __init__(self, config: Config, terminal: Terminal) -> None:
        self._config = config
        self._terminal = terminal

    async def __aenter__(self) -> Self:
        """Read what is remembered, and say of which servers nothing is."""
        from os import environ

        from trunkline.cli.render import line
        from trunkline.runtime.recollection import recollect

        self._found: Recollection = recollect(self._config, environ)
        self.catalog = self._found.catalog
        if self._found.problem is not None:
            self._terminal.warn(line(self._found.problem))
        if self._found.unknown:
            names = ", ".join(map(line, self._found.unknown))
            self._terminal.warn(f"nothing is remembered of {names}; without --cached they are asked")
        return self

    async def __aexit__(self, *_: object) -> None:
        """Nothing was opened."""

    async def ready(self, *_: Any, **__: Any) -> None:
        """There is nothing to wait for."""

    def status(self) -> Any:
        """Give every server as one that is not started."""
        return self._found.statuses

    async def search(self, query: str, *, limit: int = 5) -> Sequence[Match]:
        """See `Trunk.search`."""
        from trunkline.catalog.search import SearchIndex

        return SearchIndex.build(self.catalog.tools).search(query, limit=limit)
