"""What servers list, where a call must know it: waited for, and read once more where it seems out of date."""

from __future__ import annotations

from trunkline.catalog.names import resolve
from trunkline.core.call import Call
from trunkline.core.tool import Tool
from trunkline.errors import NotFoundError
from trunkline.runtime.inventory import Inventory
from trunkline.supervision.fleet import Fleet

SEPARATOR = "."


class ToolLists:
    """Finds the definition of a tool that is called."""

    def __init__(self, fleet: Fleet, inventory: Inventory) -> None:
        self._fleet = fleet
        self._inventory = inventory

    async def relist(self, server: str) -> bool:
        """Read the tools of a server again; whether that worked."""
        supervisor = self._fleet.get(server)
        return supervisor is not None and await supervisor.lists.refresh("tools")

    async def find(self, call: Call) -> Tool | None:
        """Wait for the server's list; one that lacks the tool is read once more before that counts."""
        if call.server not in self._fleet:
            raise no_server(call.server, self._fleet)
        supervisor = await self._fleet.connect(call.server, call.flight)
        if (tool := self._inventory.tool(call.public_name)) is not None:
            return tool
        refreshed = await supervisor.lists.refresh("tools")
        tool = self._inventory.tool(call.public_name)
        listed = supervisor.lists.tools
        if tool is not None or not refreshed or listed is None or listed.warnings:
            return tool
        return resolve(call.public_name, self._fleet.servers, self._inventory.catalog(), separators=SEPARATOR)


def no_server(server: str, fleet: Fleet) -> NotFoundError:
    """Give the error for a name that no configured server has."""
    configured = ", ".join(fleet.servers) or "none"
    return NotFoundError(
        f"there is no server {server!r}",
        server=server,
        candidates=fleet.servers,
        hint=f"Configured are: {configured}.",
    )
