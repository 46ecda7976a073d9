"""A runtime seen as if it had some of its servers only: same connections, names resolved among fewer."""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterator
from typing import cast

from trunkline.core.call import Call, Flight
from trunkline.core.reply import Reply
from trunkline.core.status import ServerStatus
from trunkline.errors import TrunklineError
from trunkline.runtime.inventory import Inventory
from trunkline.runtime.routes import Routes
from trunkline.runtime.trunk import Trunk
from trunkline.supervision.fleet import Fleet, Server
from trunkline.supervision.hold import Hold
from trunkline.supervision.pool import Pool


def narrow(trunk: Trunk, servers: Collection[str]) -> Trunk:
    """Give the same open runtime with only these of its servers; it ends with the original.

    Calls through it find, suggest and warn as a runtime that was opened over these servers alone would.
    """
    part = copy.copy(trunk)
    part._fleet = cast(Fleet, _Part(trunk._fleet, servers))
    part._inventory = Inventory(part._fleet)
    part._routes = Routes(
        part._fleet,
        part._inventory,
        trunk._policy,
        part._known,
        trunk._layering,
        trunk._handles.see_off,
    )
    return part


class _Part:
    """What the runtime asks of a `Fleet`, answered for some of its servers."""

    def __init__(self, fleet: Fleet, servers: Collection[str]) -> None:
        self._fleet = fleet
        self._names = frozenset(servers)

    def __iter__(self) -> Iterator[tuple[str, Server]]:
        return ((name, supervisor) for name, supervisor in self._fleet if name in self._names)

    def __contains__(self, server: str) -> bool:
        return server in self._names and server in self._fleet

    @property
    def servers(self) -> tuple[str, ...]:
        return tuple(name for name in self._fleet.servers if name in self._names)

    @property
    def generation(self) -> int:
        return self._fleet.generation

    def get(self, server: str) -> Server | None:
        return self._fleet.get(server) if server in self._names else None

    def status(self) -> dict[str, ServerStatus]:
        return {name: supervisor.status() for name, supervisor in self}

    def share(self, server: str) -> Pool:
        return self._fleet.share(server)

    async def call_held(self, hold: Hold, call: Call) -> Reply:
        return await self._fleet.call_held(hold, call)

    async def hold(self, server: str, flight: Flight) -> tuple[Pool, Hold]:
        return await self._fleet.hold(server, flight)

    async def connect(self, server: str, flight: Flight) -> Server:
        return await self._fleet.connect(server, flight)

    async def settled(self, server: str) -> TrunklineError | None:
        return await self._fleet.settled(server)

    async def call(self, call: Call) -> Reply:
        return await self._fleet.call(call)
