"""What one server was like in an earlier run, and what is found of it in this one.

The era is tried first and never believed; the lists are shown until the server has listed, and never decide
what a name means. Whoever keeps memories is told when there is something new to keep.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from trunkline.connection.connection import Connection
from trunkline.protocol.eras import Family
from trunkline.protocol.lists import Kind

Items = tuple[Any, ...]


class Remembered:
    """The memory of one server; its supervisor adds to it.

    Args:
        family: the protocol family it had.
        revision: the revision it spoke, for display.
        older: whether its URL was found to be of the older HTTP transport.
        lists: the definitions it listed, as received.
        on_news: told whenever there is something to keep.
    """

    def __init__(
        self,
        *,
        family: Family | None = None,
        revision: str | None = None,
        older: bool = False,
        lists: Mapping[Kind, Items] | None = None,
        on_news: Callable[[], None] = lambda: None,
    ) -> None:
        self.family = family
        self.older = older
        self.recalled: Mapping[Kind, Items] = lists or {}
        self.found: dict[Kind, Items] = {}
        """What it has listed in this run, whole lists only."""
        self.revision = revision
        """The revision that was agreed on last."""
        self.met = False
        """Whether it was connected in this run."""
        self.transport = ""
        self.capabilities: Mapping[str, Any] = {}
        self.server_info: Mapping[str, Any] = {}
        self.believed = False
        """Whether this run first reached it as remembered, so that nothing was found out anew."""
        self._on_news = on_news

    @property
    def lists(self) -> Mapping[Kind, Items]:
        """The last good list of each kind."""
        return {**self.recalled, **self.found}

    def meet(self, connection: Connection, *, believed: bool) -> None:
        """Note how a connection was made."""
        agreed = connection.agreed
        self.revision, self.transport = agreed.era.revision, connection.link.kind
        self.capabilities, self.server_info = agreed.capabilities, agreed.server_info
        if not self.met:
            self.met, self.believed = True, believed
        self._on_news()

    def keep(self, kind: Kind, items: Items) -> None:
        """Note a list that was read, and is whole."""
        if self.found.get(kind) is not items:
            self.found[kind] = items
            self._on_news()
