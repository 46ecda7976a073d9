"""What a name given to `Trunk.tool` stands for: decided once, as soon as it is certain, and then kept."""

from __future__ import annotations

from trunkline.catalog.names import split_name
from trunkline.catalog.partial import resolve_partial
from trunkline.core.tool import Tool
from trunkline.errors import CallError, NotFoundError
from trunkline.runtime.inventory import Inventory
from trunkline.runtime.routes import Routes
from trunkline.supervision.fleet import Fleet


class Selection:
    """One name, and the tool it was found to mean.

    A public name `server.tool` waits for its own server only. Any other name, or part of one, is
    certain only when every server is ready or failed.
    """

    def __init__(self, name: str, fleet: Fleet, inventory: Inventory, routes: Routes) -> None:
        self.name = name
        self._fleet = fleet
        self._inventory = inventory
        self._routes = routes
        self._chosen: str | None = None

    def look(self) -> Tool | None:
        """Give the tool's definition as of now, or None while it is not certain; never waits.

        Raises:
            NotFoundError, AmbiguousNameError: it is certain that the name means no one tool.
        """
        if self._chosen is None:
            tool = self._inventory.tool(self.name)
            if tool is None and self._is_certain():
                tool = self._resolve()
            self._chosen = None if tool is None else tool.public_name
        return None if self._chosen is None else self._inventory.tool(self._chosen)

    def known(self) -> Tool | None:
        """Give the tool's definition as of now, or None where there is none to show."""
        try:
            return self.look()
        except CallError:
            return None

    async def find(self, timeout: float | None) -> Tool | str:  # noqa: ASYNC109 - one bound for all waits
        """Give the tool, waiting for the servers concerned; else the public name, for the call to judge.

        Raises:
            NotFoundError, AmbiguousNameError: the name means no one tool.
            DeadlineExceededError: some server was still connecting when the time was over.
        """
        if (tool := self.known()) is not None:
            return tool
        server = self._server()
        await self._routes.settle(self.name, timeout, server)
        try:
            self._chosen = self._resolve().public_name
        except NotFoundError:
            # A call reads the list anew, or says why the server is down.
            if server is None:
                raise
        return self.known() or self._chosen or self.name

    def _resolve(self) -> Tool:
        return resolve_partial(self.name, self._fleet.servers, self._inventory.catalog())

    def _server(self) -> str | None:
        pair = split_name(self.name, self._fleet.servers)
        return None if pair is None else pair[0]

    def _is_certain(self) -> bool:
        server = self._server()
        return all(
            supervisor.lists.tools is not None or supervisor.status().state == "failed"
            for name, supervisor in self._fleet
            if server in (None, name)
        )
